"""The join check: who comes to a space shows that they are a person, before they may talk there.

Where arrivals are received they are only written down and silenced; the rest is done at deadlines, by any process that
works, so that it goes on after a restart. It fails closed, and locks nobody out for a failure of ours: who could not be
asked, or whose time ran out while we were away, waits longer, and is let be after a day.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import structlog

from core.message import Arrival, CommandCall, Movement
from core.moderation.acts import AUTOMOD, Act, ActKind, Outcome
from core.moderation.alarm import Alarm
from core.moderation.carrying import Acts
from core.moderation.cases import Case, CaseState
from core.moderation.consequences import BOT
from core.moderation.durations import DAY, MINUTE
from core.moderation.enforcer import Asked, Enforcer, Site
from core.moderation.evidence import MAX_NAME
from core.moderation.hands import PausedUntil
from core.moderation.members import Rank
from core.moderation.timers import Handler
from core.moderation.undoing import Refused
from core.parts import Choice
from core.people.spaces import Spaces, SpaceSettings
from core.storage.deadlines import Deadline, Deadlines
from core.storage.joining import Newcomer, Newcomers, Progress, newcomer_id
from core.texts import one_line, say

log = structlog.get_logger()

WHAT = "join"
"""Of the deadlines (:attr:`Deadline.what`)."""
PRESS = ".join"
"""Name of the buttons, with the newcomer's id and the number of the answer."""
USUAL_MINUTES = 5
MOST_ANSWERS = 10
MOST_ROWS = 5
"""Of buttons in one message, on the platform that has least room for them (Discord)."""
MOST_TRIES = 2
"""Answers that may be wrong, the last one included; of two answers to choose from none may be."""
LONGEST_SECONDS = DAY
"""Whoever could be neither let in nor thrown out may talk after that."""
LATE_SECONDS = 30.0
"""If a time is looked at so long after its end, nobody was there to take an answer."""
OLD_SECONDS = 3600.0
"""Who came longer ago, and is heard of only now, has been talking since."""
WAIT_SECONDS = 1.0
"""For an act to be carried out: others wait for this process meanwhile."""
AGAIN_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 15 * MINUTE
"""Seconds before somebody is asked again who could not be."""
_PRESSED = re.compile(r"([0-9a-f]{16}) ([0-9])")

Way = Literal["", "button", "question"]
InRaid = Callable[[str], Awaitable[bool]]
"""Whether everybody who comes to a space is to be checked just now. Raises StorageError."""


def way_of(settings: SpaceSettings, *, in_raid: bool = False) -> Way:
    """How newcomers are checked there; empty: not at all."""
    if not settings.moderated:
        return ""
    if settings.join_check == "question" and settings.join_question and len(settings.join_answers) > 1:
        return "question"
    return "button" if in_raid or settings.join_check in ("button", "question") else ""


class JoinCheck:
    """All newcomers of all spaces. One per process."""

    def __init__(
        self,
        newcomers: Newcomers,
        spaces: Spaces,
        acts: Acts,
        deadlines: Deadlines,
        alarm: Alarm,
        paused_until: PausedUntil,
        in_raid: InRaid,
    ) -> None:
        self._newcomers = newcomers
        self._spaces = spaces
        self._acts = acts
        self._deadlines = deadlines
        self._alarm = alarm
        self._paused_until = paused_until
        self._in_raid = in_raid

    @property
    def handlers(self) -> dict[str, Handler]:
        return {WHAT: self.due}

    # ------------------------------------------------------------------ where arrivals are received
    async def arrived(self, space: str, arrival: Arrival) -> None:
        """Somebody came, left, or asks to be let in. Raises StorageError; may be told twice."""
        if not way_of(await self._spaces.of(space), in_raid=await self._in_raid(space)):
            return
        if arrival.movement is Movement.LEFT:
            await self._left(newcomer_id(space, arrival.author.id))
            return
        now = time.time()
        if arrival.author.is_bot or arrival.at < now - OLD_SECONDS or now < await self._paused_until(space):
            return
        how_far = await self._newcomers.begin(_newcomer(space, arrival))
        if how_far.is_over or how_far.asked or how_far.has_passed:
            return
        who = how_far.newcomer
        if not who.is_request and not who.by:
            await self._silence(how_far, arrival.author.name)
        await self._at(who.id, now)

    async def _left(self, id: str) -> None:
        if await self._newcomers.get(id) is not None:
            await self._newcomers.put(id, has_left=1)
            await self._at(id, time.time())

    async def _silence(self, one: Progress, name: str) -> Progress:
        if one.is_silenced:
            return one
        [number] = await self._acts.order([_act(one, ActKind.MUTE, name)])
        return await self._newcomers.silenced(one, number)

    # ------------------------------------------------------------------ where work is done
    async def due(self, deadline: Deadline) -> None:
        """The next step with somebody. Raises StorageError, OutboundError, RightsUnknownError."""
        one = await self._newcomers.get(deadline.about)
        if one is None:
            return
        who = one.newcomer
        enforcer, settings = self._acts.enforcer(who.conversation.platform), await self._spaces.of(who.space)
        way = way_of(settings, in_raid=await self._in_raid(who.space))
        if enforcer is None:
            await self._at(who.id, time.time() + AGAIN_SECONDS)
        elif one.has_left:
            await self._close(one, enforcer)
        elif one.has_passed:
            await self._let_in(one, enforcer)
        elif not way:
            # It was switched off meanwhile.
            await self._close(one, enforcer)
        elif not one.asked:
            await self._begin(one, enforcer, settings, way)
        elif has_failed(one) or await self._is_over_time(one, settings):
            await self._throw_out(one, enforcer, settings)

    async def _begin(self, one: Progress, enforcer: Enforcer, settings: SpaceSettings, way: Way) -> None:
        who, site = one.newcomer, _site(one.newcomer)
        if not who.is_request:
            known = await enforcer.know(site, who.account, AUTOMOD)
            is_member = known is not None and known.is_here and not known.is_admin and known.rank is Rank.BELOW
            if known is None or not is_member or await self._is_brought(who, enforcer):
                await self._close(one, enforcer)
                return
            one = await self._silence(one, known.name)
            if not await self._is_silent(one, enforcer):
                return
        await self._ask(one, enforcer, settings, way)

    async def _is_brought(self, who: Newcomer, enforcer: Enforcer) -> bool:
        """Whether somebody let them in who may: then they are no strangers."""
        if who.by in ("", who.conversation.bot):
            return bool(who.by)
        by = await enforcer.know(_site(who), who.by, AUTOMOD)
        return by is not None and by.is_admin

    async def _is_silent(self, one: Progress, enforcer: Enforcer) -> bool:
        """Whether they cannot talk. If the bot cannot see to that, the check is none, and moderators hear of it."""
        who, case = one.newcomer, await self._carried(one.newcomer, one.mutes[-1])
        if case is None or case.state is CaseState.PLANNED:
            await self._at(who.id, time.time() + AGAIN_SECONDS)
            return False
        if case.state is not CaseState.FAILED:
            return True
        answer = case.answers[-1]
        if answer.outcome is not Outcome.GONE and answer.key not in ("act_paused", "automod_spares"):
            await self._alarm.tell(who.space, "join_cannot_mute")
        await self._close(one, enforcer)
        return False

    async def _ask(self, one: Progress, enforcer: Enforcer, settings: SpaceSettings, way: Way) -> None:
        who, now = one.newcomer, time.time()
        minutes = settings.join_minutes or USUAL_MINUTES
        language = settings.language or who.language
        labels = settings.join_answers[:MOST_ANSWERS] if way == "question" else (say("button.join", language),)
        order = _mixed(len(labels), who.seed)
        # Before they are asked: they may be quick.
        await self._newcomers.put(who.id, answers=len(labels), right=order.index(0))
        buttons = [Choice(labels[index], f"{PRESS} {who.id} {place}") for place, index in enumerate(order)]
        in_row = 1 + (len(buttons) - 1) // MOST_ROWS
        rows = [buttons[at : at + in_row] for at in range(0, len(buttons), in_row)]
        key = f"join_ask.{'request' if who.is_request else way}"
        text = say(key, language, count=minutes)
        if way == "question":
            text += f"\n\n{settings.join_question}"
        asked = Asked(who.account, text, rows, who.private_chat, key=f"join {who.id} {who.arrival}")
        if who.is_request and not who.private_chat:
            where = ""
        else:
            where = await enforcer.ask(_site(who), asked)
        if where:
            until = time.time() + minutes * MINUTE
            await self._newcomers.put(who.id, asked=where, until=until)
            await self._at(who.id, until)
            again = await self._newcomers.get(who.id)
            if again is not None and (again.has_passed or has_failed(again)):
                await self._at(who.id, time.time())
        elif who.is_request or now > who.at + LONGEST_SECONDS:
            await self._alarm.tell(who.space, "join_cannot_ask")
            await self._close(one, enforcer)
        else:
            await self._alarm.tell(who.space, "join_cannot_ask")
            note = one.note or await enforcer.ask(_site(who), _note(who, language))
            await self._newcomers.put(who.id, failures=one.failures + 1, note=note)
            await self._at(who.id, now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(one.failures, 10)))

    async def _is_over_time(self, one: Progress, settings: SpaceSettings) -> bool:
        """Whether they had all the time that was promised, with somebody there to take their answer."""
        who, now = one.newcomer, time.time()
        more = now + (settings.join_minutes or USUAL_MINUTES) * MINUTE
        paused = await self._paused_until(who.space)
        if now < paused:
            until = paused + more - now
        elif now < one.until - 1:
            until = one.until
        elif now - one.until > LATE_SECONDS and not one.is_extended:
            await self._newcomers.put(who.id, is_extended=1)
            await self._alarm.tell(who.space, "join_was_away")
            until = more
        else:
            return True
        await self._newcomers.put(who.id, until=until)
        await self._at(who.id, until)
        return False

    async def _let_in(self, one: Progress, enforcer: Enforcer) -> None:
        if one.newcomer.is_request:
            case = await self._do(one, _act(one, ActKind.APPROVE))
            if case is None:
                return
            if case.state is CaseState.FAILED and case.answers[-1].outcome is not Outcome.GONE:
                await self._alarm.tell(one.newcomer.space, "join_cannot_approve")
        await self._close(one, enforcer)

    async def _throw_out(self, one: Progress, enforcer: Enforcer, settings: SpaceSettings) -> None:
        who, reason, name = one.newcomer, say("join_reason", settings.language), ""
        if time.time() < (paused := await self._paused_until(who.space)):
            await self._at(who.id, paused)
            return
        if not who.is_request:
            known = await enforcer.know(_site(who), who.account, AUTOMOD)
            if known is None or not known.is_here:
                await self._close(one, enforcer)
                return
            name = known.name
        case = await self._do(one, _act(one, ActKind.DECLINE if who.is_request else ActKind.KICK, name, reason))
        if case is None:
            return
        is_stuck = case.state is CaseState.FAILED and case.answers[-1].outcome is not Outcome.GONE
        if is_stuck:
            await self._alarm.tell(who.space, "join_cannot_kick")
        await self._close(one, enforcer, lets_talk=not is_stuck)

    async def _do(self, one: Progress, act: Act) -> Case | None:
        """An act that is done; None where the platform is away, and it is looked at again."""
        [number] = await self._acts.order([act])
        case = await self._carried(one.newcomer, number)
        if case is None or case.state is CaseState.PLANNED:
            await self._at(one.newcomer.id, time.time() + AGAIN_SECONDS)
            return None
        return case

    async def _carried(self, who: Newcomer, number: int) -> Case | None:
        found = await self._acts.carried(who.space, [number], WAIT_SECONDS)
        return found[0] if found else None

    async def _close(self, one: Progress, enforcer: Enforcer, *, lets_talk: bool = True) -> None:
        """Nothing of the check is left but what moderators may want to look at."""
        who = one.newcomer
        for where in filter(None, (one.asked, one.note)):
            await enforcer.unask(_site(who), where)
        if lets_talk:
            for number in reversed(one.mutes):
                await self._unmute(one, number)
        await self._newcomers.close(one)

    async def _unmute(self, one: Progress, number: int) -> None:
        """Gives back what was before, also where that is another's mute."""
        who, id = one.newcomer, f"{_act(one, ActKind.UNMUTE).id}:{number}"
        try:
            undoing = await self._acts.undo(who.space, number, BOT, id)
        except Refused:
            log.info("somebody who was checked stays as they are", space=who.space, case=number)
        else:
            # The one before it is held up by this one.
            await self._carried(who, undoing)

    async def _at(self, id: str, at: float) -> None:
        await self._deadlines.set(Deadline(f"{WHAT}:{id}", at, WHAT, id))


def is_of_check(case: Case) -> bool:
    """It is a step of the check, which begins anew whenever somebody comes."""
    return case.act.startswith(f"{WHAT}:")


def has_failed(one: Progress) -> bool:
    """They gave too many wrong answers."""
    return one.wrong >= (MOST_TRIES if one.answers > MOST_TRIES else 1)


async def pressed(newcomers: Newcomers, deadlines: Deadlines, call: CommandCall) -> str:
    """Takes an answer; the key of the sentence about it. Raises StorageError."""
    found, where = _PRESSED.fullmatch(call.options.get("text", "")), call.conversation
    one = await newcomers.get(found[1]) if found else None
    if found is None or one is None or has_failed(one):
        return "toast.old"
    who, answer = one.newcomer, int(found[2])
    if (where.platform, where.bot, call.author.id) != (who.conversation.platform, who.conversation.bot, who.account):
        return "join_not_you"
    if one.has_passed:
        return "join_passed"
    if answer >= one.answers:
        return "toast.old"
    if answer == one.right:
        await newcomers.put(who.id, has_passed=1)
    else:
        await newcomers.mistook(who.id, answer)
        one = await newcomers.get(who.id) or one
        if not has_failed(one):
            return "join_wrong"
    await deadlines.set(Deadline(f"{WHAT}:{who.id}", time.time(), WHAT, who.id))
    return "join_passed" if answer == one.right else "join_failed"


def _newcomer(space: str, arrival: Arrival) -> Newcomer:
    return Newcomer(
        space,
        arrival.update,
        arrival.conversation,
        arrival.author.id,
        arrival.at,
        arrival.by,
        arrival.movement is Movement.ASKED,
        arrival.private_chat,
        arrival.author.language,
        secrets.token_hex(8),
    )


def _act(one: Progress, kind: ActKind, name: str = "", reason: str = "") -> Act:
    """By its id the same however often it is asked for."""
    who = one.newcomer
    arrival = hashlib.blake2b(who.arrival.encode(), digest_size=8).hexdigest()
    is_mute = kind is ActKind.MUTE
    return Act(
        f"join:{who.id}:{arrival}:{kind}",
        kind,
        who.conversation,
        who.space.split(":", 2)[2],
        BOT,
        who.account,
        one_line(name, MAX_NAME),
        seconds=LONGEST_SECONDS if is_mute else None,
        reason=reason,
        at=who.at,
        is_quiet=is_mute,
    )


def _note(who: Newcomer, language: str) -> Asked:
    key = f"join note {who.id} {who.arrival}"
    return Asked(who.account, say("join_open_messages", language), (), key=key, is_note=True)


def _site(who: Newcomer) -> Site:
    return Site(who.conversation, who.space.split(":", 2)[2])


def _mixed(count: int, seed: str) -> Sequence[int]:
    """The numbers below ``count``, in the same order for the same seed."""
    return sorted(range(count), key=lambda index: hashlib.blake2b(f"{seed} {index}".encode()).digest())
