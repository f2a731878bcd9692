"""Real servers in the ways operators run them: one over TLS, a cluster, a master with Sentinels."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trustme
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.storage.embedded import find_binary
from tests.ports import free_port

HOST = "127.0.0.1"
SLOTS = 16384
STARTS = 200
"""Looks at a server that starts, a 20th of a second apart."""


@dataclass
class Server:
    """One server process."""

    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def redis(self) -> Any:
        """A new client of just this server, to be closed by the caller."""
        return Redis(host=HOST, port=self.port, decode_responses=True)

    async def call(self, *command: str | int) -> Any:
        """One command on a connection of its own."""
        async with self.redis as redis:
            return await redis.execute_command(*command)

    async def answers(self) -> None:
        """Returns once it does."""
        for _ in range(STARTS):
            with contextlib.suppress(RedisError, OSError):
                await self.call("PING")
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"no server on port {self.port}")

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """Ends it."""
        self.process.send_signal(signal.SIGCONT)
        self.kill()


def spawn(folder: Path, port: int, *options: str | int, config: Path | None = None) -> Server:
    """Starts a server that keeps nothing on disk but what a cluster or a Sentinel has to."""
    folder.mkdir(parents=True, exist_ok=True)
    always = ["--port", port, "--bind", HOST, "--loglevel", "warning", "--save", "", "--repl-diskless-sync-delay", 0]
    arguments = [str(find_binary()), *([str(config), "--sentinel"] if config else [str(word) for word in always])]
    process = subprocess.Popen(
        [*arguments, *(str(option) for option in options)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return Server(port, process)


@asynccontextmanager
async def single(folder: Path, *options: str | int) -> AsyncGenerator[Server]:
    """One that answers."""
    server = spawn(folder, free_port(), *options)
    try:
        await server.answers()
        yield server
    finally:
        server.stop()


@dataclass
class ClusterServers:
    """Three masters."""

    masters: list[Server]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{HOST}:{server.port}" for server in self.masters)


@asynccontextmanager
async def cluster(folder: Path) -> AsyncGenerator[ClusterServers]:
    """A cluster without replicas that serves all slots."""
    servers: list[Server] = []
    try:
        for number in range(3):
            ports = free_port(), free_port()
            options = ("--cluster-enabled", "yes", "--cluster-port", ports[1], "--cluster-node-timeout", 2000)
            servers.append(spawn(folder / str(number), ports[0], *options))
        for number, server in enumerate(servers):
            await server.answers()
            await server.call("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            first, end = SLOTS * number // 3, SLOTS * (number + 1) // 3
            await server.call("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for server in servers[1:]:
            bus = (await servers[0].call("CLUSTER", "NODES")).split()[1]
            await server.call("CLUSTER", "MEET", HOST, servers[0].port, bus.partition("@")[2].partition(",")[0])
        for server in servers:
            await _until(partial(_agrees, server))
        yield ClusterServers(servers)
    finally:
        for server in servers:
            server.stop()


async def _agrees(server: Server) -> bool:
    """Whether the node knows all others, and all slots."""
    info = str(await server.call("CLUSTER", "INFO"))
    return "cluster_state:ok" in info and "cluster_size:3" in info


async def _is_linked(replica: Server) -> bool:
    return (await replica.call("INFO", "replication")).get("master_link_status") == "up"


async def _is_known(sentinel: Server) -> bool:
    replicas = await sentinel.call("SENTINEL", "REPLICAS", "mymaster")
    return bool(replicas) and replicas[0]["master-link-status"] == "ok"


async def _until(look: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(STARTS):
        if await look():
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("the servers do not come to an agreement")


@dataclass
class SentinelServers:
    """A master with a replica, and the Sentinel that watches them."""

    servers: list[Server]
    sentinel: Server
    name: str = "mymaster"

    @property
    def url(self) -> str:
        return f"redis+sentinel://{HOST}:{self.sentinel.port}/{self.name}"

    async def master(self) -> Server:
        """The one that the Sentinel calls the master now."""
        _, port = await self.sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        return next(server for server in self.servers if server.port == int(port))

    async def is_followed(self) -> None:
        """Returns when the other server is a replica that has all, and the Sentinel knows it."""
        master = await self.master()
        for server in self.servers:
            if server is not master:
                await _until(partial(_is_linked, server))
        await _until(partial(_is_known, self.sentinel))

    async def fail_over(self) -> None:
        """Makes the replica the master, and returns when it is."""
        before = (await self.master()).port
        await self.sentinel.call("SENTINEL", "FAILOVER", self.name)

        async def is_over() -> bool:
            return (await self.master()).port != before

        await _until(is_over)


@asynccontextmanager
async def sentinel(folder: Path) -> AsyncGenerator[SentinelServers]:
    """A master, a replica that has its data, a Sentinel that decides alone."""
    servers: list[Server] = []
    try:
        master = spawn(folder / "one", free_port())
        servers.append(master)
        await master.answers()
        replica = spawn(folder / "two", free_port(), "--replicaof", f"{HOST} {master.port}")
        servers.append(replica)
        await replica.answers()
        # The Sentinel looks when it starts, and then not for a while.
        await _until(lambda: _is_linked(replica))
        port = free_port()
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind {HOST}\nsentinel monitor mymaster {HOST} {master.port} 1\n"
            "sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 5000\n"
        )
        watcher = spawn(folder / "three", port, config=config)
        servers.append(watcher)
        await watcher.answers()
        await watcher.call("SENTINEL", "DEBUG", "INFO-PERIOD", 500, "PUBLISH-PERIOD", 500)
        await _until(lambda: _is_known(watcher))
        yield SentinelServers(servers[:2], watcher)
    finally:
        for server in servers:
            server.stop()


@dataclass(frozen=True)
class Front:
    """Where TLS is spoken, and the PEM files that a client needs."""

    port: int
    ca: Path
    client: Path


@asynccontextmanager
async def tls_front(target: int, folder: Path, names: Sequence[str] = (HOST, "localhost")) -> AsyncGenerator[Front]:
    """Speaks TLS before the server on the port ``target``, and lets in only who has a certificate.

    The server of the wheel is built without TLS.
    """
    authority = trustme.CA()
    front = Front(0, folder / "ca.pem", folder / "client.pem")
    authority.cert_pem.write_to_path(front.ca)
    authority.issue_cert("parley@example.org").private_key_and_cert_chain_pem.write_to_path(front.client)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(front.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert(*names).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    pairs: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await asyncio.open_connection(HOST, target)
        for task in (asyncio.create_task(copy(reader, inner[1])), asyncio.create_task(copy(inner[0], writer))):
            pairs.add(task)
            task.add_done_callback(pairs.discard)

    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    try:
        yield Front(int(server.sockets[0].getsockname()[1]), front.ca, front.client)
    finally:
        server.close()
        for task in pairs:
            task.cancel()
        await asyncio.gather(*pairs, return_exceptions=True)
