"""Receiver and worker as two processes have them: nothing in common but ids and the reply token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from bots.adapter import Button, Page, Slot, Target
from bots.discord_bot.interactions import Deferrals
from bots.discord_bot.outbound import DiscordOutbound
from bots.discord_bot.rest import Rest
from core.message import CommandCall
from tests.bots.discord_bot.running import Running, settings_for, until
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_world import Interaction


@pytest.fixture
async def worker(discord: FakeDiscord) -> AsyncGenerator[DiscordOutbound]:
    rest = Rest(discord.api_base, TOKEN)
    yield DiscordOutbound(settings_for(discord), rest, Deferrals(rest))
    await rest.close()


async def called(bot: Running, count: int = 1) -> CommandCall:
    """The last call, as a worker reads it from the mailbox."""
    call = (await bot.accepted(count))[-1]
    assert isinstance(call, CommandCall)
    return call


def target(call: CommandCall, *, ephemeral: bool = False) -> Target:
    return Target(call.conversation, call.private, "", call.reply_token, ephemeral, call.id)


def page(text: str, *buttons: Button) -> Page:
    return Page(text, len(text), buttons=buttons)


def shown(bot: Running, made: Interaction) -> list[str]:
    return [bot.discord.world.find(message).text for message in (made.original, *made.followups)]


@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.0])
async def test_an_answer_never_overtakes_the_deferral(bot: Running, worker: DiscordOutbound, seconds: float) -> None:
    # The tries in vain count, too; waiting for that is the pacing's work.
    bot.discord.wire.limits.edits = 0
    bot.discord.fail("slow", "callback", seconds=seconds)
    made = bot.discord.slash("chat", {"text": "hi"}, bot.discord.world.general)
    to = target(await called(bot))
    first = await worker.send(to, page("one"), Slot("t", 0))
    await worker.send(to, page("two"), Slot("t", 1))
    await worker.edit(to, first, page("one, whole"))
    assert made.callback == {"type": 5}
    assert shown(bot, made) == ["one, whole", "two"]
    assert len(bot.discord.by_bot(bot.discord.world.general)) == 2


async def test_a_private_answer_with_two_pages(bot: Running, worker: DiscordOutbound) -> None:
    bot.discord.fail("slow", "callback", seconds=0.2)
    made = bot.discord.slash("help", channel=bot.discord.world.general)
    to = target(await called(bot), ephemeral=True)
    for number, text in enumerate(("one", "two")):
        await worker.send(to, page(text), Slot("t", number))
    assert shown(bot, made) == ["one", "two"]
    assert all(bot.discord.world.find(m).ephemeral for m in (made.original, *made.followups))


async def test_a_button_under_a_private_answer(bot: Running, worker: DiscordOutbound) -> None:
    bot.discord.slash("help", channel=bot.discord.world.general)
    to = target(await called(bot), ephemeral=True)
    under = await worker.send(to, page("cut", Button("New", "new")), Slot("t", 0))
    bot.discord.fail("slow", "callback", seconds=0.2)
    pressed = bot.discord.press(under, "new")
    call = await called(bot, 2)
    sent = await worker.send(target(call, ephemeral=True), page("the rest"), Slot("u", 0))
    assert pressed.callback == {"type": 6}
    assert pressed.followups == [sent]
    assert bot.discord.world.find(sent).ephemeral


async def test_a_button_under_an_answer_for_all(bot: Running, worker: DiscordOutbound) -> None:
    made = bot.discord.slash("chat", {"text": "hi"}, bot.discord.world.general)
    to = target(await called(bot))
    under = await worker.send(to, page("cut", Button("New", "new")), Slot("t", 0))
    pressed = bot.discord.press(under, "new")
    call = await called(bot, 2)
    assert call.reply_token == ""
    await worker.send(target(call), page("the rest"), Slot("u", 0))
    await until(lambda: bool(pressed.answered))
    assert [posted.text for posted in bot.discord.by_bot(bot.discord.world.general)] == ["cut", "the rest"]
    assert made.followups == []


async def test_where_nobody_deferred_the_answer_goes_to_the_channel(bot: Running, worker: DiscordOutbound) -> None:
    bot.discord.fail("500", "callback")
    bot.discord.slash("chat", {"text": "hi"}, bot.discord.world.general)
    to = target(await called(bot))
    async with asyncio.timeout(8):
        await worker.send(to, page("one"), Slot("t", 0))
    assert [posted.text for posted in bot.discord.by_bot(bot.discord.world.general)] == ["one"]
    # Few calls in vain: Discord counts them.
    assert len(bot.discord.wire.made("@original")) <= 6


async def test_two_that_have_a_shard_for_a_moment_defer_once(bot: Running, discord: FakeDiscord) -> None:
    other = Rest(discord.api_base, TOKEN)
    deferrals = Deferrals(other)
    made = discord.slash("help")
    deferrals.start(made.id, made.token, 5)
    await bot.accepted(1)
    await deferrals.close()
    await until(lambda: len(discord.wire.made("/callback")) == 2)
    await until(lambda: all(call.status for call in discord.wire.made("/callback")))
    assert sorted(call.status for call in discord.wire.made("/callback")) == [204, 400]
    await other.close()
