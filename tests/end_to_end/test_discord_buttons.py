"""Buttons under answers and the settings menu, on Discord, through the whole of Parley."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from bots.run import serve
from core.loading import load
from core.settings import Settings
from core.storage.client import Store
from core.storage.feedback import Feedback
from core.texts import say
from tests.end_to_end.conftest import Village, models_file, village
from tests.end_to_end.running import until, variables
from tests.platforms.discord_components import walk
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.discord_world import EPHEMERAL, Interaction, Posted
from tests.platforms.openai_server import Fault, OpenAIServer
from tests.platforms.telegram_server import TelegramServer

SENTENCE, DEFERRED, CHANGED = 4, 6, 7
ROW = ["regenerate", "feedback up", "feedback down", ".forget"]
MANY = [f"model-{number}" for number in range(30)]


class Channel:
    """A channel of a guild in which people press buttons. Whoever is not named is alice, the guild's owner."""

    def __init__(self, discord: FakeDiscord) -> None:
        self.discord = discord
        self.world = discord.world
        self.id = self.world.add_channel(self.world.guild["id"], "buttons")
        self.asker, self.stranger = self.world.add_user("ann"), self.world.add_user("bob")

    def ask(self, text: str) -> None:
        self.discord.say(text, self.id, mention=True, user=self.asker)

    @property
    def shown(self) -> list[Posted]:
        """What all see of the bot's."""
        return [posted for posted in self.discord.by_bot(self.id) if not posted.ephemeral]

    @property
    def texts(self) -> list[str]:
        return [posted.text for posted in self.shown]

    def row(self, number: int = -1) -> list[str]:
        """What can be pressed under a message."""
        return pressable(self.shown[number]) if self.shown else []

    async def answered(self, count: int) -> None:
        await until(lambda: len(self.shown) == count and ".forget" in self.row(), f"{count} answers in {self.texts}")

    async def press(self, data: str, user: str = "", number: int = -1) -> Interaction:
        """Presses a button, or chooses from a list, as the asker or as somebody else, and waits for what is said."""
        posted = self.shown[number]
        there = {part.get("custom_id") for part in walk(posted.data["components"])}
        play: Callable[..., Interaction] = self.discord.press if data in there else self.discord.choose
        made = play(posted.id, data, user=user or self.asker)
        await until(lambda: bool(made.answered), f"an answer to {data}")
        return made


def pressable(posted: Posted) -> list[str]:
    there = list(walk(posted.data["components"]))
    lists = [option["value"] for part in there for option in part.get("options") or ()]
    return lists + [part["custom_id"] for part in there if "custom_id" in part and "options" not in part]


def sentence(made: Interaction) -> str:
    """What its presser alone is told."""
    assert made.callback["type"] == SENTENCE
    assert made.callback["data"]["flags"] & EPHEMERAL
    return str(made.callback["data"]["content"])


@pytest.fixture
async def place(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    async with village(store, valkey_url, tmp_path, TELEGRAM_TOKEN="") as running:
        yield running
    assert running.discord.violations == []


@asynccontextmanager
async def choice(store: Store, url: str, folder: Path, *names: str) -> AsyncGenerator[Village]:
    """With these models."""
    async with OpenAIServer(models=("stub", *names)) as models:
        (folder / "parley.toml").write_text(models_file(models.url, *names))
        none = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "OPENAI_MODEL": ""}
        async with village(store, url, folder, TELEGRAM_TOKEN="", **none) as running:
            running.models = models
            yield running
        assert running.discord.violations == []


# ---- under answers


async def test_answers_carry_one_row_at_no_call(place: Village) -> None:
    here = Channel(place.discord)
    here.ask("hello")
    await here.answered(1)
    assert here.row() == ROW
    writes = [call for call in place.discord.calls if call.method in ("POST", "PATCH") and "/messages" in call.path]
    assert len(writes) <= 2
    place.models.fail(Fault.LENGTH)
    here.ask("a long one")
    await here.answered(2)
    assert here.row() == ["continue", *ROW]


async def test_again_makes_the_answer_anew_in_its_place(place: Village) -> None:
    here = Channel(place.discord)
    place.models.reply = "one"
    here.ask("hello")
    await here.answered(1)
    place.models.reply = "two"
    assert (await here.press("regenerate")).callback == {"type": DEFERRED}
    await until(lambda: here.texts == ["two"] and here.row() == ROW, "the new answer in its place")


async def test_a_shorter_one_takes_back_a_page_and_is_still_known(place: Village) -> None:
    here = Channel(place.discord)
    place.models.reply = "in two pages " * 250
    here.ask("hello")
    await here.answered(2)
    place.models.reply = "short"
    await here.press("regenerate")
    await until(lambda: here.texts == ["short"] and here.row() == ROW, "one page")
    # Discord tells of it as of any deletion, whoever it was.
    place.discord.say("and?", here.id, user=here.asker, reply_to=here.shown[0].id)
    await here.answered(2)
    said = [part["content"] for part in place.models.requests[-1].body["messages"][1:]]
    assert ["hello" in said[0], "short" in said[1], "and?" in said[-1]] == [True] * 3
    await here.press(".forget", number=0)
    assert "forget" in here.row(0)


async def test_going_on_is_a_message_of_its_own(place: Village) -> None:
    here = Channel(place.discord)
    place.models.fail(Fault.LENGTH)
    here.ask("a long one")
    await here.answered(1)
    place.models.reply = "the rest"
    await here.press("continue")
    await here.answered(2)
    assert here.texts[1] == "the rest"


async def test_another_model_is_chosen_from_a_list(store: Store, valkey_url: str, tmp_path: Path) -> None:
    async with choice(store, valkey_url, tmp_path, *MANY) as place:
        here = Channel(place.discord)
        place.models.reply = lambda body: str(body["model"])
        here.ask("hello")
        await here.answered(1)
        assert here.row() == ["regenerate", ".models", *ROW[1:]]
        footer = [part for part in walk(here.shown[0].data["components"]) if "-# " in part.get("content", "")]
        assert footer
        await here.press(".models")
        assert [part for part in walk(here.shown[0].data["components"]) if "-# " in part.get("content", "")] == footer
        lists = [part for part in walk(here.shown[0].data["components"]) if "options" in part]
        assert [len(part["options"]) for part in lists] == [25, 5]
        assert lists[0]["options"][0]["label"] == "✓ model-0"
        await here.press("regenerate model=model-27")
        await until(lambda: here.texts == ["model-27"], "the other model's answer")
        assert here.row() == ["regenerate", ".models", *ROW[1:]]
        await here.press(".models")
        await here.press(".row")
        assert here.row() == ["regenerate", ".models", *ROW[1:]]


async def test_forgetting_asks_first(place: Village) -> None:
    here = Channel(place.discord)
    place.models.reply = "a secret"
    here.ask("hello")
    await here.answered(1)
    await here.press(".forget")
    assert here.row() == ["forget", ".row"]
    made = await here.press("forget")
    await until(lambda: bool(made.followups), "a word")
    assert here.row() == []
    here.ask("next")
    await here.answered(2)
    assert "a secret" not in str(place.models.requests[-1])


async def test_strangers_press_in_vain(place: Village) -> None:
    here = Channel(place.discord)
    here.ask("hello")
    await here.answered(1)
    for data in ("regenerate", ".forget"):
        assert sentence(await here.press(data, here.stranger)) == say("not_theirs")
    assert here.row() == ROW
    assert len(place.models.requests) == 1
    place.models.reply = "anew for the owner"
    await here.press("regenerate", here.world.alice)
    await until(lambda: here.texts == ["anew for the owner"], "the owner may")


async def test_stop_stands_under_a_growing_answer_and_stops_that_one(place: Village) -> None:
    here = Channel(place.discord)
    here.ask("short")
    await here.answered(1)
    place.models.reply, place.models.tokens_per_second = "word " * 400, 40
    here.ask("long")
    await until(lambda: len(here.shown) == 2 and here.row() == ["stop"], "the button")
    assert sentence(await here.press("stop", here.stranger)) == say("not_theirs")
    assert (await here.press("stop")).callback == {"type": DEFERRED}
    await until(lambda: here.row() == ROW, "the row of a finished answer")
    assert say("stopped") in here.texts[1]
    assert len(here.texts[1].split()) < 400


async def test_votes_are_counted_for_the_model_and_can_change(place: Village, store: Store) -> None:
    here = Channel(place.discord)
    here.ask("hello")
    await here.answered(1)
    assert sentence(await here.press("feedback up")) == say("feedback_thanks")
    assert sentence(await here.press("feedback up", here.stranger)) == say("feedback_thanks")
    assert sentence(await here.press("feedback down", here.stranger)) == say("feedback_thanks")
    (score,) = await Feedback(store, keep_days=1).scores()
    assert (score.up, score.down) == (1, 1)
    assert here.row() == ROW


async def test_buttons_can_be_switched_off(store: Store, valkey_url: str, tmp_path: Path) -> None:
    async with village(store, valkey_url, tmp_path, TELEGRAM_TOKEN="", PARLEY__CHAT__BUTTONS="false") as place:
        here = Channel(place.discord)
        place.models.reply = "done"
        here.ask("hello")
        await until(lambda: here.texts == ["done"], "the answer")
        assert here.row() == []


async def test_under_what_only_one_sees_and_where_the_bot_is_no_member(place: Village) -> None:
    here = Channel(place.discord)
    await until(lambda: bool(here.world.commands), "the commands")
    said = place.discord.say("der Hund", here.id, user=here.stranger)
    place.models.reply = "one"
    menu = place.discord.choose_in_menu("Explain", said.id, user=here.asker)
    brought = place.discord.slash("chat", {"text": "hi"}, here.id, user=here.asker, own_install=True)
    for made in (menu, brought):
        await until(lambda made=made: bool(made.original), "a deferral")
        answer = here.world.find(made.original)
        await until(lambda answer=answer: answer.text == "one" and ".forget" in pressable(answer), "the answer")
    place.models.reply = "two"
    for made in (menu, brought):
        answer = here.world.find(made.original)
        before = len(place.discord.wire.made(f"/channels/{here.id}"))
        pressed = place.discord.press(answer.id, "regenerate", user=here.asker)
        await until(lambda answer=answer: answer.text == "two" and pressable(answer) == ROW, "the answer anew")
        assert pressed.callback == {"type": DEFERRED}
        assert len(place.discord.wire.made(f"/channels/{here.id}")) == before, "all of it by the press's token"
    assert here.world.find(menu.original).ephemeral


async def test_what_only_one_sees_can_be_gone_on_with_and_on(place: Village) -> None:
    here = Channel(place.discord)
    await until(lambda: bool(here.world.commands), "the commands")
    said = place.discord.say("der Hund", here.id, user=here.stranger)
    place.models.fail(Fault.LENGTH, times=3)
    place.discord.choose_in_menu("Explain", said.id, user=here.asker)
    for count in (1, 2, 3):
        await until(lambda n=count: len(place.discord.by_bot(here.id)) == n, f"{count} answers")
        newest = place.discord.by_bot(here.id)[-1]
        await until(lambda newest=newest: "continue" in pressable(newest), "the button")
        assert newest.ephemeral
        place.discord.press(newest.id, "continue", user=here.asker)
    await until(lambda: len(place.models.requests) == 4, "all of it")


async def test_what_others_brought_along_is_theirs(place: Village) -> None:
    """Where the bot is no member everybody sees an answer and its buttons, which are the asker's alone."""
    here = Channel(place.discord)
    await until(lambda: bool(here.world.commands), "the commands")
    place.models.fail(Fault.LENGTH, times=2)
    made = place.discord.slash("chat", {"text": "hi"}, here.id, user=here.asker, own_install=True)
    await until(lambda: bool(made.original) and "continue" in here.row(), "an answer that was cut short")
    for button in ("continue", *ROW):
        assert sentence(await here.press(button, here.stranger)) == say("not_theirs")
    await here.press("continue")
    await until(lambda: len(here.shown) == 2 and "continue" in here.row(), "more of it")
    assert sentence(await here.press("continue", here.stranger)) == say("not_theirs")
    assert len(place.models.requests) == 2


# ---- settings


async def test_settings_are_a_page_for_the_asker_alone(store: Store, valkey_url: str, tmp_path: Path) -> None:
    async with choice(store, valkey_url, tmp_path, *MANY) as place:
        here = Channel(place.discord)
        place.models.reply = lambda body: str(body["model"])
        made = place.discord.slash("settings", channel=here.id)
        await until(lambda: bool(made.original) and ".close" in pressable(here.world.find(made.original)), "the page")
        page = here.world.find(made.original)
        assert page.ephemeral
        assert say("settings_how", names="")[:20] not in page.text

        async def press(data: str) -> Interaction:
            there = {part.get("custom_id") for part in walk(page.data["components"])}
            play: Callable[..., Interaction] = place.discord.press if data in there else place.discord.choose
            pressed = play(page.id, data)
            await until(lambda: bool(pressed.answered), data)
            return pressed

        assert (await press(".set model")).callback["type"] == CHANGED
        await press(".set model=model-9")
        assert "model-9" in page.text
        await press(".set buttons=0")
        assert ".set buttons=1" in pressable(page)
        await press(".set language")
        await press(".set language=zh_Hans")
        assert say("setting.model", "zh_Hans") in page.text
        await press(".close")
        await until(lambda: bool(page.deleted), "it is closed")
        here.ask("hello")
        await until(lambda: here.texts == ["model-9"], "the chosen model's answer")
        assert here.row() == []


# ---- restarts


@asynccontextmanager
async def parley(settings: Settings, url: str) -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        stop, ready = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(serve(settings, url, stack, stop, ready))
        await asyncio.wait_for(ready.wait(), 20)
        try:
            yield
        finally:
            stop.set()
            await running


async def test_buttons_outlive_a_restart_of_everything(store: Store, valkey_url: str, tmp_path: Path) -> None:
    async with TelegramServer() as telegram, FakeDiscord() as discord, OpenAIServer() as models:
        known = {**variables(tmp_path, telegram, discord, models), "TELEGRAM_TOKEN": ""}
        settings, here = load(tmp_path, known), Channel(discord)
        async with parley(settings, valkey_url):
            here.ask("hello")
            await here.answered(1)
        models.reply = "anew"
        async with parley(settings, valkey_url):
            assert sentence(await here.press("regenerate", here.stranger)) == say("not_theirs")
            await here.press("regenerate")
            await until(lambda: here.texts == ["anew"] and here.row() == ROW, "the answer anew")
        assert discord.violations == []
