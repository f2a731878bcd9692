"""Threads opened for answers, against the fake Discord; what is chosen for channels, against a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from bots.adapter import Slot, Target
from bots.discord_bot.interactions import Deferrals
from bots.discord_bot.outbound import DiscordOutbound
from bots.discord_bot.rest import Rest
from bots.discord_bot.threads import MAX_NAME, Threads, name_of
from core.conversation.history import History
from core.conversation.mailbox import Admission, Mailbox
from core.errors import OutboundError, OutboundFault
from core.message import ConversationKey, Message, Platform
from core.storage import keys
from core.storage.channels import Channels
from core.storage.client import Store
from core.storage.shared import Place
from tests.bots.discord_bot.running import Running, connected, settings_for, until
from tests.platforms import discord_threads as threads
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import TOKEN, FakeDiscord


@pytest.fixture
async def rest(discord: FakeDiscord) -> AsyncGenerator[Rest]:
    made = Rest(discord.api_base, TOKEN)
    yield made
    await made.close()


def target(discord: FakeDiscord, title: str = "which opening?") -> Target:
    """Of a question that is to be answered in a thread."""
    question = discord.say(title, discord.world.general, mention=True).id
    key = ConversationKey(Platform.DISCORD, discord.world.bot, question)
    return Target(key, False, question, asked=question, opens=discord.world.general, title=title)


def openings(discord: FakeDiscord) -> int:
    return sum(call.path.endswith("/threads") for call in discord.calls)


def outbound(discord: FakeDiscord, rest: Rest) -> DiscordOutbound:
    return DiscordOutbound(settings_for(discord), rest, Deferrals(rest))


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("which **opening**?\nfor `White`", "which opening ? for White"),
        ("", "Question and answer"),
        ("***", "Question and answer"),
        ("x" * 200, "x" * 99 + "…"),
        ("word " * 40, ("word " * 19).strip() + "…"),
    ],
)
def test_names(question: str, name: str) -> None:
    assert name_of(question, "") == name
    assert len(name) <= MAX_NAME


async def test_an_answer_opens_its_thread_once(discord: FakeDiscord, rest: Rest) -> None:
    asked, out = target(discord), outbound(discord, rest)
    await out.typing(asked)
    made = await out.send(asked, out.format("the Reti"), Slot("t", 0))
    await out.edit(asked, made, out.format("the English"))
    await out.send(asked, out.format("or the Bird"), Slot("t", 1))
    assert openings(discord) == 1
    thread = discord.world.channels[asked.question]
    assert (thread["name"], thread["parent_id"]) == ("which opening?", discord.world.general)
    assert [posted.text for posted in discord.by_bot(asked.question)] == ["the English", "or the Bird"]
    assert discord.by_bot(discord.world.general) == []


async def test_a_thread_that_a_dead_process_has_opened_is_gone_on_with(discord: FakeDiscord, rest: Rest) -> None:
    asked, out = target(discord), outbound(discord, rest)
    made = await out.send(asked, out.format("the Reti"), Slot("t", 0))
    other = outbound(discord, rest)
    assert await other.find(asked, other.format(""), Slot("t", 0), ()) == made
    assert await other.send(asked, other.format("the Reti"), Slot("t", 0)) == made
    await other.edit(asked, made, other.format("the English"))
    assert [posted.text for posted in discord.by_bot(asked.question)] == ["the English"]
    assert openings(discord) == 2


@pytest.mark.parametrize("why", ["no right", "deleted"])
async def test_where_no_thread_can_be_opened_the_channel_takes_the_answer(
    discord: FakeDiscord, rest: Rest, why: str
) -> None:
    world, asked, out = discord.world, target(discord), outbound(discord, rest)
    if why == "no right":
        world.permissions.overwrite(world.general, world.guild["id"], deny=May.CREATE_PUBLIC_THREADS)
    else:
        discord.delete(asked.question)
    made = await out.send(asked, out.format("the Reti"), Slot("t", 0))
    await out.edit(asked, made, out.format("the English"))
    (posted,) = discord.by_bot(world.general)
    assert (posted.text, posted.replies_to) == ("the English", asked.question if why == "no right" else "")
    assert openings(discord) == 1


async def test_a_limit_is_waited_for_and_no_reason_to_leave_the_thread(discord: FakeDiscord, rest: Rest) -> None:
    asked, opened = target(discord), Threads(rest)
    discord.fail("500", "threads")
    with pytest.raises(OutboundError) as caught:
        await opened.ensure(asked)
    assert caught.value.fault is OutboundFault.TRANSIENT
    assert await opened.ensure(asked) == asked
    assert await opened.ensure(asked) == asked
    assert openings(discord) == 2


# ---------------------------------------------------------------------- what is chosen for channels
async def test_choices_reach_every_receiver(store: Store) -> None:
    history = History(store, keep_days=1, max_messages=100)
    room = ConversationKey(Platform.DISCORD, "900", "60")
    channels = Channels(store, Platform.DISCORD, "900")
    await channels.refresh()
    assert (channels.answers("60"), channels.threads("60")) == ("", None)
    await history.choose(room, "answers", "always")
    await history.choose(room, "threads", "0")
    await history.choose(ConversationKey(Platform.DISCORD, "901", "60"), "answers", "mentions")
    await channels.refresh()
    assert (channels.answers("60"), channels.threads("60")) == ("always", False)
    before = store.calls
    await channels.refresh()
    assert store.calls == before + 1, "one small question where nothing has changed"
    await history.choose(room, "answers", "")
    await channels.refresh()
    assert (channels.answers("60"), channels.threads("60")) == ("", False)
    preferences = await history.preferences(room)
    assert (preferences.answers, preferences.threads) == ("", False)
    await Mailbox(store, "w", Admission(), keep_days=1).leave(room, chat=True, gone=True)
    await channels.refresh()
    assert channels.threads("60") is None
    assert await store.redis.hgetall(keys.channels("discord", "900")) == {"": "4"}, "nothing is left of the channel"


async def choose(discord: FakeDiscord, store: Store, channel: str, name: str, value: str) -> None:
    history = History(store, keep_days=1, max_messages=100)
    await history.choose(ConversationKey(Platform.DISCORD, discord.world.bot, channel), name, value)


async def test_always_is_for_a_channel_its_threads_and_posts(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    forum, voice = threads.add_forum(discord, "help", "theory"), world.add_channel(world.guild["id"], "Lounge", 2)
    world.channels[world.general]["topic"] = "Openings,\nand nothing else"
    quiet, own = discord.open_thread("Among us", world.alice), discord.open_thread("With the bot")
    await choose(discord, store, world.general, "answers", "always")
    await choose(discord, store, quiet, "answers", "mentions")
    await choose(discord, store, own, "answers", "mentions")
    async with connected(discord, store, always_channels=(forum, voice)) as bot:
        discord.say("not for the bot", quiet)
        discord.say("nor this", own)
        discord.say("in the channel", world.general)
        discord.say("in a thread", discord.open_thread("Talk", world.alice))
        threads.post(discord, forum, "Which opening?", "for White", ["theory"])
        discord.say("in the voice channel", voice)
        said = await messages(bot, 4)
    assert [value.text for value in said] == [
        "in the channel",
        "in a thread",
        "[Post: Which opening?; tags: theory]\n\nfor White",
        "in the voice channel",
    ]
    assert [value.place for value in said] == [
        "#general in Chess Club; topic: Openings, and nothing else",
        "#Talk (thread of #general) in Chess Club; topic: Openings, and nothing else",
        "#Which opening? (post in #help) in Chess Club",
        "#Lounge (voice channel) in Chess Club",
    ]


async def test_a_choice_holds_soon_in_a_receiver_that_runs(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.channels.LOOK_SECONDS", 0.01)
    general = discord.world.general
    async with connected(discord, store) as bot:
        await choose(discord, store, general, "answers", "always")
        number = 0
        while not bot.inbox.texts:
            discord.say(f"message {number}", general)
            number += 1
            assert number < 500
            await asyncio.sleep(0.01)
        await choose(discord, store, general, "answers", "")
        heard: list[str] = []
        while heard != ["at last"]:
            before = len(bot.inbox.texts)
            discord.say("not for the bot", general)
            discord.say("at last", general, mention=True)
            await until(lambda start=before: "at last" in bot.inbox.texts[start:])
            heard = bot.inbox.texts[before:]
            number += 1
            assert number < 500


@pytest.mark.parametrize("chosen", ["for the channel", "in the settings"])
async def test_questions_in_channels_open_threads_where_the_bot_may(
    discord: FakeDiscord, store: Store, chosen: str
) -> None:
    world = discord.world
    closed = world.add_channel(world.guild["id"], "no-threads")
    voice = world.add_channel(world.guild["id"], "Lounge", 2)
    world.permissions.overwrite(closed, world.guild["id"], deny=May.CREATE_PUBLIC_THREADS)
    news = world.add_channel(world.guild["id"], "news", threads.NEWS)
    rooms = (world.general, closed, voice, discord.open_thread("Talk", world.alice), news)
    if chosen == "for the channel":
        for room in rooms:
            await choose(discord, store, room, "threads", "1")
    async with connected(discord, store, threads=chosen == "in the settings") as bot:
        asked = [discord.say(f"in room {number}", room, mention=True).id for number, room in enumerate(rooms)]
        discord.say("in private")
        said = await messages(bot, 6)
    assert [value.conversation.chat for value in said[:5]] == [asked[0], *rooms[1:4], asked[4]]
    assert [value.opens for value in said] == [world.general, "", "", "", news, ""]


async def test_what_becomes_of_the_question_becomes_of_its_thread(discord: FakeDiscord, store: Store) -> None:
    """Discord tells of it in the channel above; the thread is known by then whatever is chosen."""
    world = discord.world
    async with connected(discord, store) as bot:
        question = discord.say("which?", world.general, mention=True)
        await until(lambda: bool(bot.inbox.texts))
        threads.open_on(world, discord.gateway.dispatch, world.general, question.id, {"name": "which?"})
        discord.edit(question.id, f"<@{world.bot}> which opening?")
        discord.say("and then?", question.id)
        discord.delete(question.id)
        values = await bot.accepted(5)
    edited, follow_up = (value for value in values[1:3])
    assert isinstance(edited, Message)
    assert isinstance(follow_up, Message)
    assert (edited.conversation.chat, edited.opens, edited.edited) == (question.id, world.general, True)
    assert (follow_up.conversation.chat, follow_up.opens) == (question.id, "")
    assert [value.conversation.chat for value in values[3:]] == [world.general, question.id]


async def test_a_question_that_was_missed_is_answered_in_its_thread(discord: FakeDiscord, store: Store) -> None:
    world = discord.world
    old = world.post(world.general, world.alice, "before")
    missed = world.post(world.general, world.alice, f"<@{world.bot}> while you were away")
    place = Place(ConversationKey(Platform.DISCORD, world.bot, world.general), old.id, world.guild["id"])
    async with connected(discord, store, recent=[place], threads=True) as bot:
        (said,) = await messages(bot, 1)
    assert (said.conversation.chat, said.opens, said.text) == (missed.id, world.general, "while you were away")


async def messages(bot: Running, count: int) -> list[Message]:
    """Waits for so many messages of people, however many calls come with them."""
    await until(lambda: len(bot.inbox.texts) >= count)
    return [value for value in bot.inbox.accepted if isinstance(value, Message)]
