"""What the peers broke: long answers, code blocks, refused calls, deleted messages. None of it breaks here."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from core.storage.client import Store
from core.texts import say
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import Chat, DiscordChat, until
from tests.platforms.telegram_server import Fault as TelegramFault

KINDS = ("telegram-private", "telegram-group", "discord")
WORDS = [f"w{number:04d}" for number in range(1700)]


@pytest.fixture(params=KINDS)
def chat(request: pytest.FixtureRequest, place: Village) -> Chat:
    if request.param == "discord":
        return place.discord_chat()
    return place.telegram_chat(77 if request.param == "telegram-private" else -100_500)


async def test_a_long_answer_comes_whole_and_in_order(place: Village, chat: Chat) -> None:
    answer = "\n\n".join(" ".join(WORDS[at : at + 60]) + "." for at in range(0, len(WORDS), 60))
    assert len(answer) > 10_000
    place.models.reply = lambda body: answer
    place.models.tokens_per_second = 4000
    chat.say("tell me everything")
    await until(lambda: WORDS[-1] in "".join(chat.shown), "the last word")
    await asyncio.sleep(0.2)
    shown = chat.shown
    assert re.findall(r"w\d{4}", " ".join(shown)) == WORDS
    assert max(map(len, shown)) <= chat.max_text
    assert len(shown) == -(-len(answer) // chat.max_text) or len(shown) <= 7


async def test_a_code_block_over_pages_is_closed_and_reopened(place: Village) -> None:
    chat = place.discord_chat()
    lines = [f"value_{number} = compute({number})" for number in range(200)]
    place.models.reply = lambda body: "Here:\n\n```python\n" + "\n".join(lines) + "\n```\n\nThat is all."
    place.models.tokens_per_second = 3000
    chat.say("code")
    await until(lambda: any("That is all." in text for text in chat.shown), "the end")
    await asyncio.sleep(0.2)
    for text in chat.shown:
        assert text.count("```") % 2 == 0
    assert re.findall(r"value_\d+ = compute\(\d+\)", "\n".join(chat.shown)) == lines
    assert sum("```python\n" in text for text in chat.shown) == len([t for t in chat.shown if "value_" in t])


@pytest.mark.parametrize("kind", ["telegram", "discord"])
async def test_an_answer_over_the_limit_comes_as_a_file(
    store: Store, valkey_url: str, tmp_path: Path, kind: str
) -> None:
    answer = "\n\n".join(f"Paragraph {number} " + "goes on " * 30 for number in range(50)).strip()
    few = {"PARLEY__CHAT__MAX_PAGES": "2", "PARLEY__TELEGRAM__RICH": "off"}
    async with village(store, valkey_url, tmp_path, **few) as place:
        place.models.reply = lambda body: answer
        if kind == "telegram":
            chat = place.telegram_chat(77)
            chat.say("everything there is")
            await until(lambda: any("document" in post.media for post in chat.world.shown(77)), "the file")
            sent = next(post for post in chat.world.shown(77) if "document" in post.media)
            data = chat.world.files[sent.media["document"]["file_id"]][1]
        else:
            chat = place.discord_chat()
            chat.say("everything there is")
            await until(lambda: any(p.data["attachments"] for p in chat.discord.by_bot(chat.channel)), "the file")
            sent = next(p for p in chat.discord.by_bot(chat.channel) if p.data["attachments"])
            url = sent.data["attachments"][0]["url"]
            data = next(content for path, (content, _) in chat.discord.world.files.items() if path in url)
        assert data.decode() == answer
        assert len(chat.shown) == 3


async def test_nobody_is_pinged(place: Village) -> None:
    chat = place.discord_chat()
    place.models.reply = lambda body: f"@everyone @here <@{place.discord.world.alice}> look"
    chat.say("ping them")
    await until(lambda: len(chat.shown) == 1, "the answer")
    await asyncio.sleep(0.2)
    assert [posted.pinged for posted in place.discord.by_bot(chat.channel)] == [[]]


@pytest.mark.parametrize(
    "fault", [TelegramFault.FLOOD, TelegramFault.BAD_GATEWAY, TelegramFault.RESET_BEFORE, TelegramFault.RESET_AFTER]
)
async def test_telegram_refusing_a_send_loses_and_doubles_nothing(place: Village, fault: TelegramFault) -> None:
    chat = place.telegram_chat(77)
    place.models.reply = lambda body: "the answer"
    place.telegram.fail("sendMessage", fault, times=2)
    chat.say("hello")
    await until(lambda: "the answer" in chat.shown, "the answer")
    await asyncio.sleep(1.0)
    assert chat.shown == ["the answer"]


@pytest.mark.parametrize("fault", ["429", "500", "reset before", "reset after"])
async def test_discord_refusing_a_send_loses_and_doubles_nothing(place: Village, fault: str) -> None:
    chat = place.discord_chat()
    place.models.reply = lambda body: "the answer"
    place.discord.fail(fault, "messages", times=2)
    chat.say("hello")
    await until(lambda: "the answer" in chat.shown, "the answer")
    await asyncio.sleep(1.0)
    assert chat.shown == ["the answer"]


async def test_a_message_deleted_under_the_answer_does_not_lose_the_rest(place: Village) -> None:
    place.models.reply = lambda body: "word " * 150 + "END"
    place.models.tokens_per_second = 100
    room: DiscordChat = place.discord_chat()
    group = place.telegram_chat(-100_500)
    room.say("hello")
    group.say("hello")
    await until(lambda: bool(room.shown and group.shown), "the first words")
    place.discord.delete(room.ids[0])
    group.world.shown(group.chat)[0].deleted = True
    for chat in (room, group):
        await until(lambda chat=chat: any(text.endswith("END") for text in chat.shown), "the whole answer")
        assert len(chat.shown) == 1


async def test_slow_edits_do_not_hold_the_model_back(place: Village) -> None:
    place.models.reply = lambda body: "word " * 100 + "END"
    place.models.tokens_per_second = 200
    place.discord.set_latency(1.0)
    chat = place.discord_chat()
    chat.say("hello")
    await until(lambda: place.models.active == 1, "the model")
    await until(lambda: place.models.active == 0, "the model's end")
    assert not any(text.endswith("END") for text in chat.shown)
    await until(lambda: any(text.endswith("END") for text in chat.shown), "the whole answer")


async def test_a_person_who_blocked_the_bot_ends_the_turn_quietly(place: Village) -> None:
    chat = place.telegram_chat(77)
    chat.say("hello")
    await until(lambda: len(chat.shown) == 1, "the answer")
    chat.world.chat(77).blocked = True
    chat.say("again")
    await until(lambda: len(place.models.requests) == 2, "the model")
    await asyncio.sleep(0.5)
    chat.world.chat(77).blocked = False
    chat.say("back")
    await until(lambda: len(chat.shown) == 2, "the answer after that")


async def test_a_model_that_is_down_and_comes_back(place: Village, chat: Chat) -> None:
    from tests.platforms.openai_server import Fault

    place.models.fail(Fault.SERVER_ERROR, times=3)
    chat.say("hello")
    await until(lambda: any(say("failed") in text for text in chat.shown), "the notice")
    await asyncio.sleep(0.3)
    chat.say("again")
    await until(lambda: any("again" in text for text in chat.shown), "the answer")


async def test_a_command_in_place_of_broken_markdown(place: Village, chat: Chat) -> None:
    """Unclosed marks neither freeze the answer nor reach the person raw on Telegram."""
    place.models.reply = lambda body: "An *unclosed star, an `open tick, [a link(, and **bold\n```\nnever closed"
    chat.say("broken")
    await until(lambda: any("never closed" in text for text in chat.shown), "the answer")
    assert len(chat.shown) == 1
