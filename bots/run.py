"""The composition root: settings -> store -> models -> engine -> platforms, as much of it as the process's role needs.

Nothing is built at import. ``run`` goes on until it is told to stop, and then finishes or hands over what is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import structlog

from bots.building import build_making, build_worker
from bots.greeting import greet
from bots.household import Household, Source
from bots.lasting import Tasks
from bots.moderating import open_acts, open_watch, tend_acts
from bots.platforms import PLATFORMS, Connection, Shared
from bots.roles import EVERYTHING, Role
from bots.terminal import tell
from core.conversation.mailbox import Admission, Bot, Mailbox
from core.conversation.moving import Mover
from core.conversation.overheard import Overheard
from core.errors import ParleyError, SettingsError, StorageError
from core.inbox import Inbox
from core.instance import Instance
from core.knowledge.passages import Passages
from core.message import Platform
from core.models.announced import follow
from core.models.catalog import Catalog
from core.models.local_models import wants_local
from core.models.servers.servers import LocalServers
from core.moderation.watch import Watch
from core.people.community import Community
from core.people.hearing import Attention
from core.pulse import beat
from core.settings import Settings
from core.storage import key_check, schema
from core.storage.announcements import Announcements
from core.storage.appeals import AppealBook
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer
from core.storage.feedback import Feedback
from core.storage.leases import Leases
from core.storage.reach import reach
from core.storage.shared import Places
from core.storage.texts import Texts
from core.tasks import end
from core.worker import Worker

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
    tasks = Tasks(stop)
    _keep_engines(shared, stack, tasks)
    makes = role.works or role.queues is not None
    making = build_making(shared, role, mailbox, tasks, stack, connections, acts) if makes else None
    watch = open_watch(shared, acts, making.jobs if making else None, stack)
    worker = None
    if role.works and making is not None:
        worker = build_worker(settings, shared, mailbox, connections, making, acts)
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


def _watch_tokens(connections: Mapping[Platform, Connection], tasks: Tasks) -> None:
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
        AppealBook(store).move,
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


async def _serve_bot(worker: Worker, platform: Platform, connection: Connection) -> None:
    worker.serve(Bot(platform, await connection.bot()))


async def _no_model() -> str:
    return ""


def _keep_engines(shared: Shared, stack: AsyncExitStack, tasks: Tasks) -> None:
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
