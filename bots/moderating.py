"""What carries out acts on the people and places of spaces, put together of all platforms."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from bots.platforms import Connection, Shared
from core.access import Right
from core.errors import OutboundError, OutboundFault
from core.jobs import Job, Jobs
from core.message import Attachment, ConversationKey, Platform, Seen, Sighting
from core.models.embedding import Embedder
from core.models.router import Router
from core.moderation.appeals import Appeals
from core.moderation.carrying import Acts
from core.moderation.doors import Doors
from core.moderation.enforcer import Site
from core.moderation.evidence import Said
from core.moderation.invitations import OwnInvites
from core.moderation.judge import Judge
from core.moderation.judging import JOB, Bench, Docket
from core.moderation.ladder import Ladder
from core.moderation.meaning import MODEL, reading
from core.moderation.pictures import JOB as PICTURES
from core.moderation.pictures import PictureBench, PictureDocket
from core.moderation.posting import CaseLog
from core.moderation.rejoining import Rejoining
from core.moderation.strikes import Strikes
from core.moderation.timers import Handler, Timers
from core.moderation.watch import Watch
from core.mood.alerts import MoodAlerts
from core.mood.counting import WHAT as MOOD
from core.mood.counting import MoodCounter
from core.mood.digest import WHAT as WEEK
from core.mood.digest import MoodDigest
from core.people.access import Access, Asker, Standing
from core.people.kin import kin
from core.people.spaces import space_id
from core.settings import Owners
from core.storage.appeals import AppealBook
from core.storage.deadlines import Deadlines
from core.storage.judging import Briefs
from core.storage.mood import MoodCells
from core.storage.shared import Memory, Once
from core.workshop import Workshop

Start = Callable[[Coroutine[Any, Any, None], str], object]


def open_acts(shared: Shared, connections: Mapping[Platform, Connection]) -> Acts:
    """The acts of this process."""
    watched = shared.community.policy.watched

    async def may(asker: Asker, right: Right) -> bool:
        known = connections[asker.conversation.platform].may
        return known is not None and await known(asker, right)

    async def standing(asker: Asker, fresh: bool) -> Standing:
        known = connections[asker.conversation.platform].standing
        return await known(asker, fresh) if known is not None else Standing()

    async def texts_of(conversation: ConversationKey, space: str, ids: Sequence[str]) -> Mapping[str, Said]:
        found = await watched.of(space_id(conversation, space), conversation, ids)
        return {
            id: Said(versions[-1].author.name, versions[-1].text, versions[-1].author.id)
            for id, versions in found.items()
            if versions
        }

    people, spaces, owners = shared.community.people, shared.community.spaces, Owners(shared.settings)
    acts = Acts(
        shared.store,
        {platform: c.enforcer for platform, c in connections.items() if c.enforcer is not None},
        keep_days=shared.settings.moderation.keep_days,
        access=Access(people, spaces, owners, Once(shared.store), may=may, standing=standing),
        texts_of=texts_of,
        paused_until=shared.community.policy.books.paused_until,
        recourse_of=Appeals(AppealBook(shared.store), spaces).recourse,
    )

    acts.listeners += [
        Ladder(acts, spaces, Strikes(acts.cases, spaces), partial(kin, people, spaces)).climb,
        CaseLog(acts, spaces, Deadlines(shared.store)).post,
    ]
    return acts


def open_watch(shared: Shared, acts: Acts, jobs: Jobs | None, stack: AsyncExitStack) -> Watch:
    """What looks at all that comes in where a space has rules. ``jobs`` are those of this process, where it has any."""
    community = shared.community

    async def say(seen: Seen, answer: str, key: str) -> None:
        place = seen.conversation
        enforcer = acts.enforcer(place.platform)
        if enforcer is not None:
            # A topic of a group is a channel of its own.
            await enforcer.post(Site(place, seen.space), place.thread or place.chat, answer, key)

    zone = shared.settings.chat.time_zone
    watch = Watch(community.policy, community.spaces, community.people, acts.order, say, zone=zone)
    stack.push_async_callback(watch.close)
    if jobs is None:
        jobs = Jobs(shared.store, [Job(JOB, "text"), Job(PICTURES, "text")], {})
        stack.push_async_callback(jobs.close)
    briefs = Briefs(shared.store)
    watch.judges = Docket(briefs, jobs.enqueue).judges
    watch.own_invites = own_invites(acts)
    watch.has_second_look = lambda: any(model.name == MODEL for model in shared.catalog.of_kind("embedding"))
    watch.messages.append(PictureDocket(briefs, community.spaces, jobs.enqueue).put)
    counter = _count_moods(shared, acts, watch)
    stack.push_async_callback(counter.close)
    watch.messages.append(counter.hear)
    Doors.of(community, acts).hear(watch)
    watch.arrivals.append(Rejoining(acts).hear)
    return watch


def own_invites(acts: Acts) -> OwnInvites:
    """Invitations to the spaces themselves, as their platforms tell them."""

    async def invites(site: Site) -> Sequence[str]:
        enforcer = acts.enforcer(site.conversation.platform)
        return await enforcer.invites(site) if enforcer is not None else ()

    return OwnInvites(invites)


def _count_moods(shared: Shared, acts: Acts, watch: Watch) -> MoodCounter:
    async def tell(seen: Sighting, text: str, key: str) -> bool:
        place = seen.conversation
        enforcer = acts.enforcer(place.platform)
        site = Site(place, seen.space)
        return enforcer is not None and await enforcer.post(site, place.thread or place.chat, text, key)

    community, store, zone = shared.community, shared.store, shared.settings.chat.time_zone
    return MoodCounter(
        MoodCells(store), community.spaces, community.people, Deadlines(store), watch.ready_classifier, tell, zone=zone
    )


def mood_handlers(shared: Shared, acts: Acts) -> Mapping[str, Handler]:
    """What looks whether people are angrier than usual, and tells of each week."""

    async def post(space: str, channel: str, text: str, key: str) -> bool:
        platform, bot, id = space.split(":", 2)
        enforcer = acts.enforcer(platform)
        if enforcer is None:
            raise OutboundError(OutboundFault.TRANSIENT, "another process has that platform")
        site = Site(ConversationKey(Platform(platform), bot, id), id)
        return await enforcer.post(site, channel, text, key)

    def shown(space: str, channel: str) -> str:
        return f"<#{channel}>" if space.startswith(Platform.DISCORD) else f"`{channel}`"

    store, spaces, cells, cases = shared.store, shared.community.spaces, MoodCells(shared.store), acts.cases
    alerts = MoodAlerts(cells, spaces, cases, Once(store), post, shown)
    marks, zone = shared.community.policy.marks, shared.settings.chat.time_zone
    digest = MoodDigest(cells, spaces, cases, marks, Deadlines(store), Memory(store), post, zone=zone)
    return {MOOD: alerts.check, WEEK: digest.send}


def judging(
    shared: Shared, router: Router, workshop: Workshop, acts: Acts, connections: Mapping[Platform, Connection]
) -> tuple[Job, Job]:
    """The jobs in which models judge messages, and look at pictures: those only where there are ``connections`` to all
    platforms, by which the pictures are fetched."""

    async def fetch(conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        return await connections[conversation.platform].outbound.fetch(conversation, attachment, limit)

    settings, community, catalog = shared.settings.moderation, shared.community, shared.catalog
    judge = Judge(workshop.writer, catalog, model=settings.judge_model, seconds=settings.judge_seconds)
    briefs = Briefs(shared.store)
    reads = reading(Embedder(catalog, router))
    bench = Bench(briefs, community.policy, community.spaces, settings, judge, acts.order, reads)
    pictures = PictureBench(briefs, community.spaces, workshop.safety, fetch, acts.order)
    return Job(JOB, "text", bench.run), Job(PICTURES, "text", pictures.run if connections else None)


def tend_acts(acts: Acts, handlers: Mapping[str, Handler], shared: Shared, start: Start, *, works: bool) -> None:
    """Carries out what is ordered here, and in a process that works what is due anywhere. ``handlers`` are those of
    others, by :attr:`core.storage.deadlines.Deadline.what`."""
    start(acts.run(), "acts")
    if works:
        doors = Doors.of(shared.community, acts)
        told = CaseLog(acts, shared.community.spaces, Deadlines(shared.store)).handlers
        known = {**mood_handlers(shared, acts), **told, **doors.handlers, **acts.handlers, **handlers}
        start(Timers(Deadlines(shared.store), known).run(), "timers")
