"""What ``docs/creating.md`` shows of commands is what there is."""

from __future__ import annotations

import re
from pathlib import Path

from core.commands.table import BY_NAME

PAGE = Path(__file__).parents[3] / "docs/creating.md"


def test_every_command_of_the_page_exists_with_just_these_options() -> None:
    shown: list[str] = re.findall(r"`/([^`]+)`", PAGE.read_text("utf-8"))
    named: set[str] = set()
    for line in shown:
        words = line.split()
        name = " ".join(words[:2]) if " ".join(words[:2]) in BY_NAME else words[0]
        is_group = any(known.startswith(f"{name} ") for known in BY_NAME)
        assert name in BY_NAME or is_group, line
        named.add(words[0])
        options = {option.name for option in BY_NAME[name].options} if name in BY_NAME else set[str]()
        # In Chinese options go by their names there, which the page shows once.
        typed = re.findall(r"\b([a-z_]+)[:=]", line)
        assert set(typed) <= options, line
    assert len(named) > 25
