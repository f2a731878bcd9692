"""Moderators pull the emergency brake and switch raid mode, by commands, in a town with state."""

from __future__ import annotations

import time

import pytest

from core.access import Right
from core.message import Author
from core.moderation.acts import AUTOMOD, NEEDS, ActKind, Actor
from core.moderation.carrying import Acts
from core.moderation.rulebook import RuleBook, RuleBooks
from core.parts import Menu, Notice, Part, TextDelta
from core.people.spaces import Spaces
from core.storage.client import Store
from tests.core.commands.test_acts import ANN, PLACE, World
from tests.core.moderation.doorstep import NEWS, Doorstep
from tests.core.moderation.test_carrying import act
from tests.core.moderation.town import at_work

MUCH = Author("4", "Other")


@pytest.fixture
async def world(store: Store) -> World:
    world = World(store)
    await world.cases.choose_channel(PLACE, NEWS)
    return world


async def ruled(world: World) -> None:
    """What automod did just now."""
    acts = Acts(world.store, {"discord": world.town}, keep_days=1)
    values = {"actor": Actor(AUTOMOD), "rule": "spam", "at": time.time()}
    async with at_work(acts):
        numbers = await acts.order([act(ActKind.MUTE, "m", "5", **values), act(ActKind.BAN, "b", "8", **values)])
        await acts.carried(PLACE, numbers, 5)


async def paused(store: Store) -> float:
    return (await RuleBooks(store).of(PLACE)).value.paused_until - time.time()


def menu(parts: list[Part]) -> str:
    """What the only button holds."""
    [found] = [part for part in parts if isinstance(part, Menu)]
    return found.rows[0][0].command


async def test_the_brake_holds_for_an_hour_or_as_long_as_is_said(world: World, store: Store) -> None:
    assert await world.say("panic", ANN) == ["lacking.ban"]
    assert await paused(store) < 0
    await RuleBooks(store).change(PLACE, lambda _: RuleBook(text="# mine"))
    assert await world.say("panic") == ["panic_pulled"]
    assert 3500 < await paused(store) <= 3600
    assert (await RuleBooks(store).of(PLACE)).value.text == "# mine"
    [(channel, text, _)] = world.town.posted
    assert (channel, "`Mo` pulled the emergency brake" in text) == (NEWS, True)
    await world.say("panic on", options={"for": "2h"})
    assert 7100 < await paused(store) <= 7200
    await world.say("panic", options={"text": "forever"})
    assert 29 * 86400 < await paused(store) <= 30 * 86400
    for wrong in ("-5m", "soon", "0s"):
        assert await world.say("panic", options={"text": wrong}) == ["act_no_time"]
    assert await world.say("panic off") == ["panic_off"]
    assert await world.say("panic off") == ["panic_is_off"]
    assert await paused(store) < 0


async def test_what_rules_did_is_shown_and_taken_back_when_who_asked_confirms(world: World) -> None:
    assert await world.say("panic undo") == ["panic_nothing"]
    before = world.town.now
    await ruled(world)
    pulled = await world.run(world.call("panic"))
    assert Notice("panic_did", {"count": 2}) in pulled
    shown = await world.run(world.call(menu(pulled)))
    assert [part.text for part in shown if isinstance(part, TextDelta)] != []
    name, _, id = menu(shown).rpartition(" ")
    world.rights[MUCH.id] = set(Right)
    assert await world.say(name, MUCH, options={"id": id}) == ["confirm_not_yours"]
    assert await world.say(name, options={"id": "forged"}) == ["confirm_over"]
    assert world.town.state["8", "banned"]
    await world.run(world.call(name, options={"id": id}))
    parts = await world.run(world.call(name, options={"id": id}))
    assert world.town.now == before
    assert [kind for kind, _ in world.town.log].count(ActKind.UNBAN) == 1
    assert Notice("panic_undone", {"count": 0}) in parts


async def test_who_may_only_ban_takes_back_no_mute(world: World) -> None:
    await ruled(world)
    world.rights["2"] = {Right.BAN}
    name, _, id = menu(await world.run(world.call("panic undo"))).rpartition(" ")
    assert await world.run(world.call(name, options={"id": id})) == [
        Notice("panic_undone", {"count": 1}),
        Notice("panic_failed", {"count": 1}),
    ]
    assert (world.town.state["5", "muted"], world.town.state["8", "banned"]) == ("yes", "")


async def test_raid_mode_is_switched_by_hand(world: World, store: Store) -> None:
    here = Doorstep(store, world.town)
    assert await world.say("raid on", ANN) == [f"lacking.{NEEDS[ActKind.LOCK]}"]
    assert await world.say("raid") == ["raid_is_off", "raid_never_begins", "raid_sees_nobody"]
    assert await world.say("raid on") == ["raid_on", "raid_sees_nobody"]
    await Spaces(store).change(PLACE, lambda now: now.model_copy(update={"moderated": True, "raid": "9/minute"}))
    assert await world.say("raid on") == ["raid_is_on"]
    await here.work()
    assert world.town.state["#10", "pause"] == "30"
    assert await world.say("raid status") == ["raid_since.hand", "raid_begins"]
    assert await world.say("raid off") == ["raid_off"]
    await here.work()
    assert world.town.state["#10", "pause"] == ""
    assert await world.say("raid off") == ["raid_is_off"]
    await world.say("panic")
    assert await world.say("raid on") == ["raid_paused"]
