"""Telegram's flood limits: kept ahead of time, and obeyed chat by chat where they are met all the same."""

from __future__ import annotations

import time
from typing import Any

from tests.end_to_end.conftest import Village
from tests.end_to_end.running import until


def asked(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"]).rpartition(": ")[2].rpartition("\n")[2]


async def test_a_throttled_chat_loses_nothing_keeps_its_order_and_holds_nobody_up(place: Village) -> None:
    place.models.reply = lambda body: f"re {asked(body)}."
    slow, other = place.telegram_chat(77), place.telegram_chat(78)
    throttle = place.telegram.methods.flood.throttle
    throttle(77, 60.0, told=1)
    for number in range(3):
        slow.say(f"slow {number}")
    await until(lambda: len([call for call in place.telegram.calls if call.status == 429]) >= 2, "two refusals")
    for number in range(3):
        other.say(f"other {number}")
    await until(lambda: other.shown == [f"re other {number}." for number in range(3)], "the other chat's answers")
    assert slow.shown == []
    throttle(77, 0.0)
    await until(lambda: len(slow.shown) == 3, "the answers that were held up")
    assert slow.shown == [f"re slow {number}." for number in range(3)]


async def test_no_call_is_refused_where_the_limits_are_known(place: Village) -> None:
    """One call a second in a chat, three at once; edits count."""
    place.telegram.methods.flood.on = True
    place.models.reply = lambda body: f"re {asked(body)}. " + "word " * 20
    place.models.tokens_per_second = 50
    chats = [place.telegram_chat(77), place.telegram_chat(-100_500)]
    began = time.time()
    for chat in chats:
        for number in range(3):
            chat.say(f"question {number}")
    await until(lambda: all(len(chat.shown) == 3 and "word" in chat.shown[-1] for chat in chats), "all answers")
    assert [call for call in place.telegram.calls if call.time > began and call.status == 429] == []
