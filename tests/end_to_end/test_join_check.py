"""Newcomers on both platforms show that they are people, with a whole Parley."""

from __future__ import annotations

import asyncio
from typing import Any

from core.people.spaces import Spaces
from core.texts import say
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import until
from tests.platforms import telegram_moderation
from tests.platforms.telegram_moderation import EVERYTHING
from tests.platforms.telegram_world import Post

GROUP = -100700


async def choose(place: Village, **values: Any) -> None:
    """What a group chose holds within a second."""
    space, world = f"telegram:4242:{GROUP}", place.telegram.world
    await Spaces(place.store).change(space, lambda now: now.model_copy(update={"moderated": True, **values}))
    for user in range(100, 150):
        telegram_moderation.join(world, GROUP, user)
        await asyncio.sleep(0.2)
        if world.chat(GROUP).restricted:
            return
    raise AssertionError("nobody is checked")


async def test_in_a_group_of_telegram_and_at_its_door(place: Village) -> None:
    world = place.telegram.world
    group = world.group(GROUP)
    group.rights = EVERYTHING
    answers = {"join_question": "Which colour has the sky?", "join_answers": ("Blue", "Red", "Green")}
    await choose(place, join_check="question", **answers)

    def asked(user: int, chat: int = GROUP) -> list[Post]:
        posts = [post for post in world.shown(chat) if "Which colour" in post.text and post.markup]
        return [
            post
            for post in posts
            if chat == user or any(one.get("user", {}).get("id") == user for one in post.entities)
        ]

    telegram_moderation.join(world, GROUP, 7, told="both")
    await until(lambda: 7 in group.restricted and bool(asked(7)), "the question")
    (post,) = asked(7)
    assert post.markup is not None
    buttons = {row[0]["text"]: row[0]["callback_data"] for row in post.markup["inline_keyboard"]}
    for user, label, word in ((8, "Blue", "join_not_you"), (7, "Red", "join_wrong"), (7, "Blue", "join_passed")):
        query = world.press(GROUP, post.id, buttons[label], user=user)
        await until(lambda query=query, word=word: world.queries[query].get("text") == say(word), word)
    await until(lambda: not asked(7), "the question to go")
    await until(lambda: all(group.restricted.get(7, ({}, 0))[0].values()), "their voice")

    telegram_moderation.ask(world, GROUP, 9)
    await until(lambda: bool(asked(9, 9)), "the question in private")
    (post,) = asked(9, 9)
    assert post.markup is not None
    buttons = {row[0]["text"]: row[0]["callback_data"] for row in post.markup["inline_keyboard"]}
    world.press(9, post.id, buttons["Blue"], user=9)
    await until(lambda: 9 not in group.asked and not asked(9, 9), "the approval")
