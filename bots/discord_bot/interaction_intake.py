"""Where every INTERACTION_CREATE goes: commands and forms to the conversations, presses to who decides them; what is
being typed gets its suggestions at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from bots.adapter import Inbox
from bots.discord_bot import calls, modals
from bots.discord_bot.calls import COMMAND, COMPONENT, SUBMIT, TYPING, Around
from bots.discord_bot.interactions import CALLBACK_SECONDS, EPHEMERAL, Deferrals, answer_first
from bots.discord_bot.layout import NO_MENTIONS
from bots.discord_bot.pressing import Pressing
from bots.discord_bot.rest import Rest
from bots.discord_bot.snowflake import moment
from bots.discord_bot.waiting import GIVE_UP_SECONDS, Ticket, Waiting
from core.commands.row import Command
from core.commands.suggesting import Suggestions
from core.errors import OutboundError, StorageError
from core.message import CommandCall
from core.storage.forms import Forms
from core.tasks import end
from core.texts import say

Payload = Mapping[str, Any]

MESSAGE, CHOICES = 4, 8
"""First answers to an interaction."""
TOO_LATE_SECONDS = CALLBACK_SECONDS + 2.0
"""An interaction that is older was answered by Discord itself: there is nobody who waits. Discord's clock is known to
a second."""
MAX_CHOICE = 100

log = structlog.get_logger()


class InteractionIntake:
    """The interactions of one process. :meth:`start` it once, :meth:`finish` it at the end."""

    def __init__(
        self,
        rest: Rest,
        deferrals: Deferrals,
        pressing: Pressing,
        rows: Sequence[Command],
        forms: Forms,
        suggestions: Suggestions,
    ) -> None:
        self._rest = rest
        self._deferrals = deferrals
        self._pressing = pressing
        self._rows = rows
        self._by_name = {row.name: row for row in rows}
        self._forms = forms
        self._suggestions = suggestions
        self._waiting = Waiting(rest, deferrals)
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeping: dict[str, asyncio.Task[None]] = {}
        """Forms that were opened and are not kept yet, by the id of their call."""
        self._draining: asyncio.Task[None] | None = None

    def take(self, payload: dict[str, Any], bot: str, around: Around) -> None:
        """Takes an interaction in. Never blocks. ``bot`` is the bot's account id. Raises KeyError for a payload that
        cannot even be answered."""
        kind, id, _ = payload["type"], payload["id"], payload["token"]
        if self._age(payload) > TOO_LATE_SECONDS:
            log.info("an interaction came too late", interaction=id, kind=kind)
            return
        try:
            self._route(kind, payload, bot, around)
        except Exception:
            # Whatever it is, who called is answered.
            log.exception("an interaction could not be read", interaction=id, kind=kind)
            self._do(self._apologise(payload))

    def _route(self, kind: int, payload: dict[str, Any], bot: str, around: Around) -> None:
        if kind == COMMAND:
            self._command(payload, bot, around)
        elif kind == COMPONENT:
            self._pressing.take(payload, calls.to_pressed(payload, bot, around), self._waiting.put)
        elif kind == TYPING:
            self._suggest(payload)
        elif kind == SUBMIT:
            self._submitted(payload, bot, around)

    def start(self, inbox: Inbox) -> None:
        """From now on what was taken in is handed to the inbox."""
        self._draining = asyncio.create_task(self._waiting.drain(inbox))

    async def finish(self, inbox: Inbox, seconds: float) -> None:
        """Before the end: everything that was taken in is stored, in about so long, or told; and all is answered."""
        # Presses under way wait for what they post, which still goes on.
        pressing = asyncio.create_task(self._pressing.close())
        await asyncio.wait((pressing, *self._tasks), timeout=CALLBACK_SECONDS)
        await pressing
        await end([*self._tasks, *([self._draining] if self._draining else ())])
        await self._waiting.finish(inbox, seconds)
        await self._deferrals.close()

    # ------------------------------------------------------------------ commands and forms
    def _command(self, payload: dict[str, Any], bot: str, around: Around) -> None:
        asked = calls.to_asked(payload, bot, around, self._rows)
        if asked is None:
            language = payload.get("locale", "")
            self._do(self._say(payload, say("unknown_command", language, found=calls.chosen(payload["data"])[0][:40])))
        elif modals.is_wanted(asked.row, asked.call):
            reference = modals.Reference(asked.row.name, asked.call.id, asked.call.alone or asked.row.private)
            self._do(self._first(payload, modals.MODAL, modals.form(asked.row, asked.call, reference)))
            self._keeping[asked.call.id] = keeping = self._do(self._keep(asked.call))
            keeping.add_done_callback(lambda _: self._keeping.pop(asked.call.id, None))
        else:
            ticket = self._ticket(payload, ephemeral=asked.call.alone or asked.row.private)
            self._waiting.put(asked.call, ticket=ticket)

    def _ticket(self, payload: dict[str, Any], *, ephemeral: bool) -> Ticket:
        ticket = Ticket.of(payload, ephemeral=ephemeral)
        self._waiting.begin(ticket, self._age(payload))
        return ticket

    async def _keep(self, call: CommandCall) -> None:
        """While somebody fills the form in, which takes longer than most troubles of the storage."""
        try:
            await self._forms.keep(call)
        except StorageError as error:
            log.warning("a form was not kept", command=call.name, error=str(error))

    def _submitted(self, payload: dict[str, Any], bot: str, around: Around) -> None:
        reference = modals.Reference.parse(payload["data"]["custom_id"])
        row = self._by_name.get(reference.row) if reference else None
        if reference is None or row is None:
            self._do(self._say(payload, say("form_gone", payload.get("locale", ""))))
            return
        given = modals.filled(payload["data"])
        now = calls.base(payload, bot, around, is_aside=False)
        ticket = self._ticket(payload, ephemeral=reference.alone)
        self._do(self._complete(reference, given, now, ticket))

    async def _complete(
        self, reference: modals.Reference, given: modals.Filled, now: CommandCall, ticket: Ticket
    ) -> None:
        """The call that a form was for, with what was filled in."""
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                if keeping := self._keeping.get(reference.id):
                    await asyncio.wait([keeping])
                kept = await self._forms.find(now.conversation.bot, now.author.id, reference.id)
        except (StorageError, TimeoutError) as error:
            log.warning("a form could not be read", error=str(error))
            self._waiting.refuse(ticket)
            return
        except asyncio.CancelledError:
            # The process stops.
            self._waiting.refuse(ticket)
            raise
        if kept is None or not _is_for(kept, now, reference):
            self._waiting.refuse(ticket, "form_gone")
            return
        call = replace(
            now,
            conversation=kept.conversation,
            name=kept.name,
            options={**kept.options, **given.options},
            attachments=kept.attachments + given.attachments,
            reply_to=kept.reply_to,
            quote=kept.quote,
            alone=kept.alone,
        )
        self._waiting.put(call, ticket=ticket)

    # ------------------------------------------------------------------ first answers
    def _suggest(self, payload: Payload) -> None:
        data, language = payload["data"], payload.get("locale", "")
        name, options = calls.chosen(data)
        typed = {option["name"]: str(option.get("value", "")) for option in options}
        focused = next((option["name"] for option in options if option.get("focused")), "")
        in_guild = bool(payload.get("guild_id"))
        found = self._suggestions.suggest(name, focused, typed, language, channels=in_guild)
        # A value that is cut would be another one.
        choices = [{"name": s.label[:MAX_CHOICE], "value": s.value} for s in found if len(s.value) <= MAX_CHOICE]
        self._do(self._first(payload, CHOICES, {"choices": choices}))

    async def _apologise(self, payload: Payload) -> None:
        if payload["type"] == TYPING:
            await self._first(payload, CHOICES, {"choices": []})
        else:
            await self._say(payload, say("call_unreadable", payload.get("locale", "")))

    async def _say(self, payload: Payload, sentence: str) -> None:
        await self._first(payload, MESSAGE, {"content": sentence, "flags": EPHEMERAL, "allowed_mentions": NO_MENTIONS})

    async def _first(self, payload: Payload, kind: int, data: Mapping[str, Any]) -> None:
        """Whoever typed on, or pressed again, has made it needless meanwhile: what fails here is lost."""
        try:
            await answer_first(self._rest, payload["id"], payload["token"], {"type": kind, "data": data})
        except (OutboundError, TimeoutError) as error:
            log.info("an interaction was not answered", interaction=payload["id"], kind=kind, cause=str(error))

    def _age(self, payload: Payload) -> float:
        return self._rest.now() - moment(payload["id"])

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _is_for(kept: CommandCall, now: CommandCall, reference: modals.Reference) -> bool:
    """Whether what a person has open is what the form was opened for, and in the same channel."""
    return (kept.name, kept.conversation.chat) == (reference.row, now.conversation.chat)
