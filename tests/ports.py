"""Ports for servers that are told theirs."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """One of 127.0.0.1 that stays free while nobody listens, also over restarts: the system gives it to nobody."""
    while True:
        port = random.randint(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
