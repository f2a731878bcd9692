"""What rules look at: messages, comings and goings and reactions in guilds that are watched, and in no others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bots import doctor
from bots.discord_bot.intake import Intake
from bots.discord_bot.sighting import to_sighting
from core.errors import SettingsError
from core.message import Arrival, Message, Movement, Reacted, Sighting
from core.people.spaces import Spaces, SpaceSettings
from core.settings import Settings
from core.storage.client import Store
from core.storage.shared import Place
from tests.bots.discord_bot.running import ListInbox, connected, settings_for, until
from tests.bots.discord_bot.test_intake import MOST, message
from tests.bots.discord_bot.test_translate import ALICE, BOT, GUILD, OTHER_ROLE, Known, in_guild
from tests.platforms.discord_comings import allow_members, join, leave, react
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import FakeDiscord

WATCHED = SpaceSettings(moderated=True)


@dataclass(frozen=True)
class Watched(Known):
    """A guild whose rules look at everything."""

    space: SpaceSettings = WATCHED

    def is_staff(self, guild: str, user: str, roles: Sequence[str]) -> bool:
        return OTHER_ROLE in roles

    def system_channel(self, guild: str) -> str:
        return "61"


def seen(content: str, **more: Any) -> Sighting:
    found = to_sighting(in_guild(content, mentions=[], **more), BOT, Watched())
    assert found is not None
    return found


def test_every_field() -> None:
    member = {"nick": "Al", "roles": ["70", OTHER_ROLE], "joined_at": "2026-10-31T12:00:00+00:00"}
    found = seen("hello", member=member)
    assert (found.id, found.update, found.text, found.space, found.place) == (
        *("1000", "1000:seen", "hello", GUILD),
        "#general in Chess Club (50/60)",
    )
    assert (str(found.conversation), found.within, found.sent_at) == ("discord:900:60:", ("50",), 1793534400.5)
    assert (found.author.id, found.author.name, found.roles, found.is_staff) == (ALICE, "Al", ("70", OTHER_ROLE), True)
    assert found.joined_at == 1793448000.0
    assert found.created_at == 1420070400.0, "the id tells it"
    assert (found.edited, found.forwarded, found.mentions, found.mentions_all, found.links) == (
        False,
        False,
        0,
        False,
        (),
    )


LINKS: list[tuple[str, tuple[str, ...]]] = [
    ("look at https://a.example/x?y=1).", ("https://a.example/x?y=1",)),
    ("[free nitro](https://evil.example/a)", ("https://evil.example/a",)),
    ("[https://discord.com/x](<https://evil.example>)", ("https://discord.com/x", "https://evil.example")),
    ("[discord.gg/real](https://evil.example)", ("discord.gg/real", "https://evil.example")),
    ("join discord.gg/AbC and t.me/+xyz now", ("discord.gg/AbC", "t.me/+xyz")),
    ("HTTPS://A.EXAMPLE/ and <https://b.example/c_(d)>", ("HTTPS://A.EXAMPLE/", "https://b.example/c_(d")),
    ("1.5/2.5 e.g. and/or file.py", ()),
    ("come...discord.gg/a or " + "a." * 12 + "b.example/x", ("discord.gg/a", "a." * 8 + "b.example/x")),
    # In time that grows with the text alone.
    ("a." * 100_000 + "a-" * 100_000, ()),
]


def test_links_that_are_written_out_and_those_under_words() -> None:
    assert [seen(text).links for text, _ in LINKS] == [links for _, links in LINKS]


def test_only_so_many_links_are_told() -> None:
    assert len(seen(" ".join(f"https://a.example/{number}" for number in range(400))).links) == 200


def test_mentions_are_counted_each_once_and_everybody_apart() -> None:
    users = [{"id": str(id), "username": "x"} for id in (5, 6, 6)]
    raw = {**in_guild("<@5> <@6> <@&70> hi @everyone"), "mentions": users, "mention_roles": ["70"]}
    found = to_sighting(raw, BOT, Watched())
    assert found is not None
    assert (found.mentions, found.mentions_all) == (3, True)


def test_what_somebody_is_called_was_not_said_by_who_names_them() -> None:
    users = [{"id": "5", "username": "free nitro"}]
    raw = {**in_guild(f"<@{BOT}> <@5> hi <a:wave:123456789012345678> <#1>"), "mentions": users}
    found = to_sighting(raw, BOT, Watched())
    assert found is not None
    assert found.text == "<@5> hi <a:wave:123456789012345678> #channel"


def test_what_was_forwarded_is_looked_at_like_words_of_ones_own() -> None:
    file = {"id": "1", "filename": "a.exe", "url": "https://cdn.example/a", "size": 3}
    snapshot = {
        "content": "buy at https://evil.example",
        "attachments": [file],
        "embeds": [{"url": "https://b.example"}],
    }
    found = seen("", message_snapshots=[{"message": snapshot}])
    assert (found.text, found.forwarded) == ("buy at https://evil.example", True)
    assert found.links == ("https://evil.example", "https://b.example")
    assert [one.name for one in found.attachments] == ["a.exe"]


def test_bots_and_webhooks_are_not_looked_at_and_edits_are() -> None:
    author = {"id": "3", "username": "other", "bot": True}
    for more in ({"author": author}, {"webhook_id": "5"}, {"type": 7}):
        assert to_sighting(in_guild("hi", **more), BOT, Watched()) is None
    edited = seen("now", edited_timestamp="2026-11-01T13:00:00+00:00")
    assert (edited.edited, edited.sent_at, edited.update) == (True, 1793538000.0, "1000:2026-11-01T13:00:00+00:00:seen")


# ---------------------------------------------------------------------- over the gateway
async def watch(discord: FakeDiscord, store: Store) -> None:
    id = f"discord:{discord.world.bot}:{discord.world.guild['id']}"
    await Spaces(store).change(id, lambda space: space.model_copy(update={"moderated": True}))


async def test_all_that_is_said_in_a_watched_guild_is_seen_before_it_is_a_message(
    discord: FakeDiscord, store: Store
) -> None:
    await watch(discord, store)
    world = discord.world
    bob, other = world.add_user("bob"), world.add_channel(world.add_guild("Elsewhere")["id"], "general")
    world.permissions.give(world.guild["id"], bob, May.BAN_MEMBERS)
    async with connected(discord, store) as bot:
        discord.say("not for the bot", world.general)
        said = discord.say("for the bot", world.general, user=bob, mention=True)
        discord.unfurl(said.id)
        discord.edit(said.id, "changed")
        discord.say("elsewhere", other, mention=True)
        discord.say("in private")
        await bot.accepted(3)
        sightings = [one for one in bot.inbox.seen if isinstance(one, Sighting)]
        assert [(one.text, one.edited) for one in sightings] == [
            *[("not for the bot", False), ("for the bot", False)],
            ("changed", True),
        ]
        assert [one.is_staff for one in sightings] == [True, True, True], "the owner, and who may ban"
        assert abs(time.time() - 30 * 86400 - sightings[0].joined_at) < 60
        assert [one.text for one in bot.inbox.accepted if isinstance(one, Message)][:1] == ["for the bot"]


async def test_what_was_said_meanwhile_is_seen_too_with_who_said_it(discord: FakeDiscord, store: Store) -> None:
    """A history tells no roles. Who has left since is nobody special."""
    await watch(discord, store)
    world = discord.world
    guild, bob, carol, dave = world.guild["id"], *(world.add_user(name) for name in ("bob", "carol", "dave"))
    role = world.permissions.give(guild, carol, May.BAN_MEMBERS)
    async with connected(discord, store) as bot:
        place = Place(bot.key(world.general), "1", guild)
    for user in (bob, carol, dave, bob):
        discord.say("missed", world.general, user=user)
    world.permissions.gone.add((guild, dave))
    async with connected(discord, store, recent=[place]) as bot:
        await until(lambda: len(bot.inbox.seen) == 4)
        found = [one for one in bot.inbox.seen if isinstance(one, Sighting)]
        assert [(one.is_staff, one.roles) for one in found] == [(False, ()), (True, (role,)), (False, ()), (False, ())]
        assert len(discord.wire.made(f"/members/{bob}")) == 1
    discord.say("more", world.general, user=bob)
    discord.fail("500", f"/members/{bob}")
    async with connected(discord, store, recent=[replace(place, last_seen=found[-1].id)]) as bot:
        await until(lambda: len(bot.inbox.seen) == 1)
        [found_one] = bot.inbox.seen
        assert isinstance(found_one, Sighting)
        assert found_one.is_staff, "nobody tells"


async def test_who_comes_goes_and_reacts(discord: FakeDiscord, store: Store) -> None:
    allow_members(discord)
    await watch(discord, store)
    world = discord.world
    bob, robot, general = world.add_user("bob"), world.add_user("robot", bot=True), world.general
    world.guild["system_channel_id"] = general
    async with connected(discord, store) as bot:
        said = discord.say("hi", general)
        join(discord, robot)
        join(discord, bob)
        react(discord, said.id, bob)
        react(discord, said.id, world.bot)
        react(discord, said.id, bob, "wave", "77", added=False)
        leave(discord, bob)
        await until(lambda: len(bot.inbox.seen) == 5)
        _, came, up, down, went = bot.inbox.seen
        assert isinstance(came, Arrival)
        assert isinstance(went, Arrival)
        assert (came.author.id, came.author.name, came.movement, came.conversation) == (
            *(bob, "Bob", Movement.JOINED),
            bot.key(general),
        )
        assert abs(came.at - time.time()) < 60
        assert abs(came.created_at - time.time()) < 60
        assert (went.author.id, went.movement) == (bob, Movement.LEFT)
        assert isinstance(up, Reacted)
        assert isinstance(down, Reacted)
        assert [(one.emoji, one.added, one.author.id) for one in (up, down)] == [
            ("👍", True, bob),
            (":wave:", False, bob),
        ]
        assert len({one.update for one in bot.inbox.seen}) == 5


async def test_nothing_of_it_is_looked_at_elsewhere(discord: FakeDiscord, store: Store) -> None:
    allow_members(discord)
    bob = discord.world.add_user("bob")
    async with connected(discord, store) as bot:
        join(discord, bob)
        react(discord, discord.say("x", discord.world.general).id, bob)
        discord.say("question")
        await bot.accepted(1)
        assert bot.inbox.seen == []


# ---------------------------------------------------------------------- who comes and goes needs a switch
def asked(discord: FakeDiscord) -> list[bool]:
    return [bool(session.intents & 2) for session in discord.gateway.sessions.values()]


async def test_without_the_switch_the_bot_runs_and_says_so(discord: FakeDiscord, store: Store) -> None:
    with capture_logs() as logs:
        async with connected(discord, store):
            assert asked(discord) == [False]
            assert discord.gateway.count("identify") == 1, "the application tells it before"
    assert sum("join rules" in line["event"] for line in logs) == 1


async def test_a_switch_that_was_thrown_since_is_no_reason_to_end(discord: FakeDiscord, store: Store) -> None:
    discord.world.flags |= 1 << 15
    async with connected(discord, store):
        assert asked(discord) == [False]
        assert discord.gateway.count("identify") == 2


async def test_who_insists_on_the_switch_is_told_of_it(discord: FakeDiscord, store: Store) -> None:
    with pytest.raises(SettingsError, match="Server Members Intent"):
        async with connected(discord, store, members="on"):
            pass
    allow_members(discord)
    async with connected(discord, store, members="on"):
        assert asked(discord) == [True]
    discord.gateway.sessions.clear()
    async with connected(discord, store, members="off"):
        assert asked(discord) == [False]


@pytest.mark.parametrize("is_on", [False, True])
async def test_the_doctor_knows_the_switch(discord: FakeDiscord, is_on: bool) -> None:
    if is_on:
        allow_members(discord)
    findings = await doctor.diagnose(Settings(discord=settings_for(discord)))
    [found] = [one for one in findings if one.name == "Discord members"]
    assert found.ok is (True if is_on else None)
    assert is_on or "Server Members Intent" in found.remedy


# ---------------------------------------------------------------------- under pressure
async def test_questions_have_room_before_the_rules(store: Store) -> None:
    queue, inbox = Intake(lambda: None, MOST), ListInbox()
    queue.pause()
    look = replace(seen("x"), conversation=message("x").conversation)
    with capture_logs() as logs:
        for number in range(MOST):
            queue.put(replace(look, update=str(number)))
        queue.put(message("question"))
        queue.hold([])
        task = asyncio.create_task(queue.drain(inbox))
        await until(lambda: inbox.texts == ["question"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(inbox.seen) == MOST // 2
    assert sum("do not see everything" in line["event"] for line in logs) == 1
