"""Newcomers are asked in private, where buttons work for them, and nobody else is notified."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.message import ConversationKey, Platform
from core.moderation.enforcer import Asked, Site
from core.parts import Choice
from tests.bots.discord_bot.enforced import Court, court_of
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import FakeDiscord


@pytest.fixture
async def court() -> AsyncIterator[Court]:
    async with FakeDiscord() as discord, court_of(discord) as made:
        yield made


def asked(court: Court, *, is_note: bool = False) -> Asked:
    rows = [] if is_note else [[Choice("Yes", ".join 0123456789abcdef 0")]]
    return Asked(court.bob, "Are you **one** @everyone?", rows, key="join 1", is_note=is_note)


async def test_they_are_asked_once_in_private_and_it_goes_away(court: Court) -> None:
    where = await court.enforcer.ask(court.site(), asked(court))
    assert await court.enforcer.ask(court.site(), asked(court)) == where
    channel, _, message = where.partition(" ")
    posted = court.world.find(message)
    assert court.world.by_bot() == [posted]
    assert (posted.data["channel_id"], posted.guild) == (channel, "")
    assert posted.data["components"][0]["components"][0]["custom_id"] == ".join 0123456789abcdef 0"
    for _ in range(2):
        await court.enforcer.unask(court.site(), where)
        assert posted.deleted


async def test_who_takes_no_messages_is_told_so_where_the_guild_greets(court: Court) -> None:
    channel, _, _ = (await court.enforcer.ask(court.site(), asked(court))).partition(" ")
    court.world.forbidden.add(channel)
    assert await court.enforcer.ask(court.site(), replace(asked(court), key="join 2")) == ""
    where = await court.enforcer.ask(court.site(), asked(court, is_note=True))
    [posted] = court.world.by_bot(court.world.general)
    assert where == f"{court.world.general} {posted.id}"
    assert posted.text == f"<@{court.bob}> Are you **one** @\u200beveryone?"
    assert posted.pinged == [court.bob]
    nowhere = Site(ConversationKey(Platform.DISCORD, court.world.bot, ""), court.guild)
    assert await court.enforcer.ask(nowhere, asked(court, is_note=True)) == ""
    court.held.overwrite(court.world.general, court.guild, deny=May.SEND_MESSAGES)
    assert await court.enforcer.ask(court.site(), replace(asked(court, is_note=True), key="join 3")) == ""
