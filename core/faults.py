"""Points at which a test can kill the process: between any two steps of a turn.

``PARLEY_FAULT=sent`` and ``PARLEY_FAULT_WHEN=FILE`` kill the process with SIGKILL when it reaches the point ``sent``
while the file is there.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Literal, get_args

Point = Literal[
    "received",  # the adapter has it, Redis does not
    "posted",  # in the mailbox, not acknowledged to the platform
    "taken",  # lease and turn record are there, nothing else
    "read",  # the question is in the tree, the model not called
    "modelled",  # the model has begun or ended, nothing shown
    "slotted",  # about to create a message
    "sent",  # created, its id not recorded
    "noted",  # created; recorded, unless the turn's end is what comes next
    "edited",  # the last edit done, the turn not finished
    "finished",  # the turn closed, the worker not told
]
POINTS: tuple[Point, ...] = get_args(Point)
Elsewhere = Literal[
    "announcing",  # about to tell a space something, which is noted
    "announced",  # told, and not noted
    "ordered",  # something to be made is kept, and in no queue
    "begun",  # its job has begun
    "made",  # what came of it is kept, and not posted
    "handed",  # its turn follows it no more, and has not said so
    "planned",  # what an act changes is written down, the platform not asked
    "told",  # whom an act is about is told, which is not noted
    "enforced",  # the platform did it, which is not noted
]
"""Points that no turn comes by."""

_name = os.environ.get("PARLEY_FAULT", "")
_when = Path(os.environ.get("PARLEY_FAULT_WHEN", ""))


def reached(point: Point | Elsewhere) -> None:
    """Called at a step boundary; does nothing unless a test switched the point on."""
    if point == _name and _when.exists():
        os.kill(os.getpid(), signal.SIGKILL)
