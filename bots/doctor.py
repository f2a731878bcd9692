"""``parley doctor``: looks at everything that has to work and says for each what is wrong and what to do.

It really logs in, connects and writes. It never shows a secret: of an error only its kind is told, since
addresses contain tokens.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import httpx2

from bots import doctor_database as database
from bots.discord_bot import diagnosis as discord
from bots.finding import Finding, asked
from bots.telegram_bot import diagnosis as telegram
from core.labels.credentials import Signer
from core.labels.settings import LabelSettings
from core.models.local_models import SMOLLM2, downloaded, packaged_path, wants_local
from core.models.servers.offers import lacks, offers
from core.models.settings import ProviderSettings
from core.settings import Settings
from core.storage.embedded import live_url

HTTP_SECONDS = 8.0
MIN_FREE_BYTES = 1_000_000_000
"""Below this the disk will soon be full: the database's file is rewritten beside the old one."""
OLDEST_PYTHON = (3, 11)
ANY_HOST = "0.0.0.0"  # noqa: S104 - compared with, not listened on
MARK = Path(__file__).parent / "web_chat" / "static" / "icon.svg"
"""What the web chat shows to everybody, and no other program has."""


async def diagnose(settings: Settings) -> list[Finding]:
    """Looks at everything, side by side; the findings in reading order. Never raises for what it finds."""
    async with httpx2.AsyncClient(timeout=HTTP_SECONDS) as http:
        groups = await asyncio.gather(
            _alone(_python),
            _alone(lambda: _data_folder(settings.data)),
            _alone(lambda: _disk(settings.data)),
            _web_port(http, settings),
            database.look(settings),
            telegram.look(http, settings.telegram),
            discord.look(http, settings.discord),
            *(_provider(http, settings, row, address) for row in settings.providers for address in row.addresses),
            _alone(lambda: _local_model(settings)),
            asyncio.to_thread(_engines, settings),
            asyncio.to_thread(_labels, settings.labels),
        )
    return [finding for group in groups for finding in group]


def report(findings: Iterable[Finding]) -> str:
    """The findings as lines for a terminal."""
    lines: list[str] = []
    for finding in findings:
        mark = {True: "ok", False: "WRONG", None: "-"}[finding.ok]
        lines.append(f"{mark:5}  {finding.name}: {finding.what}")
        if finding.remedy:
            lines.append(f"         {finding.remedy}")
    return "\n".join(lines)


def _labels(settings: LabelSettings) -> list[Finding]:
    if settings.certificate is None and settings.key is None:
        return []
    if settings.certificate is None or settings.key is None:
        return [Finding("labels", False, "signing wants a certificate and its key", "Set both in [labels], or none.")]
    if wrong := Signer(settings.certificate, settings.key).problem():
        remedy = "Correct certificate and key in [labels], or install `parley-bot[credentials]`."
        return [Finding("labels", False, f"nothing can be signed ({wrong})", remedy)]
    return [Finding("labels", True, "what is made is signed")]


async def _alone(look: Callable[[], Finding]) -> list[Finding]:
    return [await asyncio.to_thread(look)]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Finding("Python", False, f"version {version}", "Install Python 3.11 or newer and run make up again.")
    return Finding("Python", True, f"version {version}")


def _data_folder(data: Path) -> Finding:
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data) as probe:
            probe.write(b"x")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        what = f"{data.absolute()} cannot be written to ({reason})"
        return Finding("data folder", False, what, "Set PARLEY_DATA to a folder that this user may write.")
    return Finding("data folder", True, str(data.absolute()))


def _disk(data: Path) -> Finding:
    place = next((folder for folder in (data.absolute(), *data.absolute().parents) if folder.is_dir()), Path("/"))
    free = shutil.disk_usage(place).free
    what = f"{free / 1e9:.1f} GB free"
    if free < MIN_FREE_BYTES:
        return Finding("disk", False, what, "Free some space, or set PARLEY_DATA to a folder on another disk.")
    return Finding("disk", True, what)


async def _web_port(http: httpx2.AsyncClient, settings: Settings) -> list[Finding]:
    found = await asyncio.to_thread(_bind, settings)
    if found.ok is False and await _is_parley(http, settings):
        return [Finding("web chat", True, f"Parley is running there, at port {settings.web.port}")]
    return [found]


async def _is_parley(http: httpx2.AsyncClient, settings: Settings) -> bool:
    """Whether the web chat of a Parley answers, of whatever data folder: by a picture that only it has."""
    local, port = "127.0.0.1", settings.web.port
    host = settings.web.host if settings.web.host != ANY_HOST else local
    try:
        # The name by which every web chat knows itself.
        answer = await http.get(f"http://{host}:{port}/static/{MARK.name}", headers={"Host": f"{local}:{port}"})
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return False
    return answer.status_code == 200 and answer.content == MARK.read_bytes()


def _bind(settings: Settings) -> Finding:
    port = settings.web.port
    if port == 0:
        return Finding("web chat", None, "switched off (PARLEY_WEB_PORT=0)")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.web.host, port))
        except OSError as error:
            if live_url(settings.data):
                return Finding("web chat", True, f"port {port} is in use while Parley runs")
            reason = error.strerror or type(error).__name__
            what = f"port {port} cannot be used ({reason})"
            return Finding("web chat", False, what, "End what uses it, or set PARLEY_WEB_PORT to another port.")
    return Finding("web chat", True, f"port {port} is free")


async def _provider(
    http: httpx2.AsyncClient, settings: Settings, provider: ProviderSettings, address: str
) -> list[Finding]:
    name = f"models of {provider.name}" + (f" at {address}" if provider.base_urls else "")
    key = provider.api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    listed = await asked(http, f"{address}/models", headers)
    if listed == "status 404":
        return [Finding(name, None, "the provider does not list its models")]
    if isinstance(listed, str):
        remedy = "Check the base URL, and that the server runs."
        if listed in {"status 401", "status 403"}:
            remedy = "The key is wrong or has no right: check it at the provider."
        return [Finding(name, False, f"cannot be read ({listed})", remedy)]
    there = _ids(listed)
    wanted = [row.id or row.name for row in settings.models if row.provider == provider.name]
    if missing := [model for model in wanted if model not in there]:
        offered = ", ".join(sorted(there)[:8]) or "nothing"
        what = f"there is no {', '.join(missing)}"
        return [Finding(name, False, what, f"Name one that is there, such as: {offered}.")]
    return [Finding(name, True, ", ".join(wanted) or f"{len(there)} there, none chosen")]


def _ids(listed: Mapping[str, Any]) -> set[str]:
    rows: Any = listed.get("data")
    if not isinstance(rows, list):
        return set()
    return {str(cast("dict[str, Any]", row).get("id")) for row in cast("list[Any]", rows) if isinstance(row, dict)}


def _local_model(settings: Settings) -> Finding:
    model = settings.local.model
    if model == "none":
        return Finding("built-in model", None, "switched off (PARLEY_LOCAL_MODEL=none)")
    if not wants_local(settings):
        return Finding("built-in model", None, "not started, as other models are set up")
    there = [path.stem for path in downloaded(settings.data)] + ([SMOLLM2] if packaged_path() else [])
    if model not in {"auto", SMOLLM2}:
        return Finding("built-in model", True, f"{model} is asked for; it is looked for at the start")
    if not importlib.util.find_spec("xllamacpp"):
        remedy = "Run make up again. This system may have none: then set OPENAI_API_KEY and OPENAI_MODEL."
        return Finding("built-in model", False, "its engine xllamacpp is not installed", remedy)
    if not there:
        return Finding("built-in model", False, "none is here", "Run make up again, or parley models get.")
    remedy = "It is a tiny demonstration; parley models get fetches a better one." if there == [SMOLLM2] else ""
    return Finding("built-in model", True, there[0], remedy)


def _engines(settings: Settings) -> list[Finding]:
    """The small models beside the chat model. None of them has to be there."""
    if not settings.engines.on:
        return [Finding("small models", None, "switched off (PARLEY__ENGINES__ON=false)")]
    here = [row.name for offer in offers(settings) for row in offer.rows]
    found = [Finding("small models", True if here else None, ", ".join(here) or "none is here")]
    for remedy, whats in groupby(sorted((lack.remedy, lack.what) for lack in lacks(settings)), lambda pair: pair[0]):
        found.append(Finding("small models to be had", None, ", ".join(what for _, what in whats), remedy))
    return found
