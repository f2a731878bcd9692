"""What several members reported comes before the moderators once more, with buttons for what can be done about it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping

from core.access import Right
from core.commands.acting import BIG_PURGE, act_out
from core.commands.marking import at_case
from core.commands.row import Moderation, Room
from core.message import ConversationKey
from core.moderation.acts import Act, ActKind, Actor
from core.moderation.carrying import Acts
from core.moderation.cases import Case, space_of
from core.moderation.durations import HOUR
from core.moderation.enforcer import Rows, Site
from core.moderation.reports import WITHIN_SECONDS, Reported, Reports, channel_of, deletes, is_open
from core.moderation.telling import quoted
from core.parts import Choice, Ending, Finished, Menu, Notice, Part
from core.people.spaces import SpaceSettings
from core.texts import Label, say

DONE = Finished(Ending.COMPLETE)
NAME = "reported"
"""Of the row that the buttons call."""
DISMISS = "dismiss"
ACTS: Mapping[str, ActKind] = {"warn": ActKind.WARN, "mute": ActKind.MUTE, "delete": ActKind.DELETE}
MUTED_SECONDS = HOUR
MAX_SHOWN = 150
"""Characters of a message or a reason."""
MOST_SHOWN = 5
"""Reports of an alert: Discord takes 2,000 characters."""


async def alert(room: Room, moderation: Moderation, number: int) -> None:
    """Tells the moderators where the report with this number is that of the member who makes them enough, and does what
    the space wants to be done then. Who reported is not said. Raises StorageError."""
    call, place, spaces = room.call, space_of(room.call), room.community.spaces
    reached = await Reports(moderation.cases, spaces).reached(place, number)
    if reached is None:
        return
    settings = await spaces.of(place)
    hidden = reached.hidden(settings)
    if hidden is not None and moderation.acts is not None:
        await moderation.acts.order([hidden])
    channel, enforcer = await channel_of(place, moderation.cases, spaces), moderation.enforcer
    text, key = _in_words(reached, hidden, settings.language), f"reports:{place}:{number}"
    if channel and enforcer is not None:
        site = Site(call.conversation, call.space)
        if await enforcer.post(site, channel, text, key, _buttons(reached, settings)):
            return
    account = reached.newest.account
    await moderation.members.tell_moderators(
        call, "", account, lambda language: _in_words(reached, hidden, language or settings.language), key
    )


async def reported(room: Room) -> AsyncIterator[Part]:
    """What a button under an alert asks for: ``warn SPACE/12``, where 12 is the report that it is named after. It is
    done as whoever pressed it, with the rights that they have there."""
    word, _, asked = room.value("report").partition(" ")
    there = await at_case(room, asked)
    moderation = there[0].moderation if there is not None else None
    case = None
    if there is not None and moderation is not None:
        case = await moderation.cases.get(space_of(there[0].call), there[1])
    if there is None or moderation is None or case is None or (word != DISMISS and word not in ACTS):
        yield Notice("reported_none")
    elif not is_open(case):
        yield Notice("reported_dismissed")
    elif word == DISMISS:
        yield await _dismiss(there[0], moderation, case)
    elif moderation.acts is None:
        yield Notice("act_too_late")
    else:
        async for part in _do(there[0], moderation.acts, case, ACTS[word]):
            # The buttons of a receipt say nothing of another space than their own.
            if not isinstance(part, Menu) or there[0] is room:
                yield part
    yield DONE


async def _do(room: Room, acts: Acts, case: Case, kind: ActKind) -> AsyncIterator[Part]:
    call, place = room.call, space_of(room.call)
    reports = Reports(acts.cases, room.community.spaces)
    found = Reported(place, case, await reports.about(place, case.account, case.at - WITHIN_SECONDS))
    messages = found.messages[-BIG_PURGE:] if kind is ActKind.DELETE else ()
    if kind is ActKind.DELETE and not messages:
        yield Notice("reported_no_message")
        return
    where = ConversationKey.parse(case.conversation) if case.conversation else call.conversation
    act = Act(
        f"{call.id}:0",
        deletes(messages) if messages else kind,
        where,
        call.space,
        Actor(call.author.id, call.author.name),
        case.account,
        case.name,
        MUTED_SECONDS if kind is ActKind.MUTE else None,
        messages=messages,
        reason=say("reports_reason", (await room.community.spaces.of(place)).language, count=found.members),
        at=call.sent_at or time.time(),
        evidence=case.evidence,
        where=case.where,
    )
    async for part in act_out(room, acts, [act]):
        yield part


async def _dismiss(room: Room, moderation: Moderation, case: Case) -> Notice:
    if room.access is not None and not await room.access.may(room.call, Right.WARN):
        return Notice(f"lacking.{Right.WARN}")
    if case.account == room.call.author.id:
        return Notice("not_yourself")
    count = await Reports(moderation.cases, room.community.spaces).dismiss(space_of(room.call), case)
    return Notice("reported_dismiss", {"count": count})


def _in_words(reached: Reported, hidden: Act | None, language: str) -> str:
    """An alert. What people wrote stands there as code."""
    newest = reached.newest
    name = quoted(newest.name) or "?"
    lines = [say("reports_told", language, count=reached.members, name=name, account=quoted(newest.account))]
    if hidden is not None:
        lines.append(say("reports_hid", language, act=Label("act", hidden.kind)))
    for report in reached.reports[:MOST_SHOWN]:
        said = report.evidence.text[:MAX_SHOWN]
        parts = (f"#{report.number}", quoted(report.reason[:MAX_SHOWN]), report.evidence.link)
        lines.append("- " + " · ".join(filter(None, parts)) + (f"\n  > {quoted(said)}" if said else ""))
    if len(reached.reports) > MOST_SHOWN:
        lines.append(say("log_more", language, count=len(reached.reports) - MOST_SHOWN))
    return "\n".join(lines)


def _buttons(reached: Reported, settings: SpaceSettings) -> Rows:
    about = f"{reached.place.split(':', 2)[2]}/{reached.newest.number}"
    words = [word for word in (*ACTS, DISMISS) if word != "delete" or reached.messages]
    return (
        tuple(Choice(say(f"button.reported_{word}", settings.language), f"{NAME} {word} {about}") for word in words),
    )
