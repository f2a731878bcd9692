"""The rows of the command table for a space's rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from core.access import Right
from core.commands import native_rules, rules
from core.commands.row import Command, Kind, Option, Room, Where
from core.moderation.presets import presets
from core.parts import Part


def _row(name: str, run: Callable[[Room], AsyncIterator[Part]], *options: Option, spread: bool = False) -> Command:
    return Command(
        name,
        "moderate",
        run,
        options=options,
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
        spread=spread,
    )


ROWS: tuple[Command, ...] = (
    _row("rules", rules.list_rules),
    _row("rules list", rules.list_rules),
    _row("rules preset", rules.choose, Option("name", required=True, choices=presets())),
    _row("rules write", rules.write, Option("file", required=True, kind=Kind.FILE)),
    _row("rules file", rules.show_file),
    _row(native_rules.PUSH, native_rules.push),
    _row(
        "rules switch",
        rules.switch,
        Option("state", required=True, choices=rules.STATES),
        Option("name", required=True),
        spread=True,
    ),
    _row("rules try", rules.attempt, Option("words", required=True, kind=Kind.LONG)),
    _row(
        "rules replay",
        rules.replay,
        Option("days", kind=Kind.INTEGER, least=1, most=rules.MOST_DAYS),
        Option("file", kind=Kind.FILE),
        spread=True,
    ),
)
