"""/say and /music, as the engine answers them, with a server that speaks and makes music."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from mutagen.oggopus import OggOpus

from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.creations.order import Commission, Order
from core.creations.sound import MAX_TEXT, SAY, Reading, Sounds
from core.labels.labelling import read
from core.labels.labels import Labels
from core.message import Quote
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.costs import sounding_seconds
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.speech import MAX_CHARS, Speaker
from core.parts import Ending, Finished, Media, Notice, Part, Progress, Usage
from core.people.spaces import Spaces
from core.safety.safety import Safety
from core.settings import Settings
from core.storage.client import Store
from tests.builders import call, conversation
from tests.core.engines import engine
from tests.platforms.openai_audio import FORBIDDEN, OPUS
from tests.platforms.openai_server import Fault, OpenAIServer

VOICE = Model(
    "voice",
    "p",
    "voice",
    kind="speech",
    voice="alloy",
    voices=(("zh", "nova"), ("narrator", "onyx")),
    price_characters=15_000_000,
)
BAND = Model("band", "p", "band", kind="sound", price_minute=60_000, max_seconds=20)
LONG = "One two three four. " * (MAX_CHARS // 20 * 2 + 10)


class Stage:
    """An engine with models that speak and make music, and nothing else."""

    def __init__(self, store: Store, server: OpenAIServer) -> None:
        self.store, self.audio = store, server.audio
        self.models = [VOICE, BAND]
        self.url = server.url
        self.settings = Settings()

    async def ask(self, name: str, text: str = "", **values: Any) -> list[Part]:
        options = values.pop("options", {"text": text} if text else {})
        asked = call(name, options=options, **values)
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        catalog = Catalog([Provider("p", self.url)], self.models)
        async with engine(self.store, mailbox, models=catalog, settings=self.settings) as answering:
            parts = [part async for part in answering.respond(Turn(asked.conversation, "1", asked.id, asked))]
        assert isinstance(parts[-1], Finished)
        return parts


@pytest.fixture
async def stage(store: Store) -> AsyncIterator[Stage]:
    async with OpenAIServer() as server:
        yield Stage(store, server)


def sounds(parts: list[Part]) -> list[Media]:
    return [part for part in parts if isinstance(part, Media)]


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_words_are_said_in_the_voice_of_their_language(stage: Stage) -> None:
    *_, sound, finished = await stage.ask("say", "今天**天气**很好")
    assert isinstance(sound, Media)
    assert (sound.name, sound.mime) == ("answer.ogg", "audio/ogg")
    assert finished == Finished(Ending.COMPLETE, Usage("voice", 0, 0, 90, 1))
    assert stage.audio.spoken[0].fields == {
        "model": "voice",
        "input": "今天天气很好",
        "voice": "nova",
        "response_format": "opus",
    }
    origin = read(sound.data)
    assert origin is not None
    assert (origin.model, origin.provider, origin.is_edit) == ("voice", "p", False)


@pytest.mark.parametrize(
    ("options", "voice", "speed"),
    [
        ({"text": "voice:narrator speed:fast Good morning"}, "onyx", "1.25"),
        ({"text": "Good morning 声音：NOVA"}, "alloy", ""),
        ({"words": "Good morning", "voice": "Onyx", "language": "zh"}, "onyx", ""),
        ({"words": "Good morning", "language": "zh_CN", "speed": "slow"}, "nova", "0.8"),
    ],
)
async def test_voice_language_and_speed_can_be_chosen(
    stage: Stage, options: dict[str, str], voice: str, speed: str
) -> None:
    await stage.ask("say", options=options)
    (said,) = stage.audio.spoken
    assert (said.fields["voice"], said.fields.get("speed", "")) == (voice, speed)


async def test_a_long_text_is_said_in_pieces_and_comes_as_one_file(stage: Stage) -> None:
    parts = await stage.ask("say", LONG)
    (sound,) = sounds(parts)
    assert len(stage.audio.spoken) == 3
    assert " ".join(said.fields["input"] for said in stage.audio.spoken) == LONG.strip()
    assert sounding_seconds(sound.data) == 3 * (sounding_seconds(OPUS) or 0)
    (finished,) = [part for part in parts if isinstance(part, Finished)]
    assert finished.usage.calls == 3


async def test_a_long_text_tells_how_far_it_is(stage: Stage, store: Store) -> None:
    catalog = Catalog([Provider("p", stage.url)], stage.models)
    router = Router(catalog, stage.settings.routing, Breaker(5, 1), OpenAIApi)
    spaces = Spaces(store)
    safety = Safety(stage.settings.safety, catalog, router, spaces)
    makers = Sounds(Speaker(catalog, router), Labels(stage.settings.labels, spaces), safety).makers
    order = Order("1", SAY, Reading(LONG).to_json(), conversation(), "telegram:7")
    parts = [part async for part in makers[0].make(Commission(order))]
    assert [part.done for part in parts if isinstance(part, Progress)] == [0, 1 / 3, 2 / 3]
    await router.aclose()


async def test_what_was_said_before_a_model_failed_is_shown(stage: Stage) -> None:
    stage.audio.fail(Fault.SLOW, 0)
    stage.audio.fail(Fault.HTML, times=2)
    parts = await stage.ask("say", LONG)
    assert len(sounds(parts)) == 1
    assert keys(parts) == ["said_part", "not_said"]


async def test_what_a_provider_does_not_allow_is_told_and_no_other_is_asked(stage: Stage) -> None:
    stage.models.append(replace(VOICE, name="other"))
    assert keys(await stage.ask("say", f"Something {FORBIDDEN}")) == ["sound_refused"]
    assert len(stage.audio.spoken) == 1


@pytest.mark.parametrize(("name", "options"), [("say", {"words": "hello"}), ("music", {"prompt": "rain"})])
async def test_a_label_tells_nothing_of_who_asked_and_is_the_one_of_the_order(
    stage: Stage, name: str, options: dict[str, str]
) -> None:
    """In a private chat of Telegram the chat's number is the person's own."""
    asked = call(name, "7000123", options=options)
    mailbox = Mailbox(stage.store, "w", admission=Admission(), keep_days=1)
    catalog = Catalog([Provider("p", stage.url)], stage.models)
    async with engine(stage.store, mailbox, models=catalog) as answering:
        turn = Turn(asked.conversation, "1", asked.id, asked)
        (sound,) = sounds([part async for part in answering.respond(turn)])
        found, again = read(sound.data), Turn(asked.conversation, "1", asked.id, asked)
        assert found is not None
        assert len(found.id) == 16
        assert b"7000123" not in sound.data
        (same,) = sounds([part async for part in answering.respond(again)])
        assert same.data == sound.data, "the same order after a takeover"


async def test_a_reply_reads_the_message_aloud(stage: Stage) -> None:
    await stage.ask("say", reply_to="9", quote=Quote("9", "Bob", "See `code` and **this**"))
    assert stage.audio.spoken[0].fields["input"] == "See code and this"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "say_how"),
        ("```\ncode\n```", "say_how"),
        ("https://example.org", "say_how"),
        ("x" * (MAX_TEXT + 1), "too_long"),
        ("voice:bob hello", "voice_unknown"),
        ("language:../etc hello", "say_language"),
        ("speed:-1 hello", "say_speed"),
    ],
)
async def test_what_cannot_be_said_is_told_and_nobody_is_asked(stage: Stage, text: str, key: str) -> None:
    parts = await stage.ask("say", text)
    assert keys(parts) == [key]
    assert not stage.audio.spoken


async def test_models_of_one_speed_are_not_asked_for_another(stage: Stage) -> None:
    stage.models = [replace(VOICE, has_speed=False)]
    assert keys(await stage.ask("say", "speed:fast hello")) == ["no_speed"]
    assert not sounds(await stage.ask("say", "speed:fast hello"))
    assert sounds(await stage.ask("say", "speed:normal hello"))


async def test_without_models_it_is_said_what_is_missing(stage: Stage) -> None:
    stage.models = []
    assert keys(await stage.ask("say", "hello")) == ["no_speech"]
    assert keys(await stage.ask("music", "rain")) == ["no_music"]


@pytest.mark.parametrize("sound", [b"OggS" + b"OpusHead" * 20, OPUS[:50], b"<html>"])
async def test_a_broken_sound_is_not_sent(stage: Stage, sound: bytes) -> None:
    stage.audio.sound = sound
    for parts in (await stage.ask("say", "hello"), await stage.ask("music", "rain")):
        assert not sounds(parts)
        assert keys(parts) in (["not_said"], ["not_composed"])


async def test_music_is_made_of_words_and_labelled(stage: Stage) -> None:
    parts = await stage.ask("music", "rain on a *roof* seconds:12")
    (sound,) = sounds(parts)
    assert stage.audio.composed[0].fields == {"model": "band", "prompt": "rain on a *roof*", "seconds": "12"}
    assert sound.name == "sound.ogg"
    said = json.loads(OggOpus(io.BytesIO(sound.data))["aigc"][0])
    assert said["Label"] == "1"
    (finished,) = [part for part in parts if isinstance(part, Finished)]
    assert finished.usage == Usage("band", 0, 0, 12_000, 1)
    notice = next(part for part in parts if isinstance(part, Notice))
    assert notice == Notice("composed", {"prompt": r"rain on a \*roof\*", "model": "band"})


@pytest.mark.parametrize("seconds", ["0", "21", "-5", "1e9", "٣", "9" * 400, "ten"])
async def test_a_length_that_cannot_be_is_refused(stage: Stage, seconds: str) -> None:
    parts = await stage.ask("music", options={"prompt": "rain", "seconds": seconds})
    assert keys(parts) == ["music_seconds"]
    assert not stage.audio.composed


async def test_the_line_that_says_so_is_shown_where_it_is_wanted(stage: Stage) -> None:
    assert "label_text" not in keys(await stage.ask("say", "hello"))
    stage.settings = Settings.model_validate({"labels": {"text": True}})
    assert keys(await stage.ask("say", "hello")) == ["label_text"]
    assert keys(await stage.ask("say", "")) == ["say_how"], "no model made that"


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"text": 5},
        {"text": ""},
        {"text": "a", "pitch": "high"},
        {"text": "a", "speed": "5"},
        {"text": "a" * 20_001},
    ],
)
def test_an_order_of_a_newer_version_or_none_is_not_read(request_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no text"):
        Reading.of({"speed": "normal", **request_})
