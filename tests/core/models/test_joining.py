"""Several sounds in one file."""

from __future__ import annotations

import io
import wave
from typing import Any

import pytest
from mutagen.oggopus import OggOpus

from bots.discord_bot.voice import voice_of
from core.models.costs import sounding_seconds
from core.models.joining import joined
from core.parts import Media
from tests.platforms.opus import opus


def ogg(data: bytes) -> Media:
    return Media("a.ogg", "audio/ogg", data)


def wav(frames: bytes, rate: int = 16_000) -> Media:
    output = io.BytesIO()
    with wave.open(output, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(frames)
    return Media("a.wav", "audio/wav", output.getvalue())


def test_opus_becomes_one_stream_of_all_its_length() -> None:
    sizes = [[40] * 50, [300] * 100, [20] * 25]
    (one,) = joined([ogg(opus(size, serial=number + 1)) for number, size in enumerate(sizes)])
    assert sounding_seconds(one.data) == 4
    voice = voice_of(one.data)
    assert voice is not None, "Discord takes one stream alone"
    assert voice.seconds == 3.5
    sound: Any = OggOpus(io.BytesIO(one.data))
    assert sound.info.length == pytest.approx(3.5)
    assert one.data.count(b"OpusHead") == one.data.count(b"OpusTags") == 1


def test_others_are_joined_where_that_can_be() -> None:
    (one,) = joined([wav(b"ab" * 9), wav(b"cd" * 5)])
    with wave.open(io.BytesIO(one.data)) as file:
        assert file.readframes(99) == b"ab" * 9 + b"cd" * 5
    mp3 = [
        Media("a.mp3", "audio/mpeg", b"ID3\4\0\0\0\0\0\5" + bytes(5) + b"\xff\xfbone"),
        Media("b", "audio/mpeg", b"\xff\xfb2"),
    ]
    assert [media.data for media in joined(mp3)] == [b"\xff\xfbone\xff\xfb2"]
    fractions = Media("a.wav", "audio/wav", wav(b"abcd").data.replace(b"fmt \x10\0\0\0\1", b"fmt \x10\0\0\0\3"))
    for sounds in (
        [fractions, fractions],
        [wav(b"ab"), wav(b"cd", 8000)],
        [wav(b"ab"), ogg(opus([9]))],
        [ogg(b"OggS")] * 2,
        mp3[:1],
        [],
    ):
        assert joined(sounds) == sounds


@pytest.mark.parametrize("cut", [30, 60, 110, 200])
def test_a_broken_one_is_told_or_played_as_far_as_it_goes(cut: int) -> None:
    whole = opus([40] * 5)
    with pytest.raises(ValueError, match="no whole sound"):
        joined([ogg(whole), ogg(whole[:cut] if cut > 40 else b"OggS" + b"OpusHead" * 9)])
