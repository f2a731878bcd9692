"""Mends the append-only file of the embedded server after a power cut left rubbish at its end."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import structlog

from core.errors import StorageError

log = structlog.get_logger()

MAX_DAMAGE_BYTES = 1024 * 1024
"""A power cut can spoil what was written since the last sync, a second of it. More is another damage."""
CHECK_SECONDS = 600


def repair(binary: Path, folder: Path) -> None:
    """Cuts an unreadable end off, keeping a copy. Raises StorageError where more than an end is damaged."""
    file = _newest(folder / "appendonlydir")
    found = re.search(r"\bdiff=(\d+)", _check(binary, file)) if file else None
    damage = int(found[1]) if found else 0
    if file is None or not 0 < damage <= MAX_DAMAGE_BYTES:
        raise StorageError(
            f"The embedded database cannot read its file: {folder / 'appendonlydir'} is damaged."
            " Put a backup of that folder in its place, or move it away to start empty."
        )
    copy = folder / f"{file.name}.damaged-{int(time.time())}"
    shutil.copy2(file, copy)
    _check(binary, file, "--fix")
    log.warning("append_only_file_mended", cut_bytes=damage, copy=str(copy))


def _newest(folder: Path) -> Path | None:
    """The file written last: only it can have a spoilt end."""
    try:
        manifest = (folder / "appendonly.aof.manifest").read_text("utf-8")
    except OSError:
        return None
    names = re.findall(r"^file (\S+) seq \d+ type i$", manifest, re.MULTILINE)
    return folder / names[-1] if names else None


def _check(binary: Path, file: Path, *options: str) -> str:
    # One binary plays all of Valkey's tools, chosen by the name it is called by. It is given the file and not
    # the manifest: 9.1 takes its own snapshot format for damage there.
    done = subprocess.run(  # noqa: S603
        ["valkey-check-aof", *options, file.name],  # noqa: S607
        executable=binary,
        cwd=file.parent,
        input="y\n",
        capture_output=True,
        text=True,
        timeout=CHECK_SECONDS,
        check=False,
    )
    return done.stdout
