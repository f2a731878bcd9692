from __future__ import annotations

import base64

import pytest

from bots.discord_bot.voice import FLAG, MAX_POINTS, voice_of
from tests.platforms.opus import ogg, opus

QUIET, LOUD = 40, 200


def test_the_length_stands_in_the_file() -> None:
    voice = voice_of(opus([QUIET] * 150, skipped=312))
    assert voice is not None
    # 150 packets of 20 ms, less what a decoder leaves out at the beginning.
    assert voice.seconds == pytest.approx(150 * 0.02 - 312 / 48_000, abs=0.01)


def test_the_waveform_is_loudest_where_most_bytes_are() -> None:
    voice = voice_of(opus([QUIET] * 100 + [LOUD] * 100))
    assert voice is not None
    assert len(voice.waveform) == 40
    assert max(voice.waveform[:19]) == 255 * QUIET // LOUD
    assert set(voice.waveform[21:]) == {255}


def test_a_long_one_has_no_more_points_than_discord_takes() -> None:
    voice = voice_of(opus([QUIET] * 9000))
    assert voice is not None
    assert len(voice.waveform) == MAX_POINTS
    assert len(voice.fields()["attachments"][0]["waveform"]) <= 400


def test_packets_longer_than_a_page_are_put_together() -> None:
    """A packet of 255 bytes ends in an empty lace; one of 70,000 goes over two pages."""
    voice = voice_of(opus([255, 70_000, 255]))
    assert voice is not None
    assert voice.seconds == 0.06
    assert max(voice.waveform) == 255


@pytest.mark.parametrize(
    ("first", "milliseconds"),
    [
        (b"\x08", 20),  # SILK
        (b"\x0b\x03", 60),  # three frames of it
        (b"\x18", 60),
        (b"\x60", 10),  # hybrid
        (b"\x80", 2.5),  # CELT
        (b"\xfd", 40),  # two frames of 20
    ],
)
def test_packets_of_any_kind_count_for_as_long_as_they_last(first: bytes, milliseconds: float) -> None:
    """Four tenths of a second, the loud half last."""
    count = round(200 / milliseconds)
    voice = voice_of(opus([QUIET] * count + [LOUD] * count, first=first, samples=round(milliseconds * 48)))
    assert voice is not None
    assert voice.seconds == pytest.approx(0.4, abs=0.05)
    assert voice.waveform[0] < 80
    assert voice.waveform[-1] > 200


def test_a_packet_that_lasts_no_time_is_no_sound() -> None:
    """Its first byte leaves the number of frames to the second, which says none; those before end within a point."""
    head = b"OpusHead" + bytes(11)
    data = ogg([head, b"OpusTags", b"\x80", b"\xff\x00", b"\x48"], [0, 0, 120, 120, 9600])
    voice = voice_of(data)
    assert voice is not None
    assert voice.seconds == 0.2


def test_what_discord_is_told() -> None:
    voice = voice_of(opus([QUIET] * 10))
    assert voice is not None
    assert voice.fields() == {
        "flags": FLAG,
        "attachments": [
            {
                "id": "0",
                "filename": "voice-message.ogg",
                "duration_secs": 0.2,
                "waveform": base64.b64encode(b"\xff\xff").decode(),
            }
        ],
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3\x04",
        b"OggS",
        opus([QUIET] * 10)[:-1],
        opus([]),
        ogg([b"\x01vorbis", b"\x03vorbis", b"x"], [0, 0, 960]),
        ogg([b"OpusHead"], [0]),
        opus([QUIET]) + opus([QUIET], serial=2),
        opus([QUIET, 0, QUIET]),
    ],
    ids=["nothing", "mp3", "mark", "cut", "silent", "vorbis", "no-head", "two-streams", "empty-packet"],
)
def test_what_is_no_whole_stream_of_opus_is_no_voice_message(data: bytes) -> None:
    assert voice_of(data) is None


def test_no_file_however_damaged_brings_it_down() -> None:
    whole = bytearray(opus([QUIET] * 6))
    for place in range(len(whole)):
        for value in (0, 1, 254, 255):
            voice_of(bytes(whole[:place]) + bytes([value]) + bytes(whole[place + 1 :]))
