"""The webhook: a small HTTP server that answers 200 only when an update is in storage, and where Telegram calls it.

Any number of processes may receive for one bot, behind one address. None of them takes the webhook away when it stops.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from bots.telegram_bot.api import Api
from bots.telegram_bot.insisting import insist
from bots.telegram_bot.polling import Accept
from bots.telegram_bot.translate import UPDATES
from core.errors import StorageError
from core.settings import TelegramSettings
from core.storage.shared import Memory
from core.tasks import to_the_end

log = structlog.get_logger()

MAX_BODY = 1_000_000
"""Bytes. An update is a few kilobytes, with a quoted message and its entities a few dozen."""
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name

DRAIN_SECONDS = 5.0
"""A receiver that stops finishes the calls it is accepting within this time; what is left Telegram sends again."""


@asynccontextmanager
async def serving(port: int, secret: str, accept: Accept, host: str = "127.0.0.1") -> AsyncGenerator[int]:
    """Receives at any path until left; gives the port. A proxy with a certificate stands before it."""

    async def receive(request: web.BaseRequest) -> web.Response:
        return await _received(request, secret, accept)

    runner = web.ServerRunner(web.Server(receive, access_log=None), shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        # It stops listening first, and then waits for what it has begun to take.
        await to_the_end(runner.cleanup(), 2 * DRAIN_SECONDS)


async def set_up(api: Api, settings: TelegramSettings, memory: Memory, key: str) -> None:
    """Has Telegram call ``settings.webhook_url``, unless it does so already. One process at a time may do this.

    Telegram does not tell the secret that it was given: ``memory`` has its mark under ``key``. Raises StorageError.
    """
    secret = settings.webhook_secret.get_secret_value()
    mark = hmac.new(settings.token.get_secret_value().encode(), secret.encode(), "sha256").hexdigest()
    info = await insist(api, "getwebhookinfo", {})
    as_wanted = info.get("url") == settings.webhook_url and set(info.get("allowed_updates", ())) == set(UPDATES)
    if as_wanted and await memory.recall(key) == mark:
        return
    fields = {"url": settings.webhook_url, "secret_token": secret, "allowed_updates": list(UPDATES)}
    await insist(api, "setwebhook", fields)
    await memory.remember(key, mark)
    log.info("telegram: webhook set")


async def _received(request: web.BaseRequest, secret: str, accept: Accept) -> web.Response:
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
        await accept([update])
    except StorageError as error:
        log.error("telegram: storage does not take what came in", cause=str(error))
        return web.Response(status=503)
    return web.Response()
