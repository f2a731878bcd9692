"""The emergency brake of a space: its rules do nothing for a time, and what they did can be taken back in one go."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import structlog

from core.access import Right
from core.commands.row import Room
from core.moderation.acts import NEEDS, ActKind, Actor
from core.moderation.alarm import Alarm
from core.moderation.carrying import Acts
from core.moderation.cases import Case, space_of
from core.moderation.durations import HOUR, Duration
from core.moderation.panic import Undone, by_automod, undo_all
from core.moderation.telling import quoted
from core.moderation.undoing import takes_back
from core.parts import Choice, Ending, Finished, Menu, Notice, Part, TextDelta
from core.people.identity import account_of
from core.storage.proposals import Proposals
from core.storage.records import Conflict
from core.storage.shared import Once
from core.texts import Label, Moment, say

log = structlog.get_logger()

DONE = Finished(Ending.COMPLETE)
USUAL_SECONDS = HOUR
LONGEST_SECONDS = 30 * 24 * HOUR
"""Rules that are not wanted for longer can be switched off."""
CONFIRM_SECONDS = 300


async def pull(room: Room) -> AsyncIterator[Part]:
    """Rules do nothing for so long."""
    acts = _acts(room)
    try:
        typed = room.value("for")
        seconds = min(LONGEST_SECONDS, Duration.parse(typed).seconds or LONGEST_SECONDS) if typed else USUAL_SECONDS
    except ValueError:
        yield Notice("act_no_time")
        yield DONE
        return
    if acts is None:
        yield Notice("groups_only", {"name": room.row.parent or room.row.name})
    elif not await _pause(room, time.time() + seconds):
        yield Notice("conflict")
    else:
        until = Moment(datetime.fromtimestamp(round(time.time() + seconds), UTC))
        yield Notice("panic_pulled", {"until": until})
        who = quoted(room.call.author.name) or f"`{room.call.author.id}`"
        await _alarm(room, acts).tell(space_of(room.call), "panic_told", about=room.call.id, name=who, until=until)
        if found := await by_automod(acts, space_of(room.call)):
            yield Notice("panic_did", {"count": len(found)})
            yield Menu(((Choice(say("button.panic_undo", room.language), "panic undo"),),))
    yield DONE


async def release(room: Room) -> AsyncIterator[Part]:
    """They go on."""
    acts, space = _acts(room), space_of(room.call)
    if acts is None:
        yield Notice("groups_only", {"name": room.row.parent})
    elif time.time() >= (await room.community.policy.books.records.fresh(space)).value.paused_until:
        yield Notice("panic_is_off")
    elif not await _pause(room, 0.0):
        yield Notice("conflict")
    else:
        yield Notice("panic_off")
        await _alarm(room, acts).tell(space, "panic_off", about=room.call.id)
    yield DONE


async def undo(room: Room) -> AsyncIterator[Part]:
    """Takes back what automod did in the last hour: shown first, done when whoever asked confirms it."""
    acts, id, space = _acts(room), room.value("id"), space_of(room.call)
    if acts is None:
        yield Notice("groups_only", {"name": room.row.parent})
    elif id:
        async for part in _confirmed(room, acts, id):
            yield part
    elif not (found := await by_automod(acts, space)):
        yield Notice("panic_nothing")
    else:
        plan = {"by": room.call.author.id, "panic": [case.number for case in found]}
        kept = await Proposals(room.community.store).keep(space, json.dumps(plan), seconds=CONFIRM_SECONDS)
        yield TextDelta(_in_words(found, room.language))
        instead = say("panic_confirm_typed", room.language, id=kept)
        yield Menu(((Choice(say("button.confirm", room.language), f"panic undo {kept}"),),), instead)
    yield DONE


async def _confirmed(room: Room, acts: Acts, id: str) -> AsyncIterator[Part]:
    space, who = space_of(room.call), room.call.author
    text = await Proposals(room.community.store).find(space, id)
    plan: dict[str, Any] = json.loads(text) if text else {}
    if "panic" not in plan:
        yield Notice("confirm_over")
        return
    if plan["by"] != who.id:
        yield Notice("confirm_not_yours")
        return
    cases = await acts.cases.some(space, plan["panic"])
    held = {right for right in {_needed(takes_back(case)) for case in cases} if await room.may(right)}
    actor = Actor(who.id, who.name)
    done = await undo_all(acts, space, plan["panic"], actor, id, lambda act: _needed(act.kind) in held)
    for notice in _told(done):
        yield notice
    log.info("what automod did was taken back", space=space, by=who.id, count=done.done)


def _needed(kind: ActKind | None) -> Right:
    """Of a warning nothing is taken back on the platform."""
    return NEEDS.get(kind, Right.WARN) if kind is not None else Right.WARN


def _told(done: Undone) -> list[Notice]:
    told = [Notice("panic_undone", {"count": done.done})]
    if done.failed:
        told.append(Notice("panic_failed", {"count": done.failed}))
    if done.waiting:
        told.append(Notice("panic_waiting", {"count": done.waiting}))
    return told


def _in_words(found: list[Case], language: str) -> str:
    kinds = Counter(case.kind for case in found)
    lines = [say("panic_kind", language, act=Label("act", kind), found=number) for kind, number in kinds.most_common()]
    return "\n".join([say("panic_would", language, count=len(found)), *(f"- {line}" for line in lines)])


async def _pause(room: Room, until: float) -> bool:
    by = account_of(room.call.author, room.call.conversation.platform)
    space = space_of(room.call)
    try:
        await room.community.policy.books.change(
            space, lambda book: book.model_copy(update={"paused_until": until, "by": by})
        )
    except Conflict:
        return False
    log.info("rules paused" if until else "rules go on", space=space, by=by)
    return True


def _alarm(room: Room, acts: Acts) -> Alarm:
    return Alarm(acts, room.community.spaces, Once(room.community.store))


def _acts(room: Room) -> Acts | None:
    return room.moderation.acts if room.moderation is not None and room.call.space else None
