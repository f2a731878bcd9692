from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from core.errors import ModelError, ModelFault
from core.models import calls
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.chat import ChatMessage, ChatRequest
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.models.speech import MAX_CHARS, Speaker, media_of, speakable
from core.models.transcription import Heard, Transcriber
from core.parts import TextDelta, Usage
from tests.platforms.openai_audio import OPUS, VOICES
from tests.platforms.openai_server import Fault, OpenAIServer

EAR = Model("whisper", "p", "whisper", kind="transcription", price_minute=6000)
VOICE = Model("voice", "p", "voice", kind="speech", voice="alloy", price_characters=15_000_000)
OTHER_EAR = Model("whisper-2", "q", "whisper", kind="transcription")


@dataclass
class Desk:
    server: OpenAIServer
    other: OpenAIServer
    transcriber: Transcriber
    speaker: Speaker
    router: Router

    async def hear(self, data: bytes = b"OggS", name: str = "", mime: str = "audio/ogg", seconds: int = 30) -> Heard:
        return await self.transcriber.hear(data, name=name, mime=mime, seconds=seconds, space="s")


@asynccontextmanager
async def desk(*models: Model) -> AsyncGenerator[Desk]:
    async with OpenAIServer() as server, OpenAIServer() as other:
        providers = (Provider("p", server.url, "sk-1", max_concurrent=1), Provider("q", other.url))
        catalog = Catalog(providers, models or (EAR, VOICE))
        router = Router(catalog, RoutingSettings(), Breaker(5, 60), OpenAIApi)
        try:
            yield Desk(server, other, Transcriber(catalog, router), Speaker(catalog, router), router)
        finally:
            await router.aclose()


async def test_a_recording_comes_back_as_text_with_its_cost() -> None:
    async with desk() as at:
        at.server.audio.transcript = "  What is\nthe tallest mountain\ud800? "
        heard = await at.hear(b"OggS" * 10)
        assert heard == Heard("What is the tallest mountain\ufffd?", Usage("whisper", 0, 0, 3000, 1))
        (request,) = at.server.audio.heard
        assert request.data == b"OggS" * 10
        assert request.fields == {"file": "recording.ogg", "model": "whisper", "response_format": "json"}


@pytest.mark.parametrize(
    ("usage", "cost", "tokens"),
    [
        ({"type": "duration", "seconds": 61.2}, 6200, (0, 0)),
        ({"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19}, 3000, (14, 5)),
    ],
)
async def test_what_the_server_reports_counts(usage: dict[str, object], cost: int, tokens: tuple[int, int]) -> None:
    async with desk() as at:
        at.server.audio.usage = usage
        assert (await at.hear()).usage == Usage("whisper", *tokens, cost, 1)


async def test_a_recording_that_is_longer_than_its_sender_says_is_paid_in_full() -> None:
    async with desk() as at:
        minute = b"OggS\0\0" + (60 * 48_000).to_bytes(8, "little") + b"OpusHead"
        assert (await at.hear(minute, seconds=1)).usage.cost == 6000
        assert (await at.hear(minute, seconds=90)).usage.cost == 9000


@pytest.mark.parametrize(
    ("name", "mime", "sent"),
    [
        ("", "audio/ogg; codecs=opus", "recording.ogg"),
        ("", "video/mp4", "recording.mp4"),
        ("Talk.M4A", "", "recording.m4a"),
        ("voice.oga", "application/octet-stream", "recording.oga"),
        ("a b.$$", "", "recording.ogg"),
    ],
)
async def test_the_file_is_named_so_that_servers_know_its_format(name: str, mime: str, sent: str) -> None:
    async with desk() as at:
        await at.hear(name=name, mime=mime)
        assert at.server.audio.heard[0].name == sent


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.BROKEN_JSON, Fault.HTML, Fault.RESET])
async def test_a_call_that_failed_is_made_once_more(fault: Fault) -> None:
    async with desk() as at:
        at.server.audio.fail(fault)
        assert (await at.hear()).text
        at.server.audio.fail(fault, times=2)
        with pytest.raises(ModelError):
            await at.hear()
        assert len(at.server.audio.heard) == 4


async def test_a_file_cannot_take_the_chat_models_out_of_service() -> None:
    async with desk(EAR, Model("chat", "p", "stub")) as at:
        at.server.audio.fail(Fault.RESET, times=12)
        for _ in range(6):
            with pytest.raises(ModelError):
                await at.hear()
        request = ChatRequest((ChatMessage("user", "hello"),))
        assert TextDelta("[1] hello") in [part async for part in at.router.answer(request)]


async def test_another_model_is_asked_where_there_is_one() -> None:
    async with desk(EAR, OTHER_EAR) as at:
        at.server.audio.fail(Fault.UNAUTHORISED)
        assert (await at.hear()).usage.model == "whisper-2"


async def test_a_refused_file_is_not_sent_again() -> None:
    async with desk() as at:
        with pytest.raises(ModelError) as caught:
            await at.hear(name="a.amr", mime="")
        assert caught.value.fault is ModelFault.REFUSED
        assert len(at.server.audio.heard) == 1


async def test_a_place_is_given_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "CALL_SECONDS", 0.2)
    async with desk() as at:
        at.server.audio.fail(Fault.STALL)
        with pytest.raises(ModelError) as caught:
            await at.hear()
        assert caught.value.fault is ModelFault.TIMEOUT
        # There is one place only.
        assert (await at.hear()).text


async def test_there_may_be_no_model_for_it() -> None:
    async with desk(Model("chat", "p", "stub")) as at:
        assert not at.transcriber.is_set_up
        assert not at.speaker.is_set_up
        with pytest.raises(ModelError):
            await at.hear()
        assert not at.server.audio.heard


async def test_models_for_sound_are_not_offered_for_chat() -> None:
    chat = Model("chat", "p", "stub")
    catalog = Catalog([Provider("p", "http://127.0.0.1:1")], [VOICE, EAR, chat], default="voice")
    assert catalog.models == (chat,)
    assert catalog.default == chat
    assert catalog.find("whisper") is None


async def test_an_answer_is_spoken() -> None:
    async with desk() as at:
        spoken = await at.speaker.speak("The **Everest**.", space="s")
        assert spoken is not None
        assert (spoken.media.name, spoken.media.mime, spoken.media.data) == ("answer.ogg", "audio/ogg", OPUS)
        assert spoken.usage == Usage("voice", 0, 0, 180, 1)
        assert not spoken.is_cut
        assert at.server.audio.spoken[0].fields == {
            "model": "voice",
            "input": "The Everest.",
            "voice": VOICES[0],
            "response_format": "opus",
        }


async def test_a_long_answer_is_cut_at_a_sentence() -> None:
    async with desk() as at:
        spoken = await at.speaker.speak("One two three. " * 1000, space="s")
        assert spoken is not None
        assert spoken.is_cut
        said = at.server.audio.spoken[0].fields["input"]
        assert said.endswith("three.")
        assert MAX_CHARS - 20 < len(said) <= MAX_CHARS


@pytest.mark.parametrize(("sound", "name"), [(b"ID3\x04", "answer.mp3"), (b"RIFF....WAVE", "answer.wav")])
async def test_sound_of_another_format_is_called_what_it_is(sound: bytes, name: str) -> None:
    async with desk() as at:
        at.server.audio.sound = sound
        spoken = await at.speaker.speak("Hello", space="s")
        assert spoken is not None
        assert spoken.media.name == name


@pytest.mark.parametrize("fault", [Fault.HTML, Fault.EMPTY])
async def test_what_is_no_sound_is_not_sent_to_anybody(fault: Fault) -> None:
    async with desk() as at:
        at.server.audio.fail(fault, times=2)
        with pytest.raises(ModelError):
            await at.speaker.speak("Hello", space="s")


@pytest.mark.parametrize(
    ("beginning", "name"), [(b"\xff\xfa", "a.mp3"), (b"\xff\xf2", "a.mp3"), (b"\0\0\0\x18ftypM4A ", "a.m4a")]
)
def test_a_sound_is_known_by_its_beginning(beginning: bytes, name: str) -> None:
    assert media_of(beginning + bytes(9), "a").name == name


async def test_nothing_to_say_costs_nothing() -> None:
    async with desk() as at:
        assert await at.speaker.speak("```python\nprint(1)\n```", space="s") is None
        assert not at.server.audio.spoken


@pytest.mark.parametrize(
    ("markdown", "heard"),
    [
        ("# Title\n\nSome *words* and `code`, 2 * 3.", "Title\n\nSome words and code, 2 * 3."),
        ("Look:\n```py\nx = 1\n```\nDone.", "Look:\n\nDone."),
        ("- one\n- [x] two\n1. three", "one\ntwo\n1. three"),
        ("See [the page](https://example.org/a) or https://example.org.", "See the page or"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b\n\n1, 2"),
        ("snake_case stays", "snake_case stays"),
        ("[![badge](a)](b) is  | | x", "badge is, , x"),
    ],
)
def test_marks_are_not_read_aloud(markdown: str, heard: str) -> None:
    assert speakable(markdown) == heard


def test_brackets_that_are_left_open_are_not_looked_at_again_and_again() -> None:
    assert speakable("![" * 200_000) == "![" * 200_000
