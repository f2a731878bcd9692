"""Telegram groups as they live: they become supergroups, throw the bot out, take its rights; with a whole Parley."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.storage.client import Store
from core.storage.failed import DeadLetters
from core.texts import say
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import TelegramChat, until
from tests.platforms import telegram_groups as groups

OLD, NEW = -4001, -100777
GREETING = say("greeting", username="parley_bot").replace("`", "")


def asked(place: Village) -> Sequence[Any]:
    """The messages of the newest question to the model, without the persona."""
    return place.models.requests[-1].body["messages"][1:]


async def letters(place: Village) -> int:
    return (await DeadLetters(place.store, keep_days=1).newest(1))[0]


@pytest.fixture
def old(place: Village) -> TelegramChat:
    return place.telegram_chat(OLD)


@pytest.mark.parametrize("told", [("old", "new"), ("new", "old"), ("old",), ("new",), ()])
async def test_a_supergroup_goes_on_where_the_group_stopped(
    place: Village, old: TelegramChat, told: tuple[str, ...]
) -> None:
    place.models.reply = lambda body: "the Reti"
    old.say("which opening?")
    await until(lambda: len(old.shown) == 1, "the answer in the group")
    if told:
        groups.move(place.telegram.world, OLD, NEW, told)
    else:
        # Nobody says so but the refusal of an answer.
        place.models.tokens_per_second = 4
        old.say("and then?")
        await until(lambda: place.models.active == 1, "the answer is being made")
        groups.move(place.telegram.world, OLD, NEW, ())
        place.models.tokens_per_second = 0
        await until(lambda: bool(place.telegram.world.texts(NEW)), "the answer in the supergroup")
    place.models.reply = lambda body: "Nf3"
    before = len(place.telegram.world.texts(NEW))
    place.telegram.world.text(NEW, "@parley_bot why?", user=5)
    await until(lambda: len(place.telegram.world.texts(NEW)) == before + 1, "the answer in the supergroup")
    said = " ".join(str(message["content"]) for message in asked(place))
    assert "which opening?" in said
    assert "the Reti" in said
    assert old.shown[1:] in ([], ["the"]), "what was begun in the group cannot be taken back"
    assert await letters(place) == 0


async def test_what_is_open_and_what_waits_is_answered_once_in_the_supergroup(
    place: Village, old: TelegramChat
) -> None:
    place.models.tokens_per_second = 4
    for word in ("one", "two", "three"):
        old.say(word)
    await until(lambda: place.models.active == 1, "the first answer is being made")
    groups.move(place.telegram.world, OLD, NEW)
    place.telegram.world.text(NEW, "@parley_bot four", user=5)
    place.models.tokens_per_second = 0
    world = place.telegram.world
    await until(lambda: len(world.texts(NEW)) == 4, "the answers")
    await asyncio.sleep(0.3)
    questions = [str(request.body["messages"][-1]["content"]).split()[-1] for request in place.models.requests]
    assert questions[1:] == ["one", "two", "three", "four"], "the first one was begun anew"
    assert [word in text for word, text in zip(("one", "two", "three", "four"), world.texts(NEW), strict=True)] == [
        True
    ] * 4
    assert [post.reply_to for post in world.shown(NEW)][:3] == [0, 0, 0]
    assert await letters(place) == 0


async def test_it_greets_once_and_says_how_to_talk(place: Village) -> None:
    world = place.telegram.world
    world.group(-100500)
    groups.member(world, -100500, "left", "member", user=9)
    await until(lambda: bool(world.texts(-100500)), "the greeting")
    assert world.texts(-100500) == [f"{GREETING}\n{say('greeting_privacy')}"]
    groups.member(world, -100500, "member", "left")
    groups.member(world, -100500, "left", "administrator")
    groups.member(world, -100500, "administrator", "member")
    world.text(-100500, "@parley_bot hello", user=5)
    await until(lambda: len(world.texts(-100500)) == 2, "the answer")
    assert "hello" in world.texts(-100500)[1]


async def test_thrown_out_it_is_silent_and_back_again_it_answers(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(-100500)
    place.models.tokens_per_second = 4
    for word in ("one", "two", "three"):
        chat.say(word)
    await until(lambda: place.models.active == 1, "the first answer is being made")
    with capture_logs() as logs:
        groups.member(world, -100500, "member", "kicked")
        await until(lambda: place.models.active == 0, "it is given up")
        await asyncio.sleep(0.3)
    assert len(place.models.requests) == 1, "what waited is not asked"
    assert not [row for row in logs if row["log_level"] in ("warning", "error")]
    place.models.tokens_per_second = 0
    world.chat(-100500).blocked = False
    chat.say("four")
    await until(lambda: any("four" in text for text in chat.shown), "the answer")
    assert await letters(place) == 0


@pytest.mark.parametrize("told", [True, False])
async def test_blocked_by_its_user(place: Village, told: bool) -> None:
    world, chat = place.telegram.world, place.telegram_chat()
    place.models.tokens_per_second = 4
    for word in ("one", "two", "three"):
        chat.say(word)
    await until(lambda: place.models.active == 1, "the first answer is being made")
    with capture_logs() as logs:
        if told:
            groups.member(world, 77, "member", "kicked", user=77)
        else:
            world.chat(77).blocked = True
            place.models.tokens_per_second = 0
        await until(lambda: place.models.active == 0, "it is given up")
        await asyncio.sleep(0.3)
    assert len(place.models.requests) == 1, "what waited is not asked"
    assert not [row for row in logs if row["log_level"] in ("warning", "error")]
    assert await letters(place) == 0
    place.models.tokens_per_second = 0
    groups.member(world, 77, "kicked", "member", user=77)
    chat.say("four")
    await until(lambda: any("four" in text for text in chat.shown), "it works again at once")
    assert len(chat.shown) == 1


async def test_not_allowed_to_write_the_asker_is_told_in_private(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(-100500)
    place.telegram_chat(5).say("hello")
    await until(lambda: len(world.texts(5)) == 1, "their private chat")
    world.chat(-100500).forbidden.add("text messages")
    for word in ("one", "two"):
        chat.say(word)
    await until(lambda: len(world.texts(5)) == 2, "the word in private")
    chat.say("three")
    await asyncio.sleep(0.5)
    assert world.texts(5)[1:] == [say("no_right_asked", place="Chess Club")]
    assert chat.shown == []
    assert await letters(place) == 0
    world.chat(-100500).forbidden.clear()
    chat.say("four")
    await until(lambda: len(chat.shown) == 1, "allowed again it answers")


async def test_who_added_it_is_told_where_the_asker_cannot_be(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(-100500)
    place.telegram_chat(9)
    world.text(9, "/start")
    await until(lambda: len(world.texts(9)) == 1, "their private chat")
    groups.member(world, -100500, "left", "member", user=9)
    await until(lambda: len(chat.shown) == 1, "the greeting")
    world.chat(-100500).forbidden.add("text messages")
    for user in (5, 6):
        world.text(-100500, "@parley_bot one", user=user)
    await until(lambda: len(world.texts(9)) == 2, "the word to who added it")
    await asyncio.sleep(0.3)
    assert world.texts(9)[1:] == [say("no_right_added", place="Chess Club")]


async def test_a_file_that_may_not_be_sent_is_told_of(store: Store, valkey_url: str, tmp_path: Path) -> None:
    async with village(store, valkey_url, tmp_path, PARLEY__CHAT__MAX_PAGES="1") as place:
        chat = place.telegram_chat(-100500)
        place.telegram.world.chat(-100500).forbidden.add("documents")
        place.models.reply = lambda body: "\n\n".join(f"Paragraph {n} " + "goes on " * 100 for n in range(60))
        chat.say("tell me everything")
        said = say("no_files", name="answer.md")
        await until(lambda: bool(chat.shown) and chat.shown[-1] == said, "the word")
        assert await letters(place) == 0


async def test_a_topic_that_was_deleted_took_its_questions_along(place: Village) -> None:
    world = place.telegram.world
    world.group(-100500, forum=True)
    topic = world.topic(-100500, "Openings")
    place.models.tokens_per_second = 4
    for word in ("one", "two"):
        world.text(-100500, f"@parley_bot {word}", user=5, thread=topic)
    await until(lambda: place.models.active == 1, "the first answer is being made")
    groups.delete_topic(world, -100500, topic)
    place.models.tokens_per_second = 0
    world.text(-100500, "@parley_bot elsewhere", user=5)
    await until(lambda: bool(world.texts(-100500)), "the answer in the general topic")
    await asyncio.sleep(0.3)
    assert len(world.texts(-100500)) == 1, "nothing of the topic's shows up elsewhere"
    assert len(place.models.requests) == 2
    assert await letters(place) == 0


async def test_a_closed_topic_and_slow_mode(place: Village) -> None:
    world = place.telegram.world
    world.group(-100500, forum=True)
    world.text(5, "/start")
    topic = world.topic(-100500, "Openings")
    world.chat(-100500).closed_topics.add(topic)
    world.text(-100500, "@parley_bot one", user=5, thread=topic)
    await until(lambda: len(world.texts(5)) == 2, "the word in private")
    assert say("no_right_asked", place="Openings in Chess Club") in world.texts(5)
    world.chat(-100500).slow_until = time.monotonic() + 1.2
    world.text(-100500, "@parley_bot two", user=5)
    other = place.telegram_chat(78)
    other.say("three")
    await until(lambda: bool(other.shown), "other chats do not wait")
    assert world.texts(-100500) == []
    await until(lambda: bool(world.texts(-100500)), "slow mode is waited out")
    assert await letters(place) == 0


async def test_the_question_was_deleted(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(-100500)
    place.models.first_token = 0.3
    question = chat.say("one")
    await until(lambda: place.models.active == 1, "the answer is being made")
    world.chat(-100500).posts[int(question)].deleted = True
    await until(lambda: bool(chat.shown), "the answer")
    assert world.shown(-100500)[0].reply_to == 0


async def test_a_moderator_warns_and_reads_cases_by_replies(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(-100500)
    world.chat(-100500).admins.add(1)
    world.chat(-100500).moderators[2] = ("can_restrict_members",)
    for user in (1, 2):
        world.text(user, "/start")
    said = world.text(-100500, "buy this", user=5)
    world.text(-100500, "/warn@parley_bot spam", user=6, reply_to=said)
    await until(lambda: chat.shown[-1:] == [say("lacking.warn")], "the refusal")
    world.text(-100500, "/report@parley_bot it is spam", user=6, reply_to=said)
    await until(lambda: chat.shown[-1:] == [say("reported", number="1")], "the report")
    world.text(-100500, "/warn@parley_bot spam", user=2, reply_to=said)
    await until(lambda: say("warned_unheard") in chat.shown[-1], "the warning")
    assert "Ann Lee 6 reports Ann Lee 5 (5)" in world.texts(1)[-1]
    world.text(-100500, "/cases@parley_bot", user=2, reply_to=said)
    await until(lambda: chat.shown[-1] == say("told_in_private"), "where they are")
    assert "#2" in world.texts(2)[-1]
    assert "#1" in world.texts(2)[-1]


async def test_typed_too_only_some_may_stop_an_answer(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(-100500)
    world.chat(-100500).admins.add(1)
    place.models.tokens_per_second = 8
    place.models.reply = lambda body: "word " * 60
    chat.say("count")
    await until(lambda: bool(chat.shown), "the beginning of an answer")
    world.text(-100500, "/stop@parley_bot", user=6)
    world.text(-100500, "/stop@parley_bot", user=1)
    await until(lambda: len(chat.shown) == 3, "two answers more")
    assert chat.shown[1:] == [say("not_theirs"), say("stopped")]
