"""Commands, menus, suggestions and the first answer to each, as people use them on Discord."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bots.discord_bot import interaction_intake, interactions, waiting
from bots.discord_bot.interactions import ReplyToken
from core.commands.table import BY_NAME, COMMANDS
from core.errors import StorageError
from core.message import AttachmentKind, CommandCall, Incoming
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.storage.client import Store
from core.tasks import end
from core.texts import say
from tests.bots.discord_bot.running import ListInbox, Running, connected, until
from tests.platforms.discord_plays import File
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.discord_world import EPHEMERAL, Interaction

PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(20)


class Stuck(ListInbox):
    """Takes nothing until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.asked = 0

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        self.asked += 1
        await self.free.wait()
        await super().accept(incoming)


class Away(ListInbox):
    """Refuses everything."""

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        raise StorageError("no connection")


async def call_of(bot: Running, number: int = 1) -> CommandCall:
    call = (await bot.accepted(number))[number - 1]
    assert isinstance(call, CommandCall)
    return call


async def registered(discord: FakeDiscord) -> None:
    await until(lambda: bool(discord.world.commands))


def shown(discord: FakeDiscord, made: Interaction) -> str:
    return discord.world.find(made.original).text if made.original else ""


# ---------------------------------------------------------------------- what was said
async def test_typed_options_become_the_calls(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, rows=COMMANDS) as bot:
        await registered(discord)
        world = discord.world
        discord.slash("chat", {"text": "what is it?", "file": File("a.png", "image/png", PIXEL)}, world.general)
        call = await call_of(bot)
        assert (call.name, dict(call.options)) == ("chat", {"text": "what is it?"})
        assert [(a.kind, a.name) for a in call.attachments] == [(AttachmentKind.IMAGE, "a.png")]
        assert await bot.outbound.fetch(call.conversation, call.attachments[0], 100) == PIXEL
        discord.slash("settings", {"name": "buttons", "value": "off"})
        assert BY_NAME["settings"].words(await call_of(bot, 2)) == "buttons off"


async def test_files_stand_in_the_order_of_their_options(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, rows=COMMANDS) as bot:
        await registered(discord)
        general = discord.world.general
        mask, picture = (File(f"{name}.png", "image/png", PIXEL) for name in ("mask", "picture"))
        discord.slash("edit", {"mask": mask, "prompt": "a hat", "picture": picture}, general)
        assert [file.name for file in (await call_of(bot)).attachments] == ["picture.png", "mask.png"]
        # A mask alone is not taken for the picture.
        discord.slash("edit", {"prompt": "a hat", "mask": mask}, general)
        assert not (await call_of(bot, 2)).attachments


async def test_a_subcommand_is_a_row_of_its_own(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, rows=COMMANDS) as bot:
        await registered(discord)
        made = discord.slash("管理 重试", {"id": "all"}, locale="zh-CN")
        call = await call_of(bot)
        assert (call.name, dict(call.options)) == ("admin retry", {"id": "all"})
        await until(lambda: bool(made.answered))
        assert made.callback["data"]["flags"] == EPHEMERAL
        with pytest.raises(LookupError):
            discord.slash("admin", {})


async def test_a_command_that_is_no_more_is_told_at_once(bot: Running) -> None:
    made = bot.discord.slash("vanished", {}, locale="zh-CN")
    await until(lambda: bool(made.answered))
    assert made.callback["type"] == 4
    assert made.callback["data"]["flags"] == EPHEMERAL
    assert "vanished" in made.callback["data"]["content"]
    assert bot.inbox.accepted == []


async def test_a_message_menu_tells_the_message_and_is_for_the_asker_alone(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, rows=COMMANDS) as bot:
        await registered(discord)
        world = discord.world
        files = [File("cat.png", "image/png", PIXEL)]
        bob = world.add_user("bob")
        meant = discord.say(f"<@{bob}> look at #this", world.general, user=bob, files=files)
        made = discord.choose_in_menu("解释", meant.id, world.general, locale="zh-CN")
        call = await call_of(bot)
        assert (call.name, call.reply_to, call.alone, call.private) == ("explain", meant.id, True, False)
        assert call.quote is not None
        assert (call.quote.author, call.quote.text) == ("Bob", "@Bob look at #this")
        assert [(a.name, a.quoted) for a in call.attachments] == [("cat.png", True)]
        # What it says is not part of what is said in the channel.
        assert (call.conversation.chat, call.conversation.thread) == (world.general, world.alice)
        await until(lambda: bool(made.answered))
        assert made.callback == {"type": 5, "data": {"flags": EPHEMERAL}}


async def test_a_menu_in_private_goes_on_in_the_same_conversation(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, rows=COMMANDS) as bot:
        await registered(discord)
        room = discord.world.direct(discord.world.alice)
        answer = discord.world.post(room, discord.world.bot, "an answer")
        discord.choose_in_menu("Translate", answer.id, room)
        call = await call_of(bot)
        assert (call.name, call.alone, call.conversation) == ("translate", False, bot.key(room))


async def test_a_user_menu_tells_the_person(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, rows=COMMANDS) as bot:
        await registered(discord)
        world = discord.world
        bob = world.add_user("bob")
        discord.choose_in_menu(BY_NAME["cases"].called_in_menu(), bob, world.general)
        call = await call_of(bot)
        assert (call.name, dict(call.options)) == ("cases", {"user": bob})


async def test_a_press_under_an_answer_of_a_menu_belongs_to_its_conversation(
    discord: FakeDiscord, store: Store
) -> None:
    async with connected(discord, store, rows=COMMANDS) as bot:
        await registered(discord)
        world = discord.world
        meant = discord.say("hello", world.general, user=world.add_user("bob"))
        made = discord.choose_in_menu("Explain", meant.id, world.general)
        first = await call_of(bot)
        await until(lambda: bool(made.original))
        row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "New", "custom_id": "new"}]}
        answer = world.find(made.original)
        world.change(answer, {"components": [row]})
        discord.press(answer.id, "new")
        pressed = await call_of(bot, 2)
        assert (pressed.name, pressed.conversation, pressed.alone) == ("new", first.conversation, True)


# ---------------------------------------------------------------------- suggestions
async def test_suggestions_come_from_memory(discord: FakeDiscord, store: Store) -> None:
    models = [Model(name, "p", name) for name in ("large-one", "small-one", "m" * 101)]
    catalog = Catalog([Provider("p", "http://127.0.0.1:9/v1")], models)
    async with connected(discord, store, inbox=Away(), rows=COMMANDS, catalog=catalog):
        await registered(discord)
        made = discord.suggest("model", "name", {"name": "one"})
        await until(lambda: bool(made.answered))
        values = [choice["value"] for choice in made.callback["data"]["choices"]]
        assert (made.callback["type"], values) == (8, ["large-one", "small-one"])
        made = discord.suggest("settings", "value", {"name": "buttons", "value": ""}, locale="zh-CN")
        await until(lambda: bool(made.answered))
        assert [choice["value"] for choice in made.callback["data"]["choices"]] == ["on", "off"]


# ---------------------------------------------------------------------- the first answer
async def test_slow_storage_defers_the_call_first(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "DEFER_SECONDS", 0.05)
    inbox = Stuck()
    async with connected(discord, store, inbox=inbox) as bot:
        made = discord.slash("help")
        await until(lambda: bool(made.answered))
        assert inbox.accepted == []
        inbox.free.set()
        assert (await call_of(bot)).id == made.id
    # Once: another first answer would have been refused.
    assert [c.status for c in discord.calls if c.path.endswith("/callback")] == [204]


async def test_a_call_that_came_late_is_deferred_at_once(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that it took to come is gone."""
    monkeypatch.setattr(waiting, "DEFER_SECONDS", 60.0)
    monkeypatch.setattr(interaction_intake, "TOO_LATE_SECONDS", 100.0)
    inbox = Stuck()
    async with connected(discord, store, inbox=inbox) as bot:
        await bot.rest.call("GET", "/gateway")
        now = bot.rest.now
        bot.rest.now = lambda: now() + 61.0
        made = discord.slash("help")
        await until(lambda: bool(made.answered))
        assert inbox.accepted == []
        inbox.free.set()


async def test_what_discord_has_given_up_is_not_begun(bot: Running) -> None:
    await bot.rest.call("GET", "/gateway")
    now = bot.rest.now
    bot.rest.now = lambda: now() + interaction_intake.TOO_LATE_SECONDS + 1
    late = bot.discord.slash("help")
    bot.discord.say("a message")
    await bot.accepted(1)
    assert (bot.inbox.texts, late.answered) == (["a message"], 0.0)


async def test_a_call_that_is_never_taken_is_told(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "DEFER_SECONDS", 0.02)
    monkeypatch.setattr(waiting, "GIVE_UP_SECONDS", 0.1)
    async with connected(discord, store, inbox=Away(), rows=COMMANDS):
        made = discord.slash("new", {}, discord.world.general, locale="zh-CN")
        await until(lambda: "一分钟" in shown(discord, made))


async def test_calls_do_not_wait_behind_messages(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy(Stuck):
        async def accept(self, incoming: Sequence[Incoming]) -> None:
            if all(isinstance(value, CommandCall) for value in incoming):
                await ListInbox.accept(self, incoming)
            else:
                await super().accept(incoming)

    inbox = Busy()
    async with connected(discord, store, inbox=inbox) as bot:
        discord.say("a message that takes long")
        made = discord.slash("help")
        assert (await call_of(bot)).id == made.id
        await until(lambda: bool(made.answered))
        inbox.free.set()
        await bot.accepted(2)


async def test_a_stop_answers_every_interaction(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.discord_bot.adapter.LAST_WORDS", 0.3)
    stuck = Stuck()
    async with connected(discord, store, inbox=stuck) as bot:
        made = [discord.slash("help") for _ in range(3)]
        await until(lambda: stuck.asked > 0)
        await end([bot.task])
        assert all(one.answered for one in made)
        assert all("try again" in shown(discord, one) for one in made)


async def test_what_cannot_be_read_is_answered(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, rows=COMMANDS) as bot:
        await registered(discord)
        meant = discord.say("hello", discord.world.general, user=discord.world.add_user("bob"))
        del meant.data["author"]
        made = discord.choose_in_menu("Explain", meant.id, discord.world.general, locale="zh-CN")
        await until(lambda: bool(made.answered))
        assert made.callback["data"]["flags"] == EPHEMERAL
        assert made.callback["data"]["content"] == say("call_unreadable", "zh_Hans")
        assert bot.inbox.accepted == []


async def test_a_lost_callback_is_tried_again(bot: Running) -> None:
    bot.discord.fail("reset before", "callback")
    made = bot.discord.slash("help")
    await until(lambda: bool(made.answered))
    bot.discord.fail("reset after", "callback")
    other = bot.discord.slash("help")
    await until(lambda: len([c for c in bot.discord.calls if c.status == 400]) == 1)
    assert other.callback["type"] == 5


# ---------------------------------------------------------------------- where the bot is no member
async def test_a_users_own_installation_has_its_own_conversation(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, rows=COMMANDS) as bot:
        await registered(discord)
        world = discord.world
        bob = world.add_user("bob")
        for user in (world.alice, bob):
            discord.slash("chat", {"text": "hi"}, world.general, user=user, own_install=True)
        calls = [await call_of(bot, number) for number in (1, 2)]
        assert {(c.conversation.chat, c.conversation.thread) for c in calls} == {
            (world.general, world.alice),
            (world.general, bob),
        }
        for call in calls:
            token = ReplyToken.parse(call.reply_token)
            assert token is not None
            assert token.only
            assert (call.private, call.space) == (True, "")


def test_a_reply_token_keeps_its_parts() -> None:
    for token in (ReplyToken(True, "1", "2", "t"), ReplyToken(False, "1", "2", "t", only=True)):
        assert ReplyToken.parse(str(token)) == token
    assert not ReplyToken(True, "1", "0", "t").is_spent(1_420_070_400 + interactions.TOKEN_SECONDS - 1)
    assert ReplyToken(True, "1", "0", "t").is_spent(1_420_070_400 + interactions.TOKEN_SECONDS + 1)
