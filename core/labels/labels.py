"""All labels of what leaves: in files always, for eyes where the space or whoever runs Parley wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from core.labels.credentials import Signer, can_check
from core.labels.labelling import labelled
from core.labels.marks import marked
from core.labels.origin import Origin
from core.labels.settings import LabelSettings
from core.parts import Media
from core.people.spaces import Spaces, SpaceSettings

log = structlog.get_logger()

Put = Callable[[bytes, str, Origin], bytes]
"""A file of some MIME type as it may leave. Blocks: for a thread. Raises ValueError for what is broken."""
MARKED = ("image/png", "image/jpeg")


class Labels:
    """Puts them on."""

    def __init__(self, settings: LabelSettings, spaces: Spaces) -> None:
        self._settings = settings
        self._spaces = spaces
        self._signer: Signer | None = None
        if settings.certificate and settings.key:
            if can_check():
                self._signer = Signer(settings.certificate, settings.key)
            else:
                log.warning("nothing is signed: the extra `credentials` is not installed")

    def origin(self, model: str, provider: str, id: str, *, is_edit: bool = False) -> Origin:
        """Of what a model has just made. ``id`` must tell nothing of who asked for it or where, as turns' ids do."""
        return Origin(model, provider, datetime.now(UTC), id, is_edit, self._settings.producer)

    async def putting(self, space: str) -> Put:
        """How labels are put on what goes to a space (:func:`core.people.spaces.space_id`). Raises StorageError."""
        wanted = (await self._spaces.of(space)).label_mark
        has_mark = self._settings.mark if wanted is None else wanted

        def put(data: bytes, mime: str, origin: Origin) -> bytes:
            if has_mark and mime in MARKED:
                data = marked(data)
            data = labelled(data, mime, origin)
            return data if self._signer is None else self._signer.sign(data, mime, origin)

        return put

    async def put(self, media: Media, origin: Origin, space: str = "") -> Media:
        """The file as it may leave. Raises ValueError for what is broken, StorageError."""
        put = await self.putting(space)
        return replace(media, data=await asyncio.to_thread(put, media.data, media.mime, origin))

    def are_told(self, space: SpaceSettings) -> bool:
        """Whether a line under what models make says that they made it."""
        return self._settings.text if space.label_text is None else space.label_text
