"""What commands have written by a model beside the conversation: whole texts, paid for like any answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from core.access import pseudonym
from core.conversation.turn import Turn
from core.models.catalog import Catalog
from core.models.chat import AS_USUAL, ChatMessage, ChatRequest
from core.models.model import Model
from core.models.paying import NOBODY, Payer
from core.models.router import Router
from core.parts import Ending, Finished, Notice, TextDelta, Usage
from core.people.choices import model_of

WHOLE = frozenset((Ending.COMPLETE, Ending.LENGTH))
"""Endings of texts that are of use."""


@dataclass(frozen=True, slots=True)
class Asker:
    """In whose name a model is asked, and which."""

    share: str = ""
    """Who stands in line (:attr:`core.conversation.turn.Turn.share`)."""
    model: str = ""
    """Name of the model; empty for the default."""
    models: frozenset[str] = frozenset()
    """The only ones that may answer; empty: all."""
    sender: str = ""
    """A hashed id, for providers that ask for one."""
    payer: Payer = field(default=NOBODY, repr=False)


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it."""

    text: str
    ending: Ending
    usage: Usage
    notices: tuple[Notice, ...] = ()

    @property
    def is_good(self) -> bool:
        """There is a text, to its end or to the limit that was set."""
        return self.ending in WHOLE and bool(self.text)


class Writer:
    """Asks chat models for texts."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self._catalog = catalog
        self._router = router

    def asker(self, turn: Turn, *, chooses: bool = True) -> Asker:
        """In the name of who asks, by the model that was chosen for the conversation, else by them, if they may."""
        default = self._catalog.default
        names = [model.name for model in self._catalog.models]
        incoming = turn.incoming
        person = turn.person if chooses else None
        chosen = model_of(names, default.name if default else "", turn.preferences, turn.space, person)
        sender = pseudonym(incoming.author, incoming.conversation.platform)
        return Asker(turn.share, chosen, frozenset(turn.space.models), sender, turn.payer)

    def model(self, asker: Asker) -> Model | None:
        """The model that is asked first; None while there is none."""
        return self._catalog.choose(asker.model)

    async def write(
        self,
        asker: Asker,
        messages: tuple[ChatMessage, ...],
        *,
        most: int | None = None,
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
    ) -> Written:
        """A whole answer of at most ``most`` tokens. Raises StorageError."""
        request = ChatRequest(
            messages,
            model=asker.model,
            max_answer=most,
            sender=asker.sender,
            space=asker.share,
            sampling=replace(AS_USUAL, temperature=temperature),
            models=asker.models,
            payer=asker.payer,
            schema=schema,
        )
        pieces: list[str] = []
        notices: list[Notice] = []
        finished = Finished(Ending.FAILED)
        async with aclosing(self._router.answer(request)) as parts:
            async for part in parts:
                if isinstance(part, TextDelta):
                    pieces.append(part.text)
                elif isinstance(part, Notice) and part.key != "model_gone":
                    # That is told in the conversation, once a day to who chose the model; not with each piece of text.
                    notices.append(part)
                elif isinstance(part, Finished):
                    finished = part
        return Written("".join(pieces).strip(), finished.ending, finished.usage, tuple(notices))


def added(one: Usage, other: Usage) -> Usage:
    """What two answers took."""
    return Usage(
        other.model or one.model,
        one.prompt_tokens + other.prompt_tokens,
        one.answer_tokens + other.answer_tokens,
        one.cost + other.cost,
        one.calls + other.calls,
    )
