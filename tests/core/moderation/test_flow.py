"""What happened lately is counted by the platform's clock, once, and within bounds."""

from __future__ import annotations

import pytest

from core.message import ConversationKey, Platform
from core.moderation.flow import MOST_MESSAGES, MOST_OF_ONE, Flow, Reacting, Said, Sketch, Spot, told
from core.moderation.matching import readings

PLACE = ConversationKey(Platform.DISCORD, "9", "100")
LURE = "Hello friends, I earned a lot with this platform, write to me for details!"


def say(flow: Flow, who: str, at: float, text: str = "hi", *, id: str = "", edited: bool = False) -> Said:
    spot = Spot(PLACE, id or f"{who}-{at}")
    return flow.said("s", spot, who, at, Sketch.of(readings(text)[1]), edited=edited)


def test_one_persons_messages_are_counted_within_the_time() -> None:
    flow = Flow()
    for at in (1.0, 5.0, 9.0):
        say(flow, "a", at)
    say(flow, "b", 9.5)
    assert [one.at for one in flow.by_one("s", say(flow, "a", 10.0), 5)] == [5.0, 9.0, 10.0]
    assert flow.by_one("other", say(Flow(), "a", 10.0), 5) == []


def test_a_message_is_counted_once_and_an_edited_one_says_something_else() -> None:
    flow = Flow()
    first = say(flow, "a", 1.0, LURE, id="1")
    assert say(flow, "a", 1.0, LURE, id="1") is first
    edited = say(flow, "a", 2.0, "something else entirely, honestly", id="1", edited=True)
    assert edited is first
    assert len(flow.by_one("s", edited, 60)) == 1
    assert flow.alike("s", say(flow, "b", 3.0, LURE), 60)[:-1] == []
    unknown = say(flow, "a", 4.0, LURE, id="old", edited=True)
    assert unknown not in flow.by_one("s", unknown, 60)


@pytest.mark.parametrize(
    "text",
    [
        LURE.upper(),
        LURE.replace("e", "е"),
        f"{LURE} 12345",
        LURE.replace("details", "the details"),
        f"🔥🔥 {LURE} 🔥",
        LURE.replace(" ", "  "),
    ],
)
def test_nearly_the_same_is_the_same(text: str) -> None:
    flow = Flow()
    first = say(flow, "a", 1.0, LURE)
    again = say(flow, "b", 2.0, text)
    assert flow.alike("s", again, 60) == [first, again]
    assert flow.alike("s", again, 0.5) == [again]


def test_other_texts_are_not_the_same() -> None:
    flow = Flow()
    say(flow, "a", 1.0, "Does anybody know when the meeting begins on Friday?")
    say(flow, "a", 2.0, "Has anybody seen the notes of the last meeting anywhere?")
    say(flow, "c", 3.0, "今天的会议几点开始？有人知道吗，谢谢大家了")
    assert len(flow.alike("s", say(flow, "b", 4.0, LURE), 60)) == 1


def test_short_texts_count_only_where_one_person_says_them() -> None:
    flow = Flow()
    say(flow, "a", 1.0, "lol")
    say(flow, "b", 2.0, "lol")
    assert len(flow.alike("s", say(flow, "b", 3.0, "LOL!"), 60)) == 2
    assert len(flow.alike("s", say(flow, "c", 4.0, ""), 60)) == 1


def test_the_same_file_is_the_same() -> None:
    files = [Sketch.of("", ["image:4711:a.png"]) for _ in range(2)]
    assert files[0].is_like(files[1])
    assert not files[0].is_like(Sketch.of("", ["image:4712:a.png"]))
    assert not Sketch.of("", ()).is_like(Sketch.of("", ()))


def test_messages_are_told_once_for_a_rule_and_again_for_the_same_message() -> None:
    flow = Flow()
    first, second = say(flow, "a", 1.0), say(flow, "a", 2.0)
    assert told("flood", second, [first, second]) == (first.spot, second.spot)
    third = say(flow, "a", 3.0)
    assert told("flood", third, [first, second, third]) == (third.spot,)
    assert told("flood", second, [first, second]) == (first.spot, second.spot)
    assert told("another", third, [first, third]) == (first.spot, third.spot)


def test_joins_and_reactions_are_counted() -> None:
    flow = Flow()
    for at, who in enumerate("abca"):
        flow.joined("s", who, float(at))
    assert flow.joins("s", 3.0, 2) == ["b", "c", "a"]
    for emoji in ("👍", "👍", "🔥"):
        flow.reacted("s", "a", Reacting(Spot(PLACE, "1"), emoji, 5.0))
    assert len(flow.reactions("s", "a", 6.0, 10)) == 2
    assert flow.reactions("s", "a", 60.0, 10) == []


def test_memory_is_bounded_and_the_quietest_space_goes_first() -> None:
    flow = Flow(most_spaces=3, most_kept=2 * MOST_MESSAGES)
    for space in ("quiet", "b", "c", "d"):
        last = flow.said(space, Spot(PLACE, "0"), "a", 0.0, Sketch.of("x"))
    assert flow.by_one("quiet", last, 60) == []
    for number in range(3 * MOST_MESSAGES):
        last = flow.said("d", Spot(PLACE, str(number)), "a", 1.0, Sketch.of("x"))
    assert len(flow.by_one("d", last, 60)) == MOST_OF_ONE


def test_a_loud_space_goes_when_another_is_heard_and_memory_is_full() -> None:
    flow = Flow(most_kept=100)
    first, *_ = [
        flow.said("loud", Spot(PLACE, str(number)), str(number % 50), 0.0, Sketch.of("x")) for number in range(100)
    ]
    assert len(flow.by_one("loud", first, 60)) == 2
    flow.said("new", Spot(PLACE, "0"), "a", 0.0, Sketch.of("x"))
    assert flow.by_one("loud", first, 60) == []
