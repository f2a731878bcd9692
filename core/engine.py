"""The engine answers a turn with a stream of parts: refusal or question, history, prompt, route, answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing
from functools import partial

import structlog

from core.access import OF_ALL, Right, decide_command, is_owner
from core.attachments import Attachments
from core.checks import Checks
from core.commands import anonymous, asking, ideas, pictures
from core.commands.code_files import with_files
from core.commands.row import Command, Moderation, Room
from core.commands.table import BY_NAME, COMMANDS
from core.conversation import summary
from core.conversation.above import Earlier
from core.conversation.history import History, Mode
from core.conversation.mailbox import Mailbox
from core.conversation.turn import Turn
from core.errors import RightsUnknownError, StorageError
from core.message import CommandCall, Message, Platform
from core.models.catalog import Catalog
from core.models.paying import Payer
from core.models.router import Router
from core.parts import Ending, Finished, Notice, Part, TextDelta, Usage
from core.people import own_keys, why
from core.people.access import Access, IsAdmin, May, StandingOf
from core.people.community import Community
from core.people.gate import Reason, is_shown
from core.people.identity import account_of
from core.people.persona import PersonaError
from core.people.spaces import space_id
from core.replying import Replying
from core.settings import ChatSettings
from core.storage.failed import DeadLetters
from core.storage.feedback import Feedback
from core.storage.notes import Notes
from core.storage.shared import Once
from core.workshop import Workshop

log = structlog.get_logger()

MAX_TAKEOVERS = 3
"""After so many dead workers a turn ends with a notice: it may be what kills them."""


class Engine:
    """Knows no platform and no wire."""

    def __init__(
        self,
        settings: ChatSettings,
        mailbox: Mailbox,
        history: History,
        catalog: Catalog,
        router: Router,
        attachments: Attachments,
        workshop: Workshop,
        enqueue: summary.Enqueue,
        failed: DeadLetters,
        feedback: Feedback,
        community: Community,
        *,
        owners: Collection[str] = (),
        is_admin: IsAdmin | None = None,
        may: May | None = None,
        standing: StandingOf | None = None,
        earlier: Earlier | None = None,
        menus: Collection[Platform] = frozenset(Platform),
        moderation: Mapping[Platform, Moderation] | None = None,
    ) -> None:
        """``owners`` are those of the settings: ``platform:account id``. ``is_admin`` tells who may choose for all in
        a group; without it everybody may. Without ``may`` nobody but the owners has any of the rights that rows ask
        for. ``menus`` are the platforms that have ``capabilities.menus``. ``earlier`` tells what people said above a
        message that was replied to."""
        self._settings = settings
        self._menus = menus
        self._mailbox = mailbox
        self._history = history
        self._catalog = catalog
        self._router = router
        self._attachments = attachments
        self._workshop = workshop
        self._failed = failed
        self._feedback = feedback
        self._community = community
        self._owners = owners
        once = Once(community.store)
        self._access = Access(
            community.people, community.spaces, owners, once, may=may, standing=standing, is_admin=is_admin
        )
        self._gate = Checks(self._access, community, owners, settings.time_zone, once).gate
        self._notes = Notes(community.store)
        self._moderation = moderation or {}
        self._replying = Replying(
            settings, history, catalog, router, attachments, workshop, enqueue, self._access, community, earlier
        )

    async def know(self, turn: Turn) -> None:
        """Fills in who asks, what their community chose and who answers, once. Raises StorageError, but for a turn that
        is given up: what cannot be read then is not what it fails for."""
        if turn.persona.name:
            return
        try:
            await self._know(turn)
        except StorageError as error:
            if turn.takeovers <= MAX_TAKEOVERS:
                raise
            log.error("who asks cannot be read", turn=turn.id, cause=str(error))

    async def _know(self, turn: Turn) -> None:
        incoming = turn.incoming
        turn.person = await self._community.people.of(account_of(incoming.author, incoming.conversation.platform))
        space = space_id(incoming.conversation, incoming.space)
        turn.space = await self._community.spaces.of(space)
        own = own_keys.opened(turn.person, self._community.sealing)
        turn.payer = Payer(turn.person.id, space, incoming.author.name, own, turn.person.key_shares)
        turn.persona, turn.for_all = await self._community.personas.of(turn)

    async def respond(self, turn: Turn) -> AsyncGenerator[Part]:
        """The answer to a turn; the last part is always Finished. Raises LeaseLost, StorageError.

        It fills in ``turn.question`` and, where an answer is made anew in place of the former one, its pages.
        """
        async with aclosing(self._answered(turn)) as parts:
            async for part in parts:
                if isinstance(part, Finished) and part.usage.model and self._workshop.labels.are_told(turn.space):
                    yield Notice("label_text")
                yield part

    async def _answered(self, turn: Turn) -> AsyncGenerator[Part]:
        incoming = turn.incoming
        await self.know(turn)
        if turn.takeovers and (turn.reason or turn.takeovers > MAX_TAKEOVERS):
            await self._abandon(turn)
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
            notice = Notice("overload" if turn.busy else "overflow", {"count": turn.overflow})
            await why.note(self._notes, turn, Reason.OVERLOAD, notice)
            yield notice
            yield Finished(Ending.COMPLETE)
        elif denial := await self._gate.ask(turn):
            await why.note(self._notes, turn, denial.reason, denial.notice)
            if is_shown(denial, turn):
                yield denial.notice
            yield Finished(Ending.COMPLETE if is_shown(denial, turn) else Ending.SILENT)
        else:
            parts = (
                self._command(turn, incoming)
                if isinstance(incoming, CommandCall)
                else self._replying.ask(turn, Mode.ASK, incoming)
            )
            async with aclosing(why.noting(self._notes, turn, parts)) as noted:
                async for part in noted:
                    yield part

    async def _abandon(self, turn: Turn) -> None:
        try:
            await self._workshop.creations.abandon(turn)
        except StorageError as error:
            log.warning("something goes on being made that nobody wants", turn=turn.id, cause=str(error))

    async def _command(self, turn: Turn, call: CommandCall) -> AsyncGenerator[Part]:
        try:
            async with aclosing(self._called(turn, call)) as parts:
                async for part in parts:
                    yield part
        except RightsUnknownError as error:
            log.warning("nobody tells what the caller may do", turn=turn.id, command=call.name, cause=str(error))
            yield Notice("rights_unknown")
            yield Finished(Ending.COMPLETE)

    async def _called(self, turn: Turn, call: CommandCall) -> AsyncGenerator[Part]:
        row = BY_NAME.get(call.name)
        if row is None:
            yield Notice("unknown_command", {"found": call.name[:40]})
            yield Finished(Ending.COMPLETE)
            return
        if anonymous.is_unknown(row, call):
            async for part in anonymous.ask(self._community.store, call, turn.language):
                yield part
            return
        if refusal := decide_command(row, call, self._owners) or await self._refusal(row, call):
            yield refusal
            yield Finished(Ending.COMPLETE)
            return
        if row.run is None:
            parts: AsyncIterator[Part] = self._asked_by_command(turn, call)
        else:
            knows = is_owner(call.author, call.conversation.platform, self._owners)
            room = Room(
                call,
                turn,
                self._mailbox,
                self._history,
                self._catalog,
                COMMANDS,
                self._failed,
                self._feedback,
                knows,
                partial(self._access.may_choose, call),
                partial(self._access.may, call),
                partial(self._is_theirs, call),
                self._workshop,
                self._community,
                self._settings.buttons if call.conversation.platform in self._menus else None,
                self._moderation.get(call.conversation.platform),
                partial(self._attachments.fetch, call.conversation),
                self._router.try_key,
                elsewhere=self._moderation,
                access=self._access,
                ask=partial(self._asked_by_command, turn),
            )
            parts = row.run(room)
        async for part in parts:
            yield part

    async def _refusal(self, row: Command, call: CommandCall) -> Notice | None:
        """The sentence for a caller who lacks the right that the row asks for. A right is held in a space."""
        if row.right is None:
            return None
        if await (self._access.has if row.right in OF_ALL else self._access.may)(call, row.right):
            return None
        return Notice(f"lacking.{row.right}") if call.space else Notice("groups_only", {"name": row.name})

    async def _is_theirs(self, call: CommandCall, message_id: str) -> bool:
        """Whether the caller asked for that answer, the newest where none is named, or may choose for all."""
        if call.private:
            return True
        known = await self._history.known(call.conversation, message_id, call.name)
        return not known.askers or call.author.id in known.askers or await self._access.may_choose(call)

    async def _asked_by_command(self, turn: Turn, call: CommandCall) -> AsyncGenerator[Part]:
        """/chat, /regenerate, /explain and others are questions."""
        row = BY_NAME[call.name]
        if row.name == "describe" and (refusal := pictures.cannot_see(call, self._catalog)):
            yield refusal
            yield Finished(Ending.COMPLETE)
            return
        if asking.is_empty(row, call):
            yield Notice("chat_empty" if call.name == "chat" else "about_empty")
            yield Finished(Ending.COMPLETE)
            return
        if row.for_asker and not await self._is_theirs(call, call.reply_to):
            yield Notice("not_theirs")
            yield Finished(Ending.COMPLETE)
            return
        if call.options.get("model") and not await self._access.has(turn, Right.CHOOSE_MODEL):
            yield Notice("lacking.choose-model")
            yield Finished(Ending.COMPLETE)
            return
        try:
            turn.controls = asking.controls_of(row, call)
        except PersonaError as error:
            yield Notice(error.key, error.values)
            yield Finished(Ending.COMPLETE)
            return
        given = await ideas.picked_by(row, call, self._history) if call.name == "pick" else ""
        if call.name == "pick" and not given:
            yield Notice("pick_unknown")
            yield Finished(Ending.COMPLETE)
            return
        message = Message(
            call.conversation,
            call.id,
            call.update,
            call.author,
            asking.question_of(row, call),
            call.sent_at,
            call.private,
            reply_to=call.reply_to,
            attachments=call.attachments,
            space=call.space,
            place=call.place,
        )
        async with aclosing(self._replying.ask(turn, asking.mode_of(call.name), message, given=given)) as parts:
            async for part in with_files(parts) if call.name == "code" else parts:
                yield part

    async def delivered(self, turn: Turn) -> None:
        """The whole answer is shown, in the messages of ``turn.pages``. Raises StorageError."""
        if turn.creations:
            await self._workshop.creations.delivered(turn)

    def estimate(self, turn: Turn, text: str) -> Usage:
        """What an answer took whose end the provider never reported, because it was interrupted."""
        return self._router.estimate(turn.asked, text) if turn.asked else Usage()


def _interruption(reason: str) -> Ending:
    return Ending.STOPPED if reason == Ending.STOPPED else Ending.SUPERSEDED
