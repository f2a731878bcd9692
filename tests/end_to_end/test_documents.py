"""A file is taught and found again, all the way through Telegram and the job queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.storage.client import Store
from tests.core.files import pdf
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import until

SETTINGS = """
[[models]]
name = "vectors"
provider = "openai"
kind = "embedding"
"""


@pytest.fixture
async def teaching(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    (tmp_path / "parley.toml").write_text(SETTINGS)
    async with village(store, valkey_url, tmp_path, DISCORD_TOKEN="") as running:
        yield running


async def test_a_file_is_taught_and_found_with_its_page(teaching: Village) -> None:
    world = teaching.telegram.world

    async def said(text: str) -> str:
        await until(lambda: any(text in one for one in world.texts(77)), text)
        return next(one for one in world.texts(77) if text in one)

    menu = pdf(["Bread costs four coins.", "Soup is served at noon."])
    world.document(77, menu, "menu.pdf", "application/pdf", "/learn title=Menu")
    assert "Menu" in await said("Learned:")
    world.text(77, "/search when is soup served?")
    assert "page 2" in await said("Soup is served at noon.")
    # The passage is shown to the model, which knows by it.
    world.text(77, "When is soup served?")
    await until(lambda: any("Soup is served at noon" in str(one.body) for one in teaching.models.requests), "a prompt")
    file = world.document(77, menu, "again.pdf", "application/pdf")
    await until(lambda: len(teaching.models.requests) == 2, "an answer about the file itself")
    world.text(77, "/learn title=Lunch", reply_to=file)
    assert "Lunch" in await said("Learned: Lunch")
    world.text(77, "/documents")
    assert "Lunch (2 pages, 2 passages" in await said("2 documents")
    world.text(77, "/documents remove 1")
    await said("Menu is removed")
    assert all(asked["model"] == "vectors" for asked in teaching.models.vectors.asked)
    assert teaching.models.vectors.asked
