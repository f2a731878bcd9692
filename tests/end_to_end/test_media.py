"""Recordings and documents, all the way from Telegram to the model and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.conversation.history import History
from core.message import ConversationKey, Platform
from core.storage.client import Store
from tests.core.files import pdf
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import until
from tests.platforms.openai_server import Fault
from tests.platforms.telegram_world import Post

MODELS = """
[[models]]
name = "whisper"
provider = "openai"
kind = "transcription"
price_minute = 0.006

[[models]]
name = "voice"
provider = "openai"
kind = "speech"
"""


@pytest.fixture
async def hearing(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    """Parley with models that hear and speak."""
    (tmp_path / "parley.toml").write_text(MODELS)
    async with village(store, valkey_url, tmp_path) as running:
        yield running


def prompt(at: Village) -> str:
    """All that the model was shown with the last question."""
    return "\n".join(str(message["content"]) for message in at.models.requests[-1].messages)


async def answered(at: Village, chat: int, texts: int) -> str:
    """The newest of so many messages of the bot."""
    await until(lambda: len(at.telegram.world.texts(chat)) >= texts, f"{texts} answers")
    return at.telegram.world.texts(chat)[-1]


async def test_a_voice_message_is_a_question(hearing: Village) -> None:
    world = hearing.telegram.world
    world.voice(77)
    assert "What is the tallest mountain?" in await answered(hearing, 77, 1)
    world.text(77, "And the second?")
    await answered(hearing, 77, 2)
    assert "What is the tallest mountain?" in prompt(hearing)
    # It is text in the history: an answer made anew listens to nothing again.
    world.text(77, "/regenerate", reply_to=world.shown(77)[0].id)
    await until(lambda: len(hearing.models.requests) == 3, "the answer made anew")
    assert len(hearing.models.audio.heard) == 1
    # Two seconds at 0.006 for a minute, in millionths.
    assert (await usage(hearing.store))["whisper:cost"] == 200


async def test_what_was_heard_is_shown_to_a_group(hearing: Village) -> None:
    world = hearing.telegram.world
    world.group(-5)
    world.voice(-5, user=5, caption="@parley_bot listen")
    answer = await answered(hearing, -5, 1)
    assert "listen" in answer
    assert "🎤 “What is the tallest mountain?”" in answer
    assert '<recording name="recording">\nWhat is the tallest mountain?\n</recording>' in prompt(hearing)


def voices(at: Village, chat: int) -> list[Post]:
    return [post for post in at.telegram.world.shown(chat) if "voice" in post.media]


async def test_an_answer_is_read_aloud(hearing: Village) -> None:
    world = hearing.telegram.world
    world.text(77, "Say **something**")
    await answered(hearing, 77, 1)
    world.text(77, "/speak")
    await until(lambda: len(voices(hearing, 77)) == 1, "the newest answer as sound")
    world.text(77, "And more")
    await answered(hearing, 77, 3)
    world.press(77, world.shown(77)[0].id, "speak")
    await until(lambda: len(voices(hearing, 77)) == 2, "the answer that the button stands under")
    first, second = (sound.fields["input"] for sound in hearing.models.audio.spoken)
    assert first == second
    assert first.endswith("Say something")
    counted = await usage(hearing.store)
    assert counted["voice:calls"] == 2


async def test_answers_are_spoken_where_people_want_that(hearing: Village) -> None:
    world = hearing.telegram.world
    await History(hearing.store, keep_days=1, max_messages=100).choose(
        ConversationKey(Platform.TELEGRAM, "4242", "77"), "spoken", "1"
    )
    world.text(77, "Hello")
    await until(lambda: len(voices(hearing, 77)) == 1, "an answer as sound")
    assert "Hello" in world.texts(77)[0]
    assert "record_voice" in [action for _, action in world.chat(77).actions]


async def test_without_a_voice_the_owner_is_told_what_to_set_up(place: Village) -> None:
    place.telegram.world.text(77, "/speak")
    assert "“speech”" in await answered(place, 77, 1)


async def usage(store: Store) -> Counter[str]:
    """What was counted, over all partitions."""
    counted: Counter[str] = Counter()
    async for key in store.redis.scan_iter("*usage:*"):
        counted.update({name: int(value) for name, value in (await store.redis.hgetall(key)).items()})
    return counted


async def test_a_recording_that_cannot_be_heard_is_told(hearing: Village) -> None:
    hearing.models.audio.fail(Fault.SERVER_ERROR, times=2)
    hearing.telegram.world.voice(77)
    assert "could not be transcribed" in await answered(hearing, 77, 1)
    assert not hearing.models.requests


async def test_without_a_model_for_it_the_owner_is_told_what_to_set_up(place: Village) -> None:
    place.telegram.world.voice(77)
    assert "“transcription”" in await answered(place, 77, 1)
    assert not place.models.audio.heard


async def test_a_document_is_read_and_remembered_until_it_is_forgotten(place: Village) -> None:
    world = place.telegram.world
    question = world.document(77, pdf(["Bread costs 4 coins"]), "menu.pdf", "application/pdf", "What does it cost?")
    assert "What does it cost?" in await answered(place, 77, 1)
    assert '<document name="menu.pdf">\nBread costs 4 coins\n</document>' in prompt(place)
    world.text(77, "Is that much?")
    await answered(place, 77, 2)
    assert "Bread costs 4 coins" in prompt(place)
    world.text(77, "/forget", reply_to=question)
    await answered(place, 77, 3)
    assert not [key async for key in place.store.redis.scan_iter("*blob:*")]
    world.text(77, "What was on the menu?")
    await answered(place, 77, 4)
    assert "Bread costs 4 coins" not in prompt(place)
