"""A person's export: archives of what is kept about them, each of a size that every platform takes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from core.people.privacy import File, Privacy, Subject
from core.texts import Moment, say

PART_BYTES = 7_500_000
"""Of what is in one archive before it is packed: less than what Discord takes of a bot (10 MB), the least of all."""
MOST_PARTS = 10
"""Archives of one export. Pictures that find no place in them are left out, and a notice says so."""
README = "README.txt"


class Archives:
    """Files as they come, in as many archives as are needed."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._open: zipfile.ZipFile | None = None
        self._buffer = io.BytesIO()
        self._size = 0
        self._names: set[str] = set()
        self.parts = 0
        self.left_out = 0
        """Files that found no place."""

    async def of(self, what: Privacy, subject: Subject) -> AsyncIterator[bytes]:
        """The archives, one after the other: the first begins with a file that says what is where."""
        self._put(File(README, self._told().encode()))
        async for file in what.export(subject):
            for piece in _pieces(file):
                if self._size and self._size + len(piece.data) > PART_BYTES:
                    if self.parts + 1 >= MOST_PARTS:
                        self.left_out += 1
                        continue
                    yield self._closed()
                self._put(piece)
        yield self._closed()

    def _told(self) -> str:
        return say("privacy_readme", self._language, when=Moment(datetime.now(UTC))) + "\n"

    def _put(self, file: File) -> None:
        if self._open is None:
            self._buffer = io.BytesIO()
            self._open = zipfile.ZipFile(self._buffer, "w", zipfile.ZIP_DEFLATED)
        path, number = file.path, 1
        while path in self._names:
            # Two names may have come to be one when they were made safe.
            number += 1
            stem, dot, kind = file.path.rpartition(".")
            path = f"{stem}-{number}{dot}{kind}" if dot else f"{file.path}-{number}"
        self._names.add(path)
        self._open.writestr(path, file.data)
        self._size += len(file.data)

    def _closed(self) -> bytes:
        assert self._open is not None
        self._open.close()
        self._open, self._size = None, 0
        self.parts += 1
        return self._buffer.getvalue()


def _pieces(file: File) -> list[File]:
    """A file larger than an archive may be, in pieces that are put together by writing one behind the other."""
    if len(file.data) <= PART_BYTES:
        return [file]
    cuts = range(0, len(file.data), PART_BYTES)
    return [File(f"{file.path}.{number:03}", file.data[at : at + PART_BYTES]) for number, at in enumerate(cuts, 1)]
