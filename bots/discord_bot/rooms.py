"""Guilds, channels and roles by id, as far as discord.py has been told of them."""

from __future__ import annotations

import discord
from discord.abc import GuildChannel


class Rooms:
    """The surroundings that translation asks for. What is unknown is an empty text or False."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    def place(self, guild: str, channel: str) -> str:
        found = self._channel(guild, channel)
        if found is None:
            return ""
        parent = found.parent if isinstance(found, discord.Thread) else None
        under = f" (thread of #{parent.name})" if parent else ""
        return f"#{found.name}{under} in {found.guild.name}"

    def channel_name(self, guild: str, channel: str) -> str:
        found = self._channel(guild, channel)
        return found.name if found else ""

    def role_name(self, guild: str, role: str) -> str:
        found = self._role(guild, role)
        return found.name if found else ""

    def is_own_role(self, guild: str, role: str) -> bool:
        found, user = self._role(guild, role), self._client.user
        return bool(found and user and found.tags and found.tags.bot_id == user.id)

    def is_own_thread(self, guild: str, channel: str) -> bool:
        found, user = self._channel(guild, channel), self._client.user
        return isinstance(found, discord.Thread) and user is not None and found.owner_id == user.id

    def _channel(self, guild: str, channel: str) -> GuildChannel | discord.Thread | None:
        found = self._client.get_guild(int(guild)) if guild else None
        return found.get_channel_or_thread(int(channel)) if found else None

    def _role(self, guild: str, role: str) -> discord.Role | None:
        found = self._client.get_guild(int(guild)) if guild else None
        return found.get_role(int(role)) if found else None
