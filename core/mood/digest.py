"""A week of a space for its moderators, on Monday morning: sums alone, and what was done by acts and rules."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo

import structlog

from core.moderation.acts import ActKind
from core.moderation.cases import Case, CaseKind, CaseState
from core.moderation.telling import quoted
from core.mood.alerts import Posts
from core.mood.trend import Trend, rounded, trend
from core.people.hearing import zone_of
from core.people.spaces import Spaces, SpaceSettings
from core.storage.cases import Cases
from core.storage.deadlines import Deadline, Deadlines
from core.storage.marks import Hit, Marks
from core.storage.mood import DAY, LEAST_PEOPLE, MoodCells
from core.storage.shared import Memory
from core.texts import say

log = structlog.get_logger()

WHAT = "mood-week"
"""Of deadlines: a week is to be told."""
HOUR_OF_DAY = 9
AGAIN_SECONDS = 600
"""Until the next try, where a channel did not take it."""
LATE_DAYS = 2
"""After Monday; then nobody is told of that week any more."""
MOST_CASES = 1000
"""The newest, among which those of the week are counted."""
MOST_RULES = 5
BARS = "▁▂▃▄▅▆▇█"
NOT_SHOWN = "·"


class MoodDigest:
    """``send`` is the handler of the deadlines that :func:`next_digest` makes."""

    def __init__(
        self,
        cells: MoodCells,
        spaces: Spaces,
        cases: Cases,
        marks: Marks,
        deadlines: Deadlines,
        memory: Memory,
        posts: Posts,
        *,
        zone: str = "UTC",
    ) -> None:
        """``zone`` is the time zone of spaces that chose none."""
        self._cells = cells
        self._spaces = spaces
        self._cases = cases
        self._marks = marks
        self._deadlines = deadlines
        self._memory = memory
        self._posts = posts
        self._zone = zone

    async def send(self, deadline: Deadline) -> None:
        """Tells of the week before the Monday that the deadline names, once. Raises StorageError, OutboundError."""
        space, _, day = deadline.about.partition(" ")
        settings, monday, now = await self._spaces.of(space), date.fromisoformat(day), time.time()
        channel = settings.log_channel or await self._cases.channel(space)
        if not (is_wanted(settings) and channel) or await self._memory.recall(_told(space)) == day:
            return
        today = datetime.fromtimestamp(now, zone_of(settings.time_zone or self._zone)).date()
        if today - monday > timedelta(days=LATE_DAYS):
            log.warning("a week was told to nobody", space=space, week=day)
            return
        text = await self._text(space, monday, settings.language)
        if text and not await self._posts(space, channel, text, f"{WHAT} {space} {day}"):
            await self._deadlines.set(replace(deadline, at=now + AGAIN_SECONDS))
            return
        await self._memory.remember(_told(space), day)

    async def _text(self, space: str, monday: date, language: str) -> str:
        """Empty where there is nothing to tell."""
        end = int(datetime(monday.year, monday.month, monday.day, tzinfo=UTC).timestamp())
        week = await trend(self._cells, space, "", 7, end - 1)
        before = await trend(self._cells, space, "", 7, end - 7 * DAY - 1)
        cases = [
            case
            for case in await self._cases.latest(space, MOST_CASES)
            if end - 7 * DAY <= case.at < end
            and not case.is_quiet
            and case.state not in (CaseState.PLANNED, CaseState.FAILED)
        ]
        # Hits are counted by days; those of this morning are among them.
        days = (datetime.now(UTC).date() - monday).days + 8
        hits = await self._marks.counts(space, days)
        lines = [*_moods(week, before, language), *_done(cases, language), *_rules(hits, language)]
        if not lines:
            return ""
        heading = say("mood_week", language, day=(monday - timedelta(days=7)).isoformat())
        return "\n".join((f"**{heading}**", *(f"- {line}" for line in lines), "", say("mood_week_more", language)))


def is_wanted(settings: SpaceSettings) -> bool:
    return bool(settings.mood and settings.moderated and settings.mood_digest)


def next_digest(space: str, now: float, zone: tzinfo) -> Deadline:
    """When the week of ``now`` is told. Each week has a deadline of its own: setting the next one moves none that is
    due, and another time zone moves the one of this week."""
    local = datetime.fromtimestamp(now, zone)
    monday = (local - timedelta(days=local.weekday())).replace(hour=HOUR_OF_DAY, minute=0, second=0, microsecond=0)
    if monday.timestamp() <= now:
        monday += timedelta(days=7)
    about = f"{space} {monday.date().isoformat()}"
    return Deadline(f"{WHAT}:{about}", monday.timestamp(), WHAT, about)


def bars(found: Trend) -> str:
    """Messages of each hour or day, as letters of a height."""
    shown = {cell.begin: rounded(cell.messages) for cell in found.cells}
    highest = max(shown.values(), default=0) or 1
    last = len(BARS) - 1
    return "".join(BARS[round(last * shown[at] / highest)] if at in shown else NOT_SHOWN for at in found.begins)


def _moods(week: Trend, before: Trend, language: str) -> list[str]:
    if not week.cells:
        return []
    shares = {name: week.percent(name) for name in ("high", "low", "insults", "anger")}
    lines = [
        say("mood_volume", language, messages=week.messages, people=week.people),
        say("mood_week_days", language, bars=f"`{bars(week)}`"),
        say("mood_shares", language, **shares),
    ]
    if before.cells:
        old = {name: before.percent(name) for name in ("high", "low")}
        lines.append(say("mood_week_before", language, messages=before.messages, **old))
    if week.topics:
        lines.append(say("mood_topics", language, topics=", ".join(f"`{word}`" for word in week.topics)))
    lines.append(say("mood_note", language, least=LEAST_PEOPLE))
    return lines


def _done(cases: Sequence[Case], language: str) -> list[str]:
    kinds = Counter(case.kind for case in cases)
    reports = kinds[CaseKind.REPORT]
    acts = [(kind, number) for kind, number in kinds.most_common() if kind.value in set(ActKind)]
    lines = [say("mood_week_reports", language, count=reports)] if reports else []
    if acts:
        shown = ", ".join(f"{say(f'act.{kind}', language)} {number}" for kind, number in acts)
        lines.insert(0, say("mood_week_acts", language, acts=shown))
    return lines


def _rules(hits: dict[str, Counter[Hit]], language: str) -> list[str]:
    counts = Counter({rule: found[Hit.ACTED] + found[Hit.SHADOW] for rule, found in hits.items()})
    most = [f"{quoted(rule)} {number}" for rule, number in counts.most_common(MOST_RULES) if number]
    return [say("mood_week_rules", language, rules=", ".join(most))] if most else []


def _told(space: str) -> str:
    return f"{WHAT} {space}"
