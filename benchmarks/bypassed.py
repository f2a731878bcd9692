"""``parley up`` with mailbox and history in memory: what is left when durability is taken away.

``python -m benchmarks.bypassed`` reads the same environment. With ``PARLEY_PROFILE=FILE`` it writes a profile of
itself there when it is stopped; ``python -m benchmarks.bypassed durable`` is the untouched ``parley up``, for the
profile's sake.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.memory import MemoryHistory, MemoryMailbox, Rooms
from bots import run
from core import telemetry
from core.conversation.mailbox import Admission
from core.loading import load
from core.storage.client import Store


def bypass() -> None:
    """Puts the stand-ins where the composition root finds mailbox and history: everything else stays as it is."""
    rooms = Rooms()

    def mailbox(store: Store, worker: str, admission: Admission, **rest: Any) -> MemoryMailbox:
        return MemoryMailbox(rooms, admission)

    def history(store: Store, **rest: Any) -> MemoryHistory:
        return MemoryHistory(rooms)

    for name, stand_in in (("Mailbox", mailbox), ("History", history)):
        if not hasattr(run, name):
            raise AttributeError(f"bots.run has no {name} to be exchanged")
        setattr(run, name, stand_in)


def main() -> None:
    settings = load(Path.cwd(), os.environ)
    telemetry.set_up(settings.log)
    if "durable" not in sys.argv[1:]:
        bypass()
    import uvloop

    profile = cProfile.Profile() if os.environ.get("PARLEY_PROFILE") else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, profile or contextlib.nullcontext():
        runner.run(run.run(settings, None))
    if profile is not None:
        profile.dump_stats(os.environ["PARLEY_PROFILE"])


if __name__ == "__main__":
    main()
