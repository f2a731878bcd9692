"""Calls that wait for a form to be filled in, for whichever process it comes back to."""

from __future__ import annotations

from core.errors import EntryError
from core.message import CommandCall
from core.message_json import from_json, to_json
from core.storage import keys
from core.storage.client import Store
from core.storage.sealing import SealedError

SECONDS = 4 * 3600
"""Who has the form open for longer begins again."""


class Forms:
    """Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, call: CommandCall) -> None:
        """In place of what its caller had left open before: nobody has more than one."""
        key = keys.form(call.conversation.bot, call.author.id)
        text = self._store.texts.seal_json(to_json(call), key)
        await self._store.attempt(lambda: self._store.redis.set(key, text, ex=SECONDS))

    async def find(self, bot: str, account: str, id: str) -> CommandCall | None:
        """The account's call of that id; None where it is there no more, or cannot be read. It stays: what is sent
        twice is refused later."""
        key = keys.form(bot, account)
        kept: str | None = await self._store.attempt(lambda: self._store.redis.get(key))
        try:
            call = from_json(self._store.texts.open_json(kept, key)) if kept else None
        except (EntryError, SealedError):
            return None
        return call if isinstance(call, CommandCall) and call.id == id else None
