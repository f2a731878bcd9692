"""This process's name among all workers, the same after a restart.

A worker that dies and comes back has its own conversations again at once, without waiting for its leases to
run out. That is safe because the name is a file lock: whoever holds it knows that its earlier holder is dead.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import IO

from core.errors import SettingsError

MOST = 256


class Instance:
    """A name that is ours while the process lives."""

    def __init__(self, name: str, lock: IO[str]) -> None:
        self.name = name
        self._lock = lock

    def close(self) -> None:
        self._lock.close()

    @classmethod
    def claim(cls, data: Path) -> Instance:
        """The first free name of this data folder. Raises SettingsError when the folder cannot be written."""
        try:
            data.mkdir(parents=True, exist_ok=True)
            identity = _identity(data / "instance")
            for number in range(MOST):
                lock = (data / f"worker-{number}.lock").open("a+")
                if _locked(lock):
                    return cls(f"{identity}/{number}", lock)
                lock.close()
        except OSError as error:
            raise SettingsError(f"PARLEY_DATA is wrong: {data} cannot be written ({error.strerror}).") from None
        raise SettingsError(f"More than {MOST} workers share the data folder {data}.")


def _identity(path: Path) -> str:
    try:
        with path.open("x") as file:
            file.write(secrets.token_hex(8))
    except FileExistsError:
        pass
    return path.read_text()


def _locked(lock: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
