"""Moderators of Telegram groups, with a whole Parley."""

from __future__ import annotations

import time

from core.texts import say
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import until
from tests.platforms.telegram_moderation import EVERYTHING
from tests.platforms.telegram_text import Json
from tests.platforms.telegram_world import PERMISSIONS

GROUP, ANONYMOUS = -100500, 1087968824


async def test_an_anonymous_administrator_says_who_they_are_by_a_button(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(GROUP)
    world.chat(GROUP).moderators[2] = ("can_restrict_members",)
    said = world.text(GROUP, "buy this", user=5)
    itself: Json = {"sender_chat": world.chat(GROUP).to_json()}
    world.text(GROUP, "/warn@parley_bot spam", user=ANONYMOUS, is_bot=True, reply_to=said, **itself)
    asked = say("anonymous_ask", minutes=2)
    await until(lambda: chat.shown[-1:] == [asked], "the question who it is")
    (post,) = [post for post in world.shown(GROUP) if post.text == asked]
    assert post.markup is not None
    button = post.markup["inline_keyboard"][0][0]["callback_data"]
    stranger = world.press(GROUP, post.id, button, user=6)
    await until(lambda: world.queries[stranger].get("text") == say("lacking.warn"), "the refusal")
    assert chat.shown[-1:] == [asked]
    for _ in range(2):
        world.press(GROUP, post.id, button, user=2)
    await until(lambda: say("warned_unheard") in "".join(chat.shown), "the warning")
    assert asked not in chat.shown
    # It goes by the name of who pressed, and once.
    world.text(2, "/start")
    world.text(GROUP, "/cases@parley_bot", user=2, reply_to=said)
    await until(lambda: chat.shown[-1] == say("told_in_private"), "where they are")
    assert "#1" in world.texts(2)[-1]
    assert "#2" not in world.texts(2)[-1]
    assert "Ann Lee 2" in world.texts(2)[-1]


async def test_a_mute_by_reply_is_carried_out_and_taken_back(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(GROUP)
    group = world.chat(GROUP)
    group.rights, group.moderators[2] = EVERYTHING, ("can_restrict_members",)
    limited = dict.fromkeys(PERMISSIONS, True) | {"can_send_polls": False}
    group.restricted[5] = limited, int(time.time()) + 86400
    said = world.text(GROUP, "buy this", user=5)
    world.text(GROUP, "/mute@parley_bot 1h spam", user=6, reply_to=said)
    await until(lambda: chat.shown[-1:] == [say("lacking.mute")], "the refusal")
    world.text(GROUP, "/mute@parley_bot 1h spam", user=2, reply_to=said)
    await until(lambda: group.restricted[5][0].get("can_send_messages") is False, "the mute")
    world.text(GROUP, "/undo@parley_bot", user=2)
    await until(lambda: group.restricted[5][0].get("can_send_messages") is True, "the undoing")
    assert group.restricted[5][0] == limited
