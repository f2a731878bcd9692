"""What ``parley doctor`` looks at on Telegram."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from bots.finding import Finding, asked
from core.settings import TelegramSettings


async def look(http: httpx2.AsyncClient, settings: TelegramSettings) -> list[Finding]:
    """Logs in and reads what @BotFather has switched on."""
    token = settings.token.get_secret_value()
    if not token:
        return [Finding("Telegram", None, "no TELEGRAM_TOKEN")]
    root = f"{settings.api_base}/bot{token}"
    me = await asked(http, f"{root}/getMe")
    if isinstance(me, str):
        remedy = "Check the network and TELEGRAM_API_BASE."
        if me in {"status 401", "status 404"}:
            remedy = "The token is wrong: copy it again from @BotFather into TELEGRAM_TOKEN."
        return [Finding("Telegram", False, f"getMe failed ({me})", remedy)]
    bot: Mapping[str, Any] = me.get("result", {})
    name = f"@{bot.get('username', '?')}"
    hook = await asked(http, f"{root}/getWebhookInfo")
    if isinstance(hook, str):
        return [Finding("Telegram", False, f"{name}, but getWebhookInfo failed ({hook})", "Try again later.")]
    webhook = _webhook(hook.get("result", {}), settings.webhook_url)
    return [Finding("Telegram", True, name), webhook, *_abilities(bot), *_local_files(settings)]


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
