"""What is asked of pictures, as it waits in an order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.creations.wish import STYLES, Wish
from core.models.images import MAX_SEED

WHOLE = Wish("a fox", "edit", "wide", 2, "comic", "dogs", "high", 0, 7, "brush", is_masked=True, buttons=True)


@pytest.mark.parametrize("wish", [Wish(), WHOLE, Wish("x", seed=MAX_SEED, size="64x2048")])
def test_a_wish_comes_back_from_its_order(wish: Wish) -> None:
    assert Wish.of(json.loads(json.dumps(wish.to_json()))) == wish


def test_what_was_not_said_is_not_kept() -> None:
    assert Wish("a fox").to_json() == {"prompt": "a fox"}


@pytest.mark.parametrize(
    "request_",
    [
        {"prompt": 5},
        {"op": "burn"},
        {"count": 0},
        {"count": 10**9},
        {"count": True},
        {"seed": -1},
        {"seed": MAX_SEED + 1},
        {"dice": -1},
        {"size": "9x9"},
        {"size": "WIDE"},
        {"style": "unheard"},
        {"quality": "best"},
        {"prompt": "x" * 5000},
        {"prompt": "x", "of_tomorrow": 1},
    ],
)
def test_what_is_no_wish_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="wish"):
        Wish.of(request_)


def test_the_style_is_said_to_the_model_in_words() -> None:
    assert Wish("a fox", style="comic").asked().prompt == f"a fox. Style: {STYLES['comic']}."
    restyled = Wish(op="edit", style="ink").asked((b"x",))
    assert (restyled.size, restyled.inputs) == ("", (b"x",))
    assert restyled.prompt.endswith(f"redrawn as {STYLES['ink']}.")
    assert Wish("a fox").asked().size == "square"


def test_the_asker_is_told_to_nobody_as_they_are() -> None:
    sender = Wish("x").asked(account="discord:123").sender
    assert len(sender) == 32
    assert "123" not in sender
    assert Wish("x").asked(account="discord:123").sender == sender
    assert Wish("x").asked().sender == ""
