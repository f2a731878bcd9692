"""The composition root: settings -> store -> models -> engine -> platforms, all in one process.

Nothing is built at import. ``up`` runs until it is told to stop, and then finishes or hands over what is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from bots.delivery import Delivery
from bots.platforms import PLATFORMS, Connection, Shared
from core.conversation.history import History
from core.conversation.mailbox import Mailbox
from core.conversation.summary import JOB, summarise
from core.engine import Engine
from core.errors import ParleyError, SettingsError, StorageError
from core.inbox import Inbox
from core.instance import Instance
from core.jobs import Jobs
from core.message import Attachment, ConversationKey, Platform
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.settings import Settings
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer
from core.storage.shared import Places, SharedBreakers
from core.tasks import end
from core.worker import Worker

log = structlog.get_logger()

GRACE_SECONDS = 10.0
"""How long answers in flight may go on after the signal to stop; what is left then is handed over."""
FLUSH_SECONDS = 2.0
REACH_SECONDS = 10.0
"""How long a start waits for the server of REDIS_URL."""
CONNECT_SECONDS = 8.0
"""After so long the web chat's link is shown, though another platform is not connected yet."""


async def up(settings: Settings, server: EmbeddedServer | None) -> None:
    """Runs Parley in the foreground. ``server`` is the embedded one, spawned already.

    Raises SettingsError or another ParleyError with a sentence for the owner.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        if server is not None:
            stack.push_async_callback(server.stop)
            url = await server.ready()
        else:
            url = settings.storage.redis_url
            await _reach(url, stop)
        await serve(settings, url, stack, stop)


async def _reach(url: str, stop: asyncio.Event) -> None:
    """Waits for the server of REDIS_URL, which may be starting as well. Raises SettingsError."""
    # Without user and password.
    place = urlsplit(url).netloc.rpartition("@")[2] or urlsplit(url).path
    deadline = asyncio.get_running_loop().time() + REACH_SECONDS
    waiting = False
    async with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as redis:  # pyright: ignore[reportUnknownMemberType]
        while not stop.is_set():
            try:
                await redis.ping()  # pyright: ignore[reportUnknownMemberType]
                return
            except (AuthenticationError, ResponseError) as error:
                why = str(error).rstrip(".")
                raise SettingsError(f"REDIS_URL is wrong: {place} does not let us in ({why}).") from None
            except (RedisError, OSError, ValueError) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise SettingsError(
                        f"REDIS_URL is wrong: no Redis or Valkey answers at {place} ({type(error).__name__})."
                        " Start it, correct the address, or leave REDIS_URL out to use the embedded server."
                    ) from None
            if not waiting:
                waiting = True
                _tell(f"Waiting for the Redis or Valkey at {place}")
            await asyncio.sleep(0.3)


async def serve(
    settings: Settings, url: str, stack: AsyncExitStack, stop: asyncio.Event, ready: asyncio.Event | None = None
) -> None:
    """Runs everything over the Redis at ``url`` until ``stop``; sets ``ready`` when every platform is connected."""
    store = Store(url)
    stack.push_async_callback(store.close)
    instance = Instance.claim(settings.data)
    stack.callback(instance.close)
    catalog = Catalog.of(settings)
    breaker = Breaker(settings.routing.breaker_failures, settings.routing.breaker_seconds)
    router = Router(catalog, settings.routing, breaker, OpenAIApi)
    stack.push_async_callback(router.aclose)
    mailbox = Mailbox(store, instance.name, max_waiting=settings.chat.max_waiting, keep_days=settings.storage.keep_days)
    history = History(store, keep_days=settings.storage.keep_days, max_messages=settings.storage.max_messages)
    jobs = Jobs(url, store, {JOB: partial(summarise, history, router)})
    stack.push_async_callback(jobs.close)
    places = Places(store)
    connections = _connect(Shared(settings, store, catalog, places), stack)

    async def fetch(conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        return await connections[conversation.platform].outbound.fetch(conversation, attachment, limit)

    engine = Engine(settings.chat, mailbox, history, catalog, router, fetch, jobs.enqueue)
    delivery = Delivery(
        {platform: c.outbound for platform, c in connections.items()},
        {platform: c.pacer for platform, c in connections.items()},
        mailbox,
        max_pages=settings.chat.max_pages,
    )
    worker = Worker(mailbox, engine, delivery, frozenset(connections), max_concurrent=settings.chat.max_concurrent)
    inbox = Inbox(mailbox, worker, places)
    tasks = _Tasks(stop)
    adapters = [tasks.start(c.adapter.run(inbox), f"adapter {platform}") for platform, c in connections.items()]
    tasks.start(worker.run(), "worker")
    tasks.start(worker.renew(), "leases")
    tasks.start(breaker.run(SharedBreakers(store)), "breakers")
    tasks.start(_flush(places), "places")
    starting = asyncio.create_task(_start_jobs(jobs))
    local = _start_local(settings, catalog, stack)
    readying = asyncio.create_task(_announce(connections, catalog, local, ready or asyncio.Event()))
    try:
        await stop.wait()
    finally:
        await end((readying, starting, local, *adapters))
        await worker.drain(GRACE_SECONDS if tasks.failure is None else 1.0)
        with contextlib.suppress(StorageError):
            await places.flush()
        await end(tasks.all)
    if tasks.failure is not None:
        raise tasks.failure
    log.info("stopped")


def _connect(shared: Shared, stack: AsyncExitStack) -> dict[Platform, Connection]:
    connections: dict[Platform, Connection] = {}
    for platform, connect in PLATFORMS:
        if (connection := connect(shared)) is not None:
            connections[platform] = connection
            stack.push_async_callback(connection.close)
    return connections


class _Tasks:
    """The parts that run as long as Parley does: when one ends, all end."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self.all: list[asyncio.Task[None]] = []
        self.failure: BaseException | None = None

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self.all.append(task)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if self.failure is None and not self._stop.is_set():
            self.failure = error or ParleyError(f"{task.get_name()} ended by itself.")
        self._stop.set()


async def _start_jobs(jobs: Jobs) -> None:
    """What an earlier run left. Should that fail, the next job starts them."""
    try:
        await jobs.start_if_any()
    except Exception as error:
        log.warning("jobs not started", cause=repr(error))


async def _flush(places: Places) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        try:
            await places.flush()
        except StorageError as error:
            log.warning("places not kept", cause=str(error))


def _start_local(settings: Settings, catalog: Catalog, stack: AsyncExitStack) -> asyncio.Task[str]:
    """The built-in model, started beside everything else. The task's result is the sentence about it."""
    from core.models.local_server import LocalModel, LocalServer

    def changed(model: LocalModel | None) -> None:
        if model is None:
            catalog.remove_local()
        else:
            catalog.add_local(
                model.base_url,
                model.api_key,
                model.name,
                model.window,
                small=model.small,
                max_concurrent=model.slots,
                id=model.id,
            )

    server = LocalServer(settings.local, settings.data, _tell, changed)
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


async def _announce(
    connections: dict[Platform, Connection], catalog: Catalog, local: asyncio.Task[str], ready: asyncio.Event
) -> None:
    """One line when every platform is connected, and at the end where to go."""
    connecting = {asyncio.create_task(c.adapter.ready()): platform for platform, c in connections.items()}
    try:
        late = set[asyncio.Task[None]]()
        if connecting:
            _, late = await asyncio.wait(connecting, timeout=CONNECT_SECONDS)
        if late:
            names = _names(connecting[task] for task in late)
            _tell(f"Still connecting to {names}.")
            there = {connecting[task]: connections[connecting[task]] for task in connecting if task not in late}
            await _tell_where(there, "Meanwhile")
            await asyncio.wait(late)
        ready.set()
        log.info("ready", platforms=[str(platform) for platform in connections])
    finally:
        await end(connecting)
    if source := await local:
        _tell(source)
    if not catalog.models:
        _tell("There is no model to answer: set OPENAI_API_KEY and OPENAI_MODEL, or PARLEY_LOCAL_MODEL=auto.")
    elif (wanted := catalog.wanted_default) and catalog.find(wanted) is None:
        there = ", ".join(model.name for model in catalog.models)
        _tell(f"chat.model is {wanted!r}, which is not there. There are: {there}.")
    await _tell_where(connections, "Parley is ready:")
    if not any(connection.address for connection in connections.values()):
        names = _names(connections)
        _tell(f"Parley is ready on {names}." if names else "Parley is ready, but no platform is switched on.")


async def _tell_where(connections: dict[Platform, Connection], begin: str) -> None:
    for connection in connections.values():
        if connection.address is not None:
            _tell(f"{begin} open {await connection.address()}")


def _names(platforms: Iterable[Platform]) -> str:
    return " and ".join(sorted(platform.capitalize() for platform in platforms))


def _tell(line: str) -> None:
    """For the person at the terminal."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
