"""Rights, reports and warnings on Discord, and channels where the bot may not write, through the whole of Parley."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.storage.cases import Cases
from core.storage.client import Store
from core.texts import say
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import until
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.discord_world import LOADING, Interaction, Posted

QUIET_SECONDS = 0.3


class Club:
    """A guild of Alice's with Mo, who moderates it, and Bob and Carol."""

    def __init__(self, place: Village) -> None:
        self.discord: FakeDiscord = place.discord
        self.world = place.discord.world
        self.guild: str = self.world.guild["id"]
        self.channel = self.world.general
        self.mo, self.bob, self.carol = (self.world.add_user(name) for name in ("mo", "bob", "carol"))
        self.world.permissions.give(self.guild, self.mo, May.MODERATE_MEMBERS, position=5)
        self.models = place.models
        self.cases = Cases(place.store, keep_days=365)

    async def registered(self) -> None:
        await until(lambda: any(one["name"] == "warn" for one in self.world.commands), "the commands")

    async def said(self, made: Interaction) -> str:
        """What the caller alone reads."""

        def is_there() -> bool:
            return bool(made.original) and not self.world.find(made.original).data["flags"] & LOADING

        await until(is_there, f"an answer to {made}")
        answer = self.world.find(made.original)
        assert answer.ephemeral
        return answer.text

    async def call(self, name: str, caller: str, /, **options: str) -> str:
        return await self.said(self.discord.slash(name, options, self.channel, user=caller))

    async def report(self, posted: Posted, reason: str = "") -> str:
        """Carol reports a message by its menu, and fills the form in."""
        made = self.discord.choose_in_menu("Report", posted.id, self.channel, user=self.carol)
        await until(lambda: bool(made.callback), "the form")
        return await self.said(self.discord.submit(made, {"reason": reason}))

    def told(self, user: str) -> list[str]:
        return [posted.text for posted in self.discord.by_bot(self.world.direct(user))]


@pytest.fixture
async def club(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Club]:
    async with village(store, valkey_url, tmp_path, TELEGRAM_TOKEN="") as place:
        club = Club(place)
        await club.registered()
        yield club
        assert place.discord.violations == []


async def test_settings_are_for_who_manages_the_server(club: Club) -> None:
    """Whatever Discord has shown them: an administrator of the server can show a command to all."""
    club.world.permissions.give(club.guild, club.carol, May.MANAGE_GUILD)
    assert await club.call("settings", club.bob) == say("admins_only")
    assert await club.call("language", club.mo, language="zh_Hans") == say("admins_only")
    assert say("settings_head") in await club.call("settings", club.world.alice)
    assert "中文" in await club.call("language", club.carol, language="zh_Hans")


async def test_answers_of_others_are_forgotten_by_who_may(club: Club) -> None:
    club.discord.say("hello", club.channel, mention=True, user=club.carol)
    await until(lambda: len(club.discord.by_bot(club.channel)) == 1, "an answer")
    answer = club.discord.by_bot(club.channel)[0].id
    assert await club.call("forget", club.bob, message=answer) == say("not_theirs")
    assert await club.call("forget", club.world.alice, message=answer) == say("forgotten")


async def test_a_stranger_stops_nobodys_answer(club: Club) -> None:
    club.models.tokens_per_second = 8
    club.models.reply = lambda body: "word " * 300
    club.discord.say("count", club.channel, mention=True, user=club.carol)
    await until(lambda: bool(club.discord.by_bot(club.channel)), "the beginning of an answer")
    strange = club.discord.slash("stop", {}, club.channel, user=club.bob)
    await until(lambda: bool(strange.answered), "the word that it was taken")
    assert club.models.active == 1
    assert await club.call("stop", club.world.alice) == say("stopped")
    assert await club.said(strange) == say("not_theirs")
    await until(lambda: club.models.active == 0, "the end")


async def test_a_moderator_warns_a_member(club: Club) -> None:
    assert await club.call("warn", club.bob, user=club.carol, reason="rude") == say("lacking.warn")
    assert await club.call("warn", club.mo, user=club.world.alice, reason="rude") == say("not_the_owner")
    assert await club.call("warn", club.mo, user=club.world.bot, reason="rude") == say("not_a_bot")
    said = await club.call("warn", club.mo, user=club.bob, reason="rude *words*")
    assert said == say("warned", name="`Bob`", number="1")
    words = say("warned_you", place="Chess Club", reason="`rude *words*`")
    await until(lambda: [text.partition("\n")[0] for text in club.told(club.bob)] == [words], "the warning")
    assert "/appeal " in club.told(club.bob)[0]
    club.world.forbidden.add(club.world.direct(club.carol))
    said = await club.call("warn", club.mo, user=club.carol, reason="rude")
    assert say("warned_unheard") in said
    listed = await club.call("cases", club.mo, user=club.bob)
    assert "**#1**" in listed
    assert "`rude *words*`" in listed
    assert await club.call("cases", club.carol, user=club.bob) == say("lacking.warn")
    assert "3" in await club.call("undo", club.mo, case="1")
    assert "**#1**" in (again := await club.call("cases", club.mo, user=club.bob))
    assert say("case_state.undone") in again


async def test_a_right_that_was_taken_away_counts_at_once(club: Club) -> None:
    assert "1" in await club.call("warn", club.mo, user=club.bob, reason="rude")
    club.world.permissions.roles[club.guild, club.mo].clear()
    assert await club.call("warn", club.mo, user=club.bob, reason="rude") == say("lacking.warn")
    club.discord.fail("500", "/guilds/", times=9)
    assert await club.call("warn", club.mo, user=club.bob, reason="rude") == say("rights_unknown")


async def test_a_warning_by_the_menu_of_a_person_asks_for_its_reason(club: Club) -> None:
    made = club.discord.choose_in_menu("Warn", club.bob, club.channel, user=club.mo)
    await until(lambda: bool(made.callback), "the form")
    submitted = club.discord.submit(made, {"reason": "rude words\nand more"})
    assert await club.said(submitted) == say("warned", name="`Bob`", number="1")
    _, [case] = await club.cases.of(f"discord:{club.world.bot}:{club.guild}", club.bob)
    assert (case.reason, case.actor) == ("rude words and more", club.mo)
    listed = await club.said(club.discord.choose_in_menu("Cases", club.bob, club.channel, user=club.mo))
    assert "**#1**" in listed


async def test_a_report_by_the_menu_of_a_message(club: Club) -> None:
    spam = club.discord.say("buy @everyone this", club.channel, user=club.bob)
    assert await club.report(spam, "it is *spam*") == say("reported", number="1")
    [told] = club.told(club.world.alice)
    assert "`Carol` reports `Bob`" in told
    assert say("report_reason", reason="`it is *spam*`") in told
    assert f"/channels/{club.guild}/{club.channel}/{spam.id}" in told
    assert club.told(club.bob) == []
    assert club.discord.by_bot(club.world.direct(club.world.alice))[0].pinged == []


async def test_reports_go_to_a_channel(club: Club) -> None:
    staff = club.world.add_channel(club.guild, "staff")
    club.world.permissions.overwrite(staff, club.guild, deny=May.VIEW_CHANNEL)
    club.world.permissions.overwrite(staff, club.world.bot, allow=May.VIEW_CHANNEL, member=True)
    assert await club.call("reports", club.mo, channel=staff) == say("lacking.configure")
    assert await club.call("reports", club.world.alice, channel=staff) == say("reports_set")
    spam = club.discord.say("buy this", club.channel, user=club.bob)
    await club.report(spam)
    [told] = club.discord.by_bot(staff)
    assert "`Carol` reports `Bob`" in told.text
    assert club.told(club.world.alice) == []


async def test_the_owner_is_told_once_where_the_bot_may_not_write(club: Club) -> None:
    club.world.permissions.overwrite(club.channel, club.guild, deny=May.SEND_MESSAGES)
    for user in (club.bob, club.carol, club.bob):
        club.discord.say("hello", club.channel, mention=True, user=user)
    await until(lambda: len(club.told(club.world.alice)) == 1, "a word to the owner")
    await asyncio.sleep(QUIET_SECONDS)
    [told] = club.told(club.world.alice)
    assert say("permission.send_messages") in told
    assert club.told(club.bob) == club.told(club.carol) == []
    assert club.discord.by_bot(club.channel) == []
    # A command is answered by its token, which needs no right there.
    assert say("model_is", model="stub", models="stub") == await club.call("model", club.bob)


async def test_a_server_is_greeted_once(club: Club) -> None:
    guild = club.discord.invite("Go Club")
    [channel] = [one["id"] for one in club.world.channels.values() if one.get("guild_id") == guild["id"]]
    await until(lambda: len(club.discord.by_bot(channel)) == 1, "the greeting")
    club.discord.gateway.dispatch("GUILD_CREATE", club.world.guild_create(guild["id"]), guild["id"])
    await asyncio.sleep(QUIET_SECONDS)
    [greeting] = club.discord.by_bot(channel)
    assert "parley" in greeting.text
    assert "/help`" in greeting.text
