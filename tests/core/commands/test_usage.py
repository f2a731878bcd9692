"""/usage, /admin usage and /admin budget, as the engine answers them."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from PIL import Image

from core.commands.table import meant
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall
from core.models.budget import Amounts
from core.models.model import Model
from core.models.paying import Payer
from core.parts import Media, Notice, Part, TextDelta, Usage
from core.people import usage_chart
from core.people.budgets import Budgets
from core.people.identity import People
from core.people.spaces import Allowance, Spaces
from core.people.usage import Report, report, shown, table
from core.settings import BudgetSettings
from core.storage.budgets import ALL, Row
from core.storage.client import Store
from tests.builders import call
from tests.core.engines import engine

ANNA, OWNER = Author("7", "安娜"), Author("1", "Grace")
SPACE = "telegram:9:100"


async def spend(store: Store, person: str, name: str, money: int, space: str = "", model: str = "big") -> None:
    budgets = Budgets(store, BudgetSettings(), People(store), Spaces(store))
    reservation = await budgets.reserve(
        Payer(f"telegram:{person}", space, name), Model(model, "p", model), Amounts(money), Amounts(), seconds=9
    )
    await budgets.settle(reservation, Amounts(money, seconds=3), Usage(model, 5, 6, money, 1))
    await budgets.close()


async def answered(store: Store, text: str, author: Author = ANNA, **values: Any) -> list[Part]:
    name, _, rest = text.partition(" ")
    name, rest = meant(name, rest)
    asked: CommandCall = call(name, author=author, options={"text": rest}, **values)
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    async with engine(store, mailbox, owners=("telegram:1",)) as answering:
        return [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))][:-1]


async def test_people_see_what_they_used_and_what_is_left(store: Store) -> None:
    await spend(store, "7", "安娜", 1_250_000)
    await People(store).change(
        "telegram:7", lambda one: one.model_copy(update={"allowance": Allowance(day_money=2_000_000)})
    )
    (part,) = await answered(store, "usage")
    assert isinstance(part, TextDelta)
    assert "Today: $1.25, pictures: 0, sound: 3" in part.text
    assert "You, paid models today: $1.25 of $2.00; anew on" in part.text


async def test_owners_see_everything_as_text_chart_and_table(store: Store) -> None:
    await spend(store, "7", "安娜", 3_000_000)
    await spend(store, "8", "**Ben**", 1_000_000, SPACE)
    text, chart, csv = await answered(store, "admin usage 7", OWNER)
    assert isinstance(text, TextDelta)
    assert "Calls of models in 7 days: 2. Cost: $4.00" in text.text
    assert "1. 安娜: $3.00" in text.text
    assert "2. \\*\\*Ben\\*\\*: $1.00" in text.text
    assert isinstance(chart, Media)
    assert Image.open(io.BytesIO(chart.data)).size[0] == usage_chart.WIDTH
    assert isinstance(csv, Media)
    assert csv.data.startswith(b"\xef\xbb\xbfday,person,account,model")
    assert "安娜,telegram:7,big,1,5,6,3.000000,0.000000,0,3" in csv.data.decode("utf-8-sig")


@pytest.mark.parametrize(
    ("text", "author", "key"),
    [
        ("admin usage", ANNA, "groups_only"),
        ("admin usage -3", OWNER, "usage_days"),
        ("admin usage 999999999999", OWNER, "usage_days"),
        ("admin usage ٣", OWNER, "usage_days"),
        ("admin usage", OWNER, "usage_none"),
        ("admin budget 7 day_money 5", ANNA, "owner_only"),
        ("admin budget", OWNER, "budget_how"),
        ("admin budget 7 week_money 5", OWNER, "budget_unknown"),
        ("admin budget 7", OWNER, "budget_usual"),
    ],
)
async def test_what_is_refused_or_empty(store: Store, text: str, author: Author, key: str) -> None:
    (part,) = await answered(store, text, author)
    assert isinstance(part, Notice)
    assert part.key == key


async def test_a_space_sees_its_own_and_nothing_else(store: Store) -> None:
    await spend(store, "8", "Ben", 1_000_000, SPACE)
    await spend(store, "7", "Anna", 3_000_000, "telegram:9:other")
    budgets = Budgets(store, BudgetSettings(), People(store), Spaces(store))
    assert [row.person for row in (await report(budgets, SPACE, 3)).rows] == ["telegram:8"]
    assert (await report(budgets, ALL, 3)).total("money") == 4_000_000


@pytest.mark.parametrize("amount", ["-5", "1e9", "NaN", "inf", "٥", "99999999999", "5 EUR", "five"])
async def test_nonsense_is_no_budget(store: Store, amount: str) -> None:
    (part,) = await answered(store, f'admin budget 7 day_money "{amount}"', OWNER)
    assert isinstance(part, Notice)
    assert part.key not in ("budget_set", "budget_unset")
    assert (await People(store).of("telegram:7")).allowance == Allowance()


async def test_the_owner_sets_and_takes_back_a_budget(store: Store) -> None:
    (part,) = await answered(store, "admin budget 7 day_money 2.50", OWNER)
    assert part == Notice("budget_set", {"name": "day_money", "value": "2.5"})
    people = People(store)
    assert (await people.of("telegram:7")).allowance == Allowance(day_money=2_500_000)
    (part,) = await answered(store, "admin budget 7", OWNER)
    assert isinstance(part, TextDelta)
    assert "`day_money`: 2.5" in part.text
    assert await answered(store, "admin budget 7 day_money auto", OWNER) == [
        Notice("budget_unset", {"name": "day_money"})
    ]
    await people.records.refresh()
    assert (await People(store).of("telegram:7")).allowance == Allowance()


NAMES = {
    "a": "=HYPERLINK(1)",
    "b": "+1",
    "c": "@x",
    "d": "-2\u202e\u200b",
    "e": "\t=1",
    "f": '王, "五"',
    "g": "عمر",
    "h": "＝1+1",
}
WILD = Report(
    ("2026-11-21", "2026-11-22"),
    tuple(Row("2026-11-22", person, f"m{index}", {"calls": index + 1}) for index, person in enumerate([*NAMES, ""])),
    NAMES,
)


def test_no_cell_is_a_formula() -> None:
    import csv

    rows = list(csv.reader(io.StringIO(table(WILD).decode("utf-8-sig"))))
    assert [row[1] for row in rows[2:]] == ["'=HYPERLINK(1)", "'+1", "'@x", "'-2", "'=1", '王, "五"', "عمر", "'＝1+1"]
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)


@pytest.mark.parametrize("found", [WILD, Report(("2026-11-22",), (), {}), Report(("d",) * 90, WILD.rows * 20, {})])
async def test_a_chart_of_anything_is_a_picture(found: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = await asyncio.to_thread(usage_chart.draw, found, ("每日", "模型", "成员"), "其他")
    Image.open(io.BytesIO(picture)).verify()
    # So it is on a machine without fonts.
    monkeypatch.setattr(usage_chart, "FONTS", ())
    usage_chart.font_file.cache_clear()
    usage_chart.font.cache_clear()
    Image.open(io.BytesIO(usage_chart.draw(found, ("每日", "b", "c"), "其他"))).verify()
    usage_chart.font_file.cache_clear()
    usage_chart.font.cache_clear()


def test_names_are_shown_in_one_line_and_turn_nothing() -> None:
    assert shown("a\u202eb\n c\u200b\x07") == "ab c"
