"""The commands about what is reported. The model never runs any of these.

Whether a caller has the row's right is decided before (``core/engine.py``); whom it may be used on is decided here, by
what the platform says at that moment.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

from core.commands.reports import alert
from core.commands.row import Moderation, Room
from core.errors import RightsUnknownError
from core.moderation.cases import MAX_NAME, MAX_REASON, Case, CaseKind, Evidence, space_of
from core.moderation.checking import is_account
from core.moderation.telling import quoted as _quoted
from core.parts import Ending, Finished, Notice, Part
from core.texts import Value, one_line, say

DONE = Finished(Ending.COMPLETE)


async def report(room: Room) -> AsyncIterator[Part]:
    """Keeps what somebody reports of a message or a person, and tells the moderators. Nobody else hears who it was."""
    account = account_of_call(room)
    if room.moderation is None or not room.call.space:
        yield Notice("groups_only", {"name": room.call.name})
    elif not is_account(account):
        yield Notice("report_how")
    elif account in (room.call.author.id, room.call.conversation.bot):
        yield Notice("report_self" if account == room.call.author.id else "report_bot")
    elif not await room.moderation.members.serves(room.call):
        yield Notice("report_nowhere")
    else:
        name = await name_of(room, room.moderation, account)
        case = _case(room, CaseKind.REPORT, account, name, _line(room.value("reason"))[:MAX_REASON])
        yield await _reported(room, room.moderation, case)
    yield DONE


async def reports(room: Room) -> AsyncIterator[Part]:
    """Chooses the channel that reports go to; without one, they go to whoever the space belongs to."""
    wanted = room.value("channel")
    if room.moderation is None:
        yield Notice("groups_only", {"name": room.call.name})
    elif not wanted:
        await room.moderation.cases.choose_channel(space_of(room.call), "")
        yield Notice("reports_to_owner")
    elif (channel := await room.moderation.members.channel(room.call, wanted)) is None:
        yield Notice("reports_no_channel")
    else:
        await room.moderation.cases.choose_channel(space_of(room.call), channel)
        yield Notice("reports_set")
    yield DONE


def account_of_call(room: Room) -> str:
    """Whom a command is about: the person named, else who wrote the message that it is about."""
    return room.value("user") or (room.call.quote.author_id if room.call.quote else "")


async def name_of(room: Room, moderation: Moderation, account: str) -> str:
    """What somebody is called, also where the platform does not tell now."""
    quote = room.call.quote
    if quote is not None and quote.author_id == account and quote.author:
        return quote.author
    with contextlib.suppress(RightsUnknownError):
        if member := await moderation.members.find(room.call, account):
            return member.name
    return account


def _case(room: Room, kind: CaseKind, account: str, name: str, reason: str) -> Case:
    call, moderation = room.call, room.moderation
    assert moderation is not None
    link = moderation.members.link(call, call.quote.message_id) if call.quote and call.quote.message_id else ""
    at = call.sent_at or time.time()
    who = call.author
    evidence = Evidence.of(call, link)
    return Case(
        kind,
        account,
        name[:MAX_NAME],
        who.id,
        who.name[:MAX_NAME],
        reason,
        at,
        evidence,
        conversation=str(call.conversation),
        where=call.place[:MAX_NAME],
    )


async def _reported(room: Room, moderation: Moderation, case: Case) -> Notice:
    call, space = room.call, space_of(room.call)
    number = await moderation.cases.make(space, case, call.id, most=moderation.settings.reports_per_hour)
    if not number:
        return Notice("report_too_many")

    def words(language: str) -> str:
        return _report_in_words(case, number, place, language or room.language)

    place = one_line(call.place or await moderation.members.space_name(call), MAX_NAME)
    channel = await moderation.cases.channel(space)
    told = await moderation.members.tell_moderators(call, channel, case.account, words, call.id)
    await alert(room, moderation, number)
    return Notice("reported" if told else "report_kept", {"number": str(number)})


def _report_in_words(case: Case, number: int, place: str, language: str) -> str:
    values: dict[str, Value] = {
        "number": str(number),
        "place": place,
        "actor": _quoted(case.actor_name),
        "name": _quoted(case.name),
        "account": case.account,
    }
    lines = [say("report_told", language, **values)]
    if case.evidence.link:
        # Early: a platform with little room cuts the end off.
        lines.append(case.evidence.link)
    if case.reason:
        lines.append(say("report_reason", language, reason=_quoted(case.reason)))
    if case.evidence.text:
        lines.append("> " + _quoted(case.evidence.text))
    if case.evidence.files:
        lines.append(", ".join(map(_quoted, case.evidence.files)))
    return "\n\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.split())
