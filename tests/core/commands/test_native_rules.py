"""Pushing a space's rules into a platform's own filter: shown first, done by the button below what was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bots.buttons import command_of
from core.access import Right
from core.commands.row import Moderation
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.errors import OutboundError, OutboundFault
from core.message import Platform
from core.moderation.acts import Answer, Outcome
from core.moderation.enforcer import Site
from core.moderation.native import Fitted, NativeLimits, NativeRule, fitted
from core.moderation.rulebook import RuleBook, RuleBooks
from core.parts import Menu, Notice, Part, TextDelta
from core.storage.cases import Cases
from core.storage.client import Store
from tests.builders import call
from tests.core.commands.test_moderate import MODERATOR, SPACE, Club
from tests.core.engines import engine

LIMITS = NativeLimits(2, 3, 20, 1, 50, 5, 5, 5, 51)
RULES = """
[[rule]]
name = "scam"
words = ["free nitro", "加微信", "b`ad @everyone", "one too many"]
delete = true
[[rule]]
name = "counted only"
words = ["other"]
flag = true
"""


@dataclass
class Filter:
    """A platform's own, with state."""

    rules: list[NativeRule] = field(default_factory=list[NativeRule])
    lacks: str = ""
    is_away: bool = False
    pushed: int = 0

    async def lacking(self, site: Site) -> str:
        return self.lacks

    async def read(self, site: Site) -> list[NativeRule]:
        if self.is_away:
            raise OutboundError(OutboundFault.TRANSIENT, "away")
        return self.rules

    async def fit(self, site: Site, wanted: Sequence[NativeRule]) -> Fitted:
        return fitted(wanted, LIMITS, 1)

    async def push(self, site: Site, wanted: Sequence[NativeRule]) -> Answer:
        self.rules, self.pushed = [*wanted], self.pushed + 1
        return Answer(Outcome.DONE)


@dataclass
class World:
    store: Store
    native: Filter | None = field(default_factory=Filter)
    club: Club = field(default_factory=Club)

    async def push(self, button: str = "rules push") -> list[Part]:
        name, options = command_of(button)
        given: dict[str, Any] = {"author": MODERATOR, "private": False, "space": "100", "options": options}
        asked = call(name, **given)
        moderation = {Platform.TELEGRAM: Moderation(Cases(self.store, keep_days=1), self.club, native=self.native)}
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with engine(self.store, mailbox, may=self.club.may, moderation=moderation) as answering:
            turn = Turn(asked.conversation, "1", "1", asked)
            *parts, _ = [part async for part in answering.respond(turn)]
        return parts


@pytest.fixture
async def world(store: Store) -> World:
    await RuleBooks(store).change(SPACE, lambda _: RuleBook(text=RULES))
    return World(store)


async def test_the_difference_is_shown_and_only_its_button_does_it(world: World) -> None:
    shown, menu = await world.push()
    assert isinstance(shown, TextDelta)
    assert isinstance(menu, Menu)
    assert "+ `free nitro`, `加微信`, `b'ad @everyone`" in shown.text
    assert "other" not in shown.text.replace("others", ""), "what only counts is not among it"
    assert "1 of them has no room there, and is found by your rules afterwards: `one too many`" in shown.text
    assert world.native is not None
    assert world.native.rules == [], "nothing was done yet"
    apply = menu.rows[0][0].command
    assert len(apply) < 100, "that is all a button holds"
    assert await world.push(apply) == [Notice("native_pushed")]
    assert world.native.rules[0].alert == "", "nobody chose a channel for reports"
    assert [rule.words for rule in world.native.rules] == [("free nitro", "加微信", "b`ad @everyone")]
    [again] = await world.push(apply)
    assert isinstance(again, TextDelta)
    assert again.text.startswith("Discord's AutoMod has these words")
    assert world.native.pushed == 1, "pressed twice"
    await Cases(world.store, keep_days=1).choose_channel(SPACE, "42")
    _, menu = await world.push()
    assert isinstance(menu, Menu)
    await world.push(menu.rows[0][0].command)
    assert world.native.rules[0].alert == "42"


async def test_who_agreed_to_other_changes_is_shown_the_new_ones(world: World) -> None:
    _, menu = await world.push()
    assert isinstance(menu, Menu)
    await RuleBooks(world.store).change(SPACE, lambda book: RuleBook(text=RULES.replace("free nitro", "cheap nitro")))
    shown, _ = await world.push(menu.rows[0][0].command)
    assert isinstance(shown, TextDelta)
    assert "cheap nitro" in shown.text
    assert world.native is not None
    assert world.native.pushed == 0
    for forged in ("rules push", "rules push 0", "rules push ' OR 1"):
        await world.push(forged)
    assert world.native.pushed == 0


async def test_what_cannot_be_done_says_so(world: World) -> None:
    assert world.native is not None
    world.native.lacks = "permission.manage_guild"
    [lacking] = await world.push()
    assert isinstance(lacking, Notice)
    assert lacking.key.startswith("bot_lacks")
    world.native.lacks, world.native.is_away = "", True
    assert await world.push() == [Notice("native_unreachable")]
    world.native = None
    assert await world.push() == [Notice("native_none")]
    world.club.rights["2"].discard(Right.CONFIGURE)
    assert await world.push() == [Notice("lacking.configure")]


async def test_without_rules_there_is_nothing_to_push(store: Store) -> None:
    [none] = await World(store).push()
    assert isinstance(none, Notice)
    assert none.key == "rules_none"
