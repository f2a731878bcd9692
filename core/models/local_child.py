"""What every local model server does first: read its order from stdin, and never outlive its parent.

Runs in the child process, perhaps in another environment: only the standard library here.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from typing import Any

PR_SET_PDEATHSIG = 1


def begin() -> dict[str, Any]:
    """The order, one JSON line. From here on the process ends when its parent does, however that ends."""
    if sys.platform == "linux":
        # Loading a model may hold the interpreter for half a minute, when the thread below cannot run.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return order


def answer(fields: dict[str, Any]) -> None:
    """Tells the parent one JSON line; whatever libraries print afterwards goes to the log."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def address(host: str, port: int | str) -> str:
    """Where the parent, on the same machine, reaches a server that listens there."""
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)
