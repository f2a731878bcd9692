"""Moderation of a Discord server, with a whole Parley."""

from __future__ import annotations

import asyncio

from core.storage.cases import Cases
from tests.bots.discord_bot.enforced import STAFF
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import until
from tests.platforms.discord_permissions import May
from tests.platforms.discord_world import Posted

LURE = "[FREE N\u200bITRO](https://evil.example) for everybody, claim it now"


async def choose_rules(place: Village) -> None:
    world = place.discord.world
    await until(lambda: bool(world.commands), "the commands")
    place.discord.slash("rules preset", {"name": "strict"}, world.general)
    await until(lambda: any("hold from now on" in one.text for one in world.by_bot(world.general)), "the rules")


async def watched(place: Village) -> None:
    """What a server chose holds within a second."""
    world, said = place.discord.world, list[Posted]()
    dave = world.add_user("dave")
    while not any(one.deleted for one in said):
        said.append(place.discord.say(LURE, world.general, user=dave))
        await asyncio.sleep(0.2)
        assert len(said) < 50


async def test_what_a_rule_hits_is_gone_and_its_author_timed_out_and_not_answered(place: Village) -> None:
    discord, world = place.discord, place.discord.world
    guild, held = world.guild["id"], world.permissions
    held.give(guild, world.bot, *STAFF, position=10)
    bob, carol = world.add_user("bob"), world.add_user("carol")
    held.give(guild, carol, May.MODERATE_MEMBERS, position=3)
    await choose_rules(place)
    await watched(place)
    requests = len(place.models.requests)
    harmless = discord.say("good evening", world.general, user=bob)
    lure = discord.say(LURE, world.general, user=bob, mention=True)
    await until(lambda: bool(lure.deleted), "the deletion")
    await until(lambda: bool(held.timeouts.get((guild, bob))), "the time-out")
    assert not harmless.deleted
    # What staff writes is let be, and an edit is looked at again.
    quoted = discord.say("beware of “free nitro”", world.general, user=carol)
    discord.edit(harmless.id, LURE)
    await until(lambda: bool(harmless.deleted), "the deletion of the edited one")
    assert not quoted.deleted
    assert len(place.models.requests) == requests
    _, found = await Cases(place.store, keep_days=9).of(f"discord:{world.bot}:{guild}", bob)
    assert {(case.rule, case.reason) for case in found} == {("Lures", "This looks like an advert or a scam.")}
    assert all(one["reason"].startswith("rule Lures: ") for one in world.audit)


async def test_rules_are_pushed_into_the_servers_own_filter_by_a_button(place: Village) -> None:
    discord, world = place.discord, place.discord.world
    world.permissions.give(world.guild["id"], world.bot, *STAFF, position=10)
    await choose_rules(place)
    shown = discord.slash("rules push", {}, world.general)
    await until(lambda: bool(shown.original) and bool(world.find(shown.original).data["components"]), "the difference")
    buttons = world.find(shown.original)
    assert "free nitro" in buttons.text
    assert buttons.ephemeral, "the words are shown to who asked alone"
    assert not any(world.automod.values()), "nothing was done yet"
    apply = next(one for one in buttons.data["components"][-1]["components"] if "rules push" in one["custom_id"])
    for _ in range(2):
        discord.press(shown.original, apply["custom_id"])
    await until(lambda: bool(world.automod.get(world.guild["id"])), "the rules there")
    assert all(rule["name"].startswith("Parley: ") for rule in world.automod[world.guild["id"]])
