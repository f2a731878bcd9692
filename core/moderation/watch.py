"""Looks at all that is said and done in spaces that chose rules, where it comes in and before anything else is done
with it: what a message brings about is written down before the platform is told that it arrived.

In memory but for one round trip a batch, and what the hits cost.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from core.message import Arrival, ConversationKey, Reacted, Seen, Sighting
from core.moderation.acts import Act
from core.moderation.albums import Albums
from core.moderation.classify import Classifier, Scores, shared_classifier
from core.moderation.consequences import NOTHING, Consequences, consequences
from core.moderation.enforcer import Site
from core.moderation.facts import Facts
from core.moderation.flow import Flow
from core.moderation.invitations import OwnInvites
from core.moderation.rulebook import Policy
from core.moderation.rules import Hit
from core.people.hearing import zone_of
from core.people.identity import People, account_of
from core.people.spaces import Spaces, SpaceSettings, space_id
from core.storage.marks import Hit as Came

log = structlog.get_logger()

LATE_SECONDS = 3600.0
"""What was said longer ago, and is looked at only now, is told to the moderators and not acted on."""
QUIET_SECONDS = 20.0
"""A rule's answer is not given again in the same place so soon: who floods does not make the bot do so, too."""
MOST_ANSWERS = 1000
"""Places and answers that are remembered for it."""
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
        self._albums = Albums()
        self._classifier: Classifier | None = None
        self._saying: set[asyncio.Task[None]] = set()
        self._said: OrderedDict[tuple[ConversationKey, str], float] = OrderedDict()
        """When an answer was given last, by the monotonic clock."""
        self.judges: Judges | None = None
        self.has_second_look: Callable[[], bool] = lambda: False
        """Whether ``judges`` can take a second look at what the classifier leaves open now."""
        self.own_invites: OwnInvites | None = None
        """None: those to the space itself are not known."""
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
            found = await self._look(space, value, settings, count)
            if isinstance(value, Sighting):
                self._albums.saw(value, found.acts)
                if found.stops:
                    stopped.add((value.conversation, value.id))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        stopped.update(await self._take_albums([value for _, value in said if value.album]))
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

    async def _take_albums(self, said: Sequence[Sighting]) -> Iterable[tuple[ConversationKey, str]]:
        """Of an album all goes, or nothing: those of its pieces that go."""
        acts = self._albums.rest(said)
        if acts:
            await self._order(acts)
            self._albums.done(said, acts)
        return [(one.conversation, one.id) for one in said if self._albums.goes(one)]

    async def _look(self, space: str, value: Seen, settings: SpaceSettings, before: int | None) -> Consequences:
        """What follows, ordered already."""
        rules = await self._policy.books.rules(space)
        if rules is None:
            return NOTHING
        book = (await self._policy.books.of(space)).value
        facts = await self._facts(space, value, settings, before)
        if rules.looks_at_invites:
            facts = replace(facts, own_invites=await self._invites(value))
        hits = rules.seen(value, facts)
        if not hits:
            return NOTHING
        now = time.time()
        is_paused = now < book.paused_until
        await self._count(space, hits, is_paused=is_paused)
        await self._have_judged(space, value, hits)
        if is_paused:
            return NOTHING
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
        return found

    async def _facts(self, space: str, value: Seen, settings: SpaceSettings, before: int | None) -> Facts:
        await self.ready_classifier()
        return Facts(
            now=time.time(),
            space=space,
            flow=self._flow,
            messages_before=before,
            scores=self._scorer(value),
            thresholds=self.classifier.thresholds,
            has_second_look=isinstance(value, Sighting) and self.judges is not None and self.has_second_look(),
            is_staff=await is_staff(self._people, settings, value),
            zone=zone_of(settings.time_zone or self._zone),
        )

    @property
    def classifier(self) -> Classifier:
        """Read when the first space has rules."""
        if self._classifier is None:
            self._classifier = shared_classifier()
        return self._classifier

    async def ready_classifier(self) -> Classifier:
        """The same, read in a thread where that was not done before. Its scores of the last texts cost nothing."""
        if self._classifier is None:
            self._classifier = await asyncio.to_thread(shared_classifier)
        return self._classifier

    def _scorer(self, value: Seen) -> Callable[[], Scores] | None:
        text = value.text if isinstance(value, Sighting) else value.words if isinstance(value, Arrival) else ""
        return (lambda: self.classifier.scores(text)) if text else None

    async def _invites(self, value: Seen) -> frozenset[str]:
        if self.own_invites is None or isinstance(value, Reacted):
            return frozenset()
        text, links = (value.text, value.links) if isinstance(value, Sighting) else (value.words, ())
        return await self.own_invites.among(Site(value.conversation, value.space), text, links)

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
        now, where = time.monotonic(), (value.conversation, answer)
        if now - self._said.get(where, float("-inf")) < QUIET_SECONDS:
            return
        self._said[where] = now
        self._said.move_to_end(where)
        if len(self._said) > MOST_ANSWERS:
            self._said.popitem(last=False)
        task = asyncio.create_task(self._says(value, answer, key))
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)


async def is_staff(people: People, settings: SpaceSettings, value: Seen) -> bool:
    """Whether its author is of the staff, by the platform or by the space's own roles. Raises StorageError."""
    if isinstance(value, Sighting) and value.is_staff:
        return True
    if not settings.roles:
        return False
    person = await people.of(account_of(value.author, value.conversation.platform))
    return any(settings.roles.get(account, "") in STAFF for account in person.known_accounts)


def _came(hit: Hit, is_paused: bool) -> Came:
    return Came.SHADOW if hit.rule.shadow or is_paused else Came.ACTED
