"""Buttons under answers and the settings menu, on Telegram, through the whole of Parley."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.storage.client import Store
from core.texts import say
from tests.end_to_end.conftest import Village, models_file, village
from tests.end_to_end.running import TelegramChat, until
from tests.platforms.openai_server import Fault, OpenAIServer
from tests.platforms.telegram_server import Fault as Trouble

GROUP, ASKER, ADMIN, OTHER = -100_700, 5, 6, 8
LONG_NAME = "a-model-whose-name-is-longer-than-any-button-of-telegram-has-room-for"
pytestmark = pytest.mark.usefixtures("no_limits")


@pytest.fixture
def place(on_telegram: Village) -> Village:
    return on_telegram


@pytest.fixture
async def choice(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    """With three models."""
    async with OpenAIServer(models=("stub", "second", LONG_NAME)) as models:
        (tmp_path / "parley.toml").write_text(models_file(models.url, "first", "second", LONG_NAME))
        none = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "OPENAI_MODEL": ""}
        async with village(store, valkey_url, tmp_path, DISCORD_TOKEN="", **none) as running:
            running.models = models
            yield running


def keyboard(chat: TelegramChat, number: int = -1) -> list[list[str]]:
    """What the buttons under one of the bot's messages say when they are pressed, by rows."""
    post = chat.world.shown(chat.chat)[number]
    rows: list[Any] = post.markup["inline_keyboard"] if post.markup else []
    return [[button["callback_data"] for button in row] for row in rows]


def pressable(chat: TelegramChat, number: int = -1) -> list[str]:
    return [data for row in keyboard(chat, number) for data in row]


async def press(chat: TelegramChat, data: str, user: int = 0, number: int = -1) -> str:
    """Presses a button under one of the bot's messages; what the bot says to that."""
    query = chat.world.press(chat.chat, int(chat.ids[number]), data, user=user)
    await until(lambda: bool(chat.world.queries[query]), f"a word on {data}")
    return str(chat.world.queries[query]["text"])


async def answered(chat: TelegramChat, count: int) -> None:
    await until(lambda: len(chat.shown) == count and bool(keyboard(chat)), f"{count} answers, there are {chat.shown}")


async def changes(chat: TelegramChat, rows: list[list[str]]) -> None:
    await until(lambda: keyboard(chat) == rows, f"{rows} in {keyboard(chat)}")


ROW = [["regenerate", ".forget"]]


# ---- under answers


async def test_answers_carry_one_row_at_no_call(place: Village) -> None:
    chat = place.telegram_chat()
    chat.say("hello")
    await answered(chat, 1)
    assert keyboard(chat) == ROW
    assert not place.telegram.named("editMessageReplyMarkup")
    assert len(place.telegram.named("sendMessage") + place.telegram.named("sendRichMessage")) == 1
    place.models.fail(Fault.LENGTH)
    chat.say("a long one")
    await answered(chat, 2)
    assert keyboard(chat) == [["continue"], *ROW]
    chat.say("/help")
    await until(lambda: len(chat.shown) == 3, "the help")
    assert keyboard(chat) == []


async def test_again_makes_the_answer_anew_in_its_place(place: Village) -> None:
    chat = place.telegram_chat()
    place.models.reply = "one"
    chat.say("hello")
    await answered(chat, 1)
    place.models.reply = "two"
    assert await press(chat, "regenerate") == say("toast.begun")
    await until(lambda: chat.shown == ["two"], "the new answer")
    assert keyboard(chat) == ROW


async def test_a_second_press_while_the_first_is_under_way_does_nothing(place: Village) -> None:
    chat = place.telegram_chat()
    chat.say("hello")
    await answered(chat, 1)
    place.models.reply, place.models.tokens_per_second = "word " * 60, 50
    await press(chat, "regenerate")
    assert await press(chat, "regenerate") == say("toast.under_way")
    assert len(place.models.requests) == 2
    place.models.tokens_per_second = 0


async def test_the_same_press_delivered_twice_is_one(place: Village) -> None:
    chat = place.telegram_chat()
    chat.say("hello")
    await answered(chat, 1)
    place.telegram.updates.repeat_seconds = 0
    chat.world.press(77, int(chat.ids[0]), "regenerate")
    (update,) = chat.world.pending.values()
    await until(lambda: len(place.models.requests) == 2, "the second answer")
    await until(lambda: not chat.world.pending, "the acknowledgement")
    chat.world.pending[update["update_id"]] = update
    chat.world.arrived.set()
    await asyncio.sleep(0.3)
    assert len(place.models.requests) == 2


async def test_another_model_is_chosen_in_place(choice: Village) -> None:
    chat = choice.telegram_chat()
    choice.models.reply = lambda body: str(body["model"])
    chat.say("hello")
    await answered(chat, 1)
    row = [["regenerate", ".models", ".forget"]]
    assert keyboard(chat) == row
    await press(chat, ".models")
    await until(lambda: len(keyboard(chat)) > 1, "the list")
    listed = pressable(chat)
    assert listed[:2] == ["regenerate model=first", "regenerate model=second"]
    assert listed[-1] == ".row"
    await press(chat, ".row")
    await changes(chat, row)
    await press(chat, listed[2])
    await until(lambda: chat.shown == [LONG_NAME], "the long name's answer")
    await changes(chat, row)
    chat.say("and now")
    await answered(chat, 2)
    assert chat.shown[1] == "stub", "it was for that answer only"
    assert await press(chat, "regenerate model=gone") == say("toast.no_model")


async def test_forgetting_asks_first_and_leaves_no_button(place: Village) -> None:
    chat = place.telegram_chat()
    place.models.reply = "a secret"
    chat.say("hello")
    await answered(chat, 1)
    await press(chat, ".forget")
    await changes(chat, [["forget", ".row"]])
    assert await press(chat, "forget") == say("forgotten")
    await changes(chat, [])
    chat.say("next")
    await answered(chat, 2)
    assert "a secret" not in str(place.models.requests[-1])


@pytest.mark.parametrize("data", ["regenerate", "continue", "stop", ".models", ".forget", "forget", ".row"])
async def test_under_a_forgotten_answer_buttons_do_nothing(place: Village, data: str) -> None:
    chat = place.telegram_chat()
    chat.say("hello")
    await answered(chat, 1)
    chat.reply(chat.ids[0], "/forget")
    await until(lambda: len(chat.shown) == 2, "it is forgotten")
    assert await press(chat, data, number=0) == say("toast.unknown")
    assert len(place.models.requests) == 1


@pytest.mark.parametrize("data", ["dance", ".dance now", "admin drop all", "x" * 64, "settings", ".set dance=1"])
async def test_odd_buttons_do_no_harm(place: Village, data: str) -> None:
    chat = place.telegram_chat()
    chat.say("hello")
    await answered(chat, 1)
    await press(chat, data)
    chat.say("still there?")
    await until(lambda: len(place.models.requests) == 2, "the next answer")


async def test_only_who_asked_and_admins_press(place: Village) -> None:
    chat = place.telegram_chat(GROUP)
    place.telegram.world.chat(GROUP).admins.add(ADMIN)
    place.models.reply = "one"
    chat.say("hello")
    await answered(chat, 1)
    place.models.reply = "two"
    for data in ("regenerate", "forget", ".models", ".forget", "stop"):
        assert await press(chat, data, user=OTHER) == say("not_theirs")
    assert len(place.models.requests) == 1
    assert keyboard(chat) == ROW
    assert await press(chat, "regenerate", user=ASKER) == say("toast.begun")
    await until(lambda: chat.shown == ["two"], "anew for the asker")
    assert await press(chat, "regenerate", user=ADMIN) == say("toast.begun")
    await until(lambda: len(place.models.requests) == 3, "anew for the admin")
    assert len(place.telegram.named("getChatAdministrators")) == 1, "asked once in a while only"


async def test_what_is_typed_is_for_them_as_well(place: Village) -> None:
    chat = place.telegram_chat(GROUP)
    place.telegram.world.chat(GROUP).admins.add(ADMIN)
    chat.say("hello")
    await answered(chat, 1)
    asked = int(chat.ids[0])
    place.telegram.world.text(GROUP, "/forget", user=OTHER, reply_to=asked)
    place.telegram.world.text(GROUP, "/regenerate", user=OTHER)
    await until(lambda: chat.shown[1:] == [say("not_theirs")] * 2, "two refusals")
    place.telegram.world.text(GROUP, "/regenerate", user=ADMIN)
    await until(lambda: len(place.models.requests) == 2, "anew for the admin")
    place.telegram.world.text(GROUP, "/forget", user=ASKER, reply_to=asked)
    await until(lambda: chat.shown[3:] == [say("forgotten")], "forgotten by the asker")


async def test_who_cannot_be_told_an_admin_is_none(place: Village) -> None:
    chat = place.telegram_chat(GROUP)
    place.telegram.world.chat(GROUP).admins.add(ADMIN)
    chat.say("hello")
    await answered(chat, 1)
    place.telegram.fail("getChatAdministrators", Trouble.SERVER_ERROR)
    assert await press(chat, "regenerate", user=ADMIN) == say("not_theirs")
    assert await press(chat, "regenerate", user=ADMIN) == say("toast.begun")


async def test_stop_stands_under_a_growing_answer_and_stops_that_one(place: Village) -> None:
    chat = place.telegram_chat(GROUP)
    chat.say("short")
    await answered(chat, 1)
    place.models.reply, place.models.tokens_per_second = "word " * 400, 40
    chat.say("long")
    await until(lambda: len(chat.shown) == 2 and keyboard(chat) == [["stop"]], "the button")
    assert await press(chat, "stop", user=ASKER, number=0) == say("toast.ended"), "that one is done"
    assert await press(chat, "stop", user=OTHER) == say("not_theirs")
    assert keyboard(chat) == [["stop"]]
    assert await press(chat, "stop", user=ASKER) == say("stopped")
    await changes(chat, ROW)
    assert len(chat.shown) == 2, "nothing more is said"
    assert say("stopped") in chat.shown[1]


async def test_buttons_can_be_switched_off(store: Store, valkey_url: str, tmp_path: Path) -> None:
    async with village(store, valkey_url, tmp_path, DISCORD_TOKEN="", PARLEY__CHAT__BUTTONS="false") as place:
        chat = place.telegram_chat()
        chat.say("hello")
        await until(lambda: len(chat.shown) == 1, "the answer")
        assert keyboard(chat) == []
        chat.say("/settings buttons on")
        await until(lambda: say("settings_set") in chat.shown, "the choice")
        chat.say("again")
        await answered(chat, 3)
        assert keyboard(chat) == ROW


# ---- settings


async def test_settings_change_in_place(choice: Village) -> None:
    chat = choice.telegram_chat()
    choice.models.reply = lambda body: str(body["model"])
    chat.say("/settings")
    await answered(chat, 1)
    assert "first" in chat.shown[0]
    assert say("settings_how", names="") not in chat.shown[0]
    await press(chat, ".set model")
    await until(lambda: ".set" in pressable(chat), "the models")
    assert await press(chat, ".set model=second") == say("settings_set")
    await until(lambda: "second" in chat.shown[0], "the page again")
    await press(chat, ".set language=zh_Hans")
    await until(lambda: say("setting.model", "zh") in chat.shown[0], "Chinese")
    await press(chat, ".set buttons=0")
    await until(lambda: ".set buttons=1" in pressable(chat), "the switch")
    await press(chat, ".close")
    await until(lambda: chat.shown == [], "it is closed")
    chat.say("hello")
    await until(lambda: chat.shown == ["second"], "the chosen model's answer")
    assert keyboard(chat) == []
    chat.say("/new")
    await until(lambda: say("new", "zh") in chat.shown, "Chinese")


async def test_a_settings_page_that_is_old_shows_what_holds_now(place: Village) -> None:
    chat = place.telegram_chat()
    chat.say("/settings")
    await answered(chat, 1)
    chat.say("/language zh")
    await until(lambda: len(chat.shown) == 2, "the choice")
    await press(chat, ".set", number=0)
    await until(lambda: say("setting.model", "zh") in chat.shown[0], "Chinese")


async def test_settings_do_not_wait_for_an_answer(place: Village) -> None:
    chat = place.telegram_chat()
    chat.say("/settings")
    await answered(chat, 1)
    place.models.reply, place.models.tokens_per_second = "word " * 400, 40
    chat.say("a long one")
    await until(lambda: place.models.active == 1, "the model")
    await press(chat, ".set buttons=0")
    await until(lambda: ".set buttons=1" in pressable(chat, 0), "the switch")
    assert place.models.active == 1
    place.models.tokens_per_second = 0


async def test_in_a_group_only_admins_choose(place: Village) -> None:
    chat = place.telegram_chat(GROUP)
    place.telegram.world.chat(GROUP).admins.add(ADMIN)
    for text in ("/settings", "/language zh", "/model stub", "/settings buttons off"):
        place.telegram.world.text(GROUP, text, user=OTHER)
    await until(lambda: chat.shown == [say("admins_only")] * 4, "four refusals")
    place.telegram.world.text(GROUP, "/settings", user=ADMIN)
    await answered(chat, 5)
    assert await press(chat, ".set buttons=0", user=OTHER) == say("admins_only")
    assert await press(chat, ".set buttons=0", user=ADMIN) == say("settings_set")
    assert await press(chat, ".close", user=OTHER) == say("admins_only")
    assert len(chat.shown) == 5


async def test_a_link_into_a_group_leads_there_too(place: Village) -> None:
    chat = place.telegram_chat(GROUP)
    place.telegram.world.chat(GROUP).admins.add(ADMIN)
    place.telegram.world.text(GROUP, "/start@parley_bot settings", user=OTHER)
    await until(lambda: chat.shown == [say("admins_only")], "the refusal")
    place.telegram.world.text(GROUP, "/start@parley_bot settings", user=ADMIN)
    await answered(chat, 2)
    assert ".close" in pressable(chat)


async def test_anonymous_admins_choose_as_the_group(place: Village) -> None:
    chat = place.telegram_chat(GROUP)
    group = {"id": GROUP, "type": "supergroup", "title": "Chess Club"}
    place.telegram.world.text(GROUP, "/settings buttons off", user=1087968824, sender_chat=group, is_bot=True)
    await until(lambda: chat.shown == [say("settings_set")], "the choice")
