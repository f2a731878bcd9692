"""Model servers left behind by a Parley that was killed. They end by themselves; this makes sure of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import structlog

log = structlog.get_logger()


def note(data: Path, pid: int) -> None:
    """Remembers that this process runs the server ``pid``. Several Parleys may share a data folder."""
    _file(data, os.getpid()).write_text(str(pid), "ascii")


def forget(data: Path) -> None:
    """This process runs no server any more."""
    _file(data, os.getpid()).unlink(missing_ok=True)


def end(data: Path) -> None:
    """Kills servers whose Parley is gone; only processes that are model servers of this folder."""
    for file in (data / "run").glob("local-server-of-*.pid"):
        parent = int(file.stem.rpartition("-")[2])
        if parent != os.getpid() and "python" in _command(parent):
            continue
        with contextlib.suppress(ValueError, OSError):
            pid = int(file.read_text("ascii"))
            command = _command(pid)
            if "core.models.local_" in command and str(data) in command:
                os.kill(pid, signal.SIGKILL)
                log.info("local_server_orphan_ended", pid=pid)
        file.unlink(missing_ok=True)


def _file(data: Path, parent: int) -> Path:
    return data / "run" / f"local-server-of-{parent}.pid"


def _command(pid: int) -> str:
    """The command line of a process; empty when there is none."""
    if sys.platform == "win32":
        return ""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "surrogateescape")
    with contextlib.suppress(OSError):
        command = ["ps", "-o", "command=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    return ""
