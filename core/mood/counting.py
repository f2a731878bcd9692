"""Counts how people get on where a space chose so and its members know it: sums of moods, insults and topics.

No text and no account goes anywhere from here: what is handed to the store is counted there, and its marks of people
lose their meaning within a day (``core/storage/mood.py``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog

from core import clock
from core.errors import StorageError
from core.message import Sighting
from core.moderation.classify import Classifier
from core.moderation.folding import simplified
from core.mood.digest import is_wanted, next_digest
from core.mood.reading import read
from core.people.hearing import zone_of
from core.people.identity import People, Person, account_of
from core.people.spaces import Spaces, SpaceSettings
from core.storage.deadlines import Deadline, Deadlines
from core.storage.mood import Heard, MoodCells, is_open
from core.texts import say

log = structlog.get_logger()

WHAT = "mood"
"""Of deadlines: somebody is to look whether people are angrier than usual."""
LOOK_SECONDS = 600
"""Between two such looks at a channel."""
TELL_SECONDS = 600.0
"""Between two tries to tell members."""
AT_ONCE = 10
"""Messages read before others have their turn on the event loop."""
MOST_LOOKS = 10_000

Tells = Callable[[Sighting, str, str], Awaitable[bool]]
"""Says something where that was seen, once for the last; whether it could. Never fails."""


class MoodCounter:
    """One for the process; told of what is said by ``core.moderation.watch.Watch``."""

    def __init__(
        self,
        cells: MoodCells,
        spaces: Spaces,
        people: People,
        deadlines: Deadlines,
        classifier: Callable[[], Awaitable[Classifier]],
        tells: Tells,
        *,
        zone: str = "UTC",
    ) -> None:
        """``zone`` is the time zone of spaces that chose none."""
        self._cells = cells
        self._spaces = spaces
        self._people = people
        self._deadlines = deadlines
        self._classifier = classifier
        self._tells = tells
        self._zone = zone
        self._weeks: dict[str, Deadline] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._tried: dict[str, float] = {}
        self._looks: set[tuple[str, str, int]] = set()

    async def hear(self, said: Sequence[tuple[str, Sighting]]) -> None:
        """Counts messages, each with its space. Raises StorageError; then it may be called again with the same."""
        now = time.time()
        chosen: dict[str, SpaceSettings] = {}
        for space in {space for space, _ in said}:
            settings = await self._spaces.of(space)
            if settings.mood:
                chosen[space] = settings
        wanted = [(space, one) for space, one in said if space in chosen and _counts(one, now)]
        if not wanted:
            return
        classifier = await self._classifier()
        left_out = {space: [simplified(word).casefold() for word in chosen[space].blocked_words] for space in chosen}
        people = await self._known({account_of(one.author, one.conversation.platform) for _, one in wanted})
        heard: list[tuple[Sighting, Heard]] = []
        for number, (space, one) in enumerate(wanted, 1):
            person = people[account_of(one.author, one.conversation.platform)]
            if not person.is_out_of_mood:
                heard.append((one, _heard(space, one, person, left_out[space], classifier)))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        told = await self._cells.count([value for _, value in heard])
        for (one, value), is_told in zip(heard, told, strict=True):
            if not is_told:
                self._tell(one, value.space, chosen[value.space])
            elif "insults" in value.fields or "anger" in value.fields:
                await self._look_soon(value)
        for space in {value.space for (_, value), is_told in zip(heard, told, strict=True) if is_told}:
            await self._tell_week(space, chosen[space], now)

    async def close(self) -> None:
        """Lets what is being said end."""
        await asyncio.gather(*self._telling)

    async def _known(self, accounts: Collection[str]) -> dict[str, Person]:
        return dict(zip(accounts, await asyncio.gather(*map(self._people.of, accounts)), strict=True))

    async def _look_soon(self, value: Heard) -> None:
        at = (int(time.time()) // LOOK_SECONDS + 1) * LOOK_SECONDS
        look = value.space, value.channel, at
        if look in self._looks:
            return
        if len(self._looks) > MOST_LOOKS:
            self._looks.clear()
        about = f"{value.space} {value.channel}"
        # Every process sets the same one, whenever it does.
        await self._deadlines.set(Deadline(f"{WHAT}:{about}", at, WHAT, about))
        self._looks.add(look)

    async def _tell_week(self, space: str, settings: SpaceSettings, now: float) -> None:
        if not is_wanted(settings):
            return
        deadline = next_digest(space, now, zone_of(settings.time_zone or self._zone))
        if self._weeks.get(space) != deadline:
            await self._deadlines.set(deadline)
            self._weeks[space] = deadline

    def _tell(self, one: Sighting, space: str, settings: SpaceSettings) -> None:
        """Beside the receiving. Until members were told nothing is counted."""
        if clock.seconds() < self._tried.get(space, 0.0):
            return
        self._tried[space] = clock.seconds() + TELL_SECONDS
        task = asyncio.create_task(self._told(one, space, say("mood_told", settings.language)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _told(self, one: Sighting, space: str, text: str) -> None:
        try:
            if await self._tells(one, text, f"mood {space}"):
                await self._cells.told(space)
        except StorageError as error:
            log.warning("members are told later that moods are counted", space=space, cause=str(error))


def _heard(space: str, one: Sighting, person: Person, left_out: Collection[str], classifier: Classifier) -> Heard:
    reading = read(one.text)
    is_insult = "toxic" in classifier.thresholds.over(classifier.scores(one.text), "flag")
    fields = [] if reading.mood == "neutral" else [str(reading.mood)]
    fields += ["insults"] * is_insult + ["anger"] * reading.is_angry
    # What is an insult is counted, and its words are shown to nobody; nor are pieces of what is blocked.
    words = () if is_insult else tuple(word for word in reading.words if not _has_any(word, left_out))
    channel = one.conversation.thread or one.conversation.chat
    return Heard(space, channel, person.id, f"{one.conversation} {one.id}", one.sent_at, tuple(fields), words)


def _has_any(word: str, left_out: Collection[str]) -> bool:
    return any(word in one or one in word for one in left_out)


def _counts(one: Sighting, now: float) -> bool:
    return bool(one.text) and not one.edited and not one.author.is_bot and is_open(one.sent_at, now)
