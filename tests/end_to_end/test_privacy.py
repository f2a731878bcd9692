"""People have their data handed over and erased, through the whole of Parley."""

from __future__ import annotations

import io
import re
import signal
import time
import zipfile
from pathlib import Path

import pytest

from bots.pacing import Limits
from core.people import tidying
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.texts import say
from tests.core.people.everything import dump
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import TelegramChat, town, until
from tests.end_to_end.web_page import web_page
from tests.platforms.discord_components import walk
from tests.platforms.discord_world import Posted
from tests.ports import free_port

USER = 9_271_828
pytestmark = pytest.mark.usefixtures("no_limits")


async def shows(chat: TelegramChat, text: str) -> str:
    """Waits for a message of the bot's with that text in it."""
    await until(lambda: any(text in shown for shown in chat.shown), f"{text!r} in {chat.shown}")
    return next(shown for shown in chat.shown if text in shown)


async def test_on_telegram_all_is_handed_over_and_then_gone(on_telegram: Village) -> None:
    place, chat = on_telegram, on_telegram.telegram_chat(USER)
    place.models.reply = "the answer to it"
    chat.say("my xylophone question")
    await shows(chat, "the answer to it")
    chat.say("/privacy export")
    await shows(chat, say("privacy_exported", count=1))
    await until(lambda: any("document" in post.media for post in chat.world.shown(USER)), "the file")
    sent = next(post for post in chat.world.shown(USER) if "document" in post.media)
    data = chat.world.files[sent.media["document"]["file_id"]][1]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (name,) = [name for name in archive.namelist() if name.startswith("conversations/")]
        assert "my xylophone question" in archive.read(name).decode()
    chat.say("/privacy erase")
    await shows(chat, "1 question of yours")
    await until(lambda: any("privacy erase" in data for data in chat.buttons()), "the button")
    (button,) = [data for data in chat.buttons() if data.startswith("privacy erase ")]
    chat.press(chat.ids[-1], button)
    receipt = await shows(chat, "Erased, begun at")
    assert "1 question of yours" in receipt
    spaces = Community.of(Settings(), place.store).spaces
    # A turn's end is written after its answer is shown.
    await until_idle(place.store)
    await tidying.tidy(place.store, spaces, 30, time.time() + 40 * 86400)
    left = [line for line in (await dump(place.store)).splitlines() if str(USER) in line or "xylophone" in line]
    assert left == []


async def until_idle(store: Store) -> None:
    for _ in range(500):
        if not [key async for key in store.redis.scan_iter(match="parley:{??}:turn:*")]:
            return
    raise AssertionError("a turn stays open")


async def test_killed_before_its_receipt_was_shown_it_is_shown_once(tmp_path: Path) -> None:
    now = tmp_path / "now"
    async with town(tmp_path, DISCORD_TOKEN="") as place:
        await place.parley.start(PARLEY_FAULT="slotted", PARLEY_FAULT_WHEN=str(now))
        chat = TelegramChat(place, USER)
        chat.say("a question")
        await until(lambda: len(chat.shown) == 1, "an answer")
        chat.say("/privacy erase")
        await shows(chat, "1 question of yours")
        await until(lambda: any("privacy erase" in data for data in chat.buttons()), "the button")
        code = re.search(r"privacy erase ([0-9a-f]{12})", " ".join(chat.buttons()))
        assert code is not None
        now.touch()
        chat.say(f"/privacy erase {code[1]}")
        assert await place.parley.ended() == -signal.SIGKILL
        await place.parley.start()
        assert place.parley.process is not None
        assert place.parley.process.returncode is None, place.parley.lines
        assert "1 question of yours" in await shows(chat, "Erased, begun at")
        chat.say("a new question")
        await until(lambda: "a new question" in str(place.models.requests[-1].body), "the next answer")
        assert "a question" not in str(place.models.requests[-1].body).replace("a new question", "")
        assert len([text for text in chat.shown if "Erased, begun at" in text]) == 1


async def test_on_the_web_the_page_keeps_nothing_but_the_receipt(tmp_path: Path) -> None:
    async with town(tmp_path, DISCORD_TOKEN="", TELEGRAM_TOKEN="", PARLEY_WEB_PORT=str(free_port())) as place:
        await place.parley.start()
        place.models.reply = "the answer to it"
        async with web_page(place.parley) as page:
            page.say("my xylophone question")
            await until(lambda: page.shown == ["the answer to it"], "the answer")
            page.say("/privacy erase")
            await until(lambda: len(page.shown) == 2, "the way to confirm")
            found = re.search(
                r'/messages/([^/]+)/press" hx-vals=\'{"button": "(privacy erase [0-9a-f]{12})"}', await page.source()
            )
            assert found is not None
            await page.press_under(found[1], "press", button=found[2])
            await until(lambda: any("Erased, begun at" in shown for shown in page.shown), "the receipt")
            await until(lambda: len(page.shown) == 1, "the rest to go")
            (receipt,) = await page.read_anew()
            assert "1 question of yours" in receipt
            assert "1 conversation in the web chat" in receipt


async def test_on_discord_it_is_for_the_asker_alone(
    store: Store, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.pacing.DISCORD", Limits())
    async with village(store, valkey_url, tmp_path, TELEGRAM_TOKEN="") as place:
        discord, world = place.discord, place.discord.world
        await until(lambda: bool(world.commands), "commands")
        discord.say("my xylophone question", world.general, mention=True)
        await until(lambda: bool(discord.by_bot(world.general)) and place.models.active == 0, "the answer")
        await until_idle(store)

        async def shows(part: str) -> Posted:
            await until(lambda: any(part in posted.text for posted in discord.by_bot(world.general)), part)
            return next(posted for posted in discord.by_bot(world.general) if part in posted.text)

        discord.slash("privacy", {"action": "erase"}, world.general)
        asked = await shows("1 question of yours")
        assert asked.ephemeral
        await until(lambda: bool(asked.data["components"]), "the button")
        ids = [part["custom_id"] for part in walk(asked.data["components"]) if "custom_id" in part]
        (button,) = [id for id in ids if "privacy erase" in id]
        discord.press(asked.id, button)
        receipt = await shows("Erased, begun at")
        assert receipt.ephemeral
        assert "1 question of yours" in receipt.text
        assert "xylophone" not in await dump(store)
