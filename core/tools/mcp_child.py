"""What stands between Parley and a server of the Model Context Protocol that it starts: ends it when Parley ends,
however that ends (not every server ends with its standard input), and when it says more at once than anybody can use.

Runs as a program, with the server's command as its arguments: only the standard library here.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
LONGEST_LINE = 8_000_000
"""Bytes of one message. The SDK keeps a message in memory whole, and copies it with each piece that comes."""
_PIECE = 65_536


def main() -> None:
    """Hands on what the server writes; what it reads is ours from the beginning."""
    _end_with_parent()
    with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, preexec_fn=_end_with_parent) as server:  # noqa: PLW1509, S603
        assert server.stdout is not None
        length = 0
        while piece := os.read(server.stdout.fileno(), _PIECE):
            _, newline, rest = piece.rpartition(b"\n")
            length = len(rest) if newline else length + len(piece)
            if length > LONGEST_LINE or not _handed_on(piece):
                server.kill()
                break


def _handed_on(piece: bytes) -> bool:
    try:
        while piece:
            piece = piece[os.write(sys.stdout.fileno(), piece) :]
    except BrokenPipeError:
        return False
    return True


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
