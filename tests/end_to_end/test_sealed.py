"""With storage.encrypt nothing that anybody said can be read in Redis; people's own keys never can."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.storage.client import Store
from core.storage.sealing import new_key
from tests.core.files import pdf
from tests.core.storage.dump import everything
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import until

WORD = "aardvark"
THEIRS = "sk-proj-abcdefghijklmnopqrstuvwx1234"
HEARS = """
[[models]]
name = "whisper"
provider = "openai"
kind = "transcription"
"""


@pytest.fixture
async def sealed(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    (tmp_path / "parley.toml").write_text(HEARS)
    environment = {"PARLEY_KEYS": new_key(), "PARLEY__STORAGE__ENCRYPT": "true"}
    async with village(store, valkey_url, tmp_path, **environment) as running:
        yield running


async def spoken_of(store: Store, *words: str) -> list[str]:
    return [line[:200] for line in await everything(store) if any(word in line for word in words)]


async def test_a_dump_holds_no_word_of_what_was_said(sealed: Village) -> None:
    world, models = sealed.telegram.world, sealed.models
    world.text(77, f"hello {WORD}")
    await until(lambda: len(world.texts(77)) == 1, "an answer")
    assert WORD in world.texts(77)[0]
    world.photo(77, caption=f"what is this {WORD}?")
    world.document(77, pdf(f"a page about the {WORD}"), f"{WORD}.pdf", "application/pdf")
    world.voice(77)
    await until(lambda: len(world.texts(77)) == 4, "all answers")
    assert WORD in str(models.requests[-2].messages)
    # What was said is known with the next question, through what was sealed.
    world.text(77, "and what did I say?")
    await until(lambda: len(world.texts(77)) == 5, "the next answer")
    assert str(models.requests[-1].messages).count(WORD) > 2
    world.text(77, f"{WORD} {{{{server_error}}}}")
    chat = sealed.discord_chat()
    chat.say(f"and on Discord the {WORD}")
    await until(lambda: any(WORD in text for text in chat.shown), "the answer on Discord")
    # While an answer is being made, its question lies in the turn's record, and the next one in the mailbox.
    models.reply, models.tokens_per_second = (lambda body: "word " * 500), 20
    world.text(78, f"one {WORD}")
    await until(lambda: models.active == 1, "the open turn")
    world.text(78, f"two {WORD}")
    assert await spoken_of(sealed.store, WORD, "mountain") == []
    assert len(await everything(sealed.store)) > 30
    models.reply, models.tokens_per_second = (lambda body: "done"), 0
    world.text(78, "/stop")
    await until(lambda: "done" in "".join(world.texts(78)), f"the end {world.texts(78)}")


async def test_a_key_typed_on_telegram_is_taken_off_the_chat(sealed: Village) -> None:
    world = sealed.telegram.world
    sealed.models.more_keys, sealed.models.api_key = (THEIRS,), "x"
    message = world.text(77, f"/key set openai {THEIRS}")
    await until(lambda: any("kept sealed" in text for text in world.texts(77)), "the answer")
    await until(lambda: message not in world.chat(77).posts or world.chat(77).posts[message].deleted, "the deletion")
    world.text(77, "hello")
    await until(lambda: len(world.texts(77)) == 2, "an answer")
    assert sealed.models.requests[-1].headers["Authorization"] == f"Bearer {THEIRS}"
    assert await spoken_of(sealed.store, THEIRS) == []


async def test_on_discord_a_form_asks_for_it(sealed: Village) -> None:
    discord = sealed.discord
    sealed.models.more_keys, sealed.models.api_key = (THEIRS,), "x"
    await until(lambda: bool(discord.world.commands), "commands")
    asked = discord.slash("key set", {"provider": "openai"}, discord.world.general)
    await until(lambda: bool(asked.callback), "the form")
    made = discord.submit(asked, {"key": THEIRS})

    def answer() -> str:
        return discord.world.find(made.original).text if made.original else ""

    await until(lambda: "kept sealed" in answer(), f"the answer: {answer()}")
    assert await spoken_of(sealed.store, THEIRS) == []
