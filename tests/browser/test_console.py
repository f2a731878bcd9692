"""The owner's pages in a real browser."""

from __future__ import annotations

import pytest

from core.message import Platform
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from tests.browser.conftest import Watched

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_the_owner_changes_the_settings_of_a_server_and_takes_it_back(chat: Watched, valkey_url: str) -> None:
    store = Store(valkey_url)
    community = Community.of(Settings(), store)
    community.seen.saw(Platform.DISCORD, "900", "5", "Chess Club")
    await community.seen.flush()
    page = chat.page
    await page.get_by_role("link", name="Administration").click()
    await page.get_by_role("link", name="Chess Club").click()
    await page.get_by_label("Quiet hours").fill("22-7")
    await page.get_by_label("When to answer").select_option("every message")
    await page.get_by_label("small-1").check()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Saved.").wait_for()
    assert await page.get_by_label("Quiet hours").input_value() == "22:00-07:00"
    settings = (await community.spaces.records.fresh("discord:900:5")).value
    assert (settings.answers, settings.models, settings.quiet) == ("always", ("small-1",), "22:00-07:00")
    await page.get_by_role("button", name="Take the last change back").click()
    await page.get_by_text("taken back").first.wait_for()
    assert await page.get_by_label("Quiet hours").input_value() == ""
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Export").click()
    assert (await download.value).suggested_filename == "settings-discord-5.toml"
    await store.close()
