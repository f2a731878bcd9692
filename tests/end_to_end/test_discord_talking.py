"""What people say on Discord and what an answer knows of it, through the whole of Parley: replies across people,
threads, forum posts, channels where all is answered, what is deleted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.message import Platform
from core.storage.client import Store
from core.storage.failed import DeadLetters
from core.storage.shared import Places
from core.texts import say
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import PATIENCE, until
from tests.platforms import discord_threads as threads
from tests.platforms.discord_components import walk
from tests.platforms.discord_permissions import May
from tests.platforms.discord_world import Posted


def words(message: dict[str, Any]) -> str:
    content: Any = message["content"]
    text = content if isinstance(content, str) else next((part["text"] for part in content if "text" in part), "")
    return re.sub(r"\(Now: [^)]*\)\n", "", text)


def sees(body: dict[str, Any]) -> str:
    """What the model was shown, in one line."""
    return " | ".join(words(message) for message in body["messages"][1:]).replace("\n", "/")


def echo(body: dict[str, Any]) -> str:
    return f"<{words(body['messages'][-1]).rpartition('/')[2].rpartition(': ')[2]}>"


@pytest.fixture
async def talking(
    store: Store, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Village]:
    """With plain answers, that can be read in one place; choices are looked at often."""
    monkeypatch.setattr("core.storage.channels.LOOK_SECONDS", 0.02)
    async with village(store, valkey_url, tmp_path, TELEGRAM_TOKEN="", PARLEY__DISCORD__FOOTER="false") as running:
        yield running


async def answer_in(place: Village, channel: str, number: int = 1) -> Posted:
    """The bot's so-manieth message there, once it is whole."""

    def there() -> list[Posted]:
        return place.discord.by_bot(channel) if channel in place.discord.world.channels else []

    await until(lambda: len(there()) >= number, f"message {number} in {channel}")
    await until(lambda: place.models.active == 0, "the model is done")
    posted = there()[number - 1]
    await until(lambda: bool(posted.text.strip()), "its text")
    return posted


async def ask(place: Village, text: str, user: str = "", **more: Any) -> tuple[str, Posted]:
    """A question in the general channel, and its answer."""
    world = place.discord.world
    before = len(place.discord.by_bot(world.general))
    question = place.discord.say(text, world.general, user=user, mention=True, **more)
    answer = await answer_in(place, world.general, before + 1)
    await until(lambda: len(place.models.requests) > 0, "asked")
    return question.id, answer


async def test_the_reply_chain_is_the_conversation_also_across_people(talking: Village) -> None:
    discord, models = talking.discord, talking.models
    bob, cem = discord.world.add_user("bob"), discord.world.add_user("cem")
    models.reply = echo
    first, answer = await ask(talking, "one")
    await ask(talking, "other things", bob)
    discord.say("two", discord.world.general, user=bob, reply_to=answer.id)
    second = await answer_in(talking, discord.world.general, 3)
    models.reply = sees
    _, third = await ask(talking, "three", cem, reply_to=first)
    await until(lambda: "three" in third.text, "the answer")
    assert third.text == "Alice: one//Cem: three", "an old question branches"
    _, fourth = await ask(talking, "four", reply_to=second.id)
    await until(lambda: "four" in fourth.text, "the answer")
    assert fourth.text == "Alice: one | <one> | Bob: two | <two> | Alice: four", "along the path that Bob went"


async def test_people_talk_and_then_call_the_bot(talking: Village) -> None:
    """Of what they said before an event brings one message; the rest is asked for, two in a call, and only then."""
    discord, world = talking.discord, talking.discord.world
    bob, room = world.add_user("bob"), world.general
    talking.models.reply = sees
    said = discord.say("Shall we play Friday?", room)
    for number, user in enumerate((bob, world.alice, bob, world.alice, bob)):
        said = discord.say(f"line {number}", room, user=user, reply_to=said.id)
    before = sum(call.method == "GET" and "/messages/" in call.path for call in discord.calls)
    _, answer = await ask(talking, "who is right?", reply_to=said.id)
    await until(lambda: "who is right?" in answer.text, "the answer")
    lines = re.findall(r"line \d", answer.text)
    assert lines == [f"line {number}" for number in (4, 3, 2, 1, 0)]
    assert "Friday" not in answer.text, "not without end"
    asked = sum(call.method == "GET" and "/messages/" in call.path for call in discord.calls) - before
    assert asked == 2


async def test_a_question_is_answered_in_its_thread(talking: Village) -> None:
    discord, world, models = talking.discord, talking.discord.world, talking.models
    bob = world.add_user("bob")
    await choose(talking, "threads on")
    models.reply = echo
    question = discord.say("which opening?", world.general, mention=True)
    first = await answer_in(talking, question.id)
    assert world.channels[question.id]["name"] == "which opening?"
    models.reply = sees
    discord.say("and for Black?", question.id, user=bob)
    second = await answer_in(talking, question.id, 2)
    await until(lambda: "Black" in second.text, "an answer that knows the first")
    assert second.text == "Alice: which opening? | <which opening?> | Bob: and for Black?"
    models.reply = lambda body: "made anew"
    discord.edit(question.id, f"<@{world.bot}> which defence?")
    await until(lambda: first.text == "made anew", "the answer in its place")
    other = discord.say("unrelated", world.general, mention=True)
    await answer_in(talking, other.id)
    assert len(talking.models.requests[-1].body["messages"]) == 2, "each thread is a conversation of its own"
    discord.delete(question.id)
    await asyncio.sleep(0.2)
    models.reply = sees
    discord.say("what was it?", question.id, user=bob)
    third = await answer_in(talking, question.id, 3)
    await until(lambda: "what was it" in third.text, "the answer")
    assert "defence" not in third.text, "what was deleted is forgotten"
    opened = [call for call in discord.calls if call.path.endswith("/threads")]
    assert len(opened) == 2, "once for each question"
    places = Places(talking.store)
    async with asyncio.timeout(PATIENCE):
        # The channel's next question is not to be missed, either. A server's places are noted now and then.
        while await lived_in(places, world.bot) != {world.general, question.id, other.id}:
            await asyncio.sleep(0.05)


async def lived_in(places: Places, bot: str) -> set[str]:
    return {found.conversation.chat for found in await places.recent(Platform.DISCORD, bot)}


async def test_without_the_right_to_threads_it_answers_in_the_channel(talking: Village) -> None:
    """The right went a moment ago, and the receiver does not know it yet."""
    discord, world = talking.discord, talking.discord.world
    await choose(talking, "threads on")
    world.permissions.overwrite(world.general, world.guild["id"], deny=May.CREATE_PUBLIC_THREADS)
    before = len(discord.by_bot(world.general))
    question = discord.say("which opening?", world.general, mention=True)
    answer = await answer_in(talking, world.general, before + 1)
    assert answer.replies_to == question.id
    await until(lambda: "which opening?" in answer.text, "the whole answer")
    assert [call.status for call in discord.calls if call.path.endswith("/threads")] == [403]


async def test_a_forum_post_with_its_title_and_always(talking: Village) -> None:
    discord, world = talking.discord, talking.discord.world
    talking.models.reply = sees
    forum = threads.add_forum(discord, "help", "theory")
    asked = threads.post(discord, forum, "Which opening?", "for White", ["theory"], mention=True)
    answer = await answer_in(talking, asked.id)
    assert answer.text == "Alice: [Post: Which opening?; tags: theory]//for White"
    system = talking.models.requests[-1].body["messages"][0]["content"]
    assert "“#Which opening? (post in #help) in Chess Club”" in system
    discord.say("not for the bot", asked.id)
    await choose(talking, "answers always", asked.id)
    bob = world.add_user("bob")
    discord.say(f"<@{world.alice}> what do you think?", asked.id, user=bob)
    discord.say("and for Black?", asked.id, user=bob)
    heard = await answer_in(talking, asked.id, 3)
    await until(lambda: "Black" in heard.text, "the answer")
    assert "not for the bot" not in heard.text
    assert "what do you think" not in heard.text


async def test_called_into_a_post_it_reads_how_that_began(talking: Village) -> None:
    discord, world, models = talking.discord, talking.discord.world, talking.models
    models.reply = sees
    bob, forum = world.add_user("bob"), threads.add_forum(discord, "help", "theory")
    situation = f"I play White. {'So far: e4 e5. ' * 50}That is all."
    asked = threads.post(discord, forum, "Which opening?", situation, ["theory"])
    discord.say("Take the Reti!", asked.id, user=bob)
    discord.say("what do you say?", asked.id, user=bob, mention=True)
    first = await answer_in(talking, asked.id)
    await until(lambda: "what do you say" in first.text, "the answer")
    began = f"Bob: In reply to Alice:/> [Post: Which opening?; tags: theory]/> {situation}//what do you say?"
    assert first.text == began
    discord.say("and for Black?", asked.id, user=bob, mention=True)
    second = await answer_in(talking, asked.id, 2)
    await until(lambda: "Black" in second.text, "the answer")
    assert second.text == f"{began} | {began} | Bob: and for Black?", "once is enough"
    assert sum(call.path == f"/channels/{asked.id}/messages/{asked.id}" for call in discord.calls) == 1


async def test_threads_that_are_put_away_come_back_and_locked_ones_stay_silent(talking: Village) -> None:
    discord, world, models = talking.discord, talking.discord.world, talking.models
    thread = discord.open_thread("Talk")
    threads.archive(discord, thread)
    threads.reopen(discord, thread)
    discord.say("still there?", thread)
    answer = await answer_in(talking, thread)
    await until(lambda: "still there?" in answer.text, "the answer")
    models.first_token = 0.3
    discord.say("and now?", thread)
    await until(lambda: models.active == 1, "the answer is being made")
    threads.archive(discord, thread, locked=True)
    await until(lambda: models.active == 0, "it is made")
    discord.say("hello")
    await answer_in(talking, world.direct(world.alice))
    assert len(discord.by_bot(thread)) == 1
    assert len(discord.by_bot()) == 2, "nobody is told"
    refused = [call.path for call in discord.calls if call.status == 403 and thread in call.path]
    assert len(refused) <= 2, "and it is not tried again and again"


async def test_a_channel_is_set_to_always_by_a_button(talking: Village) -> None:
    discord, world = talking.discord, talking.discord.world
    talking.models.reply = echo
    discord.slash("settings", {}, world.general)
    await until(lambda: bool(discord.by_bot(world.general)), "the menu")
    menu = discord.by_bot(world.general)[0]
    await until(lambda: ".set answers=always" in custom_ids(menu), "its buttons")
    discord.press(menu.id, ".set answers=always")
    await until(lambda: ".set answers=mentions" in custom_ids(menu), "it is chosen")
    await asyncio.sleep(0.2)
    discord.say("which opening?", world.general)
    answer = await answer_in(talking, world.general, 2)
    await until(lambda: answer.text == "<which opening?>", "the answer")


def custom_ids(posted: Posted) -> list[str]:
    return [part["custom_id"] for part in walk(posted.data["components"]) if "custom_id" in part]


async def choose(place: Village, words: str, channel: str = "") -> None:
    """An administrator chooses by the command, and it has reached the receiver."""
    discord = place.discord
    room = channel or discord.world.general
    name, _, value = words.partition(" ")
    before = len(discord.by_bot(room))
    discord.slash("settings", {"name": name, "value": value}, room)
    await until(lambda: len(discord.by_bot(room)) > before, "the command's answer")
    posted = discord.by_bot(room)[before]
    await until(lambda: posted.text == say("settings_set"), "it is set")
    await asyncio.sleep(0.2)


@pytest.mark.parametrize("what", ["thread", "channel", "guild"])
async def test_where_it_can_write_no_more_what_waits_is_dropped_without_a_word(talking: Village, what: str) -> None:
    discord, world, models = talking.discord, talking.discord.world, talking.models
    room = world.add_channel(world.guild["id"], "doomed")
    discord.gateway.dispatch("CHANNEL_CREATE", world.channels[room], world.guild["id"])
    chat = discord.open_thread("Talk", parent=room) if what == "thread" else room
    elsewhere = world.direct(world.alice)
    models.tokens_per_second = 4
    for word in ("one", "two", "three"):
        discord.say(word, chat, mention=True)
    await until(lambda: models.active == 1, "the first answer is being made")
    match what:
        case "guild":
            threads.throw_out(discord)
        case "thread":
            threads.delete_channel(discord, chat)
        case _:
            threads.delete_channel(discord, room)
    await until(lambda: models.active == 0, "it is given up")
    await asyncio.sleep(0.3)
    assert len(models.requests) == 1, "what waited is not asked"
    models.tokens_per_second = 0
    discord.say("four")
    await answer_in(talking, elsewhere)
    assert (await DeadLetters(talking.store, keep_days=1).newest(1))[0] == 0
    if what != "guild":
        left = [key async for key in talking.store.redis.scan_iter(match=f"*tree:discord:{world.bot}:{chat}:*")]
        assert left == [], "what was deleted there is forgotten here"
