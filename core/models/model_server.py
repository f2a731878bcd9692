"""``parley models serve``: only a model's server, announced to the workers that share a Redis."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from core.errors import SettingsError, StorageError
from core.models.announced import FOLLOW_SECONDS, announce
from core.models.local_server import LOOPBACK, LocalServer
from core.models.model import LocalModel, is_loopback
from core.models.settings import LocalSettings
from core.storage.announcements import Announcements
from core.tasks import end

log = structlog.get_logger()

GRACE_SECONDS = 6.0
"""How long answers under way may go on after the signal to stop. With the rest it is less than the ten seconds after
which containers are killed."""
EVERYWHERE = "0.0.0.0"  # noqa: S104


async def serve(
    settings: LocalSettings,
    data: Path,
    progress: Callable[[str], None],
    announcements: Announcements | None = None,
) -> None:
    """Serves the built-in model in the foreground, until SIGINT or SIGTERM.

    With ``announcements`` the workers of that Redis find it by themselves; without, the lines that others need to use
    it are told to ``progress``. Raises SettingsError or LocalServerError.
    """
    host = LOOPBACK if settings.host == EVERYWHERE else settings.host
    if announcements is not None:
        host = await known_as(settings, announcements)
    served: LocalModel | None = None

    def changed(model: LocalModel | None) -> None:
        nonlocal served
        served = None if model is None else replace(model, base_url=_address(settings, host, model.base_url))
        if served is not None:
            log.info("ready", model=served.name, address=served.base_url)
            _tell(served, progress, is_announced=announcements is not None)

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    server = LocalServer(settings, data, progress, changed, listen=(settings.host, settings.port))
    starting = asyncio.create_task(server.start())
    telling = asyncio.create_task(announce(announcements, lambda: served)) if announcements is not None else None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, starting.cancel)
    try:
        model = await starting
        if model is None:
            raise SettingsError("local.model is none, so there is nothing to serve. Set PARLEY_LOCAL_MODEL.")
        changed(model)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        await ended.wait()
    except asyncio.CancelledError:
        pass
    finally:
        try:
            if telling is not None:
                # First nobody is sent here any more, then the answers under way are let end. What is left goes on
                # elsewhere from where it stops.
                await end([telling])
                await asyncio.sleep(FOLLOW_SECONDS * 1.25)
                await server.rest(GRACE_SECONDS)
        finally:
            await server.stop()


async def known_as(settings: LocalSettings, announcements: Announcements) -> str:
    """The host that workers reach this machine by. Raises SettingsError."""
    if settings.advertise:
        if not settings.port:
            raise SettingsError("local.port is wrong: found 0. With local.advertise it has to be the port named there.")
        return urlsplit(settings.advertise).hostname or ""
    if settings.host != EVERYWHERE:
        return settings.host
    try:
        return await announcements.own_host() or LOOPBACK
    except StorageError as error:
        raise SettingsError(
            f"local.advertise is not set, and Redis does not tell this machine's address ({error})."
            " Set it to the URL by which workers reach this machine, such as http://gpu1:8000/v1."
        ) from None


def _address(settings: LocalSettings, host: str, base_url: str) -> str:
    """``base_url`` as others spell it."""
    return settings.advertise or f"http://{host}:{urlsplit(base_url).port}/v1"


def _tell(model: LocalModel, progress: Callable[[str], None], *, is_announced: bool) -> None:
    progress(model.source)
    if not is_announced:
        progress(f"OPENAI_BASE_URL={model.base_url}")
        progress(f"OPENAI_API_KEY={model.api_key}")
        progress(f"OPENAI_MODEL={model.id}")
    elif is_loopback(model.base_url):
        progress(
            f"Announced as {model.base_url}, for workers on this machine. For others set"
            " PARLEY__LOCAL__HOST=0.0.0.0 and, where that does not do, PARLEY__LOCAL__ADVERTISE."
        )
    else:
        progress(f"Announced to the workers as {model.base_url}.")
