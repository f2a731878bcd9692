"""Parley's own parts in one process, with its mailbox or without: ``python -m benchmarks.composed durable|memory``.

Reads the same environment as ``parley up``. Both ways are the same but for mailbox and history. With
``PARLEY_PROFILE=FILE`` the process writes a profile of itself there when it is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import structlog

from benchmarks.memory import MemoryHistory, MemoryMailbox, Rooms
from bots.delivery import Delivery
from bots.platforms import PLATFORMS, Connection, Shared
from core import telemetry
from core.conversation.history import History
from core.conversation.mailbox import Mailbox
from core.engine import Engine
from core.inbox import Inbox
from core.instance import Instance
from core.message import Attachment, ConversationKey, Platform
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.settings import Settings, load
from core.storage.client import Store
from core.storage.shared import Places
from core.tasks import end
from core.worker import Worker

log = structlog.get_logger()
GRACE_SECONDS = 5.0


def keeping(settings: Settings, store: Store, name: str, *, durable: bool) -> tuple[Mailbox, History]:
    """Where messages are kept. The stand-ins have the same methods, which a test holds."""
    if durable:
        mailbox = Mailbox(store, name, max_waiting=settings.chat.max_waiting, keep_days=settings.storage.keep_days)
        return mailbox, History(
            store, keep_days=settings.storage.keep_days, max_messages=settings.storage.max_messages
        )
    rooms = Rooms()
    return (
        cast("Mailbox", MemoryMailbox(rooms, max_waiting=settings.chat.max_waiting)),
        cast("History", MemoryHistory(rooms)),
    )


async def serve(settings: Settings, *, durable: bool) -> None:
    """Runs until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with AsyncExitStack() as stack:
        store = Store(settings.storage.redis_url)
        stack.push_async_callback(store.close)
        instance = Instance.claim(settings.data)
        stack.callback(instance.close)
        catalog = Catalog.of(settings)
        router = Router(catalog, settings.routing, Breaker(5, 20), OpenAIApi)
        stack.push_async_callback(router.aclose)
        mailbox, history = keeping(settings, store, instance.name, durable=durable)
        places = Places(store)
        connections: dict[Platform, Connection] = {}
        for platform, connect in PLATFORMS:
            if (connection := connect(Shared(settings, store, catalog, places))) is not None:
                connections[platform] = connection
                stack.push_async_callback(connection.close)

        async def fetch(conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
            return await connections[conversation.platform].outbound.fetch(conversation, attachment, limit)

        async def enqueue(name: str, id: str, argument: str) -> None:
            return None

        engine = Engine(settings.chat, mailbox, history, catalog, router, fetch, enqueue)
        outbounds = {platform: c.outbound for platform, c in connections.items()}
        pacers = {platform: c.pacer for platform, c in connections.items()}
        delivery = Delivery(outbounds, pacers, mailbox, max_pages=settings.chat.max_pages)
        worker = Worker(mailbox, engine, delivery, frozenset(connections), max_concurrent=settings.chat.max_concurrent)
        inbox = Inbox(mailbox, worker, places)
        adapters = [asyncio.create_task(c.adapter.run(inbox)) for c in connections.values()]
        others = [asyncio.create_task(worker.run()), asyncio.create_task(worker.renew())]
        for connection in connections.values():
            await connection.adapter.ready()
        log.info("ready")
        await stop.wait()
        await end(adapters)
        await worker.drain(GRACE_SECONDS)
        await end(others)


def main() -> None:
    settings = load(Path.cwd(), os.environ)
    telemetry.set_up(settings.log)
    import uvloop

    profile = cProfile.Profile() if os.environ.get("PARLEY_PROFILE") else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, profile or contextlib.nullcontext():
        runner.run(serve(settings, durable=sys.argv[1] == "durable"))
    if profile is not None:
        profile.dump_stats(os.environ["PARLEY_PROFILE"])


if __name__ == "__main__":
    main()
