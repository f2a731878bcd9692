"""Child process: the server of one engine. Run as ``python -m core.models.servers ENGINE DATA`` by the interpreter of
the environment that has the engine's libraries.

It takes over the socket of its parent, and ends by itself when nobody has asked it anything for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
import sys
from functools import partial
from pathlib import Path

from aiohttp import web

from core.models import local_child
from core.models.servers.http import Server
from core.models.servers.work import Open, Setup, library
from core.models.servers.workbench import Workbench

LET_IN_SECONDS = 0.5
"""For callers who came in just before the end and have not said yet what they want."""


def main() -> None:
    engine, data = sys.argv[1], Path(sys.argv[2])
    order = local_child.begin()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _be_modest()
    open_engine: Open = library(f"core.models.servers.engines.{engine}").open_engine
    setup = Setup(data, order["models"], order["threads"], order["device"], order["longest_seconds"])
    server = Server(Workbench(partial(open_engine, setup)), order["api_key"])
    asyncio.run(serve(server, socket.socket(fileno=order["socket"]), order["idle_seconds"]))
    # Libraries may take long to be taken down, and nothing of them is worth it.
    os._exit(0)


async def serve(server: Server, listening: socket.socket, idle_seconds: float) -> None:
    """Until nobody has asked anything for so long."""
    runner = web.AppRunner(server.app(), handler_cancellation=True, access_log=None, shutdown_timeout=5)
    await runner.setup()
    site = web.SockSite(runner, listening)
    await site.start()
    local_child.answer({"is_ready": True})
    await server.unused(idle_seconds)
    # Who comes now waits at the parent's socket for the next server; who was let in is answered.
    asyncio.get_running_loop().remove_reader(listening)
    await server.unused(LET_IN_SECONDS)
    await runner.cleanup()


def _be_modest() -> None:
    """What answers people comes first: on a loaded machine this one waits, and without memory this one ends."""
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Some containers let nobody write there.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500", "ascii")


if __name__ == "__main__":
    main()
