"""The only place that reaches into discord.py beyond its documented ways. A test fails when one of them vanishes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import aiohttp
import discord
import structlog
import yarl
from discord.asset import Asset
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.http import Route

from core.settings import DiscordSettings

OPEN_SECONDS = 30.0
"""From the connection to the first word that is to come from Discord."""
GOOD_SECONDS = 10.0
"""A connection that lasted so long is made anew at once; after shorter ones there is a pause."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 60.0
MAX_STUCK = 5
"""Connections in a row that brought nothing; then the session, or the address to resume it at, is given up."""
SESSION_LOST = (4007, 4009)
"""Close codes after which Discord wants a new session: a number that it does not know, a session that ran out."""
GONE = (aiohttp.ClientError, OSError, TimeoutError, discord.HTTPException, discord.GatewayNotFound)
DONE = 1000
"""A close code that Discord also gives without a reason."""

Hook = Callable[[dict[str, Any]], None]

log = structlog.get_logger()


def point(settings: DiscordSettings) -> None:
    """Lets discord.py talk to the configured servers; these attributes are class-wide, so for the whole process."""
    Route.BASE = settings.api_base
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.gateway)
    # Voice is not used: nobody needs to be warned that its libraries are missing.
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
    # It reconnects by itself and logs each time as an error with a traceback: what we log of it is a line.
    logging.getLogger("discord.client").setLevel(logging.CRITICAL)
    Asset.BASE = settings.cdn  # pyright: ignore[reportAttributeAccessIssue]


def hook(client: discord.Client, hooks: Mapping[str, Hook]) -> None:
    """Takes over gateway events as raw payloads.

    discord.py would build an object for each message, with members and channels; a payload is all that is
    needed, and costs nothing. Events that are not named go on to discord.py, which keeps guilds and channels.
    """
    client._connection.parsers.update(hooks)  # pyright: ignore[reportPrivateUsage]


def parser(client: discord.Client, event: str) -> Hook:
    """What discord.py itself does with an event, for a hook that wants to go on with it."""
    return client._connection.parsers[event]  # pyright: ignore[reportPrivateUsage]


async def converse(client: discord.Client, may_begin: Callable[[], Awaitable[None]], heard: Callable[[], None]) -> None:
    """Keeps the connection of a client that is logged in, for ever: its events go to the hooks.

    A broken connection is resumed; before each new session ``may_begin`` is awaited, without any connection open.
    (discord.py's own loop waits for that inside the opening, which it gives a minute, and then goes on with a session
    that does not exist.) ``heard`` is told of every word that came from Discord and was dealt with, from a connection's
    first event on: that heartbeats are answered before it does not tell that the session goes on. Raises
    ``discord.ConnectionClosed`` for a close code that forbids another try.
    """
    session: dict[str, Any] = {}
    pause, stuck = 0.0, 0
    while True:
        if not session:
            await may_begin()
        began, is_open = time.monotonic(), False
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                # "initial": discord.py's own pause before a session would come on top of ours.
                ws = await DiscordWebSocket.from_client(client, initial=True, shard_id=client.shard_id, **session)
            client.ws, is_open = ws, True
            while True:
                await ws.poll_event()
                if ws.sequence != session.get("sequence"):
                    heard()
        except ReconnectWebSocket as ended:
            if not ended.resume or (is_open and _closed_by(client) in SESSION_LOST):
                _forget_session(client)
        except discord.ConnectionClosed as closed:
            if closed.code != DONE:
                raise
        except GONE as error:
            log.info("the connection to Discord broke", shard=client.shard_id, error=type(error).__name__)
        good = is_open and time.monotonic() - began > GOOD_SECONDS
        pause = 0.0 if good else min(LONGEST_PAUSE, pause * 2 or FIRST_PAUSE)
        stuck = 0 if is_open and client.ws.sequence != session.get("sequence") else stuck + 1
        if stuck >= MAX_STUCK and is_open:
            # It may be the session itself that makes Discord close them.
            _forget_session(client)
        session = _resumption(client)
        if session and stuck >= MAX_STUCK:
            log.info("Discord is resumed by its general address", shard=client.shard_id)
            del session["gateway"]
        await asyncio.sleep(pause)


def _closed_by(client: discord.Client) -> int | None:
    """The close code of the last connection, if it had one."""
    return client.ws.socket.close_code


def _forget_session(client: discord.Client) -> None:
    ws = cast("DiscordWebSocket | None", client.ws)
    if ws is not None:
        ws.session_id = None


def _resumption(client: discord.Client) -> dict[str, Any]:
    """How to go on with the session; nothing where there is none."""
    ws = cast("DiscordWebSocket | None", client.ws)
    if ws is None or ws.session_id is None:
        return {}
    return {"resume": True, "gateway": ws.gateway, "session": ws.session_id, "sequence": ws.sequence}
