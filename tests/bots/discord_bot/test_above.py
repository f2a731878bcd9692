"""What people said above a message, asked of the fake Discord: bounded, and never in an answer's way."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from bots.discord_bot.above import MAX_TEXT, MOST, Above
from bots.discord_bot.rest import Rest
from core.message import Author, ConversationKey, Message, Platform
from tests.platforms.discord_server import TOKEN, FakeDiscord


@pytest.fixture
async def above(discord: FakeDiscord) -> AsyncGenerator[Above]:
    rest = Rest(discord.api_base, TOKEN)
    yield Above(rest)
    await rest.close()


def asked(discord: FakeDiscord, *, in_thread: bool = False) -> Message:
    """A question in the general channel, or one that is to be answered in a thread opened there."""
    world = discord.world
    chat = "77" if in_thread else world.general
    key = ConversationKey(Platform.DISCORD, world.bot, chat)
    opens = world.general if in_thread else ""
    return Message(key, "77", "77", Author("1", "Ann"), "hi", 0.0, private=False, opens=opens)


def talk(discord: FakeDiscord, *lines: str) -> list[str]:
    """Each replies to the one before; their ids."""
    ids = [""]
    for line in lines:
        ids.append(discord.say(line, discord.world.general, reply_to=ids[-1]).id)
    return ids[1:]


@pytest.mark.parametrize("in_thread", [False, True])
async def test_two_in_a_call_and_no_more_than_wanted(discord: FakeDiscord, above: Above, in_thread: bool) -> None:
    ids = talk(discord, *(f"line {number}" for number in range(8)))
    found = await above(asked(discord, in_thread=in_thread), ids[6])
    assert [one.text for one in found] == ["line 6", "line 5", "line 4", "line 3"]
    assert (found[0].author, found[0].reply_to) == ("Alice", ids[5])
    assert len(discord.calls) == MOST / 2


async def test_where_it_begins_it_ends(discord: FakeDiscord, above: Above) -> None:
    ids = talk(discord, f"<@{discord.world.alice}> " + "x" * 1000, "b", "c")
    found = await above(asked(discord), ids[2])
    assert [one.text[:2] for one in found] == ["c", "b", "@A"]
    assert len(found[2].text) == MAX_TEXT


async def test_what_cannot_be_had_is_left_out(discord: FakeDiscord, above: Above) -> None:
    ids = talk(discord, "a", "b", "c", "d")
    discord.delete(ids[1])
    assert [one.text for one in await above(asked(discord), ids[3])] == ["d", "c"]
    discord.fail("500", "messages")
    assert await above(asked(discord), ids[3]) == []
    assert await above(asked(discord), "5") == []
