"""``parley keys rotate``."""

from __future__ import annotations

from collections.abc import Callable

from bots.opened import opened
from core.errors import SettingsError
from core.people import own_keys
from core.people.identity import People
from core.settings import Settings
from core.storage.key_check import forget_others
from core.storage.rotating import rotate
from core.storage.sealing import Sealing


async def rotate_keys(settings: Settings, tell: Callable[[str], None]) -> None:
    """Seals everything anew by the first key. Raises SettingsError, StorageError."""
    sealing = Sealing.of(settings)
    if not sealing.is_on:
        raise SettingsError("PARLEY_KEYS is not set: there is no key to seal with.")
    async with opened(settings) as store:
        texts = await rotate(store, sealing)
        people, lost = await own_keys.reseal_all(People(store), sealing)
        if not (texts.lost or lost):
            await forget_others(store, sealing)
    tell(f"Sealed anew: {texts.values} texts, the keys of {people} people.")
    if texts.lost or lost:
        tell(f"No key of PARLEY_KEYS opens {texts.lost} texts and the keys of {lost} people.")
    else:
        tell("Nothing needs the older keys any more, but backups made before.")
