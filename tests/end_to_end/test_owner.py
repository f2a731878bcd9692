"""What whoever runs Parley does, by commands, while everything goes on."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bots.backup import restore, save
from core.people.broadcasts import Fate, Told
from core.people.community import Community
from core.settings import Settings, StorageSettings
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer
from core.storage.key_table import UnknownKeyError, known
from core.storage.shared import SharedBreakers
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import TelegramChat, town, until

OWNER, GROUP, OTHER_GROUP = 77, -100_901, -100_902
pytestmark = pytest.mark.usefixtures("no_limits")


@pytest.fixture
async def place(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    async with village(store, valkey_url, tmp_path, PARLEY_OWNERS=f"telegram:{OWNER}") as running:
        yield running


def community(store: Store) -> Community:
    return Community.of(Settings(), store)


async def last(chat: TelegramChat, words: str) -> str:
    """The newest message, once it has these words."""
    await until(lambda: bool(chat.shown) and words in chat.shown[-1], words)
    return chat.shown[-1]


async def answered(chat: TelegramChat, question: str) -> str:
    count = len(chat.shown)
    chat.say(question)
    await until(lambda: len(chat.shown) > count and bool(chat.shown[-1]), f"an answer to {question}")
    return chat.shown[-1]


async def test_the_owner_sees_how_it_is_and_how_the_models_do(place: Village, store: Store) -> None:
    owner, member = place.telegram_chat(OWNER), place.telegram_chat(78)
    place.models.reply = lambda body: "well"
    member.say("how are you?")
    await last(member, "well")
    member.say("/admin status")
    assert "owner" in await last(member, "/admin")
    owner.say("/admin status")
    told = await last(owner, "1 process")
    assert "telegram connected" in told
    assert "0 messages wait" in told
    assert "Valkey" in told
    # What a process saw is shared with what it says of itself every ten seconds: not waited for here.
    owner.say("/admin models")
    assert "in service" in await last(owner, "stub")
    await SharedBreakers(store).store("openai", time.time() + 60)
    owner.say("/admin models")
    assert "out of service: 1 of 1 server" in await last(owner, "out of service")


async def test_maintenance_tells_members_once_and_answers_owners(place: Village, store: Store) -> None:
    owner, member = place.telegram_chat(OWNER), place.telegram_chat(78)
    place.models.reply = lambda body: "an answer"
    owner.say("/admin maintenance on soon")
    assert "is no time" in await last(owner, "soon")
    owner.say("/admin maintenance on 2h New *disks*")
    await last(owner, "only owners are answered until")
    member.say("hello?")
    assert "New *disks*" in await last(member, "being looked after until")
    asked = place.models.requests
    member.say("hello again?")
    owner.say("and me?")
    await last(owner, "an answer")
    assert len(member.shown) == 1
    assert len(asked) == 1
    member.say("/privacy")
    await until(lambda: len(member.shown) == 2, "what is always answered")
    owner.say("/admin maintenance off")
    await last(owner, "everybody is answered")
    member.say("now?")
    await last(member, "an answer")


async def test_maintenance_ends_by_itself(place: Village, store: Store) -> None:
    member = place.telegram_chat(78)
    place.models.reply = lambda body: "an answer"
    await community(store).houses.begin("", time.time() - 1)
    member.say("hello?")
    await last(member, "an answer")


async def announce(place: Village, owner: TelegramChat, text: str) -> str:
    """Asks for it; the announcement's id."""
    owner.say(f"/admin broadcast {text}")
    await last(owner, "This goes to")
    (send,) = [data for data in owner.buttons() if "confirm" in data][-1:]
    return send.rpartition(" ")[2]


async def settled(store: Store, id: str) -> dict[str, Told]:
    broadcasts = community(store).broadcasts
    while (await broadcasts.records.fresh(id)).value.state in ("asked", "running"):
        await asyncio.sleep(0.05)
    return await broadcasts.told(id)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.broadcasting.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("bots.broadcasting.LOOK_SECONDS", 0.05)


async def test_an_announcement_goes_once_to_every_space_that_takes_it(
    place: Village, store: Store, quick: None
) -> None:
    owner = place.telegram_chat(OWNER)
    one, other, refusing = (place.telegram_chat(chat) for chat in (GROUP, OTHER_GROUP, -100_903))
    for chat in (one, other, refusing):
        await answered(chat, "hello")
    seen = community(store)
    while len(await seen.seen.all()) < 4:
        await asyncio.sleep(0.05)
    await seen.spaces.change(
        f"telegram:4242:{refusing.chat}", lambda space: space.model_copy(update={"broadcasts": False})
    )
    discord = place.discord
    room = discord.world.general
    guild = f"discord:{discord.world.bot}:{discord.world.guild['id']}"
    await seen.spaces.change(guild, lambda space: space.model_copy(update={"announcements": room}))
    await asyncio.sleep(1.2)
    id = await announce(place, owner, "We *move* tonight @everyone")
    assert "3 communities" in owner.shown[-1]
    owner.press(owner.ids[-1], f"admin broadcast confirm {id}")
    told = await settled(store, id)
    assert {space: one.fate for space, one in told.items()} == {
        f"telegram:4242:{GROUP}": Fate.SENT,
        f"telegram:4242:{OTHER_GROUP}": Fate.SENT,
        f"telegram:4242:{refusing.chat}": Fate.OPTED_OUT,
        guild: Fate.SENT,
    }
    for chat in (one, other):
        assert sum("move" in text for text in chat.shown) == 1
    assert not any("move" in text for text in refusing.shown)
    (posted,) = [p for p in discord.by_bot(room) if "move" in p.text]
    assert posted.data["mention_everyone"] is False
    await last(owner, "went to 3 communities")
    # Confirmed again, it goes nowhere again.
    owner.say(f"/admin broadcast confirm {id}")
    await last(owner, "no such announcement")


async def test_an_announcement_survives_kills_and_goes_nowhere_twice(tmp_path: Path) -> None:
    now = tmp_path / "now"
    fault = {"PARLEY_FAULT": "announced", "PARLEY_FAULT_WHEN": str(now)}
    async with town(tmp_path, PARLEY_OWNERS=f"telegram:{OWNER}") as place:
        world = place.discord.world
        world.guild["system_channel_id"] = world.general
        await place.parley.start(**fault)
        owner, *groups = (TelegramChat(place, chat) for chat in (OWNER, GROUP, OTHER_GROUP))
        for group in groups:
            group.say("hello")
            await until(lambda group=group: bool(group.shown), "an answer")
        # What receivers see of spaces is written every two seconds.
        await asyncio.sleep(2.2)
        owner.say("/admin broadcast Once only")
        await last(owner, "This goes to 3 communities")
        (send,) = [data for data in owner.buttons() if "confirm" in data]
        now.touch()
        owner.press(owner.ids[-1], send)
        # Discord's come first: killed when that is told, and again when a group of Telegram's is.
        assert await place.parley.ended() == -signal.SIGKILL
        await place.parley.start(**fault)
        assert await place.parley.ended() == -signal.SIGKILL
        await place.parley.start()
        await last(owner, "went to 3 communities")
        assert sum("Once only" in post.text for post in place.discord.by_bot(world.general)) == 1
        assert [sum("Once only" in text for text in group.shown) for group in groups] == [1, 1]


async def test_a_cancelled_announcement_stops(place: Village, store: Store, quick: None) -> None:
    owner = place.telegram_chat(OWNER)
    id = await announce(place, owner, "Never mind")
    owner.say(f"/admin broadcast cancel {id}")
    await last(owner, "nowhere any more")
    owner.say(f"/admin broadcast confirm {id}")
    await last(owner, "no such announcement")
    stranger = place.telegram_chat(79)
    stranger.say("/admin broadcast spam")
    assert "owner" in await last(stranger, "/admin")


async def test_after_a_busy_time_every_key_is_known_and_a_backup_goes_on_elsewhere(
    place: Village, store: Store, valkey_url: str, tmp_path: Path
) -> None:
    member, group, discord = place.telegram_chat(78), place.telegram_chat(GROUP), place.discord_chat()
    place.models.reply = lambda body: "Hello, Ada" if "Ada" in str(body["messages"]) else "hm"
    member.say("My name is Ada")
    group.say("hello")
    discord.say("hello")
    await last(member, "Ada")
    member.say("/remember I like tea")
    await until(lambda: len(group.shown) == 1 and len(discord.shown) == 1 and len(member.shown) == 2, "answers")
    await asyncio.sleep(0.3)
    unknown: list[str] = []
    async for name in store.redis.scan_iter(match="*", count=1000):
        try:
            known(name)
        except UnknownKeyError:
            unknown.append(name)
    assert unknown == []
    file, folder = tmp_path / "backup", tmp_path / "elsewhere"
    await save(Settings(storage=StorageSettings(redis_url=valkey_url)), file, lambda _: None)
    folder.mkdir()
    async with EmbeddedServer(folder) as url:
        there = Store(url)
        await restore(Settings(storage=StorageSettings(redis_url=url)), file, lambda _: None)
        async with village(there, url, folder) as elsewhere:
            elsewhere.telegram.world.begin_at(5000)
            chat = elsewhere.telegram_chat(78)
            elsewhere.models.reply = lambda body: "You are Ada" if "My name is Ada" in str(body["messages"]) else "who?"
            chat.say("Who am I?")
            await last(chat, "You are Ada")
            chat.say("/memory")
            await last(chat, "tea")
        await there.close()


async def test_settings_are_read_anew_in_every_process_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    async with town(
        tmp_path, PARLEY_OWNERS=f"telegram:{OWNER}", OPENAI_BASE_URL="", OPENAI_API_KEY="", OPENAI_MODEL=""
    ) as place:
        file = tmp_path / "parley.toml"

        def write(*names: str, more: str = "") -> None:
            rows = "".join(f'[[models]]\nname = "{name}"\nid = "stub"\nprovider = "p"\n' for name in names)
            file.write_text(f'{more}\n[[providers]]\nname = "p"\nbase_url = "{place.models.url}"\n{rows}')

        def events(name: str) -> int:
            return sum(event["event"] == name for event in place.parley.events)

        write("first")
        await place.parley.start()
        assert place.parley.process is not None
        owner = TelegramChat(place, OWNER)
        owner.say("/admin models")
        assert "second" not in await last(owner, "first")
        write("first", "second", more="[discord]\nfooter = false")
        place.parley.process.send_signal(signal.SIGHUP)
        await until(lambda: events("settings read anew") == 1, "settings read anew")
        owner.say("/admin models")
        await last(owner, "second")
        owner.say("/admin reload")
        assert "discord.footer" in await last(owner, "taken over")
        file.write_text("[chat\n")
        owner.say("/admin reload")
        assert "parley.toml is not valid TOML" in await last(owner, "nothing was changed")
        owner.say("still there?")
        await until(lambda: "nothing was changed" not in owner.shown[-1], "an answer")
        assert events("settings read anew") == 2
