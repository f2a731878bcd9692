"""Pressed buttons where they come in: what is posted, what is said, and what a platform's refusals do."""

from __future__ import annotations

import pytest

from bots.pacing import TELEGRAM, Kind, Limits, Pacer
from bots.pacing_windows import Window
from bots.telegram_bot.admins import Admins
from bots.telegram_bot.api import Api
from bots.telegram_bot.keyboard import PRESS
from bots.telegram_bot.pressing import Decided, Pressing
from core.conversation.history import History
from core.message import Author, CommandCall, ConversationKey, Message, Platform
from core.models.catalog import Catalog
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.texts import say
from tests.builders import message
from tests.platforms.telegram_server import Fault, TelegramServer

ME = 7
HERE = ConversationKey(Platform.TELEGRAM, "4242", str(ME))


def pressing(api: Api, store: Store, pacer: Pacer | None = None) -> Pressing:
    history = History(store, keep_days=1, max_messages=100)
    return Pressing(
        api,
        history,
        Catalog((), ()),
        Community.of(Settings(), store),
        Admins(api).is_admin,
        pacer or Pacer(TELEGRAM),
        buttons=True,
    )


def press(name: str, under: int, number: int = 1, **options: str) -> CommandCall:
    author = Author(str(ME), "Ann")
    return CommandCall(HERE, f"{PRESS}{number}", f"u{number}", author, name, options, private=True, reply_to=str(under))


async def shown(decided: Decided) -> None:
    for show in decided.shows:
        await show()


@pytest.fixture
async def page(server: TelegramServer, api: Api) -> int:
    """A message of the bot's with a keyboard."""
    server.world.chat(ME)
    keyboard = {"inline_keyboard": [[{"text": "Close", "callback_data": ".close"}]]}
    sent = await api.call("sendmessage", {"chat_id": ME, "text": "Settings", "reply_markup": keyboard})
    return int(sent["message_id"])


async def test_what_is_no_press_passes(api: Api, store: Store) -> None:
    values = [message("hello"), CommandCall(HERE, "5", "u5", Author("7", "Ann"), "stop", private=True)]
    assert (await pressing(api, store).decide(values)).incoming == values


async def test_messages_and_presses_keep_their_order(api: Api, store: Store, page: int) -> None:
    first, last = message("one"), message("two")
    decided = await pressing(api, store).decide([first, press("help", page), last, press(".set", page, 2)])
    assert [value.id for value in decided.incoming if isinstance(value, Message | CommandCall)] == [
        first.id,
        f"{PRESS}1",
        last.id,
    ]
    assert decided.toasts == {"1": "", "2": ""}
    assert len(decided.shows) == 1


async def test_two_presses_in_one_batch_are_one(api: Api, store: Store, page: int) -> None:
    decided = await pressing(api, store).decide([press("help", page, 1), press("help", page, 2)])
    assert len(decided.incoming) == 1
    assert decided.toasts.keys() == {"1", "2"}


async def test_a_busy_chat_keeps_its_keyboard(
    server: TelegramServer, api: Api, store: Store, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.telegram_bot.pressing.TURN_SECONDS", 0.05)
    pacer = Pacer(Limits(chat=(Window(1, 60.0, frozenset(Kind)),)))
    await pacer.draw(str(ME), False, Kind.CREATE)
    await shown(await pressing(api, store, pacer).decide([press(".set", page)]))
    assert not server.named("editMessageText")


async def test_a_refusal_for_the_rate_holds_for_what_follows(
    server: TelegramServer, api: Api, store: Store, page: int
) -> None:
    pacer = Pacer(TELEGRAM)
    server.fail("editMessageText", Fault.FLOOD, retry_after=30)
    await shown(await pressing(api, store, pacer).decide([press(".set", page)]))
    assert not pacer.may(str(ME), False, Kind.EDIT)


@pytest.mark.parametrize("data", [".set", ".set model", ".close", ".models", "forget"])
async def test_a_message_that_is_gone_is_left_alone(
    server: TelegramServer, api: Api, store: Store, page: int, data: str
) -> None:
    server.world.chat(ME).posts[page].deleted = True
    name, _, value = data.partition(" ")
    await shown(await pressing(api, store).decide([press(name, page, text=value)]))
    assert server.world.shown(ME) == []


async def test_a_page_that_is_too_old_to_be_deleted_loses_its_buttons(
    server: TelegramServer, api: Api, store: Store, page: int
) -> None:
    server.fail("deleteMessage", Fault.REFUSE, description="message can't be deleted for everyone")
    await shown(await pressing(api, store).decide([press(".close", page)]))
    (post,) = server.world.shown(ME)
    assert post.markup == {"inline_keyboard": []}


@pytest.mark.parametrize("data", ["", "settings", "nothing"])
async def test_a_page_of_the_settings_that_is_no_more_is_the_first_one(
    server: TelegramServer, api: Api, store: Store, page: int, data: str
) -> None:
    await shown(await pressing(api, store).decide([press(".set", page, text=data)]))
    (post,) = server.world.shown(ME)
    assert post.text.startswith(say("settings_head").strip("*"))
    assert post.entities
