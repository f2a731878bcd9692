"""The engine answers a turn with a stream of parts: refusal or question, history, prompt, route, answer."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from core import faults
from core.access import decide_command, decide_refusal, is_owner
from core.commands.row import Room
from core.commands.table import BY_NAME, COMMANDS
from core.conversation import prompt, summary
from core.conversation.history import Answer, History, Mode, Path, Question, count_tokens
from core.conversation.mailbox import Mailbox, Turn
from core.errors import OutboundError
from core.message import Attachment, AttachmentKind, CommandCall, ConversationKey, Message
from core.models.catalog import Catalog, Model
from core.models.chat import ChatRequest
from core.models.router import Router
from core.parts import Ending, Finished, Notice, Part, TextDelta, Usage
from core.settings import ChatSettings
from core.storage.failed import DeadLetters

log = structlog.get_logger()

Fetch = Callable[[ConversationKey, Attachment, int], Awaitable[bytes]]
CONTINUE = "Continue exactly where you stopped, without repeating anything."
LOCAL_SECONDS = 60.0
"""How long a question waits for a built-in model that is being started."""
MAX_TAKEOVERS = 3
"""After so many dead workers a turn ends with a notice: it may be what kills them."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question in the form that all ways of asking come down to."""

    mode: Mode
    message: Message


class Engine:
    """Knows no platform and no wire; ``fetch`` gets a file from the platform that it came from."""

    def __init__(
        self,
        settings: ChatSettings,
        mailbox: Mailbox,
        history: History,
        catalog: Catalog,
        router: Router,
        fetch: Fetch,
        enqueue: summary.Enqueue,
        failed: DeadLetters,
        *,
        owners: Collection[str] = (),
    ) -> None:
        """``owners`` are those of the settings: ``platform:account id``."""
        self._settings = settings
        self._zone = ZoneInfo(settings.time_zone)
        self._mailbox = mailbox
        self._history = history
        self._catalog = catalog
        self._router = router
        self._fetch = fetch
        self._enqueue = enqueue
        self._failed = failed
        self._owners = frozenset(owners)
        self._asking: set[asyncio.Task[None]] = set()

    async def respond(self, turn: Turn) -> AsyncGenerator[Part]:
        """The answer to a turn; the last part is always Finished. Raises LeaseLost, StorageError.

        It fills in ``turn.question`` and, where an answer is made anew, the pages it is shown in.
        """
        incoming = turn.incoming
        if turn.reason:
            yield Finished(_interruption(turn.reason))
        elif turn.unreadable:
            yield Notice("damaged")
            yield Finished(Ending.FAILED)
        elif turn.takeovers > MAX_TAKEOVERS:
            log.error("turn given up", turn=turn.id, takeovers=turn.takeovers)
            yield Notice("crashed")
            yield Finished(Ending.FAILED)
        elif turn.finished is not None:
            # A dead worker had the answer whole: it is only shown.
            yield TextDelta(turn.text)
            yield turn.finished
        elif turn.overflow:
            yield Notice("overload" if turn.busy else "overflow", {"count": str(turn.overflow)})
            yield Finished(Ending.COMPLETE)
        else:
            parts = (
                self._command(turn, incoming)
                if isinstance(incoming, CommandCall)
                else self._ask(turn, _Asked(Mode.ASK, incoming))
            )
            async with aclosing(parts):
                async for part in parts:
                    yield part

    async def _command(self, turn: Turn, call: CommandCall) -> AsyncGenerator[Part]:
        row = BY_NAME.get(call.name)
        if row is None:
            yield Notice("unknown_command", {"found": call.name[:40]})
            yield Finished(Ending.COMPLETE)
            return
        if refusal := decide_command(row, call, self._owners):
            yield refusal
            yield Finished(Ending.COMPLETE)
            return
        if row.run is None:
            parts: AsyncIterator[Part] = self._asked_by_command(turn, call)
        else:
            knows = is_owner(call.author, call.conversation.platform, self._owners)
            room = Room(call, turn, self._mailbox, self._history, self._catalog, COMMANDS, self._failed, knows)
            parts = row.run(room)
        async for part in parts:
            yield part

    async def _asked_by_command(self, turn: Turn, call: CommandCall) -> AsyncGenerator[Part]:
        """/chat, /regenerate and /continue are questions."""
        text = {"chat": call.options.get("text", "").strip(), "continue": CONTINUE}.get(call.name, "")
        if call.name == "chat" and not text:
            yield Notice("chat_empty")
            yield Finished(Ending.COMPLETE)
            return
        message = Message(
            call.conversation,
            call.id,
            call.update,
            call.author,
            text,
            call.sent_at,
            call.private,
            reply_to=call.reply_to,
            space=call.space,
            place=call.place,
        )
        mode = {"chat": Mode.ASK, "regenerate": Mode.AGAIN, "continue": Mode.MORE}[call.name]
        async with aclosing(self._ask(turn, _Asked(mode, message))) as parts:
            async for part in parts:
                yield part

    async def _ask(self, turn: Turn, asked: _Asked) -> AsyncGenerator[Part]:
        message = asked.message
        if asked.mode is Mode.ASK and (refusal := decide_refusal(message, self._settings)):
            yield refusal
            yield Finished(Ending.COMPLETE)
            return
        images, problem = await self._read_images(message)
        if problem is not None:
            yield problem
            if not (message.text or images):
                yield Finished(Ending.COMPLETE)
                return
        model = await self._model(turn)
        budget = self._budget(model)
        path = await self._history.path(
            turn,
            asked.mode,
            Question.of(message, tuple(images)),
            id=message.id,
            reply_to=message.reply_to,
            window=budget,
        )
        faults.reached("read")
        if path is None:
            if not turn.reason:
                yield Notice("nothing_to_continue" if asked.mode is Mode.MORE else "nothing_to_regenerate")
            yield Finished(_interruption(turn.reason) if turn.reason else Ending.COMPLETE)
            return
        turn.question = path.question
        if path.cut and not path.summary and model is not None and not model.small:
            self._ask_for_summary(message.conversation, path.cut)
        if path.previous and (message.edited or asked.mode is Mode.AGAIN):
            # A dead worker may have created some pages anew.
            turn.pages = {**dict(enumerate(path.previous.pages)), **turn.pages}
        async with aclosing(self._answer(turn, message, path, images, model, budget)) as parts:
            async for part in parts:
                yield part

    async def _answer(
        self,
        turn: Turn,
        message: Message,
        path: Path,
        images: dict[str, bytes],
        model: Model | None,
        budget: int,
    ) -> AsyncGenerator[Part]:
        shown = await self._recall_images(message.conversation, path, images)
        messages, shortened = prompt.build(
            path,
            persona=self._settings.persona,
            platform=message.conversation.platform,
            place=message.place,
            private=message.private,
            now=datetime.now(self._zone),
            images=shown,
            budget=budget,
            bare=model is not None and model.small,
        )
        if shortened:
            yield Notice("shortened")
        request = ChatRequest(
            tuple(messages),
            model=model.name if model else "",
            needs_vision=_has_picture(path.nodes[-1].said, shown),
            space=turn.share,
            sender=hashlib.sha256(f"{message.conversation.platform}:{message.author.id}".encode()).hexdigest()[:32],
        )
        turn.asked = request
        async with aclosing(self._router.answer(request)) as parts:
            async for part in parts:
                if isinstance(part, TextDelta):
                    faults.reached("modelled")
                yield part

    def estimate(self, turn: Turn, text: str) -> Usage:
        """What an answer took whose end the provider never reported, because it was interrupted."""
        return self._router.estimate(turn.asked, text) if turn.asked else Usage()

    def _ask_for_summary(self, conversation: ConversationKey, cut: str) -> None:
        """In the background: the next answers have it."""
        task = asyncio.create_task(summary.request(self._enqueue, conversation, cut))
        self._asking.add(task)
        task.add_done_callback(self._asked_for_summary)

    def _asked_for_summary(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("no summary asked for", cause=repr(error))

    async def _model(self, turn: Turn) -> Model | None:
        """The conversation's model; where there is none yet but one is being started, that one."""
        if not self._catalog.models and self._catalog.expects_local:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._catalog.settled(), LOCAL_SECONDS)
        return self._catalog.choose(turn.model)

    def _budget(self, model: Model | None) -> int:
        """Tokens for the conversation: the window less the answer and the persona."""
        if model is None:
            return 2048
        answer = min(model.max_answer, model.window // 4)
        return max(256, model.window - answer - count_tokens(self._settings.persona) - 200)

    async def _read_images(self, message: Message) -> tuple[dict[str, bytes], Notice | None]:
        """The pictures of a message, made ready for models and kept for later turns; the first problem as a notice."""
        wanted = [a for a in message.attachments if a.kind is AttachmentKind.IMAGE]
        if not wanted:
            return {}, None
        from core.models.vision import ImageError, prepare_image

        images: dict[str, bytes] = {}
        problem: Notice | None = None
        limit = self._settings.max_image_bytes
        for attachment in wanted[: self._settings.pictures_in_prompt or 1]:
            try:
                if attachment.size > limit:
                    raise ImageError(
                        "image_too_large", "declared size", found=_megabytes(attachment.size), allowed=_megabytes(limit)
                    )
                data = await prepare_image(await self._fetch(message.conversation, attachment, limit))
            except ImageError as error:
                problem = problem or Notice(error.key, error.values)
                continue
            except OutboundError as error:
                log.warning("attachment not fetched", cause=error.detail, conversation=str(message.conversation))
                problem = problem or Notice("file_gone")
                continue
            digest = hashlib.sha256(data).hexdigest()[:24]
            images[digest] = data
            await self._history.put_image(message.conversation, digest, base64.b64encode(data).decode())
        return images, problem

    async def _recall_images(
        self, conversation: ConversationKey, path: Path, images: dict[str, bytes]
    ) -> dict[str, bytes]:
        """The newest pictures on the path, those of earlier turns from where they are kept."""
        digests = [d for node in path.nodes if isinstance(node.said, Question) for d in node.said.images]
        wanted = digests[-self._settings.pictures_in_prompt :] if self._settings.pictures_in_prompt else []
        missing = [digest for digest in wanted if digest not in images]
        shown = {digest: images[digest] for digest in wanted if digest in images}
        if missing:
            for digest, kept in zip(missing, await self._history.get_images(conversation, missing), strict=True):
                if kept:
                    shown[digest] = base64.b64decode(kept)
        return shown


def _has_picture(said: Question | Answer, shown: Mapping[str, bytes]) -> bool:
    return isinstance(said, Question) and any(digest in shown for digest in said.images)


def _interruption(reason: str) -> Ending:
    return Ending.STOPPED if reason == Ending.STOPPED else Ending.SUPERSEDED


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
