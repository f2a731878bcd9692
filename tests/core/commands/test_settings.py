"""What people choose for a conversation, by word and by link."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.access import Right
from core.commands import choosing, links
from core.commands.choosing import Offer
from core.commands.row import Room
from core.commands.table import BY_NAME, COMMANDS
from core.conversation.history import History
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.preferences import Preferences
from core.conversation.turn import Turn
from core.creations.creations import Creations
from core.creations.films import Films
from core.creations.payers import payers
from core.creations.pictures import Pictures
from core.knowledge.passages import Passages
from core.labels.labels import Labels
from core.message import Author
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.films import Filmer
from core.models.images import Painter
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.reading import Reader
from core.models.router import Router
from core.models.speech import Speaker
from core.parts import Finished, Menu, Notice, Part, TextDelta
from core.people.choices import chosen
from core.people.community import Community
from core.safety.safety import Safety
from core.settings import Settings
from core.speaking import Speaking
from core.storage.client import Store
from core.storage.failed import DeadLetters
from core.storage.feedback import Feedback
from core.summaries.summaries import Summaries
from core.summaries.translations import Translations
from core.texts import say
from core.tools.kit import open_toolbox
from core.workshop import Workshop
from core.writing import Writer
from tests.builders import call, conversation

SETTINGS = Settings()
LONG = "m" * 70
PROVIDER = Provider("p", "http://127.0.0.1:9/v1")
CHINESE = Author("7", "Ada", language="zh-hans")


def catalog(*names: str, speaks: bool = False) -> Catalog:
    models = [Model(name, "p", name) for name in names]
    if speaks:
        models.append(Model("voice", "p", "voice", kind="speech"))
    return Catalog([PROVIDER], models)


async def nothing(name: str, id: str, argument: str) -> None:
    """No jobs are done."""


class World:
    """A store with one conversation, and what is said in it by commands."""

    def __init__(self, store: Store) -> None:
        self.mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
        self.history = History(store, keep_days=1, max_messages=100)
        self.letters = DeadLetters(store, keep_days=1)
        self.feedback = Feedback(store, keep_days=1)
        self.catalog = catalog("one", "Two/2.5")
        self.router = Router(self.catalog, SETTINGS.routing, Breaker(5, 1), OpenAIApi)
        self.community = Community.of(Settings(), store)
        self.labels = Labels(SETTINGS.labels, self.community.spaces)
        self.speaking = Speaking(Speaker(self.catalog, self.router), self.history, self.labels)
        self.is_admin = True

    async def say(self, name: str, text: str = "", **values: Any) -> list[Part]:
        asked = call(name, options={"text": text} if text else {}, **values)
        turn = Turn(asked.conversation, "1", "1", asked, preferences=await self.chosen())

        async def is_admin() -> bool:
            return self.is_admin

        async def may(right: Right) -> bool:
            return False

        async def is_theirs(message_id: str) -> bool:
            return True

        safety = Safety(SETTINGS.safety, self.catalog, self.router, self.community.spaces)
        store = self.community.store
        creations = Creations([], store, nothing, self.mailbox.post, payers(self.community))
        passages = Passages(store, SETTINGS.knowledge)
        room = Room(
            asked,
            turn,
            self.mailbox,
            self.history,
            self.catalog,
            COMMANDS,
            self.letters,
            self.feedback,
            is_owner=False,
            is_admin=is_admin,
            may=may,
            is_theirs=is_theirs,
            workshop=Workshop(
                self.speaking,
                Pictures(Painter(self.catalog, self.router), safety, self.labels),
                Reader(self.catalog, self.router),
                creations,
                safety,
                self.labels,
                passages,
                open_toolbox(SETTINGS, self.router, self.catalog, creations, passages),
                Writer(self.catalog, self.router),
                Summaries(Writer(self.catalog, self.router)),
                Translations(Writer(self.catalog, self.router)),
                Films(Filmer(self.catalog, self.router), self.labels, safety),
            ),
            community=self.community,
        )
        run = BY_NAME[name].run
        assert run is not None
        *parts, last = [part async for part in run(room)]
        assert isinstance(last, Finished)
        self.turn = turn
        return parts

    async def chosen(self) -> Preferences:
        """What holds there: in a private chat the asker chose it for themselves."""
        person = await self.community.people.of("telegram:7")
        return chosen(await self.history.preferences(conversation()), person=person)


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    world = World(store)
    yield world
    await world.router.aclose()


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_the_page_shows_what_holds(world: World) -> None:
    text, menu = await world.say("settings")
    assert isinstance(text, TextDelta)
    assert isinstance(menu, Menu)
    assert "**one**" in text.text
    assert say("setting.spoken") not in text.text, "nobody can read aloud"
    commands = [choice.command for row in menu.rows for choice in row]
    assert commands == [".set model", ".set language", ".set persona", ".set buttons=0", ".close"]
    assert "/settings" in menu.instead
    world.catalog = catalog("one", speaks=True)
    await world.say("settings", "spoken on")
    text, menu = await world.say("settings", author=CHINESE)
    assert isinstance(text, TextDelta)
    assert say("setting.spoken", "zh") in text.text
    assert isinstance(menu, Menu)
    assert ".set spoken=0" in [choice.command for row in menu.rows for choice in row]


async def test_who_may_not_choose_a_model_does_it_by_no_command(world: World) -> None:
    group = {"private": False, "space": "5"}
    for name, text in (("model", "one"), ("settings", "model one")):
        assert keys(await world.say(name, text, **group)) == ["lacking.choose-model"]
    assert (await world.history.preferences(conversation())).model == ""


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("model two/2.5", Preferences(model="Two/2.5")),
        ("model auto", Preferences()),
        ("language zh-CN", Preferences(language="zh_Hans")),
        ("Language en", Preferences(language="en")),
        ("buttons off", Preferences(buttons=False)),
        ("buttons 开", None),
        ("buttons ON", Preferences(buttons=True)),
        ("buttons", None),
        ("spoken on", None),
        ("model three", None),
        ("language klingon", None),
        ("colour red", None),
    ],
)
async def test_a_setting_is_changed_by_word(world: World, text: str, chosen: Preferences | None) -> None:
    before = Preferences(model="one")
    await world.history.choose(conversation(), "model", "one")
    assert keys(await world.say("settings", text)) == ["settings_unknown" if chosen is None else "settings_set"]
    expected = chosen if chosen is not None else before
    assert await world.chosen() == Preferences(
        model=expected.model if chosen is not None and text.startswith("model") else "one",
        language=expected.language,
        buttons=expected.buttons,
    )


async def test_words_are_those_of_the_language_too(world: World) -> None:
    assert keys(await world.say("settings", "buttons 关", author=CHINESE)) == ["settings_set"]
    assert (await world.chosen()).buttons is False


async def test_only_admins_choose_and_all_may_look(world: World) -> None:
    world.is_admin = False
    for name, text in (("settings", ""), ("settings", "buttons off"), ("model", "one"), ("language", "zh")):
        assert keys(await world.say(name, text)) == ["admins_only"]
    assert await world.chosen() == Preferences()
    assert keys(await world.say("model")) == ["model_is"]
    assert keys(await world.say("language")) == ["language_how"]


async def test_the_answer_to_a_choice_of_language_is_in_it(world: World) -> None:
    assert keys(await world.say("language", "zh")) == ["language_set"]
    assert world.turn.language == "zh_Hans"
    assert keys(await world.say("language", "auto", author=CHINESE)) == ["language_set"]
    assert world.turn.language == "zh-hans"
    assert (await world.chosen()).language == ""


async def test_a_chosen_language_comes_with_each_turn(world: World) -> None:
    await world.history.choose(conversation(), "language", "zh_Hans")
    await world.history.choose(conversation(), "buttons", "0")
    await world.mailbox.post([call("help"), call("help")])
    first = await world.mailbox.take(conversation())
    assert first is not None
    assert first.language == "zh_Hans"
    second = await world.mailbox.finish(first, "", 0)
    assert second is not None
    assert second.preferences == Preferences(language="zh_Hans", buttons=False)
    await world.history.choose(conversation(), "language", "")
    assert (await world.chosen()).language == ""


def test_names_too_long_for_a_button_are_found_again() -> None:
    names = ("short", LONG)
    rows = choosing.list_models(names, "short", "regenerate model=")
    commands = [choice.command for row in rows for choice in row]
    assert all(len(command.encode()) <= choosing.LONGEST_COMMAND for command in commands)
    assert [choosing.find_model(names, command.partition("=")[2]) for command in commands] == list(names)
    assert [choice.label for row in rows for choice in row] == ["✓ short", LONG]
    assert choosing.find_model(names, "") is None


def test_a_choice_outlives_its_model() -> None:
    offer = Offer(("one",), "one", buttons=True, speaks=False)
    assert offer.model_of(Preferences(model="gone")) == "one"
    assert choosing.choices("buttons", offer, Preferences(), "") is None


@pytest.mark.parametrize(
    ("code", "key"),
    [
        ("", "welcome"),
        ("help", ""),
        ("settings", ""),
        ("model_Two-2-5", "model_set"),
        ("model_three", "model_unknown"),
        ("model", "welcome"),
        ("help_me", "welcome"),
        ("nobody-knows", "welcome"),
        ("<b>", "welcome"),
        ("x" * 65, "welcome"),
    ],
)
async def test_a_link_leads_where_its_code_says(world: World, code: str, key: str) -> None:
    parts = await world.say("start", code)
    assert keys(parts) == ([key] if key else [])
    if not key:
        assert isinstance(parts[0], TextDelta)
    assert (await world.chosen()).model == ("Two/2.5" if key == "model_set" else "")


def test_links_are_codes() -> None:
    for link in links.LINKS:
        assert links.CODE.fullmatch(link.name)
        assert "_" not in link.name, "what stands behind it is the value"


def test_where_answers_have_no_buttons_none_can_be_switched_off() -> None:
    offer = Offer(("one",), "one", buttons=None, speaks=False)
    text, menu = choosing.page(offer, Preferences(), "")
    assert say("setting.buttons") not in text + menu.instead
    assert choosing.kept_value("buttons", "off", offer, "") is None
    assert not offer.buttons_of(Preferences())


def test_choices_for_channels() -> None:
    offer = Offer(("one",), "one", buttons=True, speaks=False, channels=True)
    values = {word: choosing.kept_value("answers", word, offer, "") for word in ("always", "Mentions", "on", "off")}
    assert values == {"always": "always", "Mentions": "mentions", "on": "always", "off": "mentions"}
    assert [choosing.kept_value("answers", word, offer, "") for word in ("auto", "sometimes")] == ["", None]
    assert [choosing.kept_value("threads", word, offer, "") for word in ("on", "off", "auto", "x")] == [
        *("1", "0", ""),
        None,
    ]
    text, menu = choosing.page(offer, Preferences(answers="always"), "")
    assert "Answer every message: **on**" in text
    assert "Answer in threads: **as set up**" in text
    commands = [choice.command for row in menu.rows for choice in row]
    assert ".set answers=mentions" in commands
    assert ".set threads=1" in commands
    elsewhere = Offer(("one",), "one", buttons=True, speaks=False)
    assert [choosing.kept_value(name, "on", elsewhere, "") for name in ("answers", "threads")] == [None, None]
    assert "Answer in threads" not in choosing.page(elsewhere, Preferences(), "")[0]
