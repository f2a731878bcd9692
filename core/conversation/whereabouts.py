"""Where a space is now: for jobs that began before its group became a supergroup, or before the bot left it."""

from __future__ import annotations

from core.message import ConversationKey, Platform
from core.people.spaces import space_id
from core.storage.client import Store
from core.storage.keys import ConversationKeys
from core.storage.spaces_seen import SpacesSeen


class Whereabouts:
    """Knows by what the platforms' receivers told. Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = SpacesSeen(store)

    async def of(self, space: str) -> str:
        """A space's id (``core.people.spaces.space_id``) now; empty where the bot was and is no more."""
        platform, bot, chat = _parts(space)
        # Nothing but a group without topics moves, and its conversation goes by its own id.
        state, redis = ConversationKeys.of(ConversationKey(platform, bot, chat)).state, self._store.redis
        if moved := await self._store.attempt(lambda: redis.hget(state, "moved")):
            new = ConversationKey.parse(moved)
            space = space_id(new, new.chat)
        return "" if await self._seen.is_left(space) else space

    async def leave(self, space: str) -> None:
        """What was written for a space after the bot left it is to go with the rest."""
        await self._seen.left(*_parts(space))


def _parts(space: str) -> tuple[Platform, str, str]:
    platform, bot, chat = space.split(":", 2)
    return Platform(platform), bot, chat
