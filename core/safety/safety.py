"""Whether something may be asked for, said or shown: by the words that a space forbids, and by a moderation model.

A seam: whoever makes something asks here, and shows the notice in its place. Where nothing is set up, asking costs
nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog

from core.conversation.turn import Turn
from core.creations.order import Commission
from core.errors import ModelError
from core.models.budget import Amounts
from core.models.calls import ask
from core.models.catalog import Catalog
from core.models.chat import IMAGE_TOKENS, estimate_tokens
from core.models.model import Model
from core.models.paying import Bill, OverBudget, Payer
from core.models.pool import Busy
from core.models.router import Router
from core.models.wire import Judgement, Wire
from core.moderation.own_words import Look, OwnWords, Spot
from core.parts import Notice, Usage
from core.people.spaces import Spaces, SpaceSettings, space_id
from core.safety.settings import Act, SafetySettings
from core.safety.words import contains

log = structlog.get_logger()

LONGEST_JUDGED = 100_000
"""Characters of a text that a model looks at."""
CALL_SECONDS = 20.0

Asked = Turn | Commission
"""In whose name something is looked at."""


@dataclass(frozen=True, slots=True)
class _Asker:
    space: SpaceSettings
    share: str
    payer: Payer
    id: str
    """For the log."""


class Safety:
    """Looks at texts and pictures."""

    def __init__(
        self,
        settings: SafetySettings,
        catalog: Catalog,
        router: Router,
        spaces: Spaces,
        own_words: OwnWords | None = None,
    ) -> None:
        """Without ``own_words`` no rules of spaces hold for what the bot says."""
        self._settings = settings
        self._own_words = own_words
        self._catalog = catalog
        self._router = router
        self._spaces = spaces

    async def prompt(self, asked: Asked, text: str, pictures: Collection[bytes] = ()) -> Notice | None:
        """What is said in place of doing what somebody asks for, with the pictures that they sent (JPEG or PNG); None:
        it may be done. Raises StorageError."""
        asker = await self._asker(asked)
        if (found := self._by_words(asker.space, asker.id, text, "prompt")) is not None:
            return found
        act = self._settings.prompts
        if text.strip() and (found := await self._by_model(asker, "prompt", act, text)):
            return found
        for data in pictures:
            if found := await self._by_model(asker, "prompt", act, "", (_kind(data), data)):
                return found
        return None

    def forbidden(self, turn: Turn, text: str) -> Notice | None:
        """The same by the words that the space forbids alone: nobody is asked for it."""
        return self._by_words(turn.space, turn.id, text, "prompt")

    def holds_answers(self, turn: Turn) -> bool:
        """Whether answers are to be held back until :meth:`answer` was asked about them."""
        return self._blocks_answers(turn.space) and (bool(turn.space.blocked_words) or self._has_ears)

    def watches_answers(self, turn: Turn) -> bool:
        """Whether :meth:`answer` is to be asked about answers at all, if only when they were shown."""
        return self.holds_answers(turn) or (self._settings.answers == "flag" and self._has_ears)

    async def answer(self, asked: Asked, text: str) -> Notice | None:
        """What is said in place of an answer; None: it may be shown. Raises StorageError."""
        asker = await self._asker(asked)
        if (found := self._by_words(asker.space, asker.id, text, "answer")) is not None:
            return found
        act: Act = "block" if asker.space.check_answers else self._settings.answers
        return await self._by_model(asker, "answer", act, text) if text.strip() else None

    async def written(self, asked: Asked, text: str) -> Notice | None:
        """The same for what a model wrote for a command, whole before any of it is shown: None as well where answers
        are not looked at. Raises StorageError."""
        if (look := await self.rules(asked)) is not None and look(text):
            return Notice("unsafe_answer")
        asker = await self._asker(asked)
        if self._blocks_answers(asker.space):
            return await self.answer(asked, text)
        if self._settings.answers == "flag":
            await self._by_model(asker, "answer", "flag", text)
        return None

    async def rules(self, asked: Asked) -> Look | None:
        """What tells whether the space's own rules let the bot say something there; None where they let it say
        anything. Raises StorageError."""
        if self._own_words is None:
            return None
        if isinstance(asked, Turn):
            call = asked.incoming
            spot = Spot(space_id(call.conversation, call.space), asked.conversation, call.within)
        else:
            spot = Spot(asked.order.space, asked.order.conversation)
        return await self._own_words.look(spot)

    def _blocks_answers(self, space: SpaceSettings) -> bool:
        return self._settings.answers == "block" or space.check_answers is True

    @property
    def holds_pictures(self) -> bool:
        """Whether a picture is shown only after :meth:`picture` was asked about it: none is while it is drawn."""
        return self._settings.pictures == "block" and self._has_eyes

    async def picture(self, asked: Asked, data: bytes, mime: str) -> Notice | None:
        """What is said in place of a picture that was made; None: it may be shown. Raises StorageError."""
        act = self._settings.pictures
        if act == "off" or not self._has_eyes:
            return None
        return await self._by_model(await self._asker(asked), "picture", act, "", (mime, data))

    async def found_in(self, picture: bytes, space: str, share: str) -> set[str]:
        """The categories that count of a picture (JPEG or PNG) which somebody showed in a space
        (``core.people.spaces.space_id``); none where nobody could look. ``share`` is in whose name it stands in line.
        Raises StorageError."""
        if not self._has_eyes:
            return set()
        asker = _Asker(await self._spaces.of(space), share, Payer(space=space, listens=False), space)
        try:
            return self._found(await self._judged(asker, "", [(_kind(picture), picture)]))
        except (ModelError, Busy, OverBudget) as error:
            log.warning("not looked at", what="picture", space=space, cause=str(error))
            return set()

    @property
    def _has_ears(self) -> bool:
        return any(model.accepts_texts for model in self._catalog.of_kind("moderation"))

    @property
    def _has_eyes(self) -> bool:
        return any(model.accepts_images for model in self._catalog.of_kind("moderation"))

    async def _asker(self, asked: Asked) -> _Asker:
        if isinstance(asked, Turn):
            return _Asker(asked.space, asked.share, asked.payer, asked.id)
        order = asked.order
        return _Asker(await self._spaces.of(order.space), order.share, asked.payer, order.id)

    def _by_words(self, space: SpaceSettings, id: str, text: str, what: str) -> Notice | None:
        if not contains(text, space.blocked_words):
            return None
        log.info("unsafe", what=what, turn=id, act="block", categories=["words"])
        return Notice(f"unsafe_{what}")

    async def _by_model(
        self, asker: _Asker, what: str, act: Act, text: str, picture: tuple[str, bytes] | None = None
    ) -> Notice | None:
        if act == "off" or not (self._has_eyes if picture else self._has_ears):
            return None
        try:
            judgement = await self._judged(asker, text[:LONGEST_JUDGED], [picture] if picture else [])
        except (ModelError, Busy, OverBudget) as error:
            log.warning("not looked at", what=what, turn=asker.id, cause=str(error))
            unchecked = self._settings.unchecked_pictures if picture else self._settings.unchecked_texts
            return None if act == "flag" or unchecked == "pass" else Notice("unsafe_unchecked")
        found = self._found(judgement)
        if found:
            log.info("unsafe", what=what, turn=asker.id, act=act, categories=sorted(found)[:10])
        return Notice(f"unsafe_{what}") if found and act == "block" else None

    def _found(self, judgement: Judgement) -> set[str]:
        """The categories that count."""
        known = self._settings.thresholds
        above = {name for name, least in known.items() if judgement.scores.get(name, 0.0) >= least}
        return above | (judgement.flagged - known.keys())

    async def _judged(self, asker: _Asker, text: str, pictures: Sequence[tuple[str, bytes]]) -> Judgement:
        tokens = estimate_tokens(text) + IMAGE_TOKENS * len(pictures)

        async def work(wire: Wire, model: Model, bill: Bill) -> Judgement:
            judgement = await wire.judge(model, text, pictures)
            cost = model.cost(tokens, 0)
            bill.took, bill.usage = Amounts(cost), Usage(model.name, tokens, 0, cost, 1)
            return judgement

        judges = self._catalog.of_kind("moderation")
        judgement, _ = await ask(
            self._catalog,
            self._router,
            "moderation",
            asker.share,
            work,
            most=lambda model: Amounts(model.cost(tokens, 0)),
            payer=asker.payer,
            seconds=CALL_SECONDS,
            models=[judge for judge in judges if (judge.accepts_images if pictures else judge.accepts_texts)],
        )
        return judgement


def _kind(data: bytes) -> str:
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
