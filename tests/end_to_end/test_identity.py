"""One person on two platforms, and what a group chose to have heard, through the whole of Parley."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.people.spaces import Spaces
from core.storage.client import Store
from tests.end_to_end.conftest import Village, models_file, village
from tests.end_to_end.running import until
from tests.platforms.openai_server import OpenAIServer

pytestmark = pytest.mark.usefixtures("no_limits")
GROUP, OTHERS, ADA, BOB, CEM = -100_900, -100_901, 5, 6, 7


@pytest.fixture
async def choice(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    """With two models."""
    async with OpenAIServer(models=("stub", "second")) as models:
        (tmp_path / "parley.toml").write_text(models_file(models.url, "first", "second"))
        none = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "OPENAI_MODEL": ""}
        async with village(store, valkey_url, tmp_path, **none) as running:
            running.models = models
            yield running


def system(place: Village) -> str:
    """What the newest question was begun with."""
    return str(place.models.requests[-1].body["messages"][0]["content"])


async def test_what_was_chosen_on_telegram_holds_on_discord_once_the_accounts_are_linked(choice: Village) -> None:
    place, here = choice, choice.telegram_chat()

    async def say(text: str, contains: str) -> str:
        here.say(text)
        await until(lambda: any(contains in shown for shown in here.shown), contains)
        return next(shown for shown in reversed(here.shown) if contains in shown)

    await say("/model second", "second")
    await say("/remember I play the Reti", "keep it in mind")
    code = re.search(r"\b[2-9A-Z]{8}\b", await say("/link", "Your code"))
    assert code is not None
    place.discord.slash("link", {"code": code[0]})
    await until(lambda: any("one person now" in posted.text for posted in place.discord.by_bot()), "linked")
    await until(lambda: any("is linked with this account now" in shown for shown in here.shown), "told on Telegram")
    before = len(place.models.requests)
    place.discord.say("hello")
    await until(lambda: len(place.models.requests) > before, "asked")
    assert place.models.requests[-1].model == "second"
    assert "> I play the Reti" in system(place)
    # In a server, where others read along, memory is not used.
    place.discord.say("hello", place.discord.world.general, mention=True)
    await until(lambda: len(place.models.requests) > before + 1, "asked in the server")
    assert "Reti" not in system(place)


async def choose(store: Store, space: str, **fields: Any) -> None:
    await Spaces(store).change(space, lambda settings: settings.model_copy(update=fields))


@pytest.fixture
async def hearing(
    store: Store, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Village]:
    """One group chose that all is read along. What spaces choose is looked at often."""
    monkeypatch.setattr("core.people.hearing.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("core.storage.records.LOOK_SECONDS", 0.02)
    await choose(store, f"telegram:4242:{GROUP}", passive=True)
    async with village(store, valkey_url, tmp_path) as running:
        yield running


def asked(place: Village) -> str:
    """All but the persona of the newest question."""
    return "\n".join(str(message["content"]) for message in place.models.requests[-1].body["messages"][1:])


async def test_a_group_is_read_along_only_where_it_chose_so(hearing: Village) -> None:
    place, world = hearing, hearing.telegram.world
    for number, group in enumerate((GROUP, OTHERS), 1):
        world.group(group)
        world.text(group, "the meeting is at 8", user=ADA)
        world.text(group, "I bring **cake**", user=BOB)
        world.text(group, "@parley_bot when is it?", user=CEM)
        await until(lambda number=number: len(place.models.requests) == number, "asked once")
        if group == GROUP:
            assert re.search(r": the meeting is at 8\n.*: I bring \*\*cake\*\*\n", asked(place), re.DOTALL)
        else:
            assert "meeting" not in asked(place)
    assert [name async for name in place.store.redis.scan_iter("parley:*heard*")] == []


async def test_a_server_chooses_for_all_its_channels_what_is_answered(hearing: Village) -> None:
    place, world = hearing, hearing.discord.world
    space = f"discord:{world.bot}:{world.guild['id']}"

    async def is_answered(*, mention: bool = False) -> bool:
        before = len(place.models.requests)
        place.discord.say("hello", world.general, mention=mention)
        await asyncio.sleep(0.1)
        return len(place.models.requests) > before

    async def becomes(wanted: bool, *, mention: bool = False) -> bool:
        for _ in range(50):
            if await is_answered(mention=mention) is wanted:
                return True
        return False

    assert not await is_answered()
    await choose(place.store, space, answers="always")
    assert await becomes(True)
    await choose(place.store, space, not_channels=(world.general,))
    assert await becomes(False, mention=True)
    await choose(place.store, space, not_channels=(), answers="mentions")
    assert await becomes(True, mention=True)
    assert not await is_answered()
