"""What whoever runs Parley does: looks how it is, pauses it, has its settings read anew, tells all spaces something."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from core.commands.row import Room
from core.models.measured import Figures, Times
from core.parts import Choice, Ending, Finished, Menu, Notice, Part, TextDelta
from core.people.broadcasts import MAX_TEXT, Broadcast, NotConfirmed, OneRuns, lines_of
from core.people.changing import Actor, change_space
from core.people.house import MAX_TEXT as MAX_PAUSE_TEXT
from core.people.house import MOST_SECONDS
from core.people.identity import account_of
from core.people.maintenance import notice_of
from core.people.overview import ModelState, Overview, models, overview
from core.people.spaces import space_id
from core.storage.processes import Process, uptime
from core.storage.records import Conflict
from core.texts import Amount, Moment, Money, one_line, say

DONE = Finished(Ending.COMPLETE)
RELOAD_SECONDS = 6.0
"""So long the answer waits for what other processes say."""
LOOK_SECONDS = 0.2
MAX_NAME = 60
MILLION = 1_000_000
CONFIRM, CANCEL = "confirm", "cancel"
_LENGTH = re.compile(r"([0-9]{1,5})\s*([mhd])")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_UNITS = {"m": 60, "h": 3600, "d": 86400}


# ---- how it is


async def status(room: Room) -> AsyncIterator[Part]:
    """Processes, what waits, the store, what was spent."""
    failed, _ = await room.failed.newest(0)
    found = await overview(room.community)
    yield TextDelta("\n".join(status_lines(found, failed, room.community.settings.chat.currency, room.language)))
    yield DONE


def status_lines(found: Overview, failed: int, currency: str, language: str) -> list[str]:
    """In Markdown."""
    head = say("status_head", language, count=len(found.processes))
    lines = [head, "", *(f"- {_process(process, language)}" for process in found.processes), ""]
    waiting = say("status_waiting", language, count=found.waiting)
    jobs = ", ".join(f"{queue} {count}" for queue, count in found.jobs.items())
    lines.append(f"- {waiting}" + (f" · {say('status_jobs', language, jobs=jobs)}" if jobs else ""))
    lines.append(f"- {say('status_failed', language, count=failed)}")
    memory = Amount.of_bytes(found.memory)
    if found.most_memory:
        most = Amount.of_bytes(found.most_memory)
        lines.append("- " + say("status_store_most", language, server=found.server, memory=memory, most=most))
    else:
        lines.append("- " + say("status_store", language, server=found.server, memory=memory))
    lines.append("- " + say("status_spent", language, money=Money(found.spent / MILLION, currency)))
    lines.append("- " + say("status_spaces", language, count=found.spaces))
    if found.pause is not None:
        notice = notice_of(found.pause)
        lines.append(f"- {say('status_pause', language, text=say(notice.key, language, **notice.values))}")
    return lines


def _process(process: Process, language: str) -> str:
    minutes = int(uptime(process) // 60)
    since = Amount(minutes // 60, "duration-hour") if minutes >= 60 else Amount(minutes, "duration-minute")
    name = f"**{process.role or '?'}** `{one_line(process.name, MAX_NAME)}`"
    parts = [name, process.version, say("status_since", language, time=since)]
    parts += [
        f"{platform} " + say("status_connected" if there else "status_not_connected", language)
        for platform, there in process.platforms.items()
    ]
    if process.reloaded:
        parts.append(say("status_reload_failed", language))
    if process.restart:
        parts.append(say("status_restart", language, names=", ".join(f"`{name}`" for name in process.restart)))
    return " · ".join(filter(None, parts))


async def show_models(room: Room) -> AsyncIterator[Part]:
    """Each model's health, how long it takes, what it cost today."""
    found = await models(room.community, room.catalog)
    lines = model_lines(found, room.community.settings.chat.currency, room.language)
    if lines:
        yield TextDelta("\n".join((say("models_head", room.language), "", *lines)))
    else:
        yield Notice("no_models")
    yield DONE


def model_lines(states: Sequence[ModelState], currency: str, language: str) -> list[str]:
    """In Markdown."""
    return [f"- {_model(state, currency, language)}" for state in states]


def _model(state: ModelState, currency: str, language: str) -> str:
    if not state.runs:
        health = say("models_away", language)
    elif state.is_gone:
        health = say("models_gone", language)
    elif state.out:
        health = say("models_out", language, out=len(state.out), count=state.servers)
    else:
        health = say("models_well", language)
    parts = [f"**{one_line(state.name, MAX_NAME)}**", health, *_figures(state.figures, language)]
    if state.calls:
        cost = Money(state.cost / MILLION, currency)
        parts.append(say("models_today", language, count=state.calls, money=cost))
    return " · ".join(parts)


def _figures(figures: Figures, language: str) -> list[str]:
    if not figures.calls:
        return [say("models_unused", language)]
    told = [say("models_calls", language, count=figures.calls, failed=figures.failures)]
    for key, times in (("models_first", figures.first), ("models_whole", figures.whole)):
        if times.count:
            told.append(_times(key, times, language))
    return told


def _times(key: str, times: Times, language: str) -> str:
    mean, p95 = (Amount(round(seconds, 2), "duration-second") for seconds in (times.mean, times.p95))
    return say(key, language, mean=mean, p95=p95)


# ---- maintenance


async def maintenance(room: Room) -> AsyncIterator[Part]:
    """``on`` or ``off``; without any it tells how it is."""
    houses, action = room.community.houses, room.value("action").lower()
    try:
        if action == "off":
            await houses.end()
            yield Notice("maintenance_ended")
        elif action == "on":
            yield await _begin(room)
        else:
            pause = await houses.pause()
            yield notice_of(pause) if pause else Notice("maintenance_none")
    except Conflict:
        yield Notice("conflict")
    yield DONE


async def _begin(room: Room) -> Notice:
    wanted, text = room.value("time"), room.value("note")
    until = until_of(wanted, datetime.now(UTC), room.community.settings.chat.time_zone) if wanted else 0.0
    if until is None:
        return Notice("maintenance_time", {"found": one_line(wanted, MAX_NAME)})
    if len(text) > MAX_PAUSE_TEXT:
        return Notice("too_long", {"found": len(text), "allowed": MAX_PAUSE_TEXT})
    await room.community.houses.begin(text, until)
    if until:
        return Notice("maintenance_begun_until", {"until": Moment(datetime.fromtimestamp(until, UTC))})
    return Notice("maintenance_begun")


def until_of(text: str, now: datetime, zone: str) -> float | None:
    """When ``30m``, ``2h``, ``1d`` are over or when it is ``18:30`` next in that zone, in unix seconds; None for
    anything else and for what is too far off."""
    if found := _LENGTH.fullmatch(text.lower()):
        seconds = int(found[1]) * _UNITS[found[2]]
        return now.timestamp() + seconds if 0 < seconds <= MOST_SECONDS else None
    if found := _CLOCK.fullmatch(text):
        here = now.astimezone(ZoneInfo(zone))
        then = here.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
        return (then if then > here else then + timedelta(days=1)).timestamp()
    return None


# ---- settings


async def reload(room: Room) -> AsyncIterator[Part]:
    """All processes read their settings anew; what each says of it."""
    try:
        number = await room.community.houses.reload()
    except Conflict:
        yield Notice("conflict")
        yield DONE
        return
    processes = await _answers(room, number)
    lines = [f"- {_reloaded(process, number, room.language)}" for process in processes]
    yield TextDelta("\n".join((say("reload_head", room.language), "", *lines)))
    yield DONE


async def _answers(room: Room, number: int) -> list[Process]:
    deadline = asyncio.get_running_loop().time() + RELOAD_SECONDS
    while True:
        processes = await room.community.processes.alive()
        late = asyncio.get_running_loop().time() > deadline
        if late or all(process.reloads >= number for process in processes):
            return processes
        await asyncio.sleep(LOOK_SECONDS)


def _reloaded(process: Process, number: int, language: str) -> str:
    name = f"**{process.role or '?'}** `{one_line(process.name, MAX_NAME)}`"
    if process.reloads < number:
        return f"{name} · {say('reload_silent', language)}"
    if process.reloaded:
        # In English, as in the log.
        return f"{name} · {say('reload_refused', language, why=one_line(process.reloaded, 300))}"
    if process.restart:
        names = ", ".join(f"`{name}`" for name in process.restart)
        return f"{name} · {say('reload_done', language)} {say('status_restart', language, names=names)}"
    return f"{name} · {say('reload_done', language)}"


# ---- announcements


async def broadcast(room: Room) -> AsyncIterator[Part]:
    """With a text a preview and a button; without one how far the last one has come."""
    text = room.value("message")
    word, _, id = text.partition(" ")
    if not text:
        async for part in _progress(room):
            yield part
    elif word == CONFIRM and re.fullmatch(r"[0-9a-f]{8}", id):
        yield await _confirmed(room, id)
    elif word == CANCEL and re.fullmatch(r"([0-9a-f]{8})?", id):
        yield Notice("broadcast_dropped" if await room.community.broadcasts.cancel(id) else "broadcast_none")
    elif len(text) > MAX_TEXT:
        yield Notice("too_long", {"found": len(text), "allowed": MAX_TEXT})
    else:
        async for part in _preview(room, text):
            yield part
    yield DONE


async def _preview(room: Room, text: str) -> AsyncIterator[Part]:
    call, language = room.call, room.language
    asked = Broadcast(
        text=text,
        by=account_of(call.author, call.conversation.platform),
        tell=str(call.conversation) if call.private else "",
        language=language,
    )
    id, spaces = await room.community.broadcasts.ask(asked)
    yield TextDelta("\n".join((say("broadcast_preview", language, count=len(spaces)), "", text)))
    send, cancel = f"{room.row.name} {CONFIRM} {id}", f"{room.row.name} {CANCEL} {id}"
    rows = (
        (Choice(say("button.broadcast_send", language), send), Choice(say("button.broadcast_drop", language), cancel)),
    )
    yield Menu(rows, say("broadcast_how", language, send=f"`/{send}`", cancel=f"`/{cancel}`"))


async def _confirmed(room: Room, id: str) -> Notice:
    by = account_of(room.call.author, room.call.conversation.platform)
    try:
        await room.community.broadcasts.confirm(id, by)
    except (NotConfirmed, Conflict):
        return Notice("broadcast_unknown")
    except OneRuns:
        return Notice("broadcast_busy")
    return Notice("broadcast_begun")


async def _progress(room: Room) -> AsyncIterator[Part]:
    newest = await room.community.broadcasts.newest()
    if newest is None:
        yield Notice("broadcast_none")
        return
    result = await room.community.broadcasts.result(newest[0])
    shown = result.broadcast.model_copy(update={"language": room.language})
    yield TextDelta("\n".join(lines_of(type(result)(shown, result.sent, result.opted_out, result.failed))))
    if result.broadcast.state == "running":
        cancel = f"{room.row.name} {CANCEL} {newest[0]}"
        choice = Choice(say("button.broadcast_cancel", room.language), cancel)
        yield Menu(((choice,),), say("broadcast_stop_how", room.language, cancel=f"`/{cancel}`"))


async def announcements(room: Room) -> AsyncIterator[Part]:
    """An administrator's: the channel in which announcements come. ``/admin set broadcasts off`` refuses them."""
    id, wanted = space_id(room.call.conversation, room.call.space), room.value("channel")
    if room.moderation is None or not id:
        yield Notice("groups_only", {"name": room.call.name})
        yield DONE
        return
    channel = await room.moderation.members.channel(room.call, wanted) if wanted else ""
    if channel is None:
        yield Notice("reports_no_channel")
    else:
        await change_space(
            room.community,
            id,
            Actor.of(room.turn),
            lambda space: space.model_copy(update={"announcements": channel}),
        )
        yield Notice("announcements_set" if channel else "announcements_usual")
    yield DONE
