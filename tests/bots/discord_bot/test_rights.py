"""Who may do what, against the fake Discord, whose permissions are computed by code of its own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bots.discord_bot import permissions, rights
from bots.discord_bot.members import Members
from bots.discord_bot.rest import Rest
from bots.discord_bot.rights import Rights
from bots.discord_bot.telling import Telling
from bots.pacing import Limits, Pacer
from core.access import Right
from core.errors import RightsUnknownError
from core.message import Author, CommandCall, ConversationKey, Platform
from core.moderation.members import Member, Rank
from core.people.access import Standing
from tests.platforms.discord_permissions import ALL, May
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_world import World


class Town:
    """A guild of Alice's with Bob and Carol in it, and a bot that asks."""

    def __init__(self, discord: FakeDiscord) -> None:
        self.discord = discord
        self.world: World = discord.world
        self.guild: str = self.world.guild["id"]
        self.bob, self.carol = self.world.add_user("bob"), self.world.add_user("carol")
        self.rest = Rest(discord.api_base, TOKEN)
        self.rights = Rights(self.rest, ["discord:42"])
        self.telling = Telling(self.rest, Pacer(Limits()))
        self.members = Members(self.rights, self.telling)

    def call(self, user: str, channel: str = "", **values: Any) -> CommandCall:
        key = ConversationKey(Platform.DISCORD, self.world.bot, channel or self.world.general)
        return CommandCall(key, "1", "1", Author(user, "Somebody"), "warn", space=self.guild, **values)

    async def held(self, user: str, channel: str) -> int:
        """A member's permissions, which have to be those that Discord goes by."""
        found = await self.rights.permissions(self.guild, channel, user, fresh=True)
        known = self.world.permissions.of(user, channel)
        assert found & ALL == known
        return found

    def asked(self) -> int:
        return len(self.discord.calls)


@pytest.fixture
async def town(discord: FakeDiscord) -> AsyncIterator[Town]:
    town = Town(discord)
    yield town
    await town.rest.close()


async def test_roles_and_overwrites_in_their_order(town: Town) -> None:
    """Everyone's, then those of roles together, where an allowance wins, then the member's own."""
    held = town.world.permissions
    role = held.give(town.guild, town.bob, May.MANAGE_MESSAGES)
    other = held.give(town.guild, town.bob)
    channel = town.world.add_channel(town.guild, "quiet")
    held.overwrite(channel, town.guild, deny=May.SEND_MESSAGES | May.ATTACH_FILES)
    assert not await town.held(town.bob, channel) & permissions.SEND_MESSAGES
    held.overwrite(channel, role, deny=May.EMBED_LINKS, allow=May.SEND_MESSAGES)
    held.overwrite(channel, other, allow=May.EMBED_LINKS)
    found = await town.held(town.bob, channel)
    assert found & permissions.SEND_MESSAGES
    assert found & permissions.EMBED_LINKS
    assert found & permissions.MANAGE_MESSAGES
    held.overwrite(channel, town.bob, deny=May.SEND_MESSAGES, allow=May.ATTACH_FILES, member=True)
    found = await town.held(town.bob, channel)
    assert not found & permissions.SEND_MESSAGES
    assert found & permissions.ATTACH_FILES
    assert not await town.held(town.carol, channel) & permissions.ATTACH_FILES


def test_many_mixtures_are_computed_as_discord_does() -> None:
    world, some = World(), (May.SEND_MESSAGES, May.VIEW_CHANNEL, May.ATTACH_FILES)
    guild, bob = world.guild["id"], world.add_user("bob")
    role = world.permissions.give(guild, bob, May.MANAGE_GUILD)
    for everyone, denied, allowed, own in itertools.product(some, repeat=4):
        channel = world.add_channel(guild, "mixed")
        world.permissions.overwrite(channel, guild, deny=everyone)
        world.permissions.overwrite(channel, role, allow=allowed, deny=denied)
        world.permissions.overwrite(channel, bob, deny=own, member=True)
        for user in (bob, world.bot):
            member = world.member(user, guild)
            found = permissions.in_channel(world.guilds[guild], world.channels[channel], member, user, 0.0)
            assert found == world.permissions.of(user, channel)


async def test_owner_administrators_and_strangers(town: Town) -> None:
    channel = town.world.add_channel(town.guild, "secret")
    town.world.permissions.overwrite(channel, town.world.bot, allow=May.VIEW_CHANNEL, member=True)
    town.world.permissions.overwrite(channel, town.guild, deny=May.VIEW_CHANNEL)
    town.world.permissions.give(town.guild, town.carol, May.ADMINISTRATOR)
    assert await town.held(town.world.alice, channel)
    assert await town.held(town.carol, channel)
    assert await town.held(town.bob, channel) == 0
    town.world.permissions.gone.add((town.guild, town.bob))
    assert await town.held(town.bob, town.world.general) == 0


async def test_who_is_timed_out_only_reads(town: Town) -> None:
    town.world.permissions.time_out(town.guild, town.bob, 60)
    found = await town.held(town.bob, town.world.general)
    assert found == permissions.VIEW_CHANNEL | permissions.READ_MESSAGE_HISTORY
    assert not await town.rights.may(town.call(town.bob), Right.TALK)
    town.world.permissions.give(town.guild, town.bob, May.ADMINISTRATOR)
    assert await town.held(town.bob, town.world.general) & permissions.SEND_MESSAGES
    town.world.permissions.time_out(town.guild, town.carol, -60)
    assert await town.held(town.carol, town.world.general) & permissions.SEND_MESSAGES


async def test_a_thread_has_its_parents_overwrites(town: Town) -> None:
    thread = town.discord.open_thread("an opening")
    town.world.permissions.overwrite(town.world.general, town.guild, deny=May.SEND_MESSAGES_IN_THREADS)
    found = await town.held(town.bob, thread)
    assert found & permissions.SEND_MESSAGES
    assert permissions.missing(found, thread=True) == permissions.SEND_MESSAGES_IN_THREADS
    assert not permissions.missing(found)


@pytest.mark.parametrize(
    ("right", "permission"),
    [
        (Right.CONFIGURE, May.MANAGE_GUILD),
        (Right.WARN, May.MODERATE_MEMBERS),
        (Right.MUTE, May.MODERATE_MEMBERS),
        (Right.BAN, May.BAN_MEMBERS),
        (Right.PURGE, May.MANAGE_MESSAGES),
    ],
)
async def test_each_right_needs_its_permission(town: Town, right: Right, permission: May) -> None:
    town.world.permissions.give(town.guild, town.bob, permission)
    assert await town.rights.may(town.call(town.bob), right)
    assert not await town.rights.may(town.call(town.carol), right)
    assert await town.rights.may(town.call(town.world.alice), right), "the guild is hers"
    assert await town.rights.may(town.call("42"), right), "Parley is theirs"
    assert await town.rights.is_admin(town.call(town.bob)) is (right is Right.CONFIGURE)


async def test_what_somebody_is_there(town: Town) -> None:
    role = town.world.permissions.give(town.guild, town.bob, May.BAN_MEMBERS)
    held = await town.rights.standing(town.call(town.bob))
    assert held == Standing(False, frozenset({Right.BAN}), frozenset({role}))
    assert (await town.rights.standing(town.call(town.world.alice))).owns
    assert await town.rights.standing(town.call("987")) == Standing()
    town.world.permissions.roles[town.guild, town.bob].remove(role)
    assert not (await town.rights.standing(town.call(town.bob), fresh=True)).rights


async def test_where_there_is_no_guild(town: Town) -> None:
    direct = ConversationKey(Platform.DISCORD, town.world.bot, "1")
    alone = CommandCall(direct, "1", "1", Author(town.bob, "Bob"), "settings", private=True)
    assert await town.rights.is_admin(alone)
    assert not await town.rights.may(alone, Right.BAN)
    among = CommandCall(direct, "1", "1", Author(town.bob, "Bob"), "settings")
    assert not await town.rights.is_admin(among)
    assert town.asked() == 0


async def test_what_was_asked_holds_for_a_while_but_not_for_acts(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("core.clock.seconds", lambda: now)
    role = town.world.permissions.give(town.guild, town.bob, May.MANAGE_GUILD, May.BAN_MEMBERS)
    assert await town.rights.is_admin(town.call(town.bob))
    before = town.asked()
    town.world.permissions.roles[town.guild, town.bob].remove(role)
    assert await town.rights.is_admin(town.call(town.bob)), "it was so a moment ago"
    assert town.asked() == before
    assert not await town.rights.may(town.call(town.bob), Right.BAN), "asked at the moment of the act"
    assert not await town.rights.is_admin(town.call(town.bob)), "and so known for the rest"
    town.world.permissions.roles[town.guild, town.bob].append(role)
    now += rights.FRESH_SECONDS + 1
    assert await town.rights.is_admin(town.call(town.bob))


async def test_only_so_much_is_remembered(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "MOST_KNOWN", 2)
    for user in (town.bob, town.carol, town.world.alice):
        await town.rights.member(town.guild, user)
    before = town.asked()
    await town.rights.member(town.guild, town.world.alice)
    assert town.asked() == before
    await town.rights.member(town.guild, town.bob)
    assert town.asked() == before + 1


async def test_what_is_too_old_to_be_believed_is_not_kept(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("core.clock.seconds", lambda: now)
    found = await town.rights.member(town.guild, town.bob)
    held = sys.getrefcount(found)
    await town.rights.member(town.guild, town.carol)
    assert sys.getrefcount(found) == held
    now += rights.FRESH_SECONDS + 1
    await town.rights.member(town.guild, town.world.alice)
    assert sys.getrefcount(found) == held - 1


async def test_nobody_may_while_discord_does_not_tell(town: Town) -> None:
    town.discord.fail("500", "guilds", times=9)
    for right in (Right.CONFIGURE, Right.BAN):
        with pytest.raises(RightsUnknownError):
            await town.rights.may(town.call(town.bob), right)


async def test_limits_that_are_over_in_a_moment_are_waited_for(town: Town) -> None:
    town.world.permissions.give(town.guild, town.bob, May.BAN_MEMBERS)
    town.discord.fail("429", "guilds", times=2)
    assert await town.rights.may(town.call(town.bob), Right.BAN)
    town.discord.fail("429", "guilds", seconds=60.0)
    with pytest.raises(RightsUnknownError):
        await town.rights.may(town.call(town.bob), Right.BAN)


async def test_a_guild_that_the_bot_is_not_in(town: Town) -> None:
    """Somebody has brought the app along for themselves."""
    town.world.permissions.gone.add((town.guild, town.world.bot))
    assert not await town.rights.is_admin(town.call(town.world.alice))
    assert not await town.members.serves(town.call(town.bob))
    assert await town.members.find(town.call(town.bob), town.carol) is None


# ---------------------------------------------------------------------- members


async def test_how_people_stand_to_each_other(town: Town) -> None:
    held = town.world.permissions
    held.give(town.guild, town.bob, May.MODERATE_MEMBERS, position=3)
    held.give(town.guild, town.carol, position=2)
    dave, robot = town.world.add_user("dave"), town.world.add_user("robot", bot=True)

    async def rank(caller: str, target: str) -> Rank:
        found = await town.members.find(town.call(caller), target)
        assert found is not None
        return found.rank

    assert await rank(town.bob, town.carol) is Rank.BELOW
    assert await rank(town.carol, town.bob) is Rank.ABOVE
    assert await rank(town.bob, town.bob) is Rank.ABOVE, "the same height"
    assert await rank(town.bob, dave) is Rank.BELOW, "without any role"
    assert await rank(dave, town.world.alice) is Rank.OWNER
    assert await rank(town.world.alice, town.bob) is Rank.BELOW
    assert await rank(town.world.alice, robot) is Rank.BOT


async def test_who_has_left_can_still_be_found(town: Town) -> None:
    town.world.permissions.gone.add((town.guild, town.carol))
    assert await town.members.find(town.call(town.bob), town.carol) == Member("Carol", Rank.BELOW, is_here=False)
    assert await town.members.find(town.call(town.bob), "123") is None
    assert await town.members.find(town.call(town.bob), "no id") is None


async def test_only_channels_of_the_guild_that_can_be_written_in(town: Town) -> None:
    other = town.world.add_guild("Elsewhere")
    there = town.world.add_channel(other["id"], "reports")
    shut = town.world.add_channel(town.guild, "shut")
    town.world.permissions.overwrite(shut, town.guild, deny=May.SEND_MESSAGES)
    hidden = town.world.add_channel(town.guild, "hidden")
    town.world.permissions.overwrite(hidden, town.guild, deny=May.VIEW_CHANNEL)
    call = town.call(town.world.alice)
    assert await town.members.channel(call, f"<#{town.world.general}>") == town.world.general
    for wrong in (there, shut, hidden, "general", "", "99"):
        assert await town.members.channel(call, wrong) is None


async def test_where_a_message_can_be_seen(town: Town) -> None:
    call = town.call(town.bob)
    assert town.members.link(call, "9") == f"https://discord.com/channels/{town.guild}/{town.world.general}/9"


async def test_somebody_is_told_once_and_nobody_is_rung(town: Town) -> None:
    call = town.call(town.world.alice)
    town.world.guilds[town.guild]["preferred_locale"] = "zh-CN"

    def words(language: str) -> str:
        return f"{language}: be **kind**, <@{town.carol}> @everyone"

    for _ in range(2):
        assert await town.members.tell(call, town.bob, words, "case 1")
    [told] = town.discord.by_bot(town.world.direct(town.bob))
    assert told.text.startswith("zh-CN: be **kind**")
    assert told.pinged == []
    town.world.forbidden.add(town.world.direct(town.carol))
    assert not await town.members.tell(call, town.carol, words, "case 2")


async def test_a_limit_is_waited_for(town: Town) -> None:
    town.discord.fail("429", "messages", times=1)
    assert await town.telling.person(town.bob, "be kind", "1")
    assert len(town.discord.by_bot(town.world.direct(town.bob))) == 1


async def test_moderators_are_told_in_their_channel_else_the_owner(town: Town) -> None:
    staff = town.world.add_channel(town.guild, "staff")
    town.world.permissions.overwrite(staff, town.guild, deny=May.VIEW_CHANNEL)
    town.world.permissions.overwrite(staff, town.world.bot, allow=May.VIEW_CHANNEL, member=True)
    call, about = town.call(town.carol), town.bob

    async def told(channel: str, about: str, key: str) -> bool:
        return await town.members.tell_moderators(call, channel, about, lambda language: f"report {key}", key)

    assert await told(staff, about, "one")
    assert [one.text for one in town.discord.by_bot(staff)] == ["report one"]
    assert await told("", about, "two")
    town.world.permissions.overwrite(staff, town.world.bot, deny=May.SEND_MESSAGES, member=True)
    assert await told(staff, about, "three")
    owner = town.world.direct(town.world.alice)
    assert [one.text for one in town.discord.by_bot(owner)] == ["report two", "report three"]
    assert not await told("", town.world.alice, "four"), "nobody hears who reported them"
    assert len(town.discord.by_bot(owner)) == 2


async def test_who_reads_the_moderators_channel_hears_of_no_report_about_them(town: Town) -> None:
    """It names who reported them."""
    staff = town.world.add_channel(town.guild, "staff")
    town.world.permissions.overwrite(staff, town.guild, deny=May.VIEW_CHANNEL)
    for reader in (town.world.bot, town.bob):
        town.world.permissions.overwrite(staff, reader, allow=May.VIEW_CHANNEL, member=True)
    call = town.call(town.carol)
    assert await town.members.tell_moderators(call, staff, town.bob, lambda _: "a report", "one")
    assert town.discord.by_bot(staff) == []
    assert len(town.discord.by_bot(town.world.direct(town.world.alice))) == 1
