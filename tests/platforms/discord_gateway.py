"""The gateway half of the fake Discord: HELLO, heartbeats, IDENTIFY, RESUME with replay, and every way it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.platforms.discord_world import Json, World, shard_of

GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT = (
    1 << 0,
    1 << 9,
    1 << 12,
    1 << 15,
)
GUILD_MEMBERS, GUILD_MODERATION, GUILD_REACTIONS, DIRECT_REACTIONS = 1 << 1, 1 << 2, 1 << 10, 1 << 13
PRIVILEGED = 1 << 1 | 1 << 8 | MESSAGE_CONTENT
INTENTS = {
    "MESSAGE_CREATE": (GUILD_MESSAGES, DIRECT_MESSAGES),
    "MESSAGE_UPDATE": (GUILD_MESSAGES, DIRECT_MESSAGES),
    "MESSAGE_DELETE": (GUILD_MESSAGES, DIRECT_MESSAGES),
    "MESSAGE_DELETE_BULK": (GUILD_MESSAGES, 0),
    "GUILD_CREATE": (GUILDS, 0),
    "THREAD_CREATE": (GUILDS, 0),
    "THREAD_UPDATE": (GUILDS, 0),
    "CHANNEL_CREATE": (GUILDS, 0),
    "GUILD_MEMBER_ADD": (GUILD_MEMBERS, 0),
    "GUILD_MEMBER_REMOVE": (GUILD_MEMBERS, 0),
    "GUILD_BAN_ADD": (GUILD_MODERATION, 0),
    "GUILD_BAN_REMOVE": (GUILD_MODERATION, 0),
    "MESSAGE_REACTION_ADD": (GUILD_REACTIONS, DIRECT_REACTIONS),
    "MESSAGE_REACTION_REMOVE": (GUILD_REACTIONS, DIRECT_REACTIONS),
}
"""Event -> the intent it needs (in a guild, in direct messages). Others always come."""

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION, HELLO, ACK = (
    0,
    1,
    2,
    6,
    7,
    9,
    10,
    11,
)
SESSION_LOST = (4007, 4009)
"""Close codes after which a session cannot be resumed."""
CUT = -1
"""In a connection's queue: end it without a close frame."""


@dataclass(slots=True, eq=False)
class Session:
    """What RESUME goes on with; it outlives its connection."""

    id: str
    intents: int
    shard: int = 0
    count: int = 1
    sequence: int = 0
    events: deque[Json] = field(default_factory=lambda: deque[Json](maxlen=5000))
    connection: Connection | None = None

    def push(self, event: str, data: Json) -> None:
        self.sequence += 1
        payload: Json = {"op": DISPATCH, "t": event, "s": self.sequence, "d": data}
        self.events.append(payload)
        if self.connection:
            self.connection.out.put_nowait(payload)


@dataclass(slots=True, eq=False)
class Connection:
    """One websocket. ``out`` carries payloads; a number is a close code, or :data:`CUT`."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    out: asyncio.Queue[Json | int] = field(default_factory=asyncio.Queue[Json | int])
    session: Session | None = None
    ended_by_us: bool = False


@dataclass(slots=True, eq=False)
class Gateway:
    """All connections of the bot."""

    world: World
    token: str
    url: str = ""
    heartbeat_seconds: float = 41.25
    allowed_intents: int = MESSAGE_CONTENT
    """Privileged intents that are switched on in the developer portal."""
    zombie: bool = False
    """Heartbeats are not answered."""
    open: bool = True
    """Otherwise connections are refused with 503."""
    silent: int = 0
    """So many connections get no HELLO, ever."""
    refuses: list[int] = field(default_factory=list[int])
    """Close codes with which the next identifies and resumes are answered."""
    resume_url: str = ""
    """Where sessions are to be resumed."""
    withheld: set[str] = field(default_factory=set[str])
    """Guilds of which no GUILD_CREATE comes until :meth:`tell_of`: they are unavailable."""
    addresses: list[str] = field(default_factory=list[str])
    """The path of each connection."""
    sessions: dict[str, Session] = field(default_factory=dict[str, Session])
    connections: set[Connection] = field(default_factory=set[Connection])
    log: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    """Time and what: connect, identify, too early, ready, resume, resumed, refused, close."""
    identified: dict[int, float] = field(default_factory=dict[int, float])
    """When the last identify of each bucket came."""

    def note(self, what: str) -> None:
        self.log.append((time.time(), what))

    def count(self, what: str) -> int:
        return sum(1 for _, noted in self.log if noted == what)

    def dispatch(self, event: str, data: Json, guild: str) -> None:
        """Sends an event to every session that wants it; a session without a connection keeps it for RESUME."""
        needed = INTENTS.get(event)
        if (guild, self.world.bot) in self.world.permissions.gone and event != "INTERACTION_CREATE":
            return
        for session in self.sessions.values():
            if shard_of(guild, session.count) != session.shard:
                continue
            if needed is None or session.intents & needed[0 if guild else 1]:
                session.push(event, self._as_seen(session, event, data, guild))

    def _as_seen(self, session: Session, event: str, data: Json, guild: str) -> Json:
        """Without the message content intent, guild messages are empty unless they mention the bot or are its own."""
        if session.intents & MESSAGE_CONTENT or not guild or not event.startswith("MESSAGE_") or "author" not in data:
            return data
        bot = self.world.bot
        if data["author"]["id"] == bot or any(user["id"] == bot for user in data["mentions"]):
            return data
        return {
            **data,
            "content": "",
            "attachments": [],
            "embeds": [],
            "components": [],
        }

    def tell_of(self, guild: str) -> None:
        """A guild that was unavailable is there."""
        self.withheld.discard(guild)
        self.dispatch("GUILD_CREATE", self.world.guild_create(guild), guild)

    def drop(self) -> None:
        """Cuts the connections; the sessions can be resumed."""
        self._all(CUT)

    def close(self, code: int) -> None:
        self._all(code)

    def reconnect(self) -> None:
        """Asks for a reconnect (op 7); the sessions can be resumed."""
        self._all({"op": RECONNECT, "d": None, "s": None, "t": None})

    def invalidate(self, *, resumable: bool = False) -> None:
        """INVALID SESSION (op 9). What happens until the next READY is not sent to the bot, ever."""
        if not resumable:
            self.sessions.clear()
        self._all({"op": INVALID_SESSION, "d": resumable, "s": None, "t": None})

    def serving(self, shard: int, count: int) -> list[Session]:
        """The connected sessions of a shard; more than one each get every event."""
        return [s for s in self.sessions.values() if (s.shard, s.count) == (shard, count) and s.connection]

    def forget_sessions(self) -> None:
        """Like a crash of the bot: connections are cut and nothing can be resumed."""
        self.sessions.clear()
        self._all(CUT)

    def _all(self, item: Json | int) -> None:
        for connection in self.connections:
            connection.out.put_nowait(item)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.addresses.append(request.path)
        if not self.open:
            return web.Response(status=503)
        socket = web.WebSocketResponse(max_msg_size=0, compress=False)
        await socket.prepare(request)
        transport = request.transport if isinstance(request.transport, asyncio.Transport) else None
        connection = Connection(socket, transport)
        self.connections.add(connection)
        self.note("connect")
        hello: Json = {"heartbeat_interval": int(self.heartbeat_seconds * 1000), "_trace": []}
        if self.silent:
            self.silent -= 1
        else:
            connection.out.put_nowait({"op": HELLO, "d": hello, "s": None, "t": None})
        writer = asyncio.create_task(self._write(connection))
        try:
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT:
                    break
                self._receive(connection, json.loads(frame.data))
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            self._leave(connection)
        return socket

    async def _write(self, connection: Connection) -> None:
        while True:
            item = await connection.out.get()
            if isinstance(item, dict):
                with contextlib.suppress(ConnectionError):
                    await connection.socket.send_str(json.dumps(item))
                continue
            connection.ended_by_us = True
            if item in SESSION_LOST and connection.session:
                self.sessions.pop(connection.session.id, None)
            if item != CUT:
                await connection.socket.close(code=item)
            elif connection.transport:
                connection.transport.abort()
            return

    def _leave(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.note("close")
        session = connection.session
        if session and session.connection is connection:
            session.connection = None
            if connection.socket.close_code in (1000, 1001) and not connection.ended_by_us:
                self.sessions.pop(session.id, None)

    def _receive(self, connection: Connection, payload: Json) -> None:
        match payload.get("op"):
            case 1:
                if not self.zombie:
                    connection.out.put_nowait({"op": ACK, "d": None, "s": None, "t": None})
            case 2:
                self._identify(connection, payload["d"])
            case 6:
                self._resume(connection, payload["d"])
            case 3 | 4 | 8:
                pass
            case _:
                connection.out.put_nowait(4001)

    def _identify(self, connection: Connection, asked: Json) -> None:
        self.note("identify")
        if self.refuses:
            connection.out.put_nowait(self.refuses.pop(0))
            return
        if asked["token"] != self.token:
            connection.out.put_nowait(4004)
            return
        intents: int = asked["intents"]
        if intents & PRIVILEGED & ~self.allowed_intents:
            connection.out.put_nowait(4014)
            return
        shard, count = asked.get("shard", (0, 1))
        refusal = self._refusal(shard, count)
        if refusal:
            connection.out.put_nowait(refusal)
            return
        session = Session(secrets.token_hex(16), intents, shard, count, connection=connection)
        connection.session = self.sessions[session.id] = session
        world = self.world
        mine = [guild for guild in world.guilds if (guild, world.bot) not in world.permissions.gone]
        guilds = [guild for guild in mine if shard_of(guild, count) == shard]
        ready: dict[str, Any] = {
            "v": 10,
            "user": world.users[world.bot],
            "guilds": [{"id": guild, "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.resume_url,
            "shard": [shard, count],
            "application": {"id": world.application_id, "flags": 1 << 19},
            "private_channels": [],
            "_trace": [],
        }
        session.push("READY", ready)
        for guild in guilds:
            if intents & GUILDS and guild not in self.withheld:
                session.push("GUILD_CREATE", world.guild_create(guild))
        self.note("ready")

    def _refusal(self, shard: int, count: int) -> Json | int:
        """A close code or an invalid session for an identify that is not allowed; 0 for one that is."""
        rules, now = self.world.sharding, time.monotonic()
        rules.left -= 1
        if not 0 <= shard < count:
            return 4010
        if count < rules.required:
            return 4011
        bucket = shard % rules.side_by_side
        early = now - self.identified.get(bucket, -1e9) < rules.identify_seconds
        self.identified[bucket] = now
        if early or rules.left < 0:
            self.note("too early")
            return {"op": INVALID_SESSION, "d": False, "s": None, "t": None}
        return 0

    def _resume(self, connection: Connection, asked: Json) -> None:
        self.note("resume")
        if self.refuses:
            connection.out.put_nowait(self.refuses.pop(0))
            return
        if asked["token"] != self.token:
            connection.out.put_nowait(4004)
            return
        session = self.sessions.get(asked["session_id"])
        if session is None:
            self.note("refused")
            connection.out.put_nowait({"op": INVALID_SESSION, "d": False, "s": None, "t": None})
            return
        if session.connection:
            session.connection.out.put_nowait(4000)
        missed = [event for event in session.events if event["s"] > asked["seq"]]
        connection.session, session.connection = session, connection
        for event in missed:
            connection.out.put_nowait(event)
        session.push("RESUMED", {"_trace": []})
        self.note("resumed")
