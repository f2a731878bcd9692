"""A question becomes an answer: what came with it is read, the history looked up, the prompt built, a model asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import structlog

from core import faults
from core.access import Right, decide_refusal, pseudonym
from core.attachments import Attachments, Read
from core.candidates import side_by_side
from core.conversation import prompt, summary, told
from core.conversation.above import Earlier, with_above
from core.conversation.history import Answer, History, Mode, Path, Question
from core.conversation.turn import Turn
from core.knowledge.asking import Answers
from core.message import CommandCall, ConversationKey, Message
from core.models.catalog import Catalog
from core.models.chat import ChatRequest
from core.models.model import Model
from core.models.paying import Payer
from core.models.router import Router
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people.access import Access
from core.people.choices import model_of
from core.people.community import Community
from core.people.controls import Controls
from core.people.controls import read as controls_from
from core.safety.holding import lawful, watched
from core.settings import ChatSettings
from core.speaking import NOTHING_TO_SPEAK
from core.storage.shared import Once
from core.workshop import Workshop

log = structlog.get_logger()

LOCAL_SECONDS = 60.0
"""How long a question waits for a built-in model that is being started."""


class Replying:
    """Answers questions."""

    def __init__(
        self,
        settings: ChatSettings,
        history: History,
        catalog: Catalog,
        router: Router,
        attachments: Attachments,
        workshop: Workshop,
        enqueue: summary.Enqueue,
        access: Access,
        community: Community,
        earlier: Earlier | None,
    ) -> None:
        self._settings = settings
        self._zone = ZoneInfo(settings.time_zone)
        self._history = history
        self._catalog = catalog
        self._router = router
        self._attachments = attachments
        self._workshop = workshop
        self._enqueue = enqueue
        self._access = access
        self._earlier = earlier
        self._once = Once(community.store)
        self._answers = Answers(community, workshop.passages, settings.time_zone)
        self._asking: set[asyncio.Task[None]] = set()

    async def ask(self, turn: Turn, mode: Mode, message: Message, *, given: str = "") -> AsyncGenerator[Part]:
        """The answer to a question; the last part is Finished. ``given`` is the answer, where nobody need be asked for
        it. Raises LeaseLost, StorageError."""
        if mode is Mode.ASK and (refusal := decide_refusal(message, self._settings)):
            yield refusal
            yield Finished(Ending.COMPLETE)
            return
        if message.attachments and not await self._access.has(turn, Right.UPLOAD):
            yield Notice("lacking.upload")
            message = replace(message, attachments=())
            if not (message.text or message.quote):
                yield Finished(Ending.COMPLETE)
                return
        # What staff wrote is free and needs no model: none is waited for, and none judges the question.
        written = await self._answers.of_staff(turn, message) if mode is Mode.ASK and not given else ""
        by_staff = bool(written)
        model = None if by_staff else await self._model(turn)
        budget = told.budget(turn, model)
        # Half of the room is left for what is said about the files.
        read = await self._attachments.read(message, tokens=budget // 2, space=turn.share, payer=turn.payer)
        for notice in (*(() if by_staff else self._closed(turn, model)), *read.notices):
            yield notice
        if read.is_empty and message.attachments:
            yield Finished(Ending.COMPLETE)
            return
        images = read.images
        message = replace(message, text=read.text)
        if unsafe := await self._refusal(turn, mode, message, read, by_words=by_staff):
            # It never comes into the history, so no later answer goes by it.
            yield unsafe
            yield Finished(Ending.COMPLETE)
            return
        message = await with_above(message, self._history, self._earlier)
        path = await self._history.path(
            turn,
            mode,
            Question.of(message, tuple(images), read.files, read.readings),
            id=message.id,
            reply_to=message.reply_to,
            window=budget,
            also=message.also,
            edited=message.edited,
        )
        faults.reached("read")
        if path is None:
            if not turn.reason:
                yield Notice("nothing_to_continue" if mode is Mode.MORE else "nothing_to_regenerate")
            yield Finished(_interruption(turn.reason) if turn.reason else Ending.COMPLETE)
            return
        turn.question = path.question
        if path.cut and not path.summary and model is not None and not model.small:
            self._ask_for_summary(message.conversation, path.cut, turn.payer)
        has_own_place = isinstance(turn.incoming, CommandCall) and turn.incoming.awaited
        if path.previous and not has_own_place and (message.edited or mode is Mode.AGAIN):
            # A dead worker may have created some pages anew.
            turn.pages = {**dict(enumerate(path.previous.pages)), **turn.pages}
        async with aclosing(self._answer(turn, mode, message, path, images, model, budget, given or written)) as parts:
            async for part in parts:
                yield part

    async def _answer(
        self,
        turn: Turn,
        mode: Mode,
        message: Message,
        path: Path,
        images: dict[str, bytes],
        model: Model | None,
        budget: int,
        given: str,
    ) -> AsyncGenerator[Part]:
        if given:
            yield TextDelta(given)
            yield Finished(Ending.COMPLETE)
            return
        grounds = await self._answers.grounds(turn, message, path, model)
        if whole := await self._answers.without_model(turn, message, grounds, model):
            for part in whole:
                yield part
            return
        shown = await self._attachments.recall_images(message.conversation, path, images)
        messages, shortened = prompt.build(
            path,
            persona=told.instructions(turn, model),
            platform=message.conversation.platform,
            place=message.place,
            private=message.private,
            now=datetime.now(self._zone),
            images=shown,
            budget=budget,
            bare=model is not None and model.small,
            facts=told.facts(turn, model) if told.is_by(message, path.nodes[-1].said) else (),
            material=grounds.material,
        )
        if shortened:
            yield Notice("shortened")
        persona = Controls(turn.persona.sampling, turn.persona.max_tokens)
        controls = turn.controls.above(controls_from(turn.preferences.sampling)).above(persona)
        request = ChatRequest(
            tuple(messages),
            model=model.name if model else "",
            needs_vision=_has_picture(path.nodes[-1].said, shown),
            space=turn.share,
            sender=pseudonym(message.author, message.conversation.platform),
            max_answer=controls.max_tokens,
            sampling=controls.sampling,
            asked_for=frozenset(turn.controls.values),
            payer=turn.payer,
            models=frozenset(turn.space.models),
        )
        turn.asked = request
        answer = await self._asked(turn, request, model, controls.count or 1, alone=grounds.alone)
        if grounds.found:
            answer = self._answers.shown(turn, message, grounds, answer)
        if turn.preferences.spoken and self._workshop.speaking.is_set_up and await self._access.has(turn, Right.SPEAK):
            answer = self._spoken(turn, answer)
        async with aclosing(answer) as parts:
            async for part in parts:
                if isinstance(part, Notice) and part.key == "model_gone" and not await self._is_news(turn, request):
                    continue
                if isinstance(part, TextDelta):
                    faults.reached("modelled")
                yield part

    async def _spoken(self, turn: Turn, answer: AsyncGenerator[Part]) -> AsyncGenerator[Part]:
        """The answer, and where it is whole its sound."""
        texts: list[str] = []
        async with aclosing(answer) as parts:
            async for part in parts:
                if isinstance(part, TextDelta):
                    texts.append(part.text)
                if isinstance(part, Finished) and part.ending is Ending.COMPLETE:
                    async for sound in self._workshop.speaking.aloud(turn, "".join(texts)):
                        if sound != NOTHING_TO_SPEAK and not isinstance(sound, Finished):
                            yield sound
                yield part

    async def _asked(
        self, turn: Turn, request: ChatRequest, model: Model | None, count: int, *, alone: bool
    ) -> AsyncGenerator[Part, None]:
        """The answer as it comes: of the router alone, where nothing else is wanted. ``alone``: from the passages that
        it was shown, so from no tool."""
        toolbox, safety, has = self._workshop.toolbox, self._workshop.safety, partial(self._access.has, turn)
        if count > 1:
            answer = side_by_side(self._router, request, count, turn.language)
        elif not alone and (tools := await toolbox.offered(turn, model, has)):
            answer = toolbox.answer(request, turn, has, tools)
        else:
            answer = self._router.answer(request)
        if (look := await safety.rules(turn)) is not None:
            answer = lawful(look, answer)
        return watched(safety, turn, answer) if safety.watches_answers(turn) else answer

    async def _refusal(self, turn: Turn, mode: Mode, message: Message, read: Read, *, by_words: bool) -> Notice | None:
        """What is said in place of an answer to what may not be asked; ``by_words``: no model judges it."""
        if mode is not Mode.ASK:
            return None
        if by_words:
            return self._workshop.safety.forbidden(turn, _said(message, read))
        return await self._workshop.safety.prompt(turn, _said(message, read), read.images.values())

    async def _is_news(self, turn: Turn, request: ChatRequest) -> bool:
        """That a model is gone is told to whom chose it, once a day in a conversation."""
        chose = (_asked_model(turn), turn.preferences.model, turn.person.model)
        return request.model in chose and await self._once.may(f"gone:{turn.conversation}:{request.model}", 86_400)

    def _closed(self, turn: Turn, model: Model | None) -> Sequence[Notice]:
        """What is said of a model that was asked for, and is not for use there."""
        wanted = self._catalog.find(_asked_model(turn))
        return () if wanted in (None, model) else (Notice("model_closed", {"model": wanted.name}),)

    def _ask_for_summary(self, conversation: ConversationKey, cut: str, payer: Payer) -> None:
        """In the background: the next answers have it."""
        task = asyncio.create_task(summary.request(self._enqueue, conversation, cut, payer))
        self._asking.add(task)
        task.add_done_callback(self._asked_for_summary)

    def _asked_for_summary(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("no summary asked for", cause=repr(error))

    async def _model(self, turn: Turn) -> Model | None:
        """The model that holds for the turn; where there is none yet but one is being started, that one."""
        if not self._catalog.models and self._catalog.expects_local:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._catalog.settled(), LOCAL_SECONDS)
        asked, default = _asked_model(turn), self._catalog.default
        # Who may not choose is not asked for what they chose elsewhere either, nor for what a persona of theirs likes.
        own = asked or turn.person.model or (not turn.for_all and turn.persona.model)
        chooses = not own or await self._access.has(turn, Right.CHOOSE_MODEL)
        wanted = model_of(
            [model.name for model in self._catalog.models],
            default.name if default else "",
            turn.preferences,
            turn.space,
            turn.person if chooses else None,
            asked=asked if chooses else "",
            preferred=turn.persona.model if chooses or turn.for_all else "",
        )
        return self._catalog.choose(wanted)


def _asked_model(turn: Turn) -> str:
    """The model that the call itself names."""
    call = turn.incoming
    return call.options.get("model", "") if isinstance(call, CommandCall) else ""


def _has_picture(said: Question | Answer, shown: Mapping[str, bytes]) -> bool:
    return isinstance(said, Question) and any(digest in shown for digest in said.images)


def _said(message: Message, read: Read) -> str:
    """All that a question says, in its own words and by what it brings along."""
    quoted = message.quote.text if message.quote else ""
    return "\n".join((message.text, quoted, *(file.text for file in read.files))).strip()


def _interruption(reason: str) -> Ending:
    return Ending.STOPPED if reason == Ending.STOPPED else Ending.SUPERSEDED
