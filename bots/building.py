"""What makes answers and does jobs, put together from its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from bots.budget_news import teller
from bots.buttons import Buttons
from bots.delivery import Delivery
from bots.lasting import Tasks
from bots.moderating import judging, own_invites
from bots.platforms import Connection, Shared
from bots.roles import Role
from bots.workshop import open_workshop
from core.access import Right
from core.attachments import Attachments
from core.commands.row import Moderation
from core.conversation.history import History
from core.conversation.mailbox import Mailbox
from core.conversation.readings import Readings
from core.conversation.summary import JOB, summarise
from core.engine import Engine
from core.jobs import Job, Jobs
from core.message import Attachment, ConversationKey, Message, Platform, Quote
from core.models.breaker import Breaker
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.transcription import Transcriber
from core.moderation.carrying import Acts
from core.people.access import Asker, Standing
from core.settings import Owners, Settings
from core.storage.cases import Cases
from core.storage.failed import DeadLetters, cause_of
from core.storage.feedback import Feedback
from core.storage.seats import SharedSeats
from core.storage.shared import SharedBreakers
from core.tools.proposing import proposing
from core.worker import Worker
from core.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Making:
    """What makes answers and does jobs."""

    router: Router
    history: History
    jobs: Jobs
    failed: DeadLetters
    workshop: Workshop


def build_making(
    shared: Shared,
    role: Role,
    mailbox: Mailbox,
    tasks: Tasks,
    stack: AsyncExitStack,
    connections: Mapping[Platform, Connection],
    acts: Acts,
) -> Making:
    """What this process makes answers of and does jobs with; all of it ends with ``stack``."""
    settings, storage = shared.settings, shared.settings.storage
    breaker = Breaker(settings.routing.breaker_failures, settings.routing.breaker_seconds)
    tasks.start(breaker.run(SharedBreakers(shared.store)), "breakers")
    seats = None
    if settings.storage.redis_url:
        # Other processes may ask the same local models.
        seats = SharedSeats(shared.store)
        stack.push_async_callback(seats.close)
        tasks.start(seats.run(), "places at models")
    router = Router(shared.catalog, settings.routing, breaker, OpenAIApi, shared.community.budgets, seats)
    stack.push_async_callback(shared.community.budgets.close)
    stack.push_async_callback(router.aclose)
    history = History(shared.store, keep_days=storage.keep_days, max_messages=storage.max_messages)

    async def bury(name: str, id: str, argument: str, cause: BaseException) -> None:
        await failed.keep_job(name, id, argument, [cause_of(cause)])
        await workshop.creations.died(name, argument)

    async def enqueue(name: str, id: str, argument: str) -> None:
        await jobs.enqueue(name, id, argument)

    post = partial(mailbox.post, wakes=True, is_owed=True)
    tools = [proposing(shared.store, acts)]
    workshop = open_workshop(shared, router, history, enqueue, post, own_invites(acts), tools)
    table = [
        Job(JOB, "text", partial(summarise, history, router, shared.community.spaces)),
        *judging(shared, router, workshop, acts, connections if role.works else {}),
        *workshop.creations.jobs,
    ]
    paused = shared.community.houses.is_paused
    jobs = Jobs(
        shared.store,
        table,
        settings.jobs.worked(role.queues),
        on_dead=bury,
        is_paused=paused,
        idle_seconds=settings.jobs.idle_seconds,
    )
    stack.push_async_callback(jobs.close)
    tasks.start(jobs.run(), "jobs")
    tasks.start(workshop.creations.run(), "creations")
    failed = DeadLetters(shared.store, keep_days=storage.keep_days, enqueue=jobs.enqueue)
    stack.push_async_callback(workshop.toolbox.aclose)
    return Making(router, history, jobs, failed, workshop)


def build_worker(
    settings: Settings,
    shared: Shared,
    mailbox: Mailbox,
    connections: Mapping[Platform, Connection],
    making: Making,
    acts: Acts,
) -> Worker:
    """Answers on all ``connections``."""

    async def fetch(conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        return await connections[conversation.platform].outbound.fetch(conversation, attachment, limit)

    async def is_admin(call: Asker) -> bool:
        known = connections[call.conversation.platform].is_admin
        return known is None or await known(call)

    async def may(call: Asker, right: Right) -> bool:
        known = connections[call.conversation.platform].may
        return known is not None and await known(call, right)

    async def standing(asker: Asker, fresh: bool) -> Standing:
        known = connections[asker.conversation.platform].standing
        return await known(asker, fresh) if known is not None else Standing()

    async def earlier(message: Message, id: str) -> Sequence[Quote]:
        known = connections[message.conversation.platform].earlier
        return await known(message, id) if known is not None else ()

    cases = Cases(shared.store, keep_days=settings.moderation.keep_days)
    members = {platform: c.members for platform, c in connections.items() if c.members is not None}
    shared.community.budgets.tell = teller(members, Owners(settings), settings.budgets.told_percent)
    readings = Readings(shared.store)
    attachments = Attachments(
        settings.chat,
        making.history,
        readings,
        Transcriber(shared.catalog, making.router),
        fetch,
        {p: c.outbound.capabilities.max_download for p, c in connections.items()},
    )
    engine = Engine(
        settings.chat,
        mailbox,
        making.history,
        shared.catalog,
        making.router,
        attachments,
        making.workshop,
        making.jobs.enqueue,
        making.failed,
        Feedback(shared.store, keep_days=settings.storage.keep_days),
        shared.community,
        owners=Owners(settings),
        is_admin=is_admin,
        may=may,
        standing=standing,
        earlier=earlier,
        moderation={
            platform: Moderation(cases, c.members, settings.moderation, acts, c.enforcer, native=c.native)
            for platform, c in connections.items()
            if c.members is not None
        },
        menus={platform for platform, c in connections.items() if c.outbound.capabilities.menus},
    )
    delivery = Delivery(
        {platform: c.outbound for platform, c in connections.items()},
        {platform: c.pacer for platform, c in connections.items()},
        mailbox,
        max_pages=settings.chat.max_pages,
        buttons=Buttons(shared.catalog, on=settings.chat.buttons),
        inline={platform: c.inline for platform, c in connections.items() if c.inline is not None},
        elsewhere={platform: c.elsewhere for platform, c in connections.items() if c.elsewhere is not None},
        currency=settings.chat.currency,
    )
    return Worker(mailbox, engine, delivery, max_concurrent=settings.chat.max_concurrent)
