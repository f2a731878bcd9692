"""The small local models of this machine in the catalog, each behind its doorway."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import time
from pathlib import Path

import structlog

from core.models.catalog import Catalog
from core.models.model import LOCAL, Endpoint, Model
from core.models.servers.doorway import Doorway, Launch
from core.models.servers.environments import child_environ
from core.models.servers.offers import Offer, offers
from core.settings import Settings

log = structlog.get_logger()

LOOK_SECONDS = 10.0
"""Between two looks for models that were trained or brought in meanwhile."""

LOG_SECONDS = 86_400.0
"""How long a log is kept of a server that failed."""


class LocalServers:
    """Costs nothing until somebody uses one of them."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._open: dict[str, tuple[Offer, Doorway]] = {}
        self._known: list[tuple[str, int]] = []
        self._retired: list[Doorway] = []
        """Of offers that have changed: they end once nobody asks them any more."""

    def open(self) -> None:
        """Lists what is here. To be called in the event loop; reads a few folders."""
        _forget_logs(self._settings.data / "run")
        self._known = _changed(self._settings.data / "models")
        self._take_over(offers(self._settings))

    async def follow(self) -> None:
        """Takes note of models that come and go, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._close_retired()
            if (now := _changed(self._settings.data / "models")) != self._known:
                self._known = now
                try:
                    self._take_over(await asyncio.to_thread(offers, self._settings))
                except OSError as error:
                    log.warning("engines_not_read", error=str(error))

    async def aclose(self) -> None:
        """Ends all servers. May be called twice."""
        doors = [*self._retired, *(doorway for _, doorway in self._open.values())]
        self._open.clear()
        self._retired.clear()
        await asyncio.gather(*(doorway.aclose() for doorway in doors))

    def doorway(self, engine: str) -> Doorway | None:
        """The address of an engine that is here."""
        found = self._open.get(engine)
        return found[1] if found is not None else None

    def _take_over(self, found: tuple[Offer, ...]) -> None:
        for offer in found:
            known = self._open.get(offer.kit.engine)
            if known is not None and known[0] == offer:
                continue
            doorway = Doorway(self._launch(offer))
            doorway.open()
            self._open[offer.kit.engine] = offer, doorway
            if known is not None:
                self._retired.append(known[1])
        rows: list[tuple[Model, Endpoint]] = []
        for offer in found:
            doorway = self._open[offer.kit.engine][1]
            rows += [(row, _endpoint(row, offer, doorway)) for row in offer.rows]
        self._catalog.keep(rows)
        if rows:
            log.info("engines", models=[row.name for row, _ in rows])

    async def _close_retired(self) -> None:
        for doorway in [doorway for doorway in self._retired if not doorway.pid]:
            self._retired.remove(doorway)
            await doorway.aclose()

    def _launch(self, offer: Offer) -> Launch:
        engines, data = self._settings.engines, self._settings.data.absolute()
        return Launch(
            offer.kit.engine,
            offer.python,
            data,
            dict(offer.models),
            child_environ(data, self._settings.local.hub_url),
            engines.threads or os.cpu_count() or 1,
            engines.device,
            engines.idle_minutes * 60,
            self._settings.chat.max_recording_seconds,
        )


def _endpoint(row: Model, offer: Offer, doorway: Doorway) -> Endpoint:
    # Other processes have servers of their own, so this one's are known by its id, and nobody else counts their places.
    circuit = f"{LOCAL}@{platform.node()}:{os.getpid()}:{offer.kit.engine}"
    return Endpoint(
        LOCAL, doorway.base_url, doorway.api_key, offer.kit.at_once, circuit, row.name, row.id, is_shared=False
    )


def _forget_logs(folder: Path) -> None:
    """Logs that killed processes left."""
    for log_file in folder.glob("engine-*.log"):
        with contextlib.suppress(OSError):
            if time.time() - log_file.stat().st_mtime > LOG_SECONDS:
                log_file.unlink()


def _changed(folder: Path) -> list[tuple[str, int]]:
    """What tells that models came or went: names, and when they were written."""
    found: list[tuple[str, int]] = []
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            # It may be a link to nowhere, or gone by now.
            with contextlib.suppress(OSError):
                found.append((path.name, path.stat().st_mtime_ns))
    return sorted(found)
