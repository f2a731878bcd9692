"""Buttons as action rows, within Discord's limits."""

from __future__ import annotations

from typing import Any

from bots.adapter import Button
from bots.discord_bot.rows import MAX_OPTIONS, rows
from tests.platforms.discord_components import check_message


def made(*buttons: Button) -> list[dict[str, Any]]:
    """The rows, which Discord takes."""
    found = rows(buttons)
    check_message(found, is_v2=False, files=())
    return found


def pressable(found: list[dict[str, Any]]) -> list[list[str]]:
    return [[part["custom_id"] for part in row["components"]] for row in found]


def listed(count: int, row: int = 0) -> list[Button]:
    return [Button(f"m{n}", f"regenerate model=m{n}", row + n // 2, among="Choose a model") for n in range(count)]


def test_buttons_of_a_row_stand_side_by_side() -> None:
    assert pressable(made(Button("A", "a"), Button("B", "b", 1), Button("C", "c", 1))) == [["a"], ["b", "c"]]
    six = [Button(str(n), str(n)) for n in range(6)]
    assert pressable(made(*six)) == [["0", "1", "2", "3", "4"], ["5"]]
    assert made() == []


def test_what_cannot_be_taken_back_is_red_and_addresses_are_links() -> None:
    (row,) = made(Button("Gone", "forget", grave=True), Button("Back", ".row"), Button("Docs", "", url="https://a.b"))
    assert [button["style"] for button in row["components"]] == [4, 2, 5]
    assert row["components"][2]["url"] == "https://a.b"
    assert "custom_id" not in row["components"][2]


def test_few_values_are_buttons_and_many_are_a_list() -> None:
    few = made(*listed(5), Button("Back", ".row", 9))
    assert [len(row["components"]) for row in few] == [2, 2, 1, 1]
    select, back = made(*listed(MAX_OPTIONS), Button("Back", ".row", 99))
    (menu,) = select["components"]
    assert menu["placeholder"] == "Choose a model"
    assert menu["options"][3] == {"label": "m3", "value": "regenerate model=m3"}
    assert pressable([back]) == [[".row"]]


def test_a_list_that_is_too_long_becomes_several() -> None:
    first, second, _ = made(*listed(40), Button("Back", ".row", 99))
    assert [len(row["components"][0]["options"]) for row in (first, second)] == [25, 15]
    assert second["components"][0]["placeholder"] == "Choose a model: m25 – m39"


def test_what_is_too_much_for_discord_is_left_out() -> None:
    assert pressable(made(Button("A", "a" * 101), Button("B" * 100, "b" * 100))) == [["b" * 100]]
    assert len(made(*(Button(str(n), str(n), n) for n in range(9)))) == 5
    assert pressable(made(Button("A", "a"), Button("A again", "a"))) == [["a"]]
