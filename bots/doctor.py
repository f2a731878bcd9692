"""``parley doctor``: looks at everything that has to work and says for each what is wrong and what to do.

It really logs in, connects and writes. It never shows a secret: of an error only its kind is told, since
addresses contain tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import httpx2
from redis.exceptions import RedisError

from core.errors import ParleyError, SettingsError, StorageError
from core.labels.credentials import Signer
from core.labels.settings import LabelSettings
from core.models.local_models import SMOLLM2, downloaded, packaged_path, wants_local
from core.models.servers.offers import lacks, offers
from core.settings import DiscordSettings, ProviderSettings, Settings, TelegramSettings
from core.storage import key_check
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer, live_url
from core.storage.open_check import exposure
from core.storage.reach import is_too_old
from core.storage.sealing import Sealing

HTTP_SECONDS = 8.0
MIN_FREE_BYTES = 1_000_000_000
"""Below this the disk will soon be full: the database's file is rewritten beside the old one."""
OLDEST_PYTHON = (3, 11)
ANY_HOST = "0.0.0.0"  # noqa: S104 - compared with, not listened on
MARK = Path(__file__).parent / "web_chat" / "static" / "icon.svg"
"""What the web chat shows to everybody, and no other program has."""
MESSAGE_CONTENT_FLAGS = (1 << 18) | (1 << 19)
"""GATEWAY_MESSAGE_CONTENT and GATEWAY_MESSAGE_CONTENT_LIMITED of an application's flags."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``ok`` is None where it is not set up, or cannot be told."""

    name: str
    ok: bool | None
    what: str
    remedy: str = ""


async def diagnose(settings: Settings) -> list[Finding]:
    """Looks at everything, side by side; the findings in reading order. Never raises for what it finds."""
    async with httpx2.AsyncClient(timeout=HTTP_SECONDS) as http:
        groups = await asyncio.gather(
            _alone(_python),
            _alone(lambda: _data_folder(settings.data)),
            _alone(lambda: _disk(settings.data)),
            _web_port(http, settings),
            _database(settings),
            _telegram(http, settings),
            _discord(http, settings),
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


async def _database(settings: Settings) -> list[Finding]:
    url = settings.storage.redis_url or live_url(settings.data)
    if url:
        return await _redis(settings, url, "REDIS_URL" if settings.storage.redis_url else "embedded, running")
    server = EmbeddedServer(settings.data)
    try:
        async with server as url:
            return await _redis(settings, url, "embedded")
    except ParleyError as error:
        return [Finding("database", False, str(error), "Or set REDIS_URL to a Redis or Valkey server of your own.")]


async def _redis(settings: Settings, url: str, which: str) -> list[Finding]:
    try:
        store = Store(settings.storage.address(url))
    except SettingsError as error:
        return [Finding("database", False, str(error))]
    try:
        facts: dict[str, Any] = await store.redis.info("server")
        persistence = await _config(store.redis, "appendonly")
        eviction = await _config(store.redis, "maxmemory-policy")
        where, sealed = await exposure(store), ""
        with contextlib.suppress(StorageError):
            # A server that is too old for it says so itself.
            sealed = await key_check.check(store, Sealing.of(settings))
    except (RedisError, OSError, ValueError) as error:
        what = f"{which} cannot be reached ({type(error).__name__})"
        return [Finding("database", False, what, "Start that server, or correct REDIS_URL; user and password too.")]
    finally:
        await store.close()
    found = [_version(facts, which), _persistence(persistence), _eviction(eviction), _openness(settings, where)]
    return [*found, *_sealing(settings, sealed)]


async def _config(redis: Any, name: str) -> str | None:
    """None where the server does not tell, as hosted ones often do not."""
    try:
        found = cast("dict[str, str]", await redis.config_get(name))
    except RedisError:
        return None
    return found.get(name)


def _version(facts: Mapping[str, Any], which: str) -> Finding:
    version = str(facts.get("redis_version", "0"))
    own = facts.get("valkey_version")
    what = f"{which}, {'Valkey ' + str(own) if own else 'Redis ' + version}"
    if is_too_old(version):
        return Finding("database", False, what, "Parley needs Redis 7.0 or newer, or Valkey.")
    return Finding("database", True, what)


def _persistence(value: str | None) -> Finding:
    if value is None:
        return Finding("database file", None, "the server does not tell whether it keeps an append-only file")
    if value != "yes":
        remedy = "A restart of the server would lose messages: set appendonly yes in its configuration."
        return Finding("database file", False, "no append-only file is kept", remedy)
    return Finding("database file", True, "an append-only file is kept")


def _eviction(value: str | None) -> Finding:
    if value is None:
        return Finding("database memory", None, "the server does not tell what it does when its memory is full")
    if value != "noeviction":
        remedy = "When memory is full it would throw messages away: set maxmemory-policy noeviction."
        return Finding("database memory", False, f"maxmemory-policy is {value}", remedy)
    return Finding("database memory", True, "nothing is evicted")


def _sealing(settings: Settings, wrong: str) -> list[Finding]:
    if wrong:
        return [Finding("keys", False, wrong)]
    if not settings.keys.get_secret_value():
        return []
    what = "what is said is sealed" if settings.storage.encrypt else "people's own API keys are sealed"
    return [Finding("keys", True, what)]


def _openness(settings: Settings, where: str) -> Finding:
    if not where:
        return Finding("database access", True, "no stranger without a password gets in")
    remedy = "Set a password there (requirepass, or an ACL), or have it listen on 127.0.0.1 or a private network only."
    if settings.storage.allow_open:
        return Finding("database access", None, f"open to anybody {where}, as storage.allow_open says", remedy)
    return Finding("database access", False, f"open to anybody {where}: Parley does not start like this", remedy)


async def _telegram(http: httpx2.AsyncClient, settings: Settings) -> list[Finding]:
    token = settings.telegram.token.get_secret_value()
    if not token:
        return [Finding("Telegram", None, "no TELEGRAM_TOKEN")]
    root = f"{settings.telegram.api_base}/bot{token}"
    me = await _json(http, f"{root}/getMe")
    if isinstance(me, str):
        remedy = "Check the network and TELEGRAM_API_BASE."
        if me in {"status 401", "status 404"}:
            remedy = "The token is wrong: copy it again from @BotFather into TELEGRAM_TOKEN."
        return [Finding("Telegram", False, f"getMe failed ({me})", remedy)]
    bot: Mapping[str, Any] = me.get("result", {})
    name = f"@{bot.get('username', '?')}"
    hook = await _json(http, f"{root}/getWebhookInfo")
    if isinstance(hook, str):
        return [Finding("Telegram", False, f"{name}, but getWebhookInfo failed ({hook})", "Try again later.")]
    webhook = _webhook(hook.get("result", {}), settings.telegram.webhook_url)
    return [Finding("Telegram", True, name), webhook, *_abilities(bot), *_local_files(settings.telegram)]


def _abilities(bot: Mapping[str, Any]) -> list[Finding]:
    """What is switched on and off for the bot at @BotFather. None of it is wrong; each is explained."""
    if not bot.get("can_join_groups"):
        remedy = "To allow it: @BotFather, /setjoingroups, Enable."
        groups = Finding("Telegram groups", None, "the bot cannot be added to groups", remedy)
    elif bot.get("can_read_all_group_messages"):
        groups = Finding("Telegram groups", True, "privacy mode is off: in groups the bot gets every message")
    else:
        what = (
            "privacy mode is on: in groups the bot gets mentions, replies to it and commands, which is what it answers;"
            " rules of moderation see the rest only where it is an administrator"
        )
        remedy = (
            "To switch it off: @BotFather, /setprivacy, Disable; then remove the bot from each group and add it again."
            " Or make it an administrator of the groups where it is to get everything."
        )
        groups = Finding("Telegram groups", True, what, remedy)
    if bot.get("supports_inline_queries"):
        remedy = "Telegram does not tell whether inline feedback is on: @BotFather, /setinlinefeedback, Enabled."
        inline = Finding(
            "Telegram inline mode",
            True,
            "on; without inline feedback each answer waits for a button to be pressed",
            remedy,
        )
    else:
        remedy = "To switch it on: @BotFather, /setinline; then /setinlinefeedback, Enabled."
        inline = Finding("Telegram inline mode", None, "off: the bot cannot be asked from other chats", remedy)
    if bot.get("has_topics_enabled"):
        topics = Finding("Telegram topics", True, "on: each topic of a private chat is a conversation of its own")
    else:
        remedy = "To have several conversations side by side: @BotFather, the bot's settings, threaded mode."
        topics = Finding("Telegram topics", None, "off: a private chat is one conversation", remedy)
    return [groups, inline, topics]


def _local_files(settings: TelegramSettings) -> list[Finding]:
    if not settings.local_server:
        return []
    folder = Path(settings.local_files)
    if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
        return [Finding("Telegram files", True, "files of up to 2 GB, by the Bot API server of your own")]
    remedy = "Let the folder of the Bot API server (its --dir) stand under the same path here, readable for Parley."
    return [Finding("Telegram files", False, f"{folder} cannot be read", remedy)]


def _webhook(found: Mapping[str, Any], wanted: str) -> Finding:
    url = str(found.get("url") or "")
    if not wanted and url:
        remedy = "Another program may use this bot. End it, or call deleteWebhook, or set telegram.webhook_url."
        return Finding("Telegram updates", False, "a webhook is set, so polling gets nothing", remedy)
    if wanted and url and not url.startswith(wanted):
        remedy = "Another program may use this bot. Parley sets its own address when it starts."
        return Finding("Telegram updates", False, "the webhook leads to another address", remedy)
    if complaint := found.get("last_error_message"):
        remedy = "Check that telegram.webhook_url leads to this machine's telegram.webhook_port."
        return Finding("Telegram updates", False, f"Telegram could not deliver: {complaint}", remedy)
    waiting = found.get("pending_update_count", 0)
    return Finding("Telegram updates", True, f"{'webhook' if wanted else 'polling'}, {waiting} waiting")


async def _discord(http: httpx2.AsyncClient, settings: Settings) -> list[Finding]:
    token = settings.discord.token.get_secret_value()
    if not token:
        return [Finding("Discord", None, "no DISCORD_TOKEN")]
    from bots.discord_bot.rest import AGENT

    headers = {"Authorization": f"Bot {token}", "User-Agent": AGENT}
    me = await _json(http, f"{settings.discord.api_base}/users/@me", headers)
    if isinstance(me, str):
        remedy = "Check the network and DISCORD_API_BASE."
        if me == "status 401":
            remedy = "The token is wrong: reset it in the developer portal (Bot) and put it into DISCORD_TOKEN."
        return [Finding("Discord", False, f"login failed ({me})", remedy)]
    login = Finding("Discord", True, str(me.get("username", "?")))
    begins = _connections(await _json(http, f"{settings.discord.api_base}/gateway/bot", headers), settings.discord)
    application = await _json(http, f"{settings.discord.api_base}/applications/@me", headers)
    if isinstance(application, str):
        return [login, begins, Finding("Discord intents", False, f"cannot be read ({application})", "Try again later.")]
    flags = int(application.get("flags") or 0)
    if not flags & MESSAGE_CONTENT_FLAGS:
        remedy = "Switch on Message Content Intent in the developer portal (Bot), then start again."
        return [login, begins, Finding("Discord intents", False, "the message content intent is off", remedy)]
    on = Finding("Discord intents", True, "message content is on")
    return [login, begins, on, _members(flags, settings.discord)]


def _members(flags: int, settings: DiscordSettings) -> Finding:
    """Whether Discord tells the bot who joins and leaves."""
    from bots.discord_bot.intents import MEMBERS_FLAGS

    name = "Discord members"
    if settings.members == "off":
        return Finding(name, None, "discord.members is off: rules about joining do not work")
    if flags & MEMBERS_FLAGS:
        return Finding(name, True, "who joins and leaves is told")
    remedy = "Switch on Server Members Intent in the developer portal (Bot), then start again."
    is_needed = settings.members == "on"
    return Finding(name, False if is_needed else None, "who joins is not told: rules about joining do not work", remedy)


def _connections(gateway: dict[str, Any] | str, settings: DiscordSettings) -> Finding:
    """How many connections Discord lets the bot begin today, and into how many shards it wants it split."""
    name = "Discord connections"
    if isinstance(gateway, str):
        return Finding(name, False, f"cannot be read ({gateway})", "Try again later.")
    limit: Mapping[str, Any] = gateway.get("session_start_limit") or {}
    left, total, wanted = (
        int(limit.get("remaining") or 0),
        int(limit.get("total") or 0),
        int(gateway.get("shards") or 1),
    )
    what = f"{left} of {total} left today, {wanted} shard{'' if wanted == 1 else 's'} recommended"
    if left <= total // 10:
        hours = round(int(limit.get("reset_after") or 0) / 3_600_000, 1)
        remedy = f"Something restarts too often: the log says why. Discord grants new ones in {hours} hours."
        return Finding(name, False, what, remedy)
    fixed = settings.fixed_shards
    if 0 < fixed < wanted:
        remedy = "Set discord.shards to 0, or --shards to shards of that number, before Discord refuses so few."
        return Finding(name, None, f"{what}, {fixed} set", remedy)
    return Finding(name, True, what)


async def _provider(
    http: httpx2.AsyncClient, settings: Settings, provider: ProviderSettings, address: str
) -> list[Finding]:
    name = f"models of {provider.name}" + (f" at {address}" if provider.base_urls else "")
    key = provider.api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    listed = await _json(http, f"{address}/models", headers)
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


async def _json(http: httpx2.AsyncClient, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any] | str:
    """A JSON object, or in a few words why there is none. The words never contain the address."""
    try:
        answer = await http.get(url, headers=headers)
        if answer.status_code != 200:
            return f"status {answer.status_code}"
        content = answer.json()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return type(error).__name__
    except ValueError:
        return "no JSON"
    return cast("dict[str, Any]", content) if isinstance(content, dict) else "no JSON object"
