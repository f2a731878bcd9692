"""Which model and language hold for a turn, and with whom a choice is kept."""

from __future__ import annotations

import asyncio

import pytest

from core.conversation.history import History
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.preferences import Preferences
from core.message import Author, Platform
from core.models.catalog import Catalog
from core.models.chat import ChatRequest
from core.models.model import Model, Provider
from core.models.router import choose
from core.parts import Notice
from core.people.access import Standing
from core.people.choices import allowed_models, chosen, keep, model_of
from core.people.community import Community
from core.people.identity import People, Person
from core.people.persona import Persona
from core.people.spaces import Grant, SpaceSettings
from core.settings import Settings
from core.storage.client import Store
from tests.builders import call, conversation
from tests.core.engines import engine

MODELS = ("a", "b", "c", "d", "e")


@pytest.mark.parametrize(
    ("asked", "here", "space", "own", "preferred", "answers"),
    [
        ("", "", "", "", "", "e"),
        ("", "", "", "", "d", "d"),
        ("", "", "", "c", "d", "c"),
        ("", "", "b", "c", "d", "b"),
        ("", "a", "b", "c", "d", "a"),
        ("c", "a", "b", "", "", "c"),
        # A choice outlives its model.
        ("gone", "gone", "gone", "gone", "gone", "e"),
        ("gone", "", "b", "", "", "b"),
    ],
)
def test_the_nearest_choice_holds(asked: str, here: str, space: str, own: str, preferred: str, answers: str) -> None:
    there, person = SpaceSettings(model=space), Person(model=own)
    found = model_of(MODELS, "e", Preferences(model=here), there, person, asked=asked, preferred=preferred)
    assert found == answers


def test_a_space_is_answered_by_the_models_that_it_allows() -> None:
    space = SpaceSettings(models=("b", "c"))
    assert model_of(MODELS, "e", Preferences(model="a"), space, Person(model="c"), asked="d") == "c"
    assert model_of(MODELS, "e", Preferences(model="a"), space) == "b"
    assert allowed_models(MODELS, space) == ("b", "c")
    # Another one than those is not asked because they are gone.
    assert model_of(MODELS, "e", Preferences(), SpaceSettings(models=("gone",))) == ""
    assert model_of((), "", Preferences(), space) == ""


def test_what_nobody_chose_for_a_conversation_is_the_spaces_and_then_the_persons() -> None:
    space, person = SpaceSettings(language="en"), Person(language="zh_Hans", model="a", persona="tutor")
    whole = Preferences(model="a", language="en", spoken=True, persona="tutor")
    assert chosen(Preferences(spoken=True), space, person) == whole
    assert chosen(Preferences(language="zh_Hans"), space).language == "zh_Hans"


async def test_a_private_choice_goes_with_the_person_and_replaces_the_chats(store: Store) -> None:
    history, people = History(store, keep_days=1, max_messages=10), People(store)
    await history.choose(conversation(), "model", "old")
    await keep(history, people, call("model"), "model", "new")
    assert (await people.of("telegram:7")).model == "new"
    assert (await history.preferences(conversation())).model == ""
    await keep(history, people, call("settings"), "buttons", "0")
    assert (await history.preferences(conversation())).buttons is False, "that is the chat's"


async def test_a_choice_in_a_group_is_the_conversations(store: Store) -> None:
    history, people = History(store, keep_days=1, max_messages=10), People(store)
    asked = call("model", private=False, space="100", author=Author("8", "Bob"))
    await keep(history, people, asked, "model", "new")
    assert (await people.of(f"{Platform.TELEGRAM}:8")).model == ""
    assert (await history.preferences(conversation())).model == "new"


def test_a_space_is_never_answered_by_a_model_that_it_does_not_allow() -> None:
    """Not as a fallback either."""
    catalog = Catalog([Provider("p", "http://127.0.0.1:9/v1")], [Model(name, "p", name) for name in MODELS])
    asked = ChatRequest((), "b", models=frozenset(("b", "d")))
    assert [model.name for model in choose(catalog, asked)] == ["b", "d"]
    forgotten = ChatRequest((), "b", models=frozenset(("gone",)))
    assert choose(catalog, forgotten) == ()


@pytest.mark.parametrize(
    ("asked", "rule", "own", "answers", "told"),
    [
        ("", None, "c", "c", []),
        ("d", None, "c", "c", ["model_closed"]),
        ("b", None, "c", "b", []),
        ("", Grant(right="choose-model", allowed=False, who="everyone"), "c", "a", []),
    ],
)
async def test_an_answer_is_made_by_the_model_that_holds(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    rule: Grant | None,
    own: str,
    answers: str,
    told: list[str],
) -> None:
    """``d`` is not allowed there, and ``a`` is the default."""
    monkeypatch.setattr("core.models.router.RETRY_SECONDS", 0.01)
    chosen = {"models": ("a", "b", "c"), "grants": (rule,) if rule else ()}
    community = Community.of(Settings(), store)
    await community.spaces.change("telegram:1:5", lambda space: space.model_copy(update=chosen))
    await community.people.change("telegram:7", lambda person: person.model_copy(update={"model": own}))
    options = {"text": "hello", **({"model": asked} if asked else {})}
    given = call("chat", private=False, space="5", options=options)
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    await mailbox.post([given])
    turn = await mailbox.take(conversation())
    assert turn is not None
    models = Catalog([Provider("p", "http://127.0.0.1:9/v1")], [Model(name, "p", name) for name in "abcd"])
    async with engine(store, mailbox, models=models, standing=nothing) as answering:
        parts = [part async for part in answering.respond(turn)]
    assert turn.asked is not None
    assert turn.asked.model == answers
    assert [part.key for part in parts if isinstance(part, Notice) and part.key == "model_closed"] == told


@pytest.mark.parametrize(("for_all", "answers"), [(False, "a"), (True, "c")])
async def test_no_persona_of_ones_own_chooses_for_whoever_may_not(store: Store, for_all: bool, answers: str) -> None:
    community = Community.of(Settings(), store)
    persona = Persona(name="Jack", instructions="You are Jack.", model="c")
    rule = Grant(right="choose-model", allowed=False, who="everyone")
    chosen = {"grants": (rule,), "persona": "Jack" if for_all else ""}
    await community.personas.put(["telegram:1:5" if for_all else "telegram:7"], persona, is_new=True)
    await community.spaces.change("telegram:1:5", lambda space: space.model_copy(update=chosen))
    await community.people.change("telegram:7", lambda person: person.model_copy(update={"persona": "Jack"}))
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    await mailbox.post([call("chat", private=False, space="5", options={"text": "hello"})])
    turn = await mailbox.take(conversation())
    assert turn is not None
    models = Catalog([Provider("p", "http://127.0.0.1:9/v1")], [Model(name, "p", name) for name in "abcd"])
    async with engine(store, mailbox, models=models, standing=nothing) as answering:
        async with asyncio.timeout(10):
            parts = answering.respond(turn)
            while turn.asked is None:
                await anext(parts)
            await parts.aclose()
    assert turn.persona.name == "Jack"
    assert turn.asked.model == answers


async def nothing(asker: object, fresh: bool) -> Standing:
    return Standing()
