"""The moderators' commands for a raid: begun or ended by hand, and how it stands."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from core.commands.row import Room
from core.errors import RightsUnknownError
from core.moderation.acts import AUTOMOD, Actor
from core.moderation.carrying import Acts
from core.moderation.cases import space_of
from core.moderation.doors import Doors
from core.moderation.enforcer import Site
from core.moderation.raids import minutes_of
from core.parts import Ending, Finished, Notice, Part
from core.storage.records import Conflict
from core.texts import Moment

DONE = Finished(Ending.COMPLETE)
WAIT_SECONDS = 5.0
"""For what a raid brought to be taken back; it is all the same later."""
NO_JOINS = "rules_see_no_joins"
"""What an enforcer says that is told of nobody who comes (``Enforcer.blind``)."""


async def begin(room: Room) -> AsyncIterator[Part]:
    """What a raid brings, by hand."""
    acts = _acts(room)
    if acts is None:
        yield Notice("groups_only", {"name": room.row.parent})
        yield DONE
        return
    doors, space = Doors.of(room.community, acts), space_of(room.call)
    settings = await room.community.spaces.of(space)
    if time.time() < await room.community.policy.books.paused_until(space):
        yield Notice("raid_paused")
        yield DONE
        return
    try:
        is_new = await doors.raids.begin(space, room.call.conversation, room.call.author.id)
    except Conflict:
        yield Notice("conflict")
    else:
        yield Notice("raid_on" if is_new else "raid_is_on", {"count": minutes_of(settings)})
        async for part in _seeing(room):
            yield part
    yield DONE


async def end(room: Room) -> AsyncIterator[Part]:
    """Takes back what it brought."""
    acts = _acts(room)
    if acts is None:
        yield Notice("groups_only", {"name": room.row.parent})
        yield DONE
        return
    who = Actor(room.call.author.id, room.call.author.name)
    try:
        numbers = await Doors.of(room.community, acts).raids.end(space_of(room.call), who)
    except Conflict:
        yield Notice("conflict")
    else:
        if numbers:
            await acts.carried(space_of(room.call), numbers, WAIT_SECONDS)
        yield Notice("raid_is_off" if numbers is None else "raid_off")
    yield DONE


async def status(room: Room) -> AsyncIterator[Part]:
    """Whether one goes on, and what would begin one."""
    acts = _acts(room)
    if acts is None:
        yield Notice("groups_only", {"name": room.row.parent or room.row.name})
        yield DONE
        return
    space = space_of(room.call)
    raid, settings = await Doors.of(room.community, acts).raids.of(space), await room.community.spaces.of(space)
    if raid.since:
        by = "rules" if raid.by == AUTOMOD else "hand"
        yield Notice(f"raid_since.{by}", {"since": Moment(datetime.fromtimestamp(round(raid.since), UTC))})
    else:
        yield Notice("raid_is_off")
    if settings.raid and settings.moderated:
        yield Notice("raid_begins", {"limit": f"`{settings.raid}`"})
    else:
        yield Notice("raid_never_begins")
    async for part in _seeing(room):
        yield part
    yield DONE


async def _seeing(room: Room) -> AsyncIterator[Part]:
    """Why it is not known there who comes, if it is not."""
    if not (await room.community.spaces.of(space_of(room.call))).moderated:
        yield Notice("raid_sees_nobody")
        return
    enforcer = room.moderation.enforcer if room.moderation is not None else None
    if enforcer is not None:
        with contextlib.suppress(RightsUnknownError):
            if await enforcer.blind(Site(room.call.conversation, room.call.space)) == NO_JOINS:
                yield Notice(NO_JOINS)


def _acts(room: Room) -> Acts | None:
    return room.moderation.acts if room.moderation is not None and room.call.space else None
