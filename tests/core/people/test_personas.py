"""Personas: which one answers, what they may be called, and that nothing half done is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from core.conversation.preferences import Preferences
from core.conversation.turn import Turn
from core.models.chat import Sampling
from core.people.identity import Person
from core.people.naming import NameRefused, checked, looks
from core.people.persona import Persona, PersonaError, checked_whole, sampled
from core.people.persona_files import LONGEST_FILE, from_toml, to_toml
from core.people.personas import MOST, USUAL, Personas, shipped
from core.people.spaces import SpaceSettings
from core.settings import ChatSettings
from core.storage.client import Store
from core.texts import languages
from tests.builders import message

ME, CLUB = "telegram:7", "telegram:1:-5"
JACK = Persona(name="Captain Jack", instructions="You are a pirate.", opening="Ahoy!")


@pytest.fixture
def personas(store: Store) -> Personas:
    return Personas(store, "You are Parley.")


def turn(*, chosen: str = "", space: str = "", person: str = "", in_club: bool = True, accounts: Any = ()) -> Turn:
    asked = replace(message(chat="-5" if in_club else "7"), private=not in_club, space="-5" if in_club else "")
    made = Turn(asked.conversation, "1", "1", asked, preferences=Preferences(persona=chosen))
    made.space, made.person = SpaceSettings(persona=space), Person(id=ME, persona=person, accounts=accounts)
    return made


def refused(persona: Persona) -> str:
    with pytest.raises(PersonaError) as caught:
        checked_whole(persona)
    return caught.value.key


# ---- those that come with Parley


def test_each_that_comes_with_parley_is_whole_in_every_language() -> None:
    assert list(shipped()) == [USUAL, "coder", "storyteller", "support", "translator", "tutor", "writer"]
    for name, persona in shipped().items():
        assert checked_whole(persona).instructions, name
        assert persona.name == name
        for words in (persona.title, persona.summary, *([persona.opening] if name != USUAL else [])):
            assert not isinstance(words, str)
            assert set(words) == set(languages()), name


def test_the_usual_one_is_told_what_the_setting_says(store: Store) -> None:
    assert shipped()[USUAL].instructions == ChatSettings().persona, "its file and the setting say the same"
    assert Personas(store, "Be brief.").usual.instructions == "Be brief."
    assert Personas(store, "tutor").usual is shipped()["tutor"]


# ---- which one answers


async def test_the_conversations_choice_comes_first_then_the_spaces_then_the_persons(personas: Personas) -> None:
    async def answers(**values: Any) -> tuple[str, bool]:
        persona, by_all = await personas.of(turn(**values))
        return persona.name, by_all

    assert await answers(chosen="tutor", space="coder", person="writer") == ("tutor", True)
    assert await answers(space="coder", person="writer") == ("coder", True)
    assert await answers(person="writer") == ("writer", False)
    assert await answers() == (USUAL, False)
    assert await answers(chosen="gone", space="gone, too", person="support") == ("support", False)
    assert await answers(space="coder", in_club=False) == (USUAL, False), "a space's choice holds in it alone"


async def test_a_persons_own_is_not_chosen_for_a_space_by_its_name(personas: Personas) -> None:
    await personas.put([ME], JACK, is_new=True)
    assert (await personas.of(turn(chosen=JACK.name)))[0].name == USUAL
    assert (await personas.of(turn(person=JACK.name))) == (JACK, False)
    assert (await personas.of(turn(person=JACK.name, in_club=False)))[0] == JACK
    await personas.put([CLUB], JACK, is_new=True)
    assert (await personas.of(turn(chosen="captain jack"))) == (JACK, True)


async def test_what_linked_accounts_made_is_there_for_their_person(personas: Personas) -> None:
    await personas.put(["discord:9"], JACK, is_new=True)
    linked = turn(person=JACK.name, in_club=False, accounts=(ME, "discord:9"))
    assert (await personas.of(linked))[0] == JACK
    with pytest.raises(PersonaError):
        await personas.put([ME, "discord:9"], JACK, is_new=True)
    assert await personas.remove([ME, "discord:9"], "CAPTAIN  JACK")
    assert (await personas.of(linked))[0].name == USUAL


# ---- names


IMPOSTORS = (
    *("", "  ", "…", "x" * 33, "Admin", "Server Admin", "\u0410dmin", "adm1n", "A\u200bdmin"),
    *("\uff21\uff24\uff2d\uff29\uff2e", "A d m i n", "Parley", "d\u0456sc\u043erd fan", "Clyde"),
    *("\u7ba1\u7406\u5458\u5c0f\u738b", "@everyone", "<@1>", "a#b", "a`b", "\u202eJack", "Jack\u2066"),
    *("Z\u0337\u0334\u034e\u0308\u0301", "\ud800"),
)


def test_nobody_is_called_like_somebody_else() -> None:
    for name in IMPOSTORS:
        with pytest.raises(NameRefused):
            pytest.fail(f"{checked(name)!r} was taken")


def test_other_names_are_kept_in_one_form() -> None:
    for name in ("Captain  Jack", "Modest", "éclair", "小明", "R2-D2", "Anna & Co.", "two\u2028lines"):
        assert checked(f" {name} ") == " ".join(name.split())


async def test_two_that_look_alike_are_one(personas: Personas) -> None:
    assert looks("Сарtain Jасk") == looks("captain jack"), "in Cyrillic letters"
    await personas.put([ME], JACK, is_new=True)
    for name in ("CAPTAIN JACK", "Сарtain Jасk", "Tutor", "翻译"):
        with pytest.raises(PersonaError) as caught:
            await personas.put([ME], JACK.model_copy(update={"name": name}), is_new=True)
        assert caught.value.key == "persona_taken"


# ---- what is kept


OUT_OF_BOUNDS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"instructions": " "}, "persona_no_instructions"),
    ({"instructions": "x" * 4001}, "persona_long"),
    ({"opening": "x" * 1001}, "persona_long"),
    ({"opening": {"en": "x" * 1001}}, "persona_long"),
    ({"max_tokens": -1}, "persona_bounds"),
    ({"max_tokens": 10**12}, "persona_bounds"),
    ({"sampling": Sampling(temperature=float("nan"))}, "persona_bounds"),
    ({"sampling": Sampling(temperature=float("inf"))}, "persona_bounds"),
    ({"sampling": Sampling(top_p=0)}, "persona_bounds"),
    ({"sampling": Sampling(stop=("a", "b", "c", "d", "e"))}, "persona_stops"),
    ({"sampling": Sampling(stop=("",))}, "persona_stops"),
    ({"avatar": "http://example.org/a.png"}, "persona_avatar"),
    ({"avatar": "https://127.0.0.1/a.png"}, "persona_avatar"),
    ({"avatar": "https://[::1]/a.png"}, "persona_avatar"),
    ({"avatar": "https://u:p@example.org/a.png"}, "persona_avatar"),
    ({"avatar": "https://localhost/a.png"}, "persona_avatar"),
    ({"avatar": "https://example.org:99999/a.png"}, "persona_avatar"),
)


def test_what_is_out_of_bounds_is_refused() -> None:
    assert [refused(JACK.model_copy(update=fields)) for fields, _ in OUT_OF_BOUNDS] == [key for _, key in OUT_OF_BOUNDS]


def test_no_title_stands_in_for_the_name() -> None:
    assert checked_whole(JACK.model_copy(update={"title": "Admin"})).called("en") == "Captain Jack"


def test_numbers_that_cannot_be_are_refused() -> None:
    for name, value in (("seed", "2.1"), *(("temperature", text) for text in ("much", "1e999", "-1", "nan"))):
        with pytest.raises(PersonaError) as caught:
            checked_whole(sampled(JACK, name, value))
        assert caught.value.key == "persona_bounds", value


def test_values_are_set_and_taken_back() -> None:
    persona = sampled(sampled(sampled(JACK, "temperature", "0.5"), "stop", "END | STOP"), "max_tokens", "200")
    assert (persona.sampling, persona.max_tokens) == (Sampling(temperature=0.5, stop=("END", "STOP")), 200)
    assert sampled(sampled(sampled(persona, "temperature", ""), "stop", ""), "max_tokens", "") == JACK
    with pytest.raises(PersonaError):
        sampled(JACK, "rights", "all")


async def test_a_shelf_is_bounded_and_two_changes_at_once_are_both_kept(personas: Personas) -> None:
    others = [JACK.model_copy(update={"name": f"Number {n}"}) for n in range(MOST)]
    await asyncio.gather(*(personas.put([CLUB], persona, is_new=True) for persona in others))
    with pytest.raises(PersonaError) as caught:
        await personas.put([CLUB], JACK, is_new=True)
    assert caught.value.key == "persona_many"
    await asyncio.gather(
        personas.change([CLUB], "number 3", lambda p: p.model_copy(update={"opening": "Hi"})),
        personas.change([CLUB], "number 3", lambda p: sampled(p, "top_k", "5")),
    )
    found = await personas.find("Number 3", Person(id=ME), CLUB)
    assert found is not None
    assert (found.opening, found.sampling.top_k) == ("Hi", 5)
    stops = await personas.change([CLUB], "number 4", lambda p: sampled(p, "stop", "END"))
    assert stops is not None
    assert stops in (await personas.records.fresh(CLUB)).value.personas


# ---- files


def test_what_is_exported_is_imported_as_it_was() -> None:
    odd = 'He said: "Yes"\n\\ \x7f \t 你好 🦜'
    persona = JACK.model_copy(
        update={"instructions": odd.strip(), "sampling": Sampling(temperature=0.5, stop=("END",)), "max_tokens": 99}
    )
    assert from_toml(to_toml(persona).encode()) == persona
    translated = JACK.model_copy(update={"opening": {"en": "Ahoy!", "zh_Hans": "嘿！"}})
    assert from_toml(to_toml(translated).encode()).opens("zh") == "嘿！"


BROKEN: tuple[tuple[str, str], ...] = (
    ("x" * (LONGEST_FILE + 1), "persona_file_long"),
    ("name = ", "persona_file_broken"),
    ("\ud800", "persona_file_broken"),
    ("a = " + "[" * 5000, "persona_file_broken"),
    ("max_tokens = " + "9" * 5000, "persona_file_broken"),
    ('format = 2\nname = "J"\ninstructions = "i"', "persona_file_newer"),
    ('format = "1"\nname = "J"\ninstructions = "i"', "persona_file_newer"),
    ('name = "J"\ninstructions = "i"\nrights = ["ban"]', "persona_no_value"),
    ('name = "J"\ninstructions = "i"\n[sampling]\nbeams = 3', "persona_no_value"),
    ('name = "J"\ninstructions = ["i"]', "persona_file_value"),
    ('name = "J"\ninstructions = "i"\nsampling = 3', "persona_file_value"),
    ('name = "J"\ninstructions = "i"\n[sampling]\ntemperature = inf', "persona_bounds"),
    ('name = "Admin"\ninstructions = "i"', "persona_name_reserved"),
    ('instructions = "i"', "persona_name_empty"),
)


def test_a_file_that_is_not_wholly_understood_is_not_taken() -> None:
    for text, key in BROKEN:
        with pytest.raises(PersonaError) as caught:
            from_toml(text.encode("utf-8", "surrogatepass"))
        assert caught.value.key == key
