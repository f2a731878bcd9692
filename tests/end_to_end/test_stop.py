"""Ctrl-C finishes the answers in flight, or hands them over to the next start."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.end_to_end.running import TelegramChat, town, until


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_answers_in_flight_are_finished(tmp_path: Path, how: signal.Signals) -> None:
    async with town(tmp_path, DISCORD_TOKEN="") as place:
        place.models.reply = lambda body: "word " * 100 + "END"
        place.models.tokens_per_second = 100
        await place.parley.start()
        chat = TelegramChat(place, 7)
        chat.say("hello")
        await until(lambda: place.models.active == 1, "the model")
        assert await place.parley.stop(how) == 0
        assert [text[-3:] for text in chat.shown] == ["END"]
        # Nothing is left behind: the embedded server has ended, too.
        assert not [line for line in place.parley.lines if "Traceback" in line]


async def test_what_takes_too_long_is_handed_over_to_the_next_start(tmp_path: Path) -> None:
    async with town(tmp_path, DISCORD_TOKEN="") as place:
        place.models.reply = lambda body: "word " * 100 + "END"
        place.models.tokens_per_second = 2
        await place.parley.start()
        chat = TelegramChat(place, -100_7)
        chat.say("hello")
        await until(lambda: len(chat.shown) == 1, "the first words")
        assert await place.parley.stop() == 0
        assert not chat.shown[0].endswith("END")
        place.models.tokens_per_second = 0
        await place.parley.start()
        await until(lambda: chat.shown[0].endswith("END"), "the whole answer")
        assert len(chat.shown) == 1


async def test_a_wrong_setting_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    async with town(tmp_path, PARLEY_WEB_PORT="eighty") as place:
        await place.parley.start()
        assert await place.parley.ended() == 2
        assert place.parley.lines == [
            "parley: PARLEY_WEB_PORT is wrong: found 'eighty'. Input should be a valid integer, "
            "unable to parse string as an integer.\n"
        ]


@pytest.mark.parametrize("variable", ["TELEGRAM_TOKEN", "DISCORD_TOKEN"])
async def test_a_wrong_token_ends_the_start_with_one_sentence(tmp_path: Path, variable: str) -> None:
    other = {"TELEGRAM_TOKEN", "DISCORD_TOKEN"} - {variable}
    async with town(tmp_path, **{variable: "99:wrong-token", other.pop(): ""}) as place:
        await place.parley.start()
        assert await place.parley.ended() == 2
        assert variable in place.parley.lines[-1]
        assert "wrong-token" not in "".join(place.parley.lines)
