"""Everything that happened in a run, by the driver's clock, in one order."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. ``what`` of a process is its log line."""

    at: float
    who: str
    what: str


@dataclass(slots=True)
class Journal:
    """Unix times are the driver's: the processes' own clocks jump."""

    entries: list[Entry] = field(default_factory=list[Entry])
    talks: bool = False
    """Print troubles as they come."""
    began: float = field(default_factory=time.time)
    file: TextIO | None = None
    """Where everything is written at once, so that a run that is cut off can be read, too."""

    def note(self, who: str, what: str) -> None:
        entry = Entry(time.time(), who, what)
        self.entries.append(entry)
        if self.file is not None:
            self.file.write(self.line(entry) + "\n")
        if self.talks and who == TROUBLE:
            print(self.line(entry), flush=True)

    def line(self, entry: Entry) -> str:
        return f"{entry.at - self.began:9.3f}  {entry.who:<22} {entry.what}"

    def by(self, who: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.who == who]


TROUBLE = "trouble"
EXIT = "exit"
