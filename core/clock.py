"""Seconds that go on also while the process is stopped or the machine sleeps, and never go back.

Leases are counted by it. ``time.monotonic`` stands still while a machine sleeps: after that a lease would look alive.
"""

from __future__ import annotations

import time

if hasattr(time, "CLOCK_BOOTTIME"):  # Linux

    def seconds() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:
    seconds = time.monotonic
