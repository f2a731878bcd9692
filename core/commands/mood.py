"""/mood: how people get on in a space, as a chart and in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from core.commands.row import Room
from core.mood import chart
from core.mood.trend import MOST_DAYS, Trend, trend
from core.parts import Ending, Finished, Media, Notice, Part, TextDelta
from core.people.fields import words
from core.people.hearing import zone_of
from core.people.spaces import space_id
from core.storage.mood import LEAST_PEOPLE, MoodCells
from core.texts import say

DONE = Finished(Ending.COMPLETE)
USUAL_DAYS = 7


async def mood(room: Room) -> AsyncIterator[Part]:
    """Of the whole space, or of one channel of it; for moderators."""
    space, asked = space_id(room.call.conversation, room.call.space), room.value("days")
    channel = await _channel(room)
    if not space:
        yield Notice("groups_only", {"name": room.call.name})
    elif not (room.turn.space.mood and room.turn.space.moderated):
        yield Notice("mood_off")
    elif asked and not (asked.isascii() and asked.isdecimal() and len(asked) < 4 and 1 <= int(asked) <= MOST_DAYS):
        yield Notice("mood_days", {"most": MOST_DAYS})
    elif channel is None:
        yield Notice("mood_no_channel")
    else:
        found = await trend(MoodCells(room.community.store), space, channel, int(asked or USUAL_DAYS))
        if not found.cells:
            yield Notice("mood_none", {"least": LEAST_PEOPLE})
        else:
            for part in await _told(room, found, int(asked or USUAL_DAYS)):
                yield part
    yield DONE


async def _channel(room: Room) -> str | None:
    """Its id; empty for the whole space, None for one that is not there."""
    wanted = room.value("channel")
    if not wanted:
        return ""
    if wanted.casefold() in words("here"):
        return room.call.conversation.thread or room.call.conversation.chat
    return await room.moderation.members.channel(room.call, wanted) if room.moderation else None


async def _told(room: Room, found: Trend, days: int) -> list[Part]:
    language = room.language
    zone = zone_of(room.turn.space.time_zone or room.community.settings.chat.time_zone)
    shares = {name: found.percent(name) for name in ("high", "low", "insults", "anger")}
    lines = [
        f"**{say('mood_heading', language, count=days)}**",
        f"- {say('mood_volume', language, messages=found.messages, people=found.people)}",
        f"- {say('mood_shares', language, **shares)}",
    ]
    if found.topics:
        lines.append(f"- {say('mood_topics', language, topics=', '.join(f'`{word}`' for word in found.topics))}")
    lines += ["", say("mood_note", language, least=LEAST_PEOPLE)]
    titles = say("mood_chart_balance", language), say("mood_chart_messages", language)
    image = await asyncio.to_thread(chart.draw, found, titles, zone)
    alt = say("mood_chart", language, days=days, messages=found.messages, high=shares["high"], low=shares["low"])
    return [TextDelta("\n".join(lines)), Media("mood.png", "image/png", image, alt)]
