"""Pressed buttons and chosen list entries on Discord (``bots/pressing.py`` says what they mean).

A press has one first answer, within three seconds: the changed message, or a sentence that only its presser sees, or,
where an answer is to be made, the word that it was taken. While the storage is slow the press is acknowledged first,
and what comes of it is shown by its token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from bots.buttons import command_of
from bots.discord_bot import modals, waiting
from bots.discord_bot.interactions import (
    CALLBACK_SECONDS,
    DEFERRED_UPDATE,
    EPHEMERAL,
    Deferrals,
    ReplyToken,
    answer_first,
)
from bots.discord_bot.layout import NO_MENTIONS
from bots.discord_bot.rebuilding import changed, replaced
from bots.discord_bot.rest import CallFailed, Rest
from bots.discord_bot.snowflake import moment
from bots.pressing import Gone, Instead, Outcome, Presses, Under
from core.access import is_owner
from core.commands.table import BY_NAME
from core.errors import OutboundError, OutboundFault, StorageError
from core.message import CommandCall, ConversationKey, Incoming, Platform
from core.people.access import Asker, IsAdmin
from core.storage.forms import Forms
from core.tasks import end
from core.texts import say

MESSAGE, UPDATE = 4, 7
"""First answers: a message, or the message that the button stands under, changed."""
ACKNOWLEDGE_SECONDS = 1.0
"""A press whose outcome takes longer is acknowledged by then."""
GIVE_UP_SECONDS = waiting.GIVE_UP_SECONDS + 5.0
"""A press that cannot be carried out by then is not, and what it would post is not either: its presser is told."""
SHOW_SECONDS = 10.0
BY_MANY = ("feedback", "stop")
"""Commands that several people may press at the same moment; of the others one press is enough."""
MAX_WORDS = 2000

Payload = Mapping[str, Any]
Put = Callable[[Incoming, Callable[[], None]], Callable[[], None]]
"""Takes a value in, and calls back once it is in Redis. Never blocks. What it returns takes the value back."""

log = structlog.get_logger()


class Pressing:
    """The presses of one process, each answered by a task of its own."""

    def __init__(
        self,
        rest: Rest,
        deferrals: Deferrals,
        presses: Presses,
        owners: Collection[str] = (),
        forms: Forms | None = None,
        is_admin: IsAdmin | None = None,
    ) -> None:
        """``owners`` are those of the settings: they may act everywhere. Without ``forms`` none is shown, without
        ``is_admin`` Discord's own word on who may choose for all is the only one."""
        self._rest = rest
        self._deferrals = deferrals
        self._presses = presses
        self._owners = owners
        self._forms = forms
        self._admin_by_rules = is_admin
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: set[tuple[ConversationKey, str, str]] = set()
        """What is being posted. A finger that trembles presses twice."""

    def take(self, payload: Payload, call: CommandCall, put: Put) -> None:
        """Answers a press that came as INTERACTION_CREATE, ``call`` being what ``calls.to_pressed`` makes of it."""
        task = asyncio.create_task(self._press(payload, _named(payload, call), put))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Waits for the presses under way, for as long as Discord would."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CALLBACK_SECONDS)
        await end(self._tasks)

    async def _press(self, payload: Payload, call: CommandCall, put: Put) -> None:
        answer, later = _Answer(self._rest, self._deferrals, payload), Outcome(say("press_later", call.author.language))
        working = asyncio.create_task(self._outcome(call, put))
        try:
            age = max(0.0, self._rest.now() - moment(payload["id"]))
            await asyncio.wait([working], timeout=max(0.0, ACKNOWLEDGE_SECONDS - age))
            if not working.done():
                await answer.acknowledge()
            async with asyncio.timeout(GIVE_UP_SECONDS):
                outcome = await working
        except (StorageError, TimeoutError) as error:
            log.warning("a press could not be carried out", command=call.name[:40], error=str(error))
            outcome = later
        except asyncio.CancelledError:
            # The process stops.
            await end([working])
            await answer.give(later, later)
            raise
        except Exception:
            # Whatever it is, a press is answered.
            log.exception("a press could not be decided on", command=call.name[:40])
            outcome = later
        finally:
            await end([working])
        if outcome.form is not None:
            if await self._ask(answer, outcome.form):
                return
            outcome = later
        await answer.give(outcome, later)

    async def _ask(self, answer: _Answer, call: CommandCall) -> bool:
        """Shows a form for what the call lacks. False where it is too late for that: it has to be the first answer."""
        if self._forms is None or answer.is_acknowledged:
            return False
        row = BY_NAME[call.name]
        try:
            await self._forms.keep(call)
        except StorageError as error:
            log.warning("a form was not kept", command=call.name, error=str(error))
            return False
        await answer.ask(modals.form(row, call, modals.Reference(row.name, call.id, alone=True)))
        return True

    async def _outcome(self, call: CommandCall, put: Put) -> Outcome:
        """What comes of it, once that is in Redis. Raises StorageError."""
        if call.conversation.thread not in ("", call.author.id):
            # A person's own conversation, shown where others are: they see the message, and no more is for them.
            return Outcome(say("not_theirs", call.author.language))
        key = (call.conversation, call.name, call.reply_to)
        if key in self._under_way:
            return Outcome(say("toast.under_way", call.author.language))
        if call.name in BY_NAME and call.name not in BY_MANY:
            self._under_way.add(key)
        try:
            outcome = await self._presses.decide(call, self._is_admin)
            if outcome.post is not None:
                stored = asyncio.Event()
                take_back = put(outcome.post, stored.set)
                try:
                    await stored.wait()
                finally:
                    # Who was told that it is not done must not see it done later.
                    take_back()
            return outcome
        finally:
            self._under_way.discard(key)

    async def _is_admin(self, call: CommandCall) -> bool:
        if self._admin_by_rules is not None:
            return await self._admin_by_rules(call)
        return call.private or call.by_admin or is_owner(call.author, Platform.DISCORD, self._owners)


@dataclass(slots=True)
class _Answer:
    """How one press is answered."""

    rest: Rest
    deferrals: Deferrals
    payload: Payload
    is_acknowledged: bool = False

    async def acknowledge(self) -> None:
        """Tells Discord that the press was taken. The button shows no more that it works."""
        id, token = self.payload["id"], self.payload["token"]
        self.deferrals.start(id, token, DEFERRED_UPDATE)
        await self.deferrals.wait(token)
        self.is_acknowledged = True

    async def ask(self, form: Mapping[str, Any]) -> None:
        """Opens a form. Whoever pressed again has made it needless meanwhile: what fails here is lost."""
        try:
            await self._first(modals.MODAL, form)
        except (OutboundError, TimeoutError) as error:
            log.info("a form was not shown", interaction=self.payload["id"], cause=str(error))

    async def give(self, outcome: Outcome, otherwise: Outcome) -> None:
        """Shows what comes of it and says what does not show by itself; ``otherwise`` where that cannot be shown. What
        Discord does not take, being away, is lost."""
        try:
            async with asyncio.timeout(SHOW_SECONDS):
                await self._give(outcome)
        except (OutboundError, TimeoutError) as error:
            log.info("a press was not answered", interaction=self.payload["id"], cause=str(error))
            if isinstance(error, CallFailed) and error.fault is OutboundFault.REFUSED and outcome is not otherwise:
                await self.give(otherwise, otherwise)
        except Exception:
            log.exception("what comes of a press could not be shown", interaction=self.payload["id"])
            if outcome is not otherwise:
                await self.give(otherwise, otherwise)

    async def _give(self, outcome: Outcome) -> None:
        word = "" if outcome.evident else outcome.word[:MAX_WORDS]
        if outcome.show is None and word and not self.is_acknowledged:
            await self._first(MESSAGE, _aside(word))
            return
        await self._show(outcome.show)
        if word:
            await self.rest.call("POST", self._webhook, _aside(word))

    async def _show(self, show: Under | Instead | Gone | None) -> None:
        if isinstance(show, Under | Instead):
            if self.is_acknowledged:
                original = f"{self._webhook}/messages/@original"
                # It may have changed since it was pressed.
                await self.rest.call("PATCH", original, _body(await self.rest.call("GET", original), show))
            else:
                await self._first(UPDATE, _body(self.payload["message"], show))
            return
        if not self.is_acknowledged:
            await self.acknowledge()
        if isinstance(show, Gone):
            await self.rest.call("DELETE", f"{self._webhook}/messages/@original")

    async def _first(self, kind: int, data: Mapping[str, Any]) -> None:
        await answer_first(self.rest, self.payload["id"], self.payload["token"], {"type": kind, "data": data})

    @property
    def _webhook(self) -> str:
        return f"/webhooks/{self.payload['application_id']}/{self.payload['token']}"


def _body(message: Payload, show: Under | Instead) -> dict[str, Any]:
    """The message as it is to be shown."""
    if isinstance(show, Under):
        return changed(message, show.buttons)
    return replaced(message, show.text, show.buttons)


def _aside(words: str) -> dict[str, Any]:
    """A message that only the presser sees."""
    return {"content": words, "flags": EPHEMERAL, "allowed_mentions": NO_MENTIONS}


def _named(payload: Payload, call: CommandCall) -> CommandCall:
    """The call that a button or an entry of a list names. What only its presser is to see goes by the press's token,
    and what stands in a message that only some see stays there."""
    data: Payload = payload["data"]
    values: list[str] = data.get("values") or [data["custom_id"]]
    name, options = command_of(values[0])
    row, token = BY_NAME.get(name), call.reply_token
    if not token and row is not None and row.private:
        token = str(ReplyToken(False, payload["application_id"], payload["id"], payload["token"]))
    alone = call.alone or bool(payload["message"].get("flags", 0) & EPHEMERAL)
    return replace(call, name=name, options=options, reply_token=token, alone=alone)


async def told_admin(asker: Asker) -> bool:
    """Discord tells with every press what its presser may do in that channel: no call is needed to ask it."""
    return asker.by_admin
