"""Guilds, channels and roles by id, as far as discord.py has been told of them, and what was chosen for channels."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord.abc import GuildChannel

from bots.discord_bot.contents import titled
from bots.discord_bot.permissions import MODERATORS
from core.conversation.preferences import ALWAYS
from core.people.hearing import Hearing
from core.people.spaces import SpaceSettings
from core.settings import DiscordSettings
from core.storage.channels import Channels

MAX_TOPIC = 200
"""Characters of a channel's topic that a model is told."""


class Rooms:
    """The surroundings that translation asks for. What is unknown is an empty text or False."""

    def __init__(self, client: discord.Client, channels: Channels, hearing: Hearing, settings: DiscordSettings) -> None:
        self._client = client
        self._channels = channels
        self._hearing = hearing
        self._always = frozenset(settings.always_channels)
        self._threads = settings.threads
        self.cdn = settings.cdn

    def place(self, guild: str, channel: str) -> str:
        found = self._channel(guild, channel)
        if found is None:
            return ""
        about = found.parent if isinstance(found, discord.Thread) else found
        topic = about.topic if isinstance(about, discord.TextChannel | discord.ForumChannel) else None
        topic = f"; topic: {' '.join(topic.split())[:MAX_TOPIC]}" if topic else ""
        return f"#{found.name}{_kind(found)} in {found.guild.name}{topic}"

    def is_in(self, guild: str) -> bool:
        """Whether the bot is a member of the guild."""
        return self._client.get_guild(int(guild)) is not None

    def post(self, guild: str, channel: str) -> str:
        found = self._channel(guild, channel)
        if not isinstance(found, discord.Thread) or not isinstance(found.parent, discord.ForumChannel):
            return ""
        return titled(found.name, [tag.name for tag in found.applied_tags])

    def channel_name(self, guild: str, channel: str) -> str:
        found = self._channel(guild, channel)
        return found.name if found else ""

    def role_name(self, guild: str, role: str) -> str:
        found = self._role(guild, role)
        return found.name if found else ""

    def is_own_role(self, guild: str, role: str) -> bool:
        found, user = self._role(guild, role), self._client.user
        return bool(found and user and found.tags and found.tags.bot_id == user.id)

    def is_own_application(self, application: str) -> bool:
        return bool(application) and application == str(self._client.application_id)

    def listens(self, guild: str, channel: str) -> bool:
        """What was chosen for the channel itself holds, else its own threads count, else what holds for those above,
        else what was chosen for the guild."""
        if chosen := self._channels.answers(channel):
            return chosen == ALWAYS
        found, by_guild = self._channel(guild, channel), self.chosen(guild).answers
        if found is None:
            return by_guild == ALWAYS if by_guild else channel in self._always
        parent = str(found.parent_id) if isinstance(found, discord.Thread) else ""
        if parent and self._is_own(found):
            return True
        if parent and (chosen := self._channels.answers(parent)):
            return chosen == ALWAYS
        if by_guild:
            return by_guild == ALWAYS
        return not self._always.isdisjoint((channel, parent, str(found.category_id or "")))

    def chosen(self, guild: str) -> SpaceSettings:
        return self._hearing.of(guild)

    def above(self, guild: str, channel: str) -> tuple[str, ...]:
        found = self._channel(guild, channel)
        if found is None:
            return ()
        parent = found.parent_id if isinstance(found, discord.Thread) else None
        return tuple(str(id) for id in (parent, found.category_id) if id)

    def configures(self, guild: str, user: str, roles: Sequence[str]) -> bool:
        found = self._client.get_guild(int(guild))
        if found is None:
            return False
        held = [found.default_role, *filter(None, (found.get_role(int(role)) for role in roles))]
        may = any(role.permissions.administrator or role.permissions.manage_guild for role in held)
        return may or str(found.owner_id) == user

    def is_staff(self, guild: str, user: str, roles: Sequence[str]) -> bool:
        found = self._client.get_guild(int(guild))
        if found is None:
            return False
        held = (found.default_role, *filter(None, (found.get_role(int(role)) for role in roles)))
        return str(found.owner_id) == user or any(role.permissions.value & MODERATORS for role in held)

    def system_channel(self, guild: str) -> str:
        found = self._client.get_guild(int(guild))
        channel = found.system_channel if found else None
        return str(channel.id) if channel else ""

    def opens_thread(self, guild: str, channel: str, message: str) -> bool:
        """Also for a message on which a thread was opened, whatever holds by now. Only where the bot may do so."""
        if self._is_own(self._channel(guild, message)):
            return True
        chosen = self._channels.threads(channel)
        if not (self._threads if chosen is None else chosen):
            return False
        found = self._channel(guild, channel)
        if not isinstance(found, discord.TextChannel):
            return False
        may = found.permissions_for(found.guild.me)
        return may.view_channel and may.create_public_threads and may.send_messages_in_threads

    def threads(self, guild: str, channel: str) -> Sequence[str]:
        found = self._client.get_guild(int(guild))
        return [str(thread.id) for thread in found.threads if thread.parent_id == int(channel)] if found else []

    def _is_own(self, found: GuildChannel | discord.Thread | None) -> bool:
        user = self._client.user
        return isinstance(found, discord.Thread) and user is not None and found.owner_id == user.id

    def _channel(self, guild: str, channel: str) -> GuildChannel | discord.Thread | None:
        found = self._client.get_guild(int(guild)) if guild else None
        return found.get_channel_or_thread(int(channel)) if found else None

    def _role(self, guild: str, role: str) -> discord.Role | None:
        found = self._client.get_guild(int(guild)) if guild else None
        return found.get_role(int(role)) if found else None


def _kind(found: GuildChannel | discord.Thread) -> str:
    """What is to be said of a channel besides its name."""
    if isinstance(found, discord.Thread):
        if found.parent is None:
            return ""
        what = "post in" if isinstance(found.parent, discord.ForumChannel) else "thread of"
        return f" ({what} #{found.parent.name})"
    return " (voice channel)" if isinstance(found, discord.VoiceChannel | discord.StageChannel) else ""
