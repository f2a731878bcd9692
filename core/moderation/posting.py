"""The log of a space: all that was done, could not be done or was taken back is told in a channel for its moderators.

It is told from the book, once for each state of a case. What comes too fast to be read is told together a little later:
a raid must not wait for the platform to take hundreds of messages.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from core.errors import OutboundError, OutboundFault
from core.message import ConversationKey, Platform
from core.moderation.acts import AUTOMOD
from core.moderation.carrying import Acts
from core.moderation.cases import Case, CaseKind, CaseState
from core.moderation.checking import bot_lacks
from core.moderation.enforcer import Enforcer, Rows, Site
from core.moderation.telling import quoted
from core.moderation.timers import Handler
from core.moderation.undoing import takes_back
from core.parts import Choice
from core.people.spaces import Spaces
from core.storage.deadlines import Deadline, Deadlines
from core.texts import Label, Moment, say

log = structlog.get_logger()

WHAT = "log"
"""Of the deadlines at which the rest of a busy minute is told."""
MINUTE = 60
MOST_POSTS = 5
"""Told one by one of a minute, by each process; of more, Discord makes whoever posts them wait."""
MOST_LINES = 20
MOST_TOGETHER = 1000
"""Cases among which those of a busy minute are looked for."""
MAX_SHOWN = 300
"""Characters of what a message said."""
MINUTES_KEPT = 100
"""Of all spaces, in memory."""


class CaseLog:
    """The logs of all spaces. One per process."""

    def __init__(self, acts: Acts, spaces: Spaces, deadlines: Deadlines) -> None:
        self._acts = acts
        self._spaces = spaces
        self._deadlines = deadlines
        self._posted: OrderedDict[tuple[str, int], int] = OrderedDict()
        self.handlers: Mapping[str, Handler] = {WHAT: self._sum_up}
        """For :class:`core.moderation.timers.Timers`."""

    async def post(self, place: str, case: Case) -> None:
        """Tells of a case: a listener of :class:`Acts`. What a channel does not take is not told: it is in the book.
        Raises StorageError, RightsUnknownError, OutboundError."""
        if case.is_quiet or case.state is CaseState.ENDED:
            return
        channel, language = await self._channel(place)
        enforcer = self._acts.enforcer(place.partition(":")[0])
        if not channel or enforcer is None:
            return
        minute = int(case.at // MINUTE)
        if not self._has_room(place, minute):
            about = json.dumps([place, minute])
            await self._deadlines.set(Deadline(f"{WHAT}:{place}:{minute}", time.time() + MINUTE, WHAT, about))
            return
        text = in_words(case, Platform(place.partition(":")[0]), await _link(enforcer, case, place), language)
        key = f"log:{place}:{case.number}:{case.state}:{len(case.answers)}"
        await self._say(place, channel, text, key, buttons(case, place, language))

    async def _sum_up(self, deadline: Deadline) -> None:
        """What was done in a busy minute, a line for each act."""
        old, minute = json.loads(deadline.about)
        place = await self._acts.cases.place(old)
        platform = Platform(place.partition(":")[0])
        if self._acts.enforcer(platform) is None:
            raise OutboundError(OutboundFault.TRANSIENT, "another process has that platform")
        channel, language = await self._channel(place)
        found = [
            case
            for case in reversed(await self._acts.cases.latest(place, MOST_TOGETHER))
            if int(case.at // MINUTE) == minute and case.act and not case.is_quiet
        ]
        if channel and found:
            at = Moment(datetime.fromtimestamp(minute * MINUTE, UTC))
            lines = [say("log_together", language, time=at)]
            lines += [_short(case, platform, language) for case in found[:MOST_LINES]]
            if len(found) > MOST_LINES:
                lines.append(say("log_more", language, count=len(found) - MOST_LINES))
            await self._say(place, channel, "\n".join(lines), f"log:{place}:{minute}:{len(found)}", ())

    async def _say(self, place: str, channel: str, text: str, key: str, rows: Rows) -> None:
        platform, bot, id = place.split(":", 2)
        enforcer = self._acts.enforcer(platform)
        site = Site(ConversationKey(Platform(platform), bot, id), id)
        if enforcer is None or not await enforcer.post(site, channel, text, key, rows):
            log.warning("a channel does not take the log", place=place, channel=channel)

    async def _channel(self, place: str) -> tuple[str, str]:
        """Empty for none; and the language."""
        settings = await self._spaces.of(place)
        return settings.log_channel or await self._acts.cases.channel(place), settings.language

    def _has_room(self, place: str, minute: int) -> bool:
        count = self._posted[place, minute] = self._posted.pop((place, minute), 0) + 1
        while len(self._posted) > MINUTES_KEPT:
            self._posted.popitem(last=False)
        return count <= MOST_POSTS


def buttons(case: Case, place: str, language: str) -> Rows:
    """Undo, and for what a rule did whether that was right. They name the space: a log may be another group's."""
    what = f"{place.split(':', 2)[2]}/{case.number}"
    found = list[Choice]()
    can_undo = case.gives_strikes or (case.state.is_in_force and takes_back(case) is not None)
    if can_undo and not case.undoes:
        found.append(Choice(say("button.undo_act", language), f"undo {what}"))
    if case.rule and case.state is not CaseState.FAILED:
        found += [Choice(say(f"button.mark_{word}", language), f"mark {word} {what}") for word in ("right", "wrong")]
    return (tuple(found),) if found else ()


def in_words(case: Case, platform: Platform, link: str, language: str) -> str:
    """A case as its moderators read it. What people wrote stands there as code: it is no mark and no mention."""
    lines = [_line(case, language), _actor(case, language)]
    if case.undoes:
        lines.append(say("log_undoes", language, number=str(case.undoes)))
    if missed := _missed(case, platform, language):
        lines.append(missed)
    elif case.until is not None:
        until = Moment(datetime.fromtimestamp(round(case.until), UTC))
        lines.append(say("act_until", language, until=until))
    if case.reason:
        lines.append(say("act_told_reason", language, reason=quoted(case.reason)))
    if case.strikes and case.state.is_in_force:
        lines.append(say("log_strikes", language, count=case.strikes))
    if link:
        lines.append(link)
    said = case.evidence.text
    if said:
        shown = said if len(said) <= MAX_SHOWN else said[:MAX_SHOWN] + "…"
        lines.append("> " + quoted(shown))
    if case.evidence.files:
        lines.append(", ".join(map(quoted, case.evidence.files)))
    return "\n".join(filter(None, lines))


def _line(case: Case, language: str) -> str:
    act = Label("act", case.kind)
    if not case.account:
        return say("log_head", language, number=str(case.number), act=act)
    name = quoted(case.name) or "?"
    return say("log_head_about", language, number=str(case.number), act=act, name=name, account=quoted(case.account))


def _actor(case: Case, language: str) -> str:
    if case.rule:
        return say("log_by_rule", language, name=quoted(case.rule))
    if case.actor == AUTOMOD:
        return say("log_by_automod", language)
    return say("log_by", language, name=quoted(case.actor_name) or quoted(case.actor))


def _short(case: Case, platform: Platform, language: str) -> str:
    return " · ".join(filter(None, (_line(case, language), _missed(case, platform, language))))


def _missed(case: Case, platform: Platform, language: str) -> str:
    """What was not done, and why; empty where all was."""
    if case.state not in (CaseState.FAILED, CaseState.PARTLY) or not case.answers:
        return ""
    answer = case.answers[-1]
    if answer.key and (notice := bot_lacks(answer.key, platform)):
        why = say(notice.key, language, **notice.values)
    else:
        why = say(f"log_why.{answer.outcome}", language)
    return say(f"log_{case.state}", language, why=why)


async def _link(enforcer: Enforcer, case: Case, place: str) -> str:
    """Where what it is about can be seen, where it is still there."""
    if case.kind in (CaseKind.DELETE, CaseKind.PURGE, CaseKind.REPOST) or not case.evidence.message_id:
        return ""
    if case.evidence.link or not case.conversation:
        return case.evidence.link
    site = Site(ConversationKey.parse(case.conversation), place.split(":", 2)[2])
    return await enforcer.link(site, case.evidence.message_id)
