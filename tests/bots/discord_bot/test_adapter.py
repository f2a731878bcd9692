"""The receiving side with the real discord.py: from the gateway's wire to the inbox."""

from __future__ import annotations

import asyncio
import time

import pytest
from pydantic import SecretStr

from core.commands.table import BY_NAME
from core.errors import SettingsError
from core.message import AttachmentKind, CommandCall, ConversationKey, Deletion, Message, Platform
from core.storage.client import Store
from core.storage.shared import Place
from core.tasks import end
from tests.bots.discord_bot.running import ListInbox, Notebook, Running, connected, until
from tests.platforms.discord_server import FakeDiscord, File
from tests.platforms.discord_world import EPHEMERAL


async def test_direct_message(bot: Running) -> None:
    said = bot.discord.say("hello")
    (message,) = await bot.accepted(1)
    assert isinstance(message, Message)
    assert (message.text, message.id, message.update) == ("hello", said.id, said.id)
    assert message.private
    assert not message.space
    assert message.conversation == bot.key(said.data["channel_id"])
    assert message.author.name == "Alice"
    assert abs(message.sent_at - time.time()) < 60


async def test_only_what_is_addressed_to_the_bot_comes_from_a_guild(bot: Running) -> None:
    discord, world = bot.discord, bot.discord.world
    room = world.general
    own = world.post(room, world.bot, "an answer")
    role = world.bot_role(world.guild["id"])
    discord.say("not for the bot", room)
    discord.say("@everyone not for the bot", room, mention_everyone=True)
    discord.by_webhook("not for the bot")
    discord.say("not for the bot", room, mention=True, user=world.add_user("otherbot", bot=True))
    discord.say("not for the bot", room, mention=True, type=7)
    discord.say("by mention", room, mention=True)
    discord.say("by reply", room, reply_to=own.id)
    discord.say(f"<@&{role}> by role", room)
    discord.say("in its own thread", discord.open_thread("Talk"))
    discord.say("not for the bot", discord.open_thread("Private talk", world.alice))
    discord.forum_post("A question", "in a forum")
    messages = await bot.accepted(5)
    said = "[Post: A question]\n\nin a forum"
    assert bot.inbox.texts == ["by mention", "by reply", "by role", "in its own thread", said]
    assert all(isinstance(m, Message) and not m.private and m.space == world.guild["id"] for m in messages)
    assert [m.place for m in messages if isinstance(m, Message)] == [
        *["#general in Chess Club"] * 3,
        "#Talk (thread of #general) in Chess Club",
        "#A question (post in #help) in Chess Club",
    ]
    assert isinstance(messages[1], Message)
    assert messages[1].reply_to == own.id
    assert messages[1].quote is not None
    assert messages[1].quote.text == "an answer"


async def test_edits_previews_and_deletions(bot: Running) -> None:
    said = bot.discord.say("first")
    bot.discord.unfurl(said.id)
    bot.discord.edit(said.id, "second")
    bot.discord.unfurl(said.id)
    bot.discord.delete(said.id)
    first, second, gone = await bot.accepted(3)
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert (first.text, first.edited) == ("first", False)
    assert (second.text, second.edited, second.id) == ("second", True, said.id)
    assert second.update == f"{said.id}:{said.data['edited_timestamp']}"
    assert isinstance(gone, Deletion)
    assert gone.ids == (said.id,)
    # The preview after the edit looks like the edit, and the mailbox knows it.
    await until(lambda: bot.inbox.refused == 1)


async def test_many_deletions_at_once(bot: Running) -> None:
    said = [bot.discord.say("x", bot.discord.world.general, mention=True).id for _ in range(3)]
    bot.discord.delete_many(said)
    gone = (await bot.accepted(4))[-1]
    assert isinstance(gone, Deletion)
    assert gone.ids == tuple(said)


async def test_attachments_and_what_cannot_be_read(bot: Running) -> None:
    discord = bot.discord
    discord.say("look", files=[File("cat.png", "image/png", b"PNG"), File("a.pdf", "application/pdf", b"PDF")])
    discord.voice_message(b"OGG")
    discord.sticker()
    discord.poll("Which?")
    discord.forward("what I found")
    look, voice, sticker, poll, forward = await bot.accepted(5)
    assert isinstance(look, Message)
    assert [a.kind for a in look.attachments] == [AttachmentKind.IMAGE, AttachmentKind.DOCUMENT]
    assert await bot.outbound.fetch(look.conversation, look.attachments[0], 100) == b"PNG"
    assert isinstance(voice, Message)
    assert [a.kind for a in voice.attachments] == [AttachmentKind.AUDIO]
    assert isinstance(sticker, Message)
    assert (sticker.text, sticker.unsupported) == ("[Sticker: Wave]", "")
    assert await bot.outbound.fetch(sticker.conversation, sticker.attachments[0], 100) == b"PNG"
    assert isinstance(poll, Message)
    assert poll.text == "[Poll: Which?]"
    assert isinstance(forward, Message)
    assert (forward.text, forward.reply_to) == ("[Forwarded message]\nwhat I found", "")


async def test_lone_surrogates_are_replaced(bot: Running) -> None:
    bot.discord.say("a\ud800b")
    (message,) = await bot.accepted(1)
    assert isinstance(message, Message)
    assert message.text == "a\ufffdb"


async def test_an_odd_payload_does_not_end_the_connection(bot: Running) -> None:
    bot.discord.gateway.dispatch("MESSAGE_CREATE", {"id": "1", "channel_id": "2", "author": {}, "mentions": []}, "")
    bot.discord.gateway.dispatch("INTERACTION_CREATE", {"id": "1", "type": 2}, "")
    bot.discord.say("still here")
    await bot.accepted(1)
    assert bot.inbox.texts == ["still here"]
    assert bot.discord.gateway.count("connect") == 1


async def test_a_slash_command_is_deferred_after_it_was_accepted(bot: Running) -> None:
    made = bot.discord.slash("chat", {"text": "hi"}, bot.discord.world.general, locale="zh-CN")
    (call,) = await bot.accepted(1)
    assert isinstance(call, CommandCall)
    assert (call.name, dict(call.options), call.id, call.update) == ("chat", {"text": "hi"}, made.id, made.id)
    assert call.author.language == "zh-CN"
    assert call.space == bot.discord.world.guild["id"]
    await until(lambda: bool(made.answered))
    assert made.callback == {"type": 5}
    assert made.answered - made.created < 3


async def test_a_private_command_is_deferred_for_the_asker_alone(bot: Running) -> None:
    made = bot.discord.slash("help")
    await until(lambda: bool(made.answered))
    assert made.callback == {"type": 5, "data": {"flags": EPHEMERAL}}


async def test_a_command_that_is_not_accepted_is_not_deferred(discord: FakeDiscord, store: Store) -> None:
    inbox = ListInbox(failures=2)
    async with connected(discord, store, inbox=inbox) as bot:
        made = discord.slash("help")
        await until(lambda: inbox.failures < 2)
        assert not made.answered
        await until(lambda: bool(made.answered))
        assert len(bot.inbox.accepted) == 1


async def test_a_button(bot: Running) -> None:
    world = bot.discord.world
    row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "New", "custom_id": "new"}]}
    answer = world.post(world.general, world.bot, "so far", components=[row])
    made = bot.discord.press(answer.id, "new")
    (call,) = await bot.accepted(1)
    assert isinstance(call, CommandCall)
    assert (call.name, call.reply_to, call.reply_token) == ("new", answer.id, "")
    await until(lambda: bool(made.answered))
    assert made.callback == {"type": 6}


async def test_commands_are_registered_only_when_they_changed(discord: FakeDiscord, store: Store) -> None:
    notebook = Notebook()
    for _ in range(2):
        async with connected(discord, store, notebook=notebook):
            await until(lambda: bool(discord.world.commands))
            await asyncio.sleep(0.05)
    assert len(discord.wire.made("PUT /applications")) == 1
    assert [c["name"] for c in discord.world.commands] == ["chat", "help"]
    async with connected(discord, store, notebook=notebook, rows=[BY_NAME["new"]]):
        await until(lambda: [c["name"] for c in discord.world.commands] == ["new"])


async def test_storage_that_fails_for_a_while_loses_nothing(discord: FakeDiscord, store: Store) -> None:
    inbox = ListInbox(failures=3)
    async with connected(discord, store, inbox=inbox) as bot:
        for number in range(20):
            discord.say(str(number))
        await bot.accepted(20)
    assert inbox.texts == [str(number) for number in range(20)]


async def test_events_that_come_together_are_accepted_together(bot: Running) -> None:
    for number in range(50):
        bot.discord.say(str(number))
    await bot.accepted(50)
    assert bot.inbox.texts == [str(number) for number in range(50)]
    assert len(bot.inbox.batches) < 50


async def test_a_stop_stores_what_was_received(discord: FakeDiscord, store: Store) -> None:
    inbox = ListInbox(failures=1)
    async with connected(discord, store, inbox=inbox) as bot:
        discord.say("the last")
        await until(lambda: inbox.failures == 0)
        await end([bot.task])
    assert inbox.texts == ["the last"]


# ---------------------------------------------------------------------- sessions
@pytest.mark.parametrize("how", ["drop", "reconnect", "invalid but resumable", "close 4000"])
async def test_a_resumed_session_brings_what_was_missed(bot: Running, how: str) -> None:
    gateway = bot.discord.gateway
    bot.discord.say("before")
    await bot.accepted(1)
    if how == "drop":
        gateway.drop()
    elif how == "reconnect":
        gateway.reconnect()
    elif how == "close 4000":
        gateway.close(4000)
    else:
        gateway.invalidate(resumable=True)
    await until(lambda: not gateway.connections or gateway.count("connect") > 1)
    bot.discord.say("meanwhile")
    await until(lambda: gateway.count("resumed") == 1)
    bot.discord.say("after")
    await bot.accepted(3)
    assert bot.inbox.texts == ["before", "meanwhile", "after"]
    assert gateway.count("identify") == 1


async def test_a_zombie_connection_is_left(discord: FakeDiscord, store: Store) -> None:
    discord.gateway.heartbeat_seconds = 0.1
    discord.gateway.zombie = True
    async with connected(discord, store, silence=0.5) as bot:
        await until(lambda: discord.gateway.count("connect") > 1)
        discord.gateway.zombie = False
        discord.say("hello")
        await bot.accepted(1)


async def test_a_damaged_record_of_the_places_holds_up_no_message(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, recent=ValueError("damaged")) as bot:
        discord.say("live")
        await bot.accepted(1)


async def test_after_an_invalid_session_the_history_is_caught_up_exactly_once(
    discord: FakeDiscord, store: Store
) -> None:
    world = discord.world
    room, direct = world.general, world.direct(world.alice)
    seen = world.post(room, world.alice, "long ago")
    hello = world.post(direct, world.alice, "long ago")
    recent = [_recent(discord, room, seen.id), _recent(discord, direct, hello.id)]
    async with connected(discord, store, recent=recent) as bot:
        discord.say("live", room, mention=True)
        await bot.accepted(1)
        discord.gateway.invalidate()
        discord.say("not for the bot", room)
        discord.say("missed in the guild", room, mention=True)
        discord.say("missed in private")
        await until(lambda: discord.gateway.count("ready") == 2)
        discord.say("live again", room, mention=True)
        await bot.accepted(4)
        await asyncio.sleep(0.1)
    assert sorted(bot.inbox.texts) == ["live", "live again", "missed in private", "missed in the guild"]
    assert bot.inbox.texts.index("missed in the guild") < bot.inbox.texts.index("live again")
    missed = next(m for m in bot.inbox.accepted if isinstance(m, Message) and m.text == "missed in the guild")
    assert missed.place == "#general in Chess Club"
    # "live" is in the history too: same update, so refused.
    assert bot.inbox.refused >= 1


async def test_a_start_catches_up_within_bounds(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    room = world.general
    old = world.post(room, world.alice, f"<@{world.bot}> seen before")
    odd = world.post(room, world.alice, f"<@{world.bot}> odd")
    odd.data["timestamp"] = "yesterday"
    for number in range(120):
        world.post(room, world.alice, f"<@{world.bot}> {number}")
    gone = "123456789"
    recent = [_recent(discord, gone, "1"), _recent(discord, room, old.id)]
    async with connected(discord, store, recent=recent, catch_up_messages=100) as bot:
        await bot.accepted(98)  # the one that was seen and the odd one are read, too
        discord.say("live", room, mention=True)
        await bot.accepted(99)
    assert bot.inbox.texts == [*(str(number) for number in range(98)), "live"]


async def test_a_catch_up_that_breaks_off_holds_nobody_back(discord: FakeDiscord, store: Store) -> None:
    recent = [_recent(discord, "1", "no id"), _recent(discord, discord.world.general, "0")]
    async with connected(discord, store, recent=recent) as bot:
        discord.say("live", discord.world.general, mention=True)
        await bot.accepted(1)


async def test_catch_up_leaves_out_what_is_older_than_the_setting(discord: FakeDiscord, store: Store) -> None:
    async with connected(discord, store, recent=[_recent(discord, discord.world.general, "0")], catch_up_minutes=7):
        await until(lambda: bool(discord.wire.made("GET /channels")))
    asked = discord.wire.made("GET /channels")[0]
    moment = ((int(asked.query["after"]) >> 22) + 1_420_070_400_000) / 1000
    assert abs(time.time() - 7 * 60 - moment) < 30
    assert asked.query["limit"] == "100"


async def test_catch_up_can_be_switched_off(discord: FakeDiscord, store: Store) -> None:
    recent = [_recent(discord, discord.world.general, "0")]
    async with connected(discord, store, recent=recent, catch_up=False) as bot:
        discord.say("hello")
        await bot.accepted(1)
    assert discord.wire.made("GET /channels") == []


async def test_catch_up_waits_for_rate_limits(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    world.post(world.general, world.alice, f"<@{world.bot}> missed")
    discord.fail("429", "GET /channels", times=2)
    discord.fail("502", "GET /channels")
    async with connected(discord, store, recent=[_recent(discord, world.general, "0")]) as bot:
        await bot.accepted(1)
    assert bot.inbox.texts == ["missed"]


def _recent(discord: FakeDiscord, channel: str, last_seen: str) -> Place:
    key = ConversationKey(Platform.DISCORD, discord.world.bot, channel)
    return Place(key, last_seen, discord.world.channels.get(channel, {}).get("guild_id", ""))


# ---------------------------------------------------------------------- what ends a start
async def test_a_wrong_token_is_named(discord: FakeDiscord, store: Store) -> None:
    with pytest.raises(SettingsError, match="DISCORD_TOKEN is wrong"):
        async with connected(discord, store, token=SecretStr("another.token")):
            pass


async def test_a_token_that_cannot_be_one(discord: FakeDiscord, store: Store) -> None:
    with pytest.raises(SettingsError, match="DISCORD_TOKEN is wrong"):
        async with connected(discord, store, token=SecretStr("TEST\u200bTOKEN")):
            pass
    assert discord.calls == []


async def test_a_token_that_the_gateway_refuses(discord: FakeDiscord, store: Store) -> None:
    discord.gateway.token = "changed"
    with pytest.raises(SettingsError, match="DISCORD_TOKEN is wrong"):
        async with connected(discord, store):
            pass


async def test_a_missing_intent_names_its_switch(discord: FakeDiscord, store: Store) -> None:
    discord.gateway.allowed_intents = 0
    with pytest.raises(SettingsError, match="Message Content Intent"):
        async with connected(discord, store):
            pass


async def test_a_start_waits_for_discord(discord: FakeDiscord, store: Store) -> None:
    discord.fail("reset before", "GET /users/@me")
    async with connected(discord, store) as bot:
        discord.say("hello")
        await bot.accepted(1)
