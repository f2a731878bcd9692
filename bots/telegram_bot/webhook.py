"""The webhook's receiver: a small HTTP server that answers 200 only when an update is in storage."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from bots.telegram_bot.translate import Raw
from core.errors import StorageError

log = structlog.get_logger()

MAX_BODY = 1_000_000
"""Bytes. An update is a few kilobytes, with a quoted message and its entities a few dozen."""
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name

Take = Callable[[Raw], Awaitable[None]]


@asynccontextmanager
async def serving(port: int, secret: str, take: Take, host: str = "127.0.0.1") -> AsyncGenerator[int]:
    """Receives at any path until left; gives the port. A proxy with a certificate stands before it."""

    async def receive(request: web.BaseRequest) -> web.Response:
        return await _received(request, secret, take)

    runner = web.ServerRunner(web.Server(receive, access_log=None))
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _received(request: web.BaseRequest, secret: str, take: Take) -> web.Response:
    given = request.headers.get(SECRET_HEADER, "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode()):
        return web.Response(status=401)
    if request.method != "POST":
        return web.Response(status=405)
    if (request.content_length or 0) > MAX_BODY:
        return web.Response(status=413)
    body = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > MAX_BODY:
            return web.Response(status=413)
    try:
        update = json.loads(body)
        int(update["update_id"])
    except (ValueError, KeyError, TypeError):
        return web.Response(status=400)
    try:
        await take(update)
    except StorageError as error:
        log.error("telegram: storage does not take what came in", cause=str(error))
        return web.Response(status=503)
    return web.Response()
