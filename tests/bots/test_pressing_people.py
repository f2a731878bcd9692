"""Presses that choose for a person, go by what a space allows, and turn the pages of a memory."""

from __future__ import annotations

from typing import Any

import pytest

from bots.pressing import Instead, Outcome, Presses
from core.access import Right
from core.commands.choosing import SET
from core.commands.memory import PAGE
from core.conversation.history import History
from core.message import CommandCall
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.people.community import Community
from core.people.identity import Fact
from core.people.memory import reference
from core.settings import Settings
from core.storage.client import Store
from core.texts import say
from tests.bots.answers import Answers
from tests.builders import call, conversation

NAMES = ("one", "two", "three")
CATALOG = Catalog([Provider("p", "http://127.0.0.1:9/v1")], [Model(name, "p", name) for name in NAMES])
SHOWN = "900"
"""An answer of the bot's."""


class Place:
    """A chat, whose presses are decided on."""

    def __init__(self, store: Store) -> None:
        self.history = History(store, keep_days=1, max_messages=100)
        self.community = Community.of(Settings(), store)
        self.taken = set[Right]()
        self.presses = Presses(self.history, CATALOG, self.community, buttons=True, may=self._may)

    async def press(self, name: str, *, private: bool = True, **values: Any) -> Outcome:
        space = {} if private else {"space": "5"}
        pressed = call(name, reply_to=SHOWN, private=private, **space, **values)
        return await self.presses.decide(pressed, self._is_admin)

    async def _is_admin(self, pressed: CommandCall) -> bool:
        return True

    async def _may(self, pressed: CommandCall, right: Right) -> bool:
        return right not in self.taken


def page(outcome: Outcome) -> tuple[str, list[str]]:
    assert isinstance(outcome.show, Instead)
    return outcome.show.text, [button.command for button in outcome.show.buttons]


async def test_in_a_private_chat_a_choice_is_the_persons(store: Store) -> None:
    place = Place(store)
    text, _ = page(await place.press(SET, options={"model": "two"}))
    assert "**two**" in text
    assert (await place.community.people.of("telegram:7")).model == "two"
    assert (await place.history.preferences(conversation())).model == ""
    outcome = await place.press(SET, options={"language": "zh_Hans"})
    assert outcome.word == say("settings_set", "zh_Hans")
    # In another chat of theirs it holds, too.
    text, _ = page(await place.press(SET, options={"text": "model"}, chat="200"))
    assert text == say("settings_model", "zh_Hans")
    # And so do the words about a press, in groups as well.
    assert (await place.press("stop", chat="300")).word == say("toast.unknown", "zh_Hans")
    assert (await place.press("stop", chat="300", private=False)).word == say("toast.unknown", "zh_Hans")


async def test_in_a_group_it_is_the_groups_among_the_models_that_it_allows(store: Store) -> None:
    place = Place(store)
    await place.community.spaces.change("telegram:1:5", lambda space: space.model_copy(update={"models": ("two",)}))
    await place.press(SET, options={"model": "three"}, private=False)
    assert (await place.history.preferences(conversation())).model == ""
    _, commands = page(await place.press(SET, options={"text": "model"}, private=False))
    assert [command for command in commands if "model=" in command] == [f"{SET} model=two"]
    await place.press(SET, options={"model": "two"}, private=False)
    assert (await place.history.preferences(conversation())).model == "two"
    assert (await place.community.people.of("telegram:7")).model == ""


async def test_who_may_not_choose_a_model_is_told_so(store: Store) -> None:
    place, answers = Place(store), Answers(store, conversation())
    await answers.keep(SHOWN)
    place.taken = {Right.CHOOSE_MODEL}
    told = say("lacking.choose-model")
    assert await place.press("regenerate", options={"model": "two"}, private=False) == Outcome(told)
    assert (await place.press(SET, options={"model": "two"}, private=False)).word == told
    assert (await place.history.preferences(conversation())).model == ""
    assert (await place.press("regenerate", private=False)).post is not None, "anew, by the same model"


@pytest.mark.parametrize("values", [{"private": True}, {"private": False, "alone": True}])
async def test_a_memory_is_turned_over_by_its_owner(store: Store, values: dict[str, Any]) -> None:
    place, fact = Place(store), Fact(text="likes @everyone", at=1)
    await place.community.people.change("telegram:7", lambda person: person.model_copy(update={"facts": (fact,)}))
    text, commands = page(await place.press(PAGE, **values))
    assert "`likes @everyone`" in text
    assert commands == [f"{PAGE} fact={reference(fact)}", f"{PAGE} groups=on"]
    assert all(len(command.encode()) <= 64 for command in commands)
    _, commands = page(await place.press(PAGE, options={"fact": reference(fact)}, **values))
    assert commands == [f"{PAGE} forget={reference(fact)}", PAGE]
    outcome = await place.press(PAGE, options={"forget": reference(fact)}, **values)
    assert outcome.word == say("memory_forgotten")
    assert (await place.community.people.of("telegram:7")).facts == ()


async def test_where_others_see_it_a_memory_is_not_shown(store: Store) -> None:
    told = Outcome(say("memory_privately"))
    assert await Place(store).press(PAGE, private=False) == told
    # A token answers the press; what is shown in its place is the message itself.
    assert await Place(store).press(PAGE, private=False, reply_token="token") == told
