"""The moderators' commands that do something: to people, to what they wrote, to places. The model never runs these.

Each becomes acts (``core/moderation/acts.py``), which are checked, confirmed where they are big, written into the
space's book and carried out; what is answered is the receipt.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from core.access import ACTS as RIGHTS
from core.commands.acting import MOST_PEOPLE, NO, act_out, confirmed, dropped
from core.commands.marking import at_case
from core.commands.option import Kind
from core.commands.row import Moderation, Room
from core.commands.typed import id_in
from core.message import CommandCall
from core.moderation.acts import LASTING, MOST_MESSAGES, ON_PEOPLE, Act, ActKind, Actor
from core.moderation.carrying import Acts
from core.moderation.cases import MAX_NAME, MAX_REASON, Evidence, space_of
from core.moderation.durations import DAY, HOUR, Duration
from core.moderation.enforcer import Enforcer, Site
from core.moderation.undoing import Refused, takes_back
from core.parts import Ending, Finished, Notice, Part

DONE = Finished(Ending.COMPLETE)
CLEARED = {"hour": HOUR, "day": DAY, "week": 7 * DAY}
"""What a ban can delete besides, in seconds."""
LONGEST_PAUSE = 21_600
"""Seconds between two messages in slow mode: as Discord allows."""
RECENT_SECONDS = 14 * DAY
"""Older messages cannot be deleted many at a time on Discord."""
MOST_WORDS = 4
"""Of a length of time that was typed, like ``1 h 30 m``."""
LEAST_DIGITS = 5
"""Of a number that stands for an account where it is typed."""

Run = Callable[[Room], AsyncIterator[Part]]


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a command that acts works with."""

    room: Room
    moderation: Moderation
    acts: Acts
    enforcer: Enforcer

    @property
    def site(self) -> Site:
        return Site(self.room.call.conversation, self.room.call.space)

    async def act(
        self,
        kind: ActKind,
        account: str = "",
        index: int = 0,
        *,
        seconds: int | None = None,
        pause: int = 0,
        messages: Sequence[str] = (),
        delete_seconds: int = 0,
        reason: str = "",
    ) -> Act:
        """An act as this command asks for it."""
        call, members = self.room.call, self.moderation.members
        link = members.link(call, call.quote.message_id) if call.quote and call.quote.message_id else ""
        return Act(
            _id(call, str(index)),
            kind,
            call.conversation,
            call.space,
            Actor(call.author.id, call.author.name),
            account,
            await self._name(account),
            seconds,
            pause,
            tuple(messages),
            delete_seconds,
            " ".join(reason.split())[:MAX_REASON],
            call.sent_at or time.time(),
            Evidence.of(call, link),
            where=await members.space_name(call) if kind in ON_PEOPLE else "",
        )

    async def _name(self, account: str) -> str:
        quote = self.room.call.quote
        if not account:
            return ""
        if quote is not None and quote.author_id == account and quote.author:
            return quote.author[:MAX_NAME]
        known = await self.enforcer.know(self.site, account, self.room.call.author.id)
        return known.name[:MAX_NAME] if known is not None else account


async def warn(room: Room) -> AsyncIterator[Part]:
    """Keeps a warning, tells the member of it, and the moderator its number."""
    account, reason = _account(room), room.value("reason").strip()
    desk = _desk(room)
    if isinstance(desk, Notice):
        yield desk
    elif not (account and reason):
        yield Notice("warn_how")
    else:
        async for part in act_out(room, desk.acts, [await desk.act(ActKind.WARN, account, reason=reason)]):
            yield part
    yield DONE


def on_people(kind: ActKind) -> Run:
    """The command for an act on a member, or on several."""
    return partial(_on_people, kind)


def on_place(kind: ActKind) -> Run:
    """The command for an act on the channel or group where it is given."""
    return partial(_on_place, kind)


def on_message(kind: ActKind) -> Run:
    """The command for an act on the message that it replies to."""
    return partial(_on_message, kind)


async def _on_people(kind: ActKind, room: Room) -> AsyncIterator[Part]:
    desk = _desk(room)
    try:
        accounts, seconds, reason = _asked_of(kind, room)
    except ValueError:
        yield Notice("act_no_time")
        yield DONE
        return
    if isinstance(desk, Notice):
        yield desk
    elif not accounts:
        yield Notice("act_how_person", {"name": room.call.name})
    elif len(accounts) > MOST_PEOPLE:
        yield Notice("act_too_many", {"most": MOST_PEOPLE})
    else:
        clears = CLEARED.get(room.value("delete"), 0) if kind is ActKind.BAN else 0
        acts = [
            await desk.act(kind, account, index, seconds=seconds, delete_seconds=clears, reason=reason)
            for index, account in enumerate(accounts)
        ]
        async for part in act_out(room, desk.acts, acts):
            yield part
    yield DONE


async def _on_place(kind: ActKind, room: Room) -> AsyncIterator[Part]:
    desk = _desk(room)
    try:
        seconds = Duration.parse(room.value("for")).seconds if room.value("for") else None
    except ValueError:
        yield Notice("act_no_time")
        yield DONE
        return
    if isinstance(desk, Notice):
        yield desk
    else:
        async for part in act_out(room, desk.acts, [await desk.act(kind, seconds=seconds)]):
            yield part
    yield DONE


async def slow(room: Room) -> AsyncIterator[Part]:
    """Slow mode; 0 ends it."""
    desk, wanted = _desk(room), room.value("seconds")
    try:
        pause = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 10 else -1
        seconds = Duration.parse(room.value("for")).seconds if room.value("for") else None
    except ValueError:
        yield Notice("act_no_time")
        yield DONE
        return
    if isinstance(desk, Notice):
        yield desk
    elif not 0 <= pause <= LONGEST_PAUSE:
        yield Notice("slow_how", {"most": LONGEST_PAUSE})
    else:
        kind = ActKind.SLOW if pause else ActKind.UNSLOW
        act = await desk.act(kind, pause=pause, seconds=seconds if pause else None)
        async for part in act_out(room, desk.acts, [act]):
            yield part
    yield DONE


async def _on_message(kind: ActKind, room: Room) -> AsyncIterator[Part]:
    desk, quote = _desk(room), room.call.quote
    given = room.value("message") if kind is ActKind.DELETE else ""
    message = given if given.isascii() and given.isdecimal() else (quote.message_id if quote else room.call.reply_to)
    if isinstance(desk, Notice):
        yield desk
    elif not message:
        yield Notice("act_how_message", {"name": room.call.name})
    else:
        is_quoted = quote is not None and quote.message_id == message and kind is ActKind.DELETE
        author = quote.author_id if quote is not None and is_quoted else ""
        async for part in act_out(room, desk.acts, [await desk.act(kind, author, messages=(message,))]):
            yield part
    yield DONE


async def purge(room: Room) -> AsyncIterator[Part]:
    """Deletes the newest messages, of one member where one is named."""
    desk, wanted = _desk(room), room.value("count")
    count = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 6 else 0
    if isinstance(desk, Notice):
        yield desk
    elif not 1 <= count <= MOST_MESSAGES:
        yield Notice("purge_how", {"most": MOST_MESSAGES})
    else:
        account = room.value("user")
        found = await _recent(desk, account, count)
        if not found:
            yield Notice("purge_blind" if found is None else "purge_none")
        else:
            act = await desk.act(ActKind.PURGE, account, messages=found)
            async for part in act_out(room, desk.acts, [act]):
                yield part
    yield DONE


async def undo(room: Room) -> AsyncIterator[Part]:
    """Takes a case back; without a number the newest of the caller's own."""
    wanted = room.value("case")
    there = await at_case(room, wanted) if wanted else (room, 0)
    if there is None:
        yield Notice("undo_how")
        yield DONE
        return
    at, number = there
    desk = _desk(at)
    if isinstance(desk, Notice):
        yield desk
    elif not (number := number or await _own_newest(desk)):
        yield Notice("undo_nothing")
    else:
        actor = Actor(room.call.author.id, room.call.author.name)
        try:
            act = await desk.acts.undoing(space_of(at.call), number, actor, _id(room.call, "undo"))
        except Refused as refused:
            yield Notice(refused.key, refused.values) if await _is_staff(at) else Notice("lacking.warn")
        else:
            async for part in act_out(at, desk.acts, [act], is_confirmed=True):
                yield part
    yield DONE


async def confirm(room: Room) -> AsyncIterator[Part]:
    """What a button asks for that stands under a plan."""
    desk = _desk(room)
    id, _, answer = room.value("id").partition(" ")
    if isinstance(desk, Notice):
        yield desk
    elif answer.strip() == NO:
        yield await dropped(room, id)
    else:
        async for part in confirmed(room, desk.acts, id):
            yield part
    yield DONE


def _desk(room: Room) -> _Desk | Notice:
    """The sentence where nothing can be done here."""
    moderation = room.moderation
    if moderation is None or not room.call.space:
        return Notice("groups_only", {"name": room.call.name})
    enforcer = moderation.acts.enforcer(room.call.conversation.platform) if moderation.acts else None
    if moderation.acts is None or enforcer is None:
        return Notice("act_too_late")
    return _Desk(room, moderation, moderation.acts, enforcer)


def _id(call: CommandCall, what: str) -> str:
    """Of an act. Telegram counts messages in each chat, and anew where a group becomes a supergroup."""
    return f"{call.conversation.chat}:{call.id}:{what}"


async def _is_staff(room: Room) -> bool:
    """Whether the caller may do anything to others: what is in a space's book is for them."""
    return room.access is None or any([await room.access.may(room.call, right) for right in sorted(RIGHTS)])


def _account(room: Room) -> str:
    """Whom a command is about: the person named, else who wrote the message that it is about."""
    return room.value("user") or (room.call.quote.author_id if room.call.quote else "")


def _asked_of(kind: ActKind, room: Room) -> tuple[list[str], int | None, str]:
    """Whom, how long and why. Raises ValueError for what was named and is no length of time."""
    accounts = [found] if (found := _account(room)) else []
    if kind is ActKind.BAN:
        accounts += [id_in(Kind.USER, word) for word in room.value("others").replace(",", " ").split()]
    if "for" in room.call.options:
        named = room.value("for")
        seconds = Duration.parse(named).seconds if named and kind in LASTING else None
        return list(dict.fromkeys(accounts)), seconds, room.value("reason")
    words = f"{room.value('for')} {room.value('reason')}".split()
    while kind is ActKind.BAN and words and _is_account(words[0]):
        accounts.append(id_in(Kind.USER, words.pop(0)))
    seconds, rest = _leading(words) if kind in LASTING else (None, words)
    return list(dict.fromkeys(accounts)), seconds, " ".join(rest)


def _is_account(word: str) -> bool:
    found = id_in(Kind.USER, word)
    return found != word or (word.isascii() and word.isdecimal() and len(word) >= LEAST_DIGITS)


def _leading(words: Sequence[str]) -> tuple[int | None, Sequence[str]]:
    """The length of time that typed words begin with, and the others. Raises ValueError where they begin with a number
    that is none: ``10`` is not meant to be for ever."""
    for count in range(min(MOST_WORDS, len(words)), 0, -1):
        try:
            return Duration.parse(" ".join(words[:count])).seconds, words[count:]
        except ValueError:
            continue
    if words and words[0][0].isdecimal():
        raise ValueError("a number without a unit")
    return None, words


async def _recent(desk: _Desk, account: str, count: int) -> Sequence[str] | None:
    """The newest messages, as the platform tells them, else as we have seen them; None where neither knows any."""
    found = await desk.enforcer.recent(desk.site, account, count, RECENT_SECONDS)
    if found is not None:
        return found[:count]
    call, watched = desk.room.call, desk.room.community.policy.watched
    since = time.time() - RECENT_SECONDS
    seen = await watched.by(space_of(call), call.conversation, account, count + 1, since)
    # The command itself was seen, too.
    return [id for id in seen if id != call.id][:count] or None


async def _own_newest(desk: _Desk) -> int:
    """0 where there is none."""
    caller = desk.room.call.author.id
    for case in await desk.acts.cases.latest(space_of(desk.room.call)):
        if case.actor == caller and case.state.is_in_force and not case.undoes and takes_back(case) is not None:
            return case.number
    return 0
