"""What was said of a long text, kept for the next run of its job."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, cast

from core.creations.order import Commission
from core.models.speech import Spoken
from core.parts import Media, Usage

_FIELDS = 4


class Utterances:
    """The pieces of one commission that were said, by their numbers and words."""

    def __init__(self, commission: Commission) -> None:
        self._commission = commission
        self._known = _read(commission.remembered)

    async def said(self, number: int, text: str, utter: Callable[[], Awaitable[Spoken]]) -> Spoken:
        """What an earlier run said of a piece, which was paid for there, else what ``utter`` makes of it. Raises
        StorageError."""
        name = blake2b(f"{number} {text}".encode("utf-8", "replace"), digest_size=12).hexdigest()
        if name in self._known and (data := await self._commission.take(name)) is not None:
            file, mime, model, provider = self._known[name]
            return Spoken(Media(file, mime, data), Usage(model), is_cut=False, provider=provider)
        spoken = await utter()
        media = spoken.media
        if await self._commission.lay(name, media.data):
            self._known[name] = [media.name, media.mime, spoken.usage.model, spoken.provider]
            await self._commission.remember(json.dumps(self._known))
        return spoken


def _read(text: str) -> dict[str, list[str]]:
    """Never fails: what cannot be read is said anew."""
    try:
        value: Any = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    values = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return {name: known for name, known in values.items() if _is_sound(known)}


def _is_sound(known: Any) -> bool:
    return isinstance(known, list) and len(known) == _FIELDS and all(isinstance(one, str) for one in known)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
