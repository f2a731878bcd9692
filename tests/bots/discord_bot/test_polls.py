"""Polls on Discord: exactly once, in answer to commands as well, and told where there is no right to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from bots.adapter import Slot, Target
from bots.discord_bot.interactions import Deferrals
from bots.discord_bot.outbound import DiscordOutbound
from bots.discord_bot.polls import body_of
from bots.discord_bot.rest import Rest
from core.errors import OutboundError, OutboundFault
from core.message import ConversationKey, Platform
from core.parts import Poll
from tests.bots.discord_bot.running import settings_for
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import TOKEN, FakeDiscord

POLL = Poll("2 + 2?", ("3", "4" * 80), 1, "Count.")


@pytest.fixture
async def outbound(discord: FakeDiscord) -> AsyncGenerator[DiscordOutbound]:
    settings = settings_for(discord)
    rest = Rest(settings.api_base, TOKEN)
    yield DiscordOutbound(settings, rest, Deferrals(rest))
    await rest.close()


def at(discord: FakeDiscord) -> Target:
    key = ConversationKey(Platform.DISCORD, discord.world.bot, discord.world.general)
    return Target(key, private=False, question="")


async def test_a_lost_answer_makes_no_second_poll(discord: FakeDiscord, outbound: DiscordOutbound) -> None:
    target = at(discord)
    slot = Slot("turn-1", 1, outbound.mark(target))
    discord.fail("reset after", "POST")
    with pytest.raises(OutboundError):
        await outbound.send_poll(target, POLL, slot)
    made = await outbound.send_poll(target, POLL, slot)
    assert [posted.id for posted in discord.by_bot()] == [made]
    poll = discord.by_bot()[0].data["poll"]
    assert (poll["question"], poll["answers"][1]["poll_media"]) == ({"text": "2 + 2?"}, {"text": "4" * 55})


async def test_without_the_right_words_may_still_be_taken(discord: FakeDiscord, outbound: DiscordOutbound) -> None:
    world = discord.world
    world.permissions.overwrite(world.general, world.guild["id"], deny=May.SEND_POLLS)
    with pytest.raises(OutboundError) as caught:
        await outbound.send_poll(at(discord), POLL, Slot("turn-1", 1))
    assert caught.value.fault is OutboundFault.NO_FILES


@pytest.mark.parametrize(("seconds", "hours"), [(0, 24), (60, 1), (7200, 2), (10**9, 768)])
def test_discord_counts_in_hours(seconds: int, hours: int) -> None:
    assert body_of(Poll("q", ("a", "b"), 0, seconds=seconds))["duration"] == hours
