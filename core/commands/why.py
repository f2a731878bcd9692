"""/why: what stood in the way of an answer, and what somebody may do and why, in one answer.

What was refused or failed was noted when it happened (``core/people/why.py``). Of a message that nothing is known of
the rules tell what would become of it now.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

from core.access import OF_ALL, Right
from core.commands.row import Room
from core.conversation.history import State
from core.errors import RightsUnknownError
from core.message import ConversationKey, Platform
from core.models.paying import told_of as told_of_budget
from core.models.settings import ModelKind
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people import why as notes
from core.people.access import PERSON, PLATFORM_ROLE, Asker, Ground, Ruling, as_account
from core.people.gate import Reason
from core.people.hearing import silence_for, told_of
from core.people.maintenance import notice_of
from core.storage.notes import Note, Notes
from core.texts import Moment, one_line, say

DONE = Finished(Ending.COMPLETE)
NEEDS: dict[Right, ModelKind] = {Right.DRAW: "image", Right.SPEAK: "speech"}
"""Rights that are of no use without a model of that kind."""
MAX_CAUSE = 160


async def why(room: Room) -> AsyncIterator[Part]:
    """About a message, or a right; about others only for those who moderate there."""
    right, user = room.value("right").lower(), room.value("user")
    if right and right not in set(Right):
        yield Notice("why_how")
    elif right or user:
        yield await _about_right(room, Right(right) if right else Right.TALK, user)
    else:
        yield await _about_message(room, _message_id(room))
    yield DONE


# ---------------------------------------------------------------------- messages
async def _about_message(room: Room, id: str) -> Part:
    kept = Notes(room.community.store)
    found = [note for place in _places(room.call, id) for note in await kept.of(place)]
    mine = [note for note in found if note.account == room.call.author.id]
    meant = [note for note in found if note.message == id] if id else mine
    if meant:
        if meant[0].account != room.call.author.id and not await _moderates(room):
            return Notice("why_others")
        return TextDelta(_told(room, meant[0]))
    lines: list[str] = []
    if id:
        known = await room.history.known(room.call.conversation, id, "")
        if known.state is State.OPEN:
            return Notice("why_open")
        if known.state is State.KEPT:
            return Notice("why_answered", {"model": known.answer.model}) if known.answer else Notice("why_waits")
    lines += await _in_the_way(room)
    if not lines:
        lines = [say("why_unknown" if id else "why_nothing", room.language)]
    if room.call.space and not lines[1:]:
        heard = "why_hears_all" if room.turn.space.answers == "always" else "why_hears"
        lines.append(say(heard, room.language))
    return TextDelta("\n".join(lines))


def _message_id(room: Room) -> str:
    """Of the message replied to, or of the one that a link leads to; empty for the newest."""
    return room.call.reply_to or room.value("message").rstrip("/").rpartition("/")[2]


def _places(call: Asker, id: str) -> list[ConversationKey]:
    """The conversations that a message may belong to. On Discord what is asked aside has one of its own, and a thread
    that was opened on a message has that message's id."""
    here = call.conversation
    if here.platform is not Platform.DISCORD:
        return [here]
    open_to_all = replace(here, thread="")
    there = [replace(open_to_all, chat=id)] if id.isdecimal() else []
    return list(dict.fromkeys((here, open_to_all, *there)))


def _told(room: Room, note: Note) -> str:
    reason = note.reason if note.reason in set(Reason) else Reason.ERROR
    when = Moment(datetime.fromtimestamp(note.at, UTC))
    lines = [say(f"why_reason.{reason}", room.language, when=when)]
    # Of another version it may be a sentence that is not known here.
    with contextlib.suppress(KeyError):
        lines.append(f"> {say(note.key, room.language, **notes.values_of(note))}")
    if note.causes and room.is_owner:
        lines += [f"- `{one_line(cause, MAX_CAUSE).replace('`', '')}`" for cause in note.causes]
        lines.append(say("why_letters", room.language))
    return "\n".join(lines)


async def _in_the_way(room: Room) -> list[str]:
    """What keeps the asker from being answered here now."""
    turn, community = room.turn, room.community
    found: list[Notice] = []
    if turn.person.blocked and not room.is_owner:
        found.append(Notice("blocked_everywhere"))
    zone = community.settings.chat.time_zone
    if hush := silence_for(room.call, turn.space, time.time(), zone):
        found.append(told_of(hush, turn.space.time_zone or zone))
    if (pause := await community.houses.pause()) and not room.is_owner:
        found.append(notice_of(pause))
    if over := await community.limits.look(turn):
        found.append(over.notice)
    for budget in await community.budgets.standing(turn.payer):
        if not budget.left:
            found.append(Notice(f"budget_spent.{budget.scope}", told_of_budget(budget)))
            break
    lines = [say(notice.key, room.language, **notice.values) for notice in found]
    if room.access is not None and room.call.space:
        ruling = await _ruled(room, room.call, Right.TALK)
        if ruling is not None and not ruling.allowed and ruling.ground is not Ground.BLOCKED:
            lines.append(_grounds(room, Right.TALK, ruling))
    return lines


# ---------------------------------------------------------------------- rights
async def _about_right(room: Room, right: Right, user: str) -> Part:
    is_other = bool(user) and user != room.call.author.id
    if room.access is None or (is_other and not room.call.space):
        return Notice("groups_only", {"name": room.call.name})
    if is_other and not await _moderates(room):
        return Notice("why_others")
    asker = as_account(room.call, user) if is_other else room.call
    ruling = await _ruled(room, asker, right)
    if ruling is None:
        return Notice("rights_unknown")
    lines = [_grounds(room, right, ruling)]
    if ruling.allowed and right in NEEDS and not room.catalog.has(NEEDS[right]):
        lines.append(say("why_no_model", room.language))
    if ruling.allowed and right in OF_ALL and not is_other:
        lines += await _in_the_way(room)
    return TextDelta("\n".join(lines))


async def _ruled(room: Room, asker: Asker, right: Right) -> Ruling | None:
    assert room.access is not None
    try:
        return await room.access.rule(asker, right)
    except RightsUnknownError:
        return None


def _grounds(room: Room, right: Right, ruling: Ruling) -> str:
    """Whether a right is held, and by what."""
    verdict = "yes" if ruling.allowed else "no"
    values = {"right": say(f"right.{right}", room.language)}
    if ruling.ground is Ground.RULE and ruling.grant is not None:
        whom = _whom(ruling.grant.who, room.language)
        where = "_in" if ruling.grant.channel else ""
        return say(f"why_rule{where}.{verdict}", room.language, whom=whom, **values)
    if ruling.ground is Ground.ROLE:
        return say(f"why_role.{verdict}", room.language, role=say(f"role.{ruling.role}", room.language), **values)
    return say(f"why_ground.{ruling.ground}.{verdict}", room.language, **values)


def _whom(who: str, language: str) -> str:
    kind, _, id = who.partition(":")
    if kind == PLATFORM_ROLE:
        return say("platform_role", language, id=f"`{id}`")
    return say("why_this_person", language) if kind == PERSON else say(f"role.{id or kind}", language)


async def _moderates(room: Room) -> bool:
    """Whether the asker may hear about others here."""
    if room.is_owner:
        return True
    try:
        return await room.may(Right.WARN) or await room.may(Right.CONFIGURE)
    except RightsUnknownError:
        return False
