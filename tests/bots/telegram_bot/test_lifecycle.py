"""The bot's place in its chats: what updates about it come to, and who is told where it may not write."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bots.telegram_bot.adapter import TelegramAdapter
from bots.telegram_bot.api import Api
from bots.telegram_bot.raw import Me
from bots.telegram_bot.standing import Standing
from bots.telegram_bot.translate import UPDATES, to_incoming
from core.conversation.turn import Turn
from core.message import Author, CommandCall, ConversationKey, Departure, Incoming, Platform, Relocation
from core.storage.client import Store
from core.storage.shared import Memory, Once
from core.texts import say
from tests.bots.telegram_bot.receiving import Kept, Receivers, running, until
from tests.builders import message
from tests.platforms import telegram_groups as groups
from tests.platforms.telegram_server import TelegramServer
from tests.platforms.telegram_world import World

ME = Me("4242", "parley_bot")
GROUP, PLAIN, PERSON = -100500, -4001, 7


@pytest.fixture
def world() -> World:
    world = World({"id": 4242, "is_bot": True, "first_name": "Parley", "username": "parley_bot"})
    world.group(GROUP)
    world.group(PLAIN)
    return world


def read(world: World, me: Me = ME) -> list[Incoming]:
    return to_incoming(list(world.pending.values()), me, 1)


def key(chat: int) -> ConversationKey:
    return ConversationKey(Platform.TELEGRAM, "4242", str(chat))


def test_membership_is_asked_for() -> None:
    assert "my_chat_member" in UPDATES


@pytest.mark.parametrize("before", ["left", "kicked"])
@pytest.mark.parametrize(
    ("after", "sees_all", "privacy"),
    [("member", False, True), ("member", True, False), ("administrator", False, False)],
)
@pytest.mark.parametrize("chat", [GROUP, PLAIN])
def test_added(world: World, chat: int, before: str, after: str, sees_all: bool, privacy: bool) -> None:
    update = groups.member(world, chat, before, after, user=9)
    (greeting,) = read(world, Me("4242", "parley_bot", sees_all))
    assert isinstance(greeting, CommandCall)
    assert (greeting.name, greeting.conversation, greeting.space) == ("greeting", key(chat), str(chat))
    assert (greeting.author.id, greeting.place) == ("9", "Chess Club")
    assert greeting.options == {"username": "parley_bot"} | ({"privacy": "on"} if privacy else {})
    assert greeting.update != str(update), "the same for every time that it is added"


def test_added_by_an_anonymous_administrator(world: World) -> None:
    groups.member(world, GROUP, "left", "member", user=1087968824, is_bot=True)
    (greeting,) = read(world)
    assert isinstance(greeting, CommandCall)
    assert not greeting.author.is_bot


@pytest.mark.parametrize(
    ("chat", "before", "after"),
    [
        (GROUP, "member", "administrator"),
        (GROUP, "administrator", "member"),
        (GROUP, "left", "kicked"),
        (PERSON, "kicked", "member"),
        # Which is what it looks like when the group becomes a supergroup.
        (PLAIN, "member", "left"),
    ],
)
def test_nothing_comes_of_it(world: World, chat: int, before: str, after: str) -> None:
    groups.member(world, chat, before, after)
    assert read(world) == []


def test_restricted_is_still_there(world: World) -> None:
    rights: dict[str, Any] = {"status": "restricted", "is_member": True}
    number = groups.member(world, GROUP, "member", "member")
    world.pending[number]["my_chat_member"]["new_chat_member"] = rights
    assert read(world) == []
    rights["is_member"] = False
    assert read(world) == [Departure(key(GROUP), str(number))]


@pytest.mark.parametrize("after", ["left", "kicked"])
@pytest.mark.parametrize("chat", [GROUP, PERSON])
def test_removed_or_blocked(world: World, chat: int, after: str) -> None:
    number = groups.member(world, chat, "member", after)
    assert read(world) == [Departure(key(chat), str(number))]


def test_a_channel_is_not_greeted(world: World) -> None:
    world.chat(GROUP).type = "channel"
    groups.member(world, GROUP, "left", "administrator")
    assert read(world) == []


def test_both_words_of_a_supergroup_say_the_same(world: World) -> None:
    groups.move(world, PLAIN, -100777)
    moves = read(world)
    assert [type(move) for move in moves] == [Relocation, Relocation]
    assert {(move.conversation, move.to) for move in moves if isinstance(move, Relocation)} == {
        (key(PLAIN), key(-100777))
    }


class TestWhoIsTold:
    """Where the bot may not write."""

    @pytest.fixture
    def standing(self, api: Api, store: Store) -> Standing:
        return Standing(api, Memory(store), Once(store), "4242")

    def turn(self, user: str = "5") -> Turn:
        author = Author(user, "Ann")
        asked = message(conversation=key(GROUP), place="Chess Club", private=False, author=author)
        return Turn(asked.conversation, "1", "1", asked)

    async def test_the_asker_once_a_day(self, server: TelegramServer, standing: Standing) -> None:
        server.world.chat(5)
        for _ in range(3):
            await standing.tell(self.turn())
        assert server.world.texts(5) == [say("no_right_asked", place="Chess Club")]
        assert len(server.named("sendMessage")) == 1

    async def test_who_added_it_once_for_all(
        self, server: TelegramServer, standing: Standing, receiver: Receivers
    ) -> None:
        server.world.chat(9)
        server.world.group(GROUP)
        inbox = Kept()
        adapter: TelegramAdapter = receiver()
        async with running(adapter, inbox):
            groups.member(server.world, GROUP, "left", "member", user=9)
            await until(lambda: not server.world.pending)
        await asyncio.gather(*(standing.tell(self.turn(user)) for user in ("5", "6", "-100500")))
        assert server.world.texts(9) == [say("no_right_added", place="Chess Club")]

    async def test_nobody_can_be_told(self, server: TelegramServer, standing: Standing) -> None:
        server.world.chat(5).blocked = True
        await standing.tell(self.turn())
        await standing.tell(self.turn())
        assert len(server.named("sendMessage")) == 1

    async def test_it_is_known_in_the_supergroup_who_added_it(
        self, server: TelegramServer, standing: Standing, world: World
    ) -> None:
        server.world.chat(9)
        groups.member(world, PLAIN, "left", "member", user=9)
        groups.move(world, PLAIN, GROUP, ("old",))
        for update in world.pending.values():
            await standing.note(update)
        await standing.tell(self.turn())
        assert server.world.texts(9) == [say("no_right_added", place="Chess Club")]
