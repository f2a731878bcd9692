"""What an answer on Telegram knows, through the whole of Parley: topics, replies, albums, edits."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any

from core.texts import say
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import until
from tests.platforms.telegram_world import World

GROUP, FORUM = -100_500, -100_600


def words(message: dict[str, Any]) -> str:
    content: Any = message["content"]
    text = content if isinstance(content, str) else next((part["text"] for part in content if "text" in part), "")
    return re.sub(r"\(Now: [^)]*\)\n", "", text)


def sees(body: dict[str, Any]) -> str:
    """What the model was shown, in one line."""
    return " | ".join(words(message) for message in body["messages"][1:]).replace("\n", "/")


def echo(body: dict[str, Any]) -> str:
    return f"<{words(body['messages'][-1]).rpartition('/')[2].rpartition(': ')[2]}>"


async def answer_to(world: World, chat: int, question: int) -> str:
    """The answer that replies to a message, or that came after it in a private chat."""

    def found() -> list[str]:
        shown = world.shown(chat)
        return [p.text for p in shown if p.text and (p.reply_to == question if chat < 0 else p.id > question)]

    await until(lambda: bool(found()), f"an answer to {question}, there is {world.texts(chat)}")
    return found()[0]


async def test_a_reply_branches_at_whatever_it_replies_to(place: Village) -> None:
    world = place.telegram.world
    world.group(GROUP)

    async def ask(text: str, user: int, reply_to: int = 0, **more: Any) -> tuple[int, str]:
        question = world.text(GROUP, f"@parley_bot {text}", user=user, reply_to=reply_to, **more)
        return question, await answer_to(world, GROUP, question)

    place.models.reply = echo
    first, _ = await ask("one", 5)
    of_first = world.shown(GROUP)[-1].id
    await ask("two", 6)
    place.models.reply = sees
    ann5, ann6 = "Ann Lee 5: ", "Ann Lee 6: "
    assert (await ask("c", 6, reply_to=first))[1] == f"{ann5}one//{ann6}c", "an old question of another"
    quote = {"text": "on", "position": 1, "is_manual": True}
    chosen = (await ask("d", 6, reply_to=of_first, quote=quote))[1]
    assert chosen.endswith(f"{ann6}In reply to this part of what was said by Parley:/> on//d")
    among_people = world.text(GROUP, "It rains.\nBob: it does", user=7)
    unknown = (await ask("e", 6, reply_to=among_people))[1]
    assert unknown.endswith(f"{ann6}In reply to Ann Lee 7:/> It rains./> Bob: it does//e"), "not known, so it is quoted"
    place.models.reply = lambda body: f"asked {words(body['messages'][-1])}"
    alone = world.text(GROUP, "@parley_bot", user=6, reply_to=among_people)
    assert "It rains." in await answer_to(world, GROUP, alone)


async def test_topics_share_nothing(place: Village) -> None:
    world = place.telegram.world
    world.group(FORUM, forum=True)
    place.models.reply = sees
    openings, recipes = world.topic(FORUM, "Openings"), world.topic(77, "Recipes")

    async def talk(chat: int, *threads: int) -> None:
        ask, name = ("@parley_bot ", "Ann Lee 5: ") if chat < 0 else ("", "")
        before = dict.fromkeys(threads, "")
        for text in ("one", "two"):
            for thread in threads:
                question = world.text(chat, f"{ask}{text} in {thread}", user=5 if chat < 0 else 0, thread=thread)
                answer = await answer_to(world, chat, question)
                assert answer == f"{before[thread]}{name}{text} in {thread}"
                assert world.shown(chat)[-1].thread == thread
                before[thread] += f"{answer} | {answer} | "

    await asyncio.gather(talk(FORUM, openings, 0), talk(77, recipes, 0))
    first = next(post for post in world.shown(77) if post.thread == recipes)
    reply = world.text(77, "again", thread=recipes, reply_to=first.id)
    assert await answer_to(world, 77, reply) == f"one in {recipes} | one in {recipes} | again"


def picture(colour: str) -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(data, "PNG")
    return data.getvalue()


async def test_an_album_is_one_question(place: Village) -> None:
    def pictures(body: dict[str, Any]) -> str:
        last = body["messages"][-1]["content"]
        return f"{words(body['messages'][-1])}: {sum(part['type'] == 'image_url' for part in last)}"

    place.models.reply = pictures
    world = place.telegram.world
    world.group(GROUP)
    left_out = say("pictures_left_out", found=5, allowed=4)
    colours = ("red", "green", "blue", "white", "black")
    for chat, user, ask, count, told in (
        (77, 0, "", 5, f"compare: 4\n\n{left_out}"),
        (GROUP, 5, "@parley_bot ", 3, "compare: 3"),
    ):
        for number, colour in enumerate(colours[:count]):
            more: dict[str, Any] = {"extra": {"media_group_id": f"g{chat}"}, "user": user, "data": picture(colour)}
            world.photo(chat, f"{ask}compare" if number == 1 else "", **more)
            # Each with an update, and mostly a batch, of its own.
            await asyncio.sleep(0.05)
        await until(lambda at=chat: bool(world.shown(at)), "an answer")
        name = "Ann Lee 5: " if chat < 0 else ""
        await until(lambda at=chat, all=f"{name}{told}": world.texts(at) == [all], f"one answer, {world.texts(chat)}")
    assert len(place.models.requests) == 2


async def test_edits_that_change_nothing_are_not_answered_anew(place: Village) -> None:
    world, models = place.telegram.world, place.models
    models.reply = lambda body: "word " * 100
    models.tokens_per_second = 200
    question = world.text(77, "hello")
    await until(lambda: models.active == 1, "the model")
    world.edit(77, question, "hello")
    models.tokens_per_second = 0
    await answer_to(world, 77, question)
    await until(lambda: models.active == 0, "the end")
    world.edit(77, question, "hello")
    await until(lambda: not world.pending, "the edit taken")
    models.reply = sees
    following = world.text(77, "next")
    assert (await answer_to(world, 77, following)).startswith("hello | word")
    assert len(models.requests) == 2


async def test_a_channel_and_the_comments_on_its_posts(place: Village) -> None:
    world, channel = place.telegram.world, -100_900
    world.channel(channel)
    world.group(GROUP)
    place.models.reply = sees
    world.text(channel, "Good morning")
    asked = world.text(channel, "@parley_bot what day is it?")
    assert await answer_to(world, channel, asked) == "News: what day is it?"
    post = world.text(channel, "The museum opens on Monday.")
    comment = world.text(GROUP, "@parley_bot which one?", user=5, reply_to=world.forwarded(GROUP, channel, post))
    quoted = "In reply to News:/> The museum opens on Monday."
    assert await answer_to(world, GROUP, comment) == f"Ann Lee 5: {quoted}//which one?"
    assert len(place.models.requests) == 2
