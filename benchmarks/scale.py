"""How Parley grows: several processes, trouble, durability, rest. All in one run, on one machine, against the stub.

    python -m benchmarks.scale [--quick] [--only speed,durability,...] [--json FILE] [--page docs/sizing.md]

``--page`` writes the figures, and the plan made from them, between the marks of that page. ``--from FILE`` takes the
figures of an earlier ``--json`` and measures only the parts named by ``--only`` anew. Answers a second are bound by
what the chats ask for, and by this machine, whose cores fakes, stub and server share: processor time an answer is what
carries over to others. With cores to spare, ``--chats 800`` asks for more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks import scale_plan
from benchmarks.figures import Row, table
from benchmarks.processes import DidNotStart
from benchmarks.scale_faults import FaultSize, rolling, takeover
from benchmarks.scale_idle import IdleSize, idle
from benchmarks.scale_load import LoadSize, durability, speed


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    load: LoadSize
    faults: FaultSize
    idle: IdleSize


FULL = Size(LoadSize(), FaultSize(), IdleSize())
QUICK = Size(
    LoadSize(chats=60, questions=2, rounds=2, durable_chats=60),
    FaultSize(chats=8, rounds=1),
    IdleSize(conversations=10_000, answered=3_000, rooms=1_000, overheard=1_000, turns=300),
)
Part = Callable[[Size, Path], Awaitable[list[Row]]]
PARTS: Mapping[str, tuple[str, Part]] = {
    "speed": ("One process and several", lambda size, work: speed(size.load, work)),
    "durability": ("What durability costs", lambda size, work: durability(size.load, work)),
    "takeover": ("A worker is lost", lambda size, work: takeover(size.faults, work)),
    "rolling": ("A rolling restart", lambda size, work: rolling(size.faults, work)),
    "idle": ("Conversations at rest", lambda size, work: idle(size.idle, work)),
}
"""Name -> heading and what measures it."""

Figures = dict[str, list[Row]]


async def measure(names: Sequence[str], size: Size) -> Figures:
    figures: Figures = {}
    for name in names:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="parley-scale-") as work:
            figures[name] = await PARTS[name][1](size, Path(work))
        sys.stderr.write(f"-- {name}: {time.perf_counter() - began:.0f} s\n")
    return figures


def sections(figures: Figures) -> str:
    """All figures as Markdown, a table for each part."""
    return "\n\n".join(f"### {PARTS[name][0]}\n\n{table(rows)}" for name, rows in figures.items())


def fill(page: str, name: str, text: str) -> str:
    """The page with what stands between the marks of that name replaced. Raises ValueError without such marks."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    head, found, rest = page.partition(begin)
    _, also, tail = rest.partition(end)
    if not (found and also):
        raise ValueError(f"there are no marks for {name!r} in the page")
    return f"{head}{begin}\n{text}\n\n{end}{tail}"


def machine() -> str:
    """One line about where and when."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (
        f"Measured on {time.strftime('%Y-%m-%d', time.gmtime())} on {os.cpu_count()} cores ({platform.machine()},"
        f" {platform.system()}), Python {platform.python_version()}; load of the machine before: {load:.1f}."
    )


def write_page(path: Path, figures: Figures, where: str) -> None:
    page = fill(path.read_text("utf-8"), "figures", f"{where}\n\n{sections(figures)}")
    costs = scale_plan.Costs.of([row for rows in figures.values() for row in rows])
    path.write_text(fill(page, "plan", scale_plan.table(costs)), "utf-8")


def keep(path: Path, figures: Figures, where: str) -> None:
    """All rows, each with its part and where it was measured."""
    rows = [{**asdict(row), "part": part, "where": where} for part, rows in figures.items() for row in rows]
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")


def kept(path: Path) -> tuple[Figures, str]:
    """The inverse of :func:`keep`."""
    figures: Figures = {}
    where = ""
    for row in json.loads(path.read_text("utf-8")):
        part, where = row.pop("part"), row.pop("where")
        figures.setdefault(part, []).append(Row(**row))
    return figures, where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything: 8 minutes instead of 20")
    parser.add_argument("--only", metavar="PARTS", help=f"with commas between: {','.join(PARTS)}")
    parser.add_argument("--chats", type=int, metavar="NUMBER", help="that ask at once under load")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write figures and plan into this page")
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="rows of an earlier --json")
    given = parser.parse_args()
    figures, where = kept(given.source) if given.source else ({}, "")
    names = given.only.split(",") if given.only else [name for name in PARTS if name not in figures]
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    where = machine() if names else where
    size = QUICK if given.quick else FULL
    if given.chats:
        size = replace(size, load=replace(size.load, chats=given.chats))
    try:
        figures |= asyncio.run(measure(names, size))
    except DidNotStart as error:
        sys.exit(f"did not start: {error}")
    sys.stdout.write(f"{where}\n\n{sections(figures)}\n")
    if given.json:
        keep(given.json, figures, where)
    if given.page:
        write_page(given.page, figures, where)


if __name__ == "__main__":
    main()
