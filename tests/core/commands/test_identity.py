"""/link and /unlink, as the engine answers them."""

from __future__ import annotations

from typing import Any

import pytest

from core.commands.row import Moderation
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall, ConversationKey, Platform
from core.moderation.members import Member, Words
from core.parts import Finished, Notice
from core.people.community import Community
from core.settings import Settings
from core.storage.cases import Cases
from core.storage.client import Store
from core.texts import say
from tests.builders import call, conversation
from tests.core.engines import engine

THERE = ConversationKey(Platform.DISCORD, "1", "900")
GRACE = Author("9", "Gr*ce\n@everyone")


class People:
    """The people of a platform's spaces, of whom only what they are told counts here."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    async def serves(self, call: CommandCall) -> bool:
        return True

    async def space_name(self, call: CommandCall) -> str:
        return ""

    async def find(self, call: CommandCall, account: str) -> Member | None:
        return None

    async def are_called(self, call: CommandCall, name: str) -> bool:
        return False

    async def channel(self, call: CommandCall, wanted: str) -> str | None:
        return None

    def link(self, call: CommandCall, message_id: str) -> str:
        return ""

    async def tell(self, call: CommandCall, account: str, words: Words, key: str) -> bool:
        self.told.append((account, words(""), key))
        return True

    async def tell_moderators(self, call: CommandCall, channel: str, about: str, words: Words, key: str) -> bool:
        return False


class World:
    """One store, and what people type on two platforms."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
        self.people = Community.of(Settings(), store).people
        self.spaces = People()
        self.turns = 0

    async def say(self, name: str, text: str = "", *, turn: str = "", **values: Any) -> list[Notice]:
        asked = call(name, options={"text": text} if text else {}, **values)
        return await self.answer(asked, turn)

    async def answer(self, asked: CommandCall, turn: str = "") -> list[Notice]:
        self.turns += 1
        moderation = {p: Moderation(Cases(self.store, keep_days=1), self.spaces) for p in Platform}
        async with engine(self.store, self.mailbox, moderation=moderation) as answering:
            open_turn = Turn(asked.conversation, turn or str(self.turns), "1", asked)
            parts = [part async for part in answering.respond(open_turn)]
        assert isinstance(parts.pop(), Finished)
        assert all(isinstance(part, Notice) for part in parts)
        return [part for part in parts if isinstance(part, Notice)]

    async def code(self, **values: Any) -> str:
        (notice, *_) = await self.say("link", **values)
        assert notice.key == "link_code"
        return str(notice.values["code"])


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


async def test_a_code_links_and_whoever_was_given_it_is_told_in_their_chat(world: World) -> None:
    code = await world.code()
    enter = call("link", options={"text": code.lower()}, conversation=THERE, author=GRACE)
    (done,) = await world.answer(enter, "4")
    assert (done.key, str(done.values["name"])) == ("link_done", "Ada")
    assert (await world.people.fresh("discord:9")).id == "telegram:7"
    # After a crash the turn runs again: linked once, told once.
    assert await world.answer(enter, "4") == [done]
    turn = await world.mailbox.take(conversation())
    assert turn is not None
    assert isinstance(turn.incoming, CommandCall)
    (told,) = await world.answer(turn.incoming)
    assert told.key == "link_told"
    sentence = say(told.key, "en", **told.values)
    assert "\n" not in sentence
    assert "Gr\\*ce @everyone on Discord" in sentence


async def test_nobody_has_the_bot_say_that_accounts_were_linked(world: World) -> None:
    (notice,) = await world.say("linked", "Bob")
    assert notice.key == "unknown_command"


async def test_who_asked_in_a_server_is_told_in_private(world: World) -> None:
    server: dict[str, Any] = {"conversation": THERE, "author": GRACE, "private": False, "space": "5"}
    server["reply_token"] = "seen by the asker alone"
    code = await world.code(**server)
    assert [notice.key for notice in await world.say("link", code)] == ["link_done"]
    ((account, words, _),) = world.spaces.told
    assert account == "9"
    assert "Ada on Telegram" in words
    (notice, linked) = await world.say("link")
    assert (notice.key, linked.key, linked.values["platforms"]) == ("link_code", "link_with", "Discord")


async def test_in_a_group_no_code_is_shown_and_one_that_is_typed_there_counts_no_more(world: World) -> None:
    group: dict[str, Any] = {"private": False, "space": "100", "author": Author("8", "Bob")}
    assert [notice.key for notice in await world.say("link", **group)] == ["link_privately"]
    code = await world.code(conversation=THERE, author=GRACE)
    assert [notice.key for notice in await world.say("link", code, **group)] == ["link_void"]
    assert [notice.key for notice in await world.say("link", code, author=Author("8", "Bob"))] == ["link_wrong"]


@pytest.mark.parametrize(
    ("typed", "key"), [("22222222", "link_wrong"), ("hello", "link_no_code"), ("ABCD EFGH IJ", "link_no_code")]
)
async def test_what_is_no_code_links_nobody(world: World, typed: str, key: str) -> None:
    assert [notice.key for notice in await world.say("link", typed)] == [key]
    assert (await world.people.fresh("telegram:7")).value.known_accounts == ("telegram:7",)


async def test_after_five_wrong_codes_it_is_said_how_long_to_wait(world: World) -> None:
    for number in range(5):
        assert [notice.key for notice in await world.say("link", f"2222222{number + 2}")] == ["link_wrong"]
    (paused,) = await world.say("link", "23456789")
    assert paused.key == "link_paused"
    assert "10 min" in say(paused.key, "en", **paused.values)


async def test_a_second_account_of_a_platform_is_refused(world: World) -> None:
    code = await world.code()
    await world.say("link", code, conversation=THERE, author=GRACE)
    code = await world.code(author=Author("8", "Bob"), chat="200")
    (refused,) = await world.say("link", code, conversation=THERE, author=GRACE)
    assert refused.key == "link_taken"
    assert "Telegram" in say(refused.key, "en", **refused.values)
    (same,) = await world.say("link", await world.code(), author=Author("8", "Bob"))
    assert same.key == "link_same"


async def test_where_others_read_along_nobody_is_told_of_accounts(world: World) -> None:
    await world.say("link", await world.code(), conversation=THERE, author=GRACE)
    for name in ("link", "unlink"):
        (told,) = await world.say(name, private=False, space="100")
        assert told == Notice("link_privately", {"name": name})
    assert (await world.people.fresh("telegram:7")).value.known_accounts == ("telegram:7", "discord:9")


async def test_unlink_parts_this_account_or_that_of_a_platform(world: World) -> None:
    assert [notice.key for notice in await world.say("unlink")] == ["unlink_alone"]
    await world.say("link", await world.code(), conversation=THERE, author=GRACE)
    assert [notice.key for notice in await world.say("unlink", "web")] == ["unlink_alone"]
    (parted,) = await world.say("unlink", "discord")
    assert parted.key == "unlink_done"
    assert "Discord" in say(parted.key, "en", **parted.values)
    assert (await world.people.fresh("discord:9")).value.known_accounts == ("discord:9",)
    assert (await world.people.fresh("telegram:7")).value.known_accounts == ("telegram:7",)
