"""The composition root: settings -> store -> models -> engine -> platforms, as much of it as the process's role needs.

Nothing is built at import. ``run`` goes on until it is told to stop, and then finishes or hands over what is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from bots.budget_news import teller
from bots.buttons import Buttons
from bots.delivery import Delivery
from bots.greeting import greet
from bots.household import Household, Source
from bots.moderating import judging, open_acts, open_watch, tend_acts
from bots.platforms import PLATFORMS, Connection, Shared
from bots.roles import EVERYTHING, Role
from bots.terminal import tell
from bots.workshop import open_workshop
from core.access import Right
from core.attachments import Attachments
from core.commands.row import Moderation
from core.conversation.history import History
from core.conversation.mailbox import Admission, Bot, Mailbox
from core.conversation.moving import Mover
from core.conversation.overheard import Overheard
from core.conversation.readings import Readings
from core.conversation.summary import JOB, summarise
from core.engine import Engine
from core.errors import ParleyError, SettingsError, StorageError
from core.inbox import Inbox
from core.instance import Instance
from core.jobs import Job, Jobs
from core.knowledge.passages import Passages
from core.message import Attachment, ConversationKey, Message, Platform, Quote
from core.models.announced import follow
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.local_models import wants_local
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.servers.servers import LocalServers
from core.models.transcription import Transcriber
from core.moderation.carrying import Acts
from core.moderation.watch import Watch
from core.people.access import Asker, Standing
from core.people.community import Community
from core.people.hearing import Attention
from core.pulse import beat
from core.settings import Owners, Settings
from core.storage import key_check, schema
from core.storage.announcements import Announcements
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer
from core.storage.failed import DeadLetters, cause_of
from core.storage.feedback import Feedback
from core.storage.leases import Leases
from core.storage.reach import reach
from core.storage.seats import SharedSeats
from core.storage.shared import Places, SharedBreakers
from core.storage.texts import Texts
from core.tasks import end
from core.tools.proposing import proposing
from core.worker import Worker
from core.workshop import Workshop

log = structlog.get_logger()

GRACE_SECONDS = 10.0
"""How long answers in flight may go on after the signal to stop; what is left then is handed over."""
SWITCHES = {
    Platform.TELEGRAM: "TELEGRAM_TOKEN is not set",
    Platform.DISCORD: "DISCORD_TOKEN is not set",
    Platform.WEB: "PARLEY_WEB_PORT is 0",
}


async def run(
    settings: Settings,
    server: EmbeddedServer | None,
    role: Role = EVERYTHING,
    read: Callable[[], Settings] | None = None,
) -> None:
    """Runs a process in the foreground. ``server`` is the embedded one, spawned already. ``read`` reads the settings
    anew, on SIGHUP; at a terminal that means that it was closed, which ends the process.

    Raises SettingsError or another ParleyError with a sentence for the owner.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    source = Source(read, asyncio.Event()) if read is not None else None
    is_served = source is not None and not sys.stdin.isatty()
    loop.add_signal_handler(signal.SIGHUP, source.asked.set if source and is_served else stop.set)
    async with AsyncExitStack() as stack:
        if server is not None:
            stack.push_async_callback(server.stop)
            url = await server.ready()
        else:
            url = settings.storage.redis_url
            await reach(settings.storage, stop, tell)
            if stop.is_set():
                return
        await serve(settings, url, stack, stop, role=role, source=source)


async def serve(
    settings: Settings,
    url: str,
    stack: AsyncExitStack,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
    role: Role = EVERYTHING,
    source: Source | None = None,
) -> None:
    """Runs a process of that role over the Redis at ``url`` until ``stop``.

    Sets ``ready`` when every platform it receives from is connected, and every bot it answers for is known.
    """
    store = await _open_store(settings, url, stack)
    instance = Instance.claim(settings.data)
    stack.callback(instance.close)
    shared = _share(settings, store, instance.name)
    catalog, places = shared.catalog, shared.places
    connections = _connect(shared, role, stack)
    acts = open_acts(shared, connections)
    mailbox = _open_mailbox(shared, instance.name, role)
    tasks = _Tasks(stop)
    _keep_engines(shared, stack, tasks)
    makes = role.works or role.queues is not None
    making = _build_making(shared, role, mailbox, tasks, stack, connections, acts) if makes else None
    watch = open_watch(shared, acts, making.jobs if making else None, stack)
    worker = None
    if role.works and making is not None:
        worker = _build_worker(settings, shared, mailbox, connections, making, acts)
    inbox = _build_inbox(shared, mailbox, worker, watch)
    receivers = {p: c.receiver() for p, c in connections.items() if p in role.receives}
    adapters = [tasks.start(r.adapter.run(inbox), f"adapter {platform}") for platform, r in receivers.items()]
    if worker is not None:
        tasks.start(worker.run(), "worker")
        tasks.start(worker.renew(), "leases")
        tasks.start(worker.measure(), "strain")
    tend_acts(acts, {}, shared, tasks.start, works=role.works)
    # People choose a model where their messages are received.
    if settings.storage.redis_url and (making is not None or receivers):
        tasks.start(follow(catalog, Announcements(store)), "model servers")
    _watch_tokens(connections, tasks)
    measured = None if making is None else making.router.measured
    Household(shared, instance.name, role, connections, receivers, measured, source).start(tasks.start)
    starts_model = role.starts_model and wants_local(settings)
    local = _start_local(settings, catalog, stack) if starts_model else asyncio.create_task(_no_model())
    known = [
        tasks.start(_serve_bot(worker, platform, connection), f"bot {platform}", lasting=False)
        for platform, connection in connections.items()
        if worker is not None
    ]
    ready = ready or asyncio.Event()
    tasks.start(beat(settings.data, ready), "pulse")
    greeting = tasks.start(greet(role, receivers, known, catalog, local, ready), "greeting", lasting=False)
    listening = [tasks.start(worker.listen(), "wake-ups")] if worker is not None else []
    try:
        await stop.wait()
    finally:
        await end((greeting, local, *known, *adapters, *listening))
        if worker is not None:
            await worker.drain(GRACE_SECONDS if tasks.failure is None else 1.0)
        with contextlib.suppress(StorageError):
            await places.flush()
        await end(tasks.all)
    if tasks.failure is not None:
        raise tasks.failure
    log.info("stopped")


def _watch_tokens(connections: Mapping[Platform, Connection], tasks: _Tasks) -> None:
    for platform, connection in connections.items():
        if connection.watch is not None:
            tasks.start(connection.watch(), f"token {platform}")


async def _open_store(settings: Settings, url: str, stack: AsyncExitStack) -> Store:
    """What is kept there has to be of this version, and readable with the keys at hand."""
    store = Store(settings.storage.address(url), Texts.of(settings))
    stack.push_async_callback(store.close)
    await schema.check(store)
    await key_check.tell(store)
    return store


def _open_mailbox(shared: Shared, name: str, role: Role) -> Mailbox:
    chat = shared.settings.chat
    return Mailbox(
        shared.store,
        name,
        Admission(chat.max_waiting, chat.max_waiting_space, chat.max_waiting_all),
        keep_days=shared.settings.storage.keep_days,
        wakes_itself=role.works,
    )


def _share(settings: Settings, store: Store, owner: str) -> Shared:
    leases = Leases(store, owner)
    cases = Cases(store, keep_days=settings.moderation.keep_days)
    community = Community.of(settings, store)
    moves = (
        community.spaces.move,
        community.personas.records.move,
        community.budgets.moved,
        community.faqs.records.move,
        community.questions.records.move,
        community.policy.books.records.move,
        community.policy.watched.move,
        Passages(store, settings.knowledge, libraries=community.libraries).move,
    )
    mover = Mover(store, leases, cases, *moves, keep_days=settings.storage.keep_days)
    return Shared(settings, store, Catalog.of(settings), Places(store), leases, mover, community)


def _build_inbox(shared: Shared, mailbox: Mailbox, worker: Worker | None, watch: Watch) -> Inbox:
    community, store = shared.community, shared.store
    return Inbox(
        mailbox,
        worker,
        shared.places,
        shared.mover,
        Feedback(store, keep_days=shared.settings.storage.keep_days),
        community.seen,
        community.sealing,
        Attention(community.people, community.spaces, shared.settings).reading,
        Overheard(store),
        watch.look,
    )


def _connect(shared: Shared, role: Role, stack: AsyncExitStack) -> dict[Platform, Connection]:
    """A worker answers on every platform that is set up; who only receives needs its own."""
    connections: dict[Platform, Connection] = {}
    for platform, connect in PLATFORMS:
        if not role.works and platform not in role.receives:
            continue
        if (connection := connect(shared)) is not None:
            connections[platform] = connection
            stack.push_async_callback(connection.close)
        elif role.names_platforms and platform in role.receives:
            raise SettingsError(f"{SWITCHES[platform]}, so there is nothing to receive from {platform.capitalize()}.")
    return connections


@dataclass(frozen=True, slots=True)
class _Making:
    """What makes answers and does jobs."""

    router: Router
    history: History
    jobs: Jobs
    failed: DeadLetters
    workshop: Workshop


def _build_making(
    shared: Shared,
    role: Role,
    mailbox: Mailbox,
    tasks: _Tasks,
    stack: AsyncExitStack,
    connections: Mapping[Platform, Connection],
    acts: Acts,
) -> _Making:
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
    workshop = open_workshop(shared, router, history, enqueue, post, [proposing(shared.store, acts)])
    table = [
        Job(JOB, "text", partial(summarise, history, router, shared.community.spaces)),
        *judging(shared, workshop, acts, connections if role.works else {}),
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
    return _Making(router, history, jobs, failed, workshop)


def _build_worker(
    settings: Settings,
    shared: Shared,
    mailbox: Mailbox,
    connections: Mapping[Platform, Connection],
    making: _Making,
    acts: Acts,
) -> Worker:
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


async def _serve_bot(worker: Worker, platform: Platform, connection: Connection) -> None:
    worker.serve(Bot(platform, await connection.bot()))


async def _no_model() -> str:
    return ""


class _Tasks:
    """The parts that run as long as Parley does: when one ends, all end."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self.all: list[asyncio.Task[None]] = []
        self.failure: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, None], name: str, *, lasting: bool = True) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(partial(self._ended, lasting))
        self.all.append(task)
        return task

    def _ended(self, lasting: bool, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None and not lasting:
            return
        if self.failure is None and not self._stop.is_set():
            self.failure = error or ParleyError(f"{task.get_name()} ended by itself.")
        self._stop.set()


def _keep_engines(shared: Shared, stack: AsyncExitStack, tasks: _Tasks) -> None:
    """The small models beside it: in the catalog of every process, started where somebody uses them."""
    servers = LocalServers(shared.settings, shared.catalog)
    stack.push_async_callback(servers.aclose)
    servers.open()
    tasks.start(servers.follow(), "engines")


def _start_local(settings: Settings, catalog: Catalog, stack: AsyncExitStack) -> asyncio.Task[str]:
    """The built-in model, started beside everything else. The task's result is the sentence about it."""
    from core.models.local_server import LocalModel, LocalServer

    def changed(model: LocalModel | None) -> None:
        if model is None:
            catalog.remove_local()
        else:
            catalog.add_local(model)

    server = LocalServer(settings.local, settings.data, tell, changed)
    stack.push_async_callback(server.stop)
    # Who asks before it is there waits for it.
    catalog.expect_local(settings.local.model != "none")

    async def start() -> str:
        try:
            model = await server.start()
        except Exception as error:
            # Whatever it is, the platforms and the hosted models go on without it.
            expected = isinstance(error, ParleyError)
            log.error("no built-in model", cause=str(error), exc_info=not expected)
            catalog.expect_local(False)
            return str(error) if expected else "The built-in model could not be started: the log says why."
        if model is None:
            return ""
        changed(model)
        return model.source

    return asyncio.create_task(start(), name="local model")
