"""What was used, for those who may see it: sums, a table for spreadsheets, and what a chart shows."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.people.budgets import MILLION, SHOWN_DAYS, Budgets, days_to
from core.storage.budgets import Row

COLUMNS = ("day", "person", "account", "model", "calls", "prompt", "answer", "money", "own", "images", "seconds")
"""``money`` is the community's and ``own`` what people paid with keys of their own, in currency units."""
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""A spreadsheet takes a cell that begins so for a formula, whoever wrote it, where people write Chinese or Japanese the
wide ones as well (OWASP: CSV injection)."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was used on some days, oldest first."""

    days: tuple[str, ...]
    rows: tuple[Row, ...]
    names: Mapping[str, str]
    """What people are called."""

    @property
    def measure(self) -> str:
        """What is compared: money, or calls where nothing has a price."""
        return "money" if any(_worth(row, "money") for row in self.rows) else "calls"

    def total(self, what: str) -> int:
        return sum(row.amounts.get(what, 0) for row in self.rows)

    def by_model(self) -> list[tuple[str, int]]:
        """The most first."""
        return self._by([row.model for row in self.rows])

    def by_person(self) -> list[tuple[str, int]]:
        """People's ids, the most first."""
        return self._by([row.person for row in self.rows])

    def by_day(self) -> dict[tuple[str, str], int]:
        """Of each day and model."""
        found: Counter[tuple[str, str]] = Counter()
        for row in self.rows:
            found[row.day, row.model] += _worth(row, self.measure)
        return dict(found)

    def called(self, person: str) -> str:
        """A person's name as it can be shown: one line, nothing that turns or hides it."""
        return shown(self.names.get(person, "")) or person

    def _by(self, whose: Sequence[str]) -> list[tuple[str, int]]:
        found: Counter[str] = Counter()
        for name, row in zip(whose, self.rows, strict=True):
            found[name] += _worth(row, self.measure)
        return [(name, amount) for name, amount in found.most_common() if amount]


def _worth(row: Row, measure: str) -> int:
    """What people paid with their own keys was used, too."""
    own = row.amounts.get("own", 0) if measure == "money" else 0
    return row.amounts.get(measure, 0) + own


async def report(budgets: Budgets, space: str, days: int) -> Report:
    """What was used in a space, or everywhere (``core.storage.budgets.ALL``), today and in the days before.

    Raises StorageError.
    """
    wanted = days_to(await budgets.period(), min(max(days, 1), SHOWN_DAYS))
    rows = tuple([row async for row in budgets.ledger.rows(wanted, space)])
    people = sorted({row.person for row in rows if row.person})
    return Report(tuple(wanted), rows, await budgets.ledger.names(people))


def table(report: Report) -> bytes:
    """As a CSV file, marked as UTF-8 for spreadsheets; no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in sorted(report.rows, key=lambda row: (row.day, row.person, row.model)):
        counted = [_number(what, row.amounts.get(what, 0)) for what in COLUMNS[4:]]
        writer.writerow([row.day, _cell(report.called(row.person)), _cell(row.person), _cell(row.model), *counted])
    return ("\ufeff" + text.getvalue()).encode()


def shown(name: str) -> str:
    """A name in one line, without characters that control, hide or turn text."""
    return " ".join("".join(c for c in name if unicodedata.category(c)[0] != "C" or c.isspace()).split())


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _number(what: str, amount: int) -> str:
    return f"{amount // MILLION}.{amount % MILLION:06d}" if what in ("money", "own") else str(amount)
