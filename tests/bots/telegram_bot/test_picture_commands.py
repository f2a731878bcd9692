"""Commands about pictures on Telegram: below one, and in reply to one."""

from __future__ import annotations

from typing import Any

import pytest

from bots.telegram_bot.raw import Me
from bots.telegram_bot.translate import to_value
from core.message import CommandCall, Incoming, Message
from tests.platforms.telegram_world import World

ME = Me("4242", "Parley_Bot")
USER: dict[str, Any] = {"id": 4242, "is_bot": True, "first_name": "Parley", "username": "Parley_Bot"}
GROUP = -100500


@pytest.fixture
def world() -> World:
    world = World(USER)
    world.group(GROUP)
    return world


def last(world: World) -> Incoming | None:
    return to_value(list(world.pending.values())[-1], ME, 10_000_000)


@pytest.mark.parametrize("chat", [7, GROUP])
def test_a_command_stands_below_a_picture(world: World, chat: int) -> None:
    world.photo(chat, "/edit make it night")
    found = last(world)
    assert isinstance(found, CommandCall)
    assert (found.name, found.options) == ("edit", {"text": "make it night"})
    assert [file.quoted for file in found.attachments] == [False]


@pytest.mark.parametrize("chat", [7, GROUP])
def test_a_command_is_about_the_picture_that_it_replies_to(world: World, chat: int) -> None:
    picture = world.photo(chat, "")
    world.text(chat, "/upscale", reply_to=picture)
    found = last(world)
    assert isinstance(found, CommandCall)
    assert [(file.mime, file.quoted) for file in found.attachments] == [("image/jpeg", True)]
    assert found.reply_to == str(picture)


def test_what_is_no_command_takes_along_nothing_that_is_known(world: World) -> None:
    picture = world.photo(7, "")
    world.text(7, "what is it?", reply_to=picture)
    found = last(world)
    assert isinstance(found, Message)
    assert found.attachments == ()
