"""Chaos: random messages from many chats while everything around and inside Parley fails.

``python -m tests.chaos --seconds 600 --seed 7``. The schedule of messages and troubles is a pure function of the seed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import sys
from pathlib import Path

from core.message import Platform
from tests.chaos.building import FLEET
from tests.chaos.plan import Kind
from tests.chaos.run import Outcome, run
from tests.chaos.scene import Options
from tests.chaos.timeline import timeline

MOST_TIMELINES = 8


def main() -> None:
    # The fakes are cut off in the middle of their answers all the time.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the storm (default: 600)")
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, which is printed")
    parser.add_argument("--layout", choices=sorted(FLEET), default="split", help="split processes, or whole ones")
    parser.add_argument("--only", help=f"troubles, separated by commas: {', '.join(Kind)}")
    parser.add_argument("--platforms", help="platforms, separated by commas (default: all)")
    parser.add_argument("--storm", type=float, default=1.0, help="how many times as much goes wrong (default: 1)")
    parser.add_argument("--journal", type=Path, help="file for everything that happened")
    parser.add_argument("--talk", action="store_true", help="print troubles as they come")
    given = parser.parse_args()
    options = Options(
        random.randrange(1_000_000) if given.seed is None else given.seed,
        given.seconds,
        given.layout,
        frozenset(Kind)
        if given.only is None
        else frozenset(Kind(kind.replace("_", " ")) for kind in given.only.split(",") if kind),
        frozenset(Platform) if given.platforms is None else frozenset(map(Platform, given.platforms.split(","))),
        given.storm,
        given.talk,
        given.journal,
    )
    print(f"chaos: seed {options.seed}, {options.seconds:.0f} s, {options.layout}", flush=True)
    outcome = asyncio.run(_whole(options))
    report(options, outcome)
    sys.exit(1 if outcome.verdict.violations else 0)


async def _whole(options: Options) -> Outcome:
    """Ended from outside it still ends everything it started."""
    running = asyncio.create_task(run(options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await running


def report(options: Options, outcome: Outcome) -> None:
    """What was broken, with its story, and the summary."""
    violations = outcome.verdict.violations
    for number, violation in enumerate(violations):
        print(f"\nVIOLATION {violation.kind}: {violation.room} {violation.tag}: {violation.what}")
        if number < MOST_TIMELINES:
            for line in timeline(violation, outcome.chats.get(violation.room), outcome.journal):
                print(f"    {line}")
    seconds, slowest = outcome.slowest
    print(f"\nseed {options.seed}, {options.seconds:.0f} s of storm, {outcome.took:.0f} s in all")
    print(f"{outcome.messages} questions, {outcome.verdict.answers} whole answers")
    print(f"notices: {_counted(outcome.verdict.notices)}; Discord commands not taken in time: {outcome.untaken}")
    print(f"faults: {_counted(outcome.troubles)}; {outcome.kills} processes killed")
    print(f"slowest answer: {seconds:.1f} s ({slowest})")
    print(f"{len(violations)} violations")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    main()
