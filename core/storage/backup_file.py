"""The file of a backup: compressed lines of JSON, a header first, a checksum of all of it last.

It says nothing of a server, its version or its form of storage. What is sealed in the store is sealed in the file.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

from core.errors import ParleyError
from core.message_json import VERSION
from core.storage.backup import Row, Unit, check
from core.storage.key_table import UnknownKeyError

FORMAT = 1
"""Of the file itself."""
END = "sha256"
"""The last line has it."""
MAX_LINE = 512 * 1024 * 1024
"""Bytes of one unit: far more than the largest conversation takes."""
PRIVATE = 0o600


class BackupError(ParleyError):
    """A file that cannot be written, or is no whole backup."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line."""

    format: int
    schema: int
    """``core.message_json.VERSION`` of the program that wrote it."""
    program: str
    at: str
    """When it was begun, in ISO 8601."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a whole file holds."""

    header: Header
    units: int
    keys: int
    digest: str
    """SHA-256 of all lines but the last one."""


class BackupWriter:
    """Writes a file that is there when it is whole, and not before. Use it with ``with``; then :meth:`finish` it."""

    def __init__(self, path: Path, program: str) -> None:
        """Raises BackupError where the file is there already, or cannot be made."""
        if path.exists():
            raise BackupError(f"{path} is there already, and no backup is written over.")
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._digest = hashlib.sha256()
        self._units = self._keys = 0
        self._header = Header(FORMAT, VERSION, program, datetime.now(UTC).isoformat(timespec="seconds"))
        try:
            self._part.unlink(missing_ok=True)
            self._raw: BinaryIO = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb")
        except OSError as error:
            raise BackupError(f"{path} cannot be written: {error.strerror}.") from None
        self._file = gzip.GzipFile("", "wb", compresslevel=6, fileobj=self._raw, mtime=0)

    def __enter__(self) -> BackupWriter:
        self._line({"parley-backup": asdict(self._header)})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.close()
        self._raw.close()
        self._part.unlink(missing_ok=True)

    def write(self, unit: Unit) -> None:
        """Raises BackupError when there is no room."""
        self._line([row.to_json() for row in unit])
        self._units += 1
        self._keys += len(unit)

    def finish(self) -> Summary:
        """The file is whole, on the disk and under its name. Raises BackupError."""
        digest = self._digest.hexdigest()
        self._line({"units": self._units, "keys": self._keys, END: digest})
        try:
            self._file.close()
            self._raw.flush()
            os.fsync(self._raw.fileno())
            self._name()
        except OSError as error:
            raise BackupError(f"{self._path} cannot be written: {error.strerror}.") from None
        return Summary(self._header, self._units, self._keys, digest)

    def _name(self) -> None:
        try:
            # Unlike a rename it replaces nothing that came meanwhile.
            os.link(self._part, self._path)
        except FileExistsError:
            raise
        except OSError:
            # Not every file system gives a file a second name.
            if self._path.exists():
                raise
            self._part.rename(self._path)

    def _line(self, value: Any) -> None:
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        self._digest.update(line)
        try:
            self._file.write(line)
        except OSError as error:
            raise BackupError(f"{self._path} cannot be written: {error.strerror}.") from None


def verify(path: Path) -> Summary:
    """Reads all of a file before anything is done with it. Raises BackupError."""
    digest = hashlib.sha256()
    header: Header | None = None
    units = count = 0
    for line in _lines(path):
        value = _json(path, line)
        if header is None:
            header = _header(path, value)
        elif isinstance(value, list):
            units += 1
            count += len(_unit(path, cast(list[Any], value)))
        elif isinstance(value, dict):
            if value == {"units": units, "keys": count, END: digest.hexdigest()}:
                return Summary(header, units, count, digest.hexdigest())
            raise BackupError(f"{path} was changed or damaged since it was written: its checksum is another.")
        digest.update(line)
    raise BackupError(f"{path} is not whole: its end is missing.")


def units(path: Path) -> Iterator[Unit]:
    """The units of a file that was verified. Raises BackupError."""
    for line in _lines(path):
        value = _json(path, line)
        if isinstance(value, list):
            yield _unit(path, cast(list[Any], value))
        elif END in value:
            return


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise BackupError(f"{path} is no backup of Parley's: a line in it is too long.")
                yield line
    except FileNotFoundError:
        raise BackupError(f"{path} is not there.") from None
    except EOFError:
        raise BackupError(f"{path} is not whole: its end is missing.") from None
    except (OSError, ValueError, zlib.error) as error:
        raise BackupError(f"{path} cannot be read as a backup: {error}.") from None


def _json(path: Path, line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        raise BackupError(f"{path} is no backup of Parley's, or damaged.") from None


def _header(path: Path, value: Any) -> Header:
    try:
        told = value["parley-backup"]
        header = Header(int(told["format"]), int(told["schema"]), str(told["program"])[:40], str(told["at"])[:40])
    except (TypeError, KeyError, ValueError):
        raise BackupError(f"{path} is no backup of Parley's.") from None
    if header.format > FORMAT or header.schema > VERSION:
        raise BackupError(
            f"{path} was written by {header.program}, which is newer than this program: restore it with that one or a"
            " newer one."
        )
    return header


def _unit(path: Path, value: list[Any]) -> Unit:
    try:
        unit = tuple(Row.of(raw) for raw in value)
        check(unit)
    except (ValueError, TypeError) as error:
        raise BackupError(f"{path} is damaged: {error}.") from None
    except UnknownKeyError as error:
        raise BackupError(f"{path} is damaged, or of a newer program: {error}") from None
    return unit
