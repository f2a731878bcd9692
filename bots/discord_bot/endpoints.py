"""The only place that reaches into discord.py beyond its documented ways. A test fails when one of them vanishes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import discord
import yarl
from discord.asset import Asset
from discord.gateway import DiscordWebSocket
from discord.http import Route

from core.settings import DiscordSettings

Hook = Callable[[dict[str, Any]], None]


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
