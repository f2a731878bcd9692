"""Looks at all that is said and done in spaces that chose rules, where it comes in and before anything else is done
with it: what a message brings about is written down before the platform is told that it arrived.

In memory but for one round trip a batch, and what the hits cost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any

import structlog

from core.message import Arrival, ConversationKey, Seen, Sighting
from core.moderation.acts import Act
from core.moderation.classify import Classifier, Scores
from core.moderation.consequences import consequences
from core.moderation.facts import Facts
from core.moderation.flow import Flow
from core.moderation.rulebook import Policy
from core.moderation.rules import Hit
from core.people.hearing import zone_of
from core.people.identity import People, account_of
from core.people.spaces import Spaces, SpaceSettings, space_id
from core.storage.marks import Hit as Came

log = structlog.get_logger()

LATE_SECONDS = 3600.0
"""What was said longer ago, and is looked at only now, is told to the moderators and not acted on."""
AT_ONCE = 10
"""Messages looked at before others have their turn on the event loop."""
STAFF = frozenset(("owner", "admin", "moderator"))
"""Roles of a space (``core.people.access.Role``) whose holders rules let be, unless they say otherwise."""

Order = Callable[[Sequence[Act]], Awaitable[object]]
"""Writes acts down, each once by its id. Raises StorageError."""
Says = Callable[[Seen, str, str], Coroutine[Any, Any, None]]
"""Says something where that was seen; the last is a key by which it is said once. Never fails."""
Judges = Callable[[str, Sighting, Sequence[str]], Awaitable[None]]
"""Has a model judge a message of a space by rules of these names. Raises StorageError."""
OfMessages = Callable[[Sequence[tuple[str, Sighting]]], Awaitable[None]]
"""Told of messages, each with its space. Raises StorageError."""
OfArrivals = Callable[[str, Arrival], Awaitable[None]]
"""Told of who came or left, with the space. Raises StorageError; may be told twice."""


class Watch:
    """One for the process. Its lists are filled before anything is received."""

    def __init__(
        self, policy: Policy, spaces: Spaces, people: People, order: Order, says: Says, *, zone: str = "UTC"
    ) -> None:
        """``zone`` is the time zone of spaces that chose none."""
        self._policy = policy
        self._spaces = spaces
        self._people = people
        self._order = order
        self._says = says
        self._zone = zone
        self._flow = Flow()
        self._classifier: Classifier | None = None
        self._saying: set[asyncio.Task[None]] = set()
        self.judges: Judges | None = None
        self.messages: list[OfMessages] = []
        self.arrivals: list[OfArrivals] = []

    async def look(self, seen: Sequence[Seen]) -> Collection[tuple[ConversationKey, str]]:
        """The messages that are not to be answered. Raises StorageError; then it is called again with the same."""
        watched = [(space, value, settings) for value in seen for space, settings in [await self._place(value)]]
        watched = [(space, value, settings) for space, value, settings in watched if settings.moderated]
        if not watched:
            return ()
        said = [(space, value) for space, value, _ in watched if isinstance(value, Sighting)]
        before = iter(await self._policy.watched.keep(said))
        stopped: set[tuple[ConversationKey, str]] = set()
        for number, (space, value, settings) in enumerate(watched, 1):
            count = next(before) if isinstance(value, Sighting) else None
            if await self._look(space, value, settings, count) and isinstance(value, Sighting):
                stopped.add((value.conversation, value.id))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        await self._tell(watched, said)
        return stopped

    async def close(self) -> None:
        """Lets what is being said end."""
        await asyncio.gather(*self._saying)

    async def _tell(self, watched: Sequence[tuple[str, Seen, SpaceSettings]], said: list[tuple[str, Sighting]]) -> None:
        for listener in self.messages if said else ():
            await listener(said)
        for space, value, _ in watched:
            if isinstance(value, Arrival):
                for told in self.arrivals:
                    await told(space, value)

    async def _place(self, value: Seen) -> tuple[str, SpaceSettings]:
        space = space_id(value.conversation, value.space)
        return space, await self._spaces.of(space)

    async def _look(self, space: str, value: Seen, settings: SpaceSettings, before: int | None) -> bool:
        """Whether the message is not to be answered."""
        rules = await self._policy.books.rules(space)
        if rules is None:
            return False
        book = (await self._policy.books.of(space)).value
        hits = rules.seen(value, await self._facts(space, value, settings, before))
        if not hits:
            return False
        now = time.time()
        is_paused = now < book.paused_until
        await self._count(space, hits, is_paused=is_paused)
        await self._have_judged(space, value, hits)
        if is_paused:
            return False
        at = value.sent_at if isinstance(value, Sighting) else value.at
        found = consequences(hits, value, is_late=at < now - LATE_SECONDS)
        if found.acts:
            await self._order(found.acts)
            log.info(
                "rules hit",
                space=space,
                rules=[hit.rule.name for hit in hits if hit.is_live],
                acts=[str(act.kind) for act in found.acts],
            )
        if found.answer:
            self._say(value, found.answer, found.acts[0].id)
        return found.stops

    async def _facts(self, space: str, value: Seen, settings: SpaceSettings, before: int | None) -> Facts:
        return Facts(
            now=time.time(),
            space=space,
            flow=self._flow,
            messages_before=before,
            scores=self._scorer(value),
            thresholds=self.classifier.thresholds,
            is_staff=await self._is_staff(value, settings),
            zone=zone_of(settings.time_zone or self._zone),
        )

    @property
    def classifier(self) -> Classifier:
        """Read when the first space has rules."""
        if self._classifier is None:
            self._classifier = Classifier.load()
        return self._classifier

    def _scorer(self, value: Seen) -> Callable[[], Scores] | None:
        text = value.text if isinstance(value, Sighting) else value.words if isinstance(value, Arrival) else ""
        return (lambda: self.classifier.scores(text)) if text else None

    async def _is_staff(self, value: Seen, settings: SpaceSettings) -> bool:
        if isinstance(value, Sighting) and value.is_staff:
            return True
        if not settings.roles:
            return False
        person = await self._people.of(account_of(value.author, value.conversation.platform))
        return any(settings.roles.get(account, "") in STAFF for account in person.known_accounts)

    async def _count(self, space: str, hits: Sequence[Hit], *, is_paused: bool) -> None:
        counted = [(hit.rule.name, _came(hit, is_paused)) for hit in hits if not hit.needs_judge]
        await self._policy.marks.count(space, counted)

    async def _have_judged(self, space: str, value: Seen, hits: Sequence[Hit]) -> None:
        if self.judges is None or not isinstance(value, Sighting):
            return
        if names := [hit.rule.name for hit in hits if hit.needs_judge]:
            await self.judges(space, value, names)

    def _say(self, value: Seen, answer: str, key: str) -> None:
        """Beside the receiving."""
        task = asyncio.create_task(self._says(value, answer, key))
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)


def _came(hit: Hit, is_paused: bool) -> Came:
    return Came.SHADOW if hit.rule.shadow or is_paused else Came.ACTED
