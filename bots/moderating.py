"""What carries out acts on the people and places of spaces, put together of all platforms."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from bots.platforms import Connection, Shared
from core.access import Right
from core.jobs import Job, Jobs
from core.message import Attachment, ConversationKey, Platform, Seen
from core.moderation.carrying import Acts
from core.moderation.enforcer import Site
from core.moderation.evidence import Said
from core.moderation.judge import Judge
from core.moderation.judging import JOB, Bench, Docket
from core.moderation.pictures import JOB as PICTURES
from core.moderation.pictures import PictureBench, PictureDocket
from core.moderation.timers import Handler, Timers
from core.moderation.watch import Watch
from core.people.access import Access, Asker, Standing
from core.people.spaces import space_id
from core.settings import Owners
from core.storage.deadlines import Deadlines
from core.storage.judging import Briefs
from core.storage.shared import Once
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
    return Acts(
        shared.store,
        {platform: c.enforcer for platform, c in connections.items() if c.enforcer is not None},
        keep_days=shared.settings.moderation.keep_days,
        access=Access(people, spaces, owners, Once(shared.store), may=may, standing=standing),
        texts_of=texts_of,
    )


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
    watch.messages.append(PictureDocket(briefs, community.spaces, jobs.enqueue).put)
    return watch


def judging(
    shared: Shared, workshop: Workshop, acts: Acts, connections: Mapping[Platform, Connection]
) -> tuple[Job, Job]:
    """The jobs in which models judge messages, and look at pictures: those only where there are ``connections`` to all
    platforms, by which the pictures are fetched."""

    async def fetch(conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        return await connections[conversation.platform].outbound.fetch(conversation, attachment, limit)

    settings, community, catalog = shared.settings.moderation, shared.community, shared.catalog
    judge = Judge(workshop.writer, catalog, model=settings.judge_model, seconds=settings.judge_seconds)
    briefs = Briefs(shared.store)
    bench = Bench(briefs, community.policy, community.spaces, settings, judge, acts.order)
    pictures = PictureBench(briefs, community.spaces, workshop.safety, fetch, acts.order)
    return Job(JOB, "text", bench.run), Job(PICTURES, "text", pictures.run if connections else None)


def tend_acts(acts: Acts, handlers: Mapping[str, Handler], shared: Shared, start: Start, *, works: bool) -> None:
    """Carries out what is ordered here, and in a process that works what is due anywhere. ``handlers`` are those of
    others, by :attr:`core.storage.deadlines.Deadline.what`."""
    start(acts.run(), "acts")
    if works:
        start(Timers(Deadlines(shared.store), {**acts.handlers, **handlers}).run(), "timers")
