"""A checker that cannot fail is worthless: it finds what is lost, doubled, cut, out of order, leaked, stale."""

from __future__ import annotations

from collections import Counter

import pytest

from core.texts import ENGLISH, catalog, say
from tests.chaos import speech
from tests.chaos.checks import (
    BESIDE,
    INSTEAD,
    LATER,
    MANY,
    NO_PICTURE,
    UNDER,
    Order,
    Question,
    Shown,
    check,
    check_orders,
    notices_in,
)

ROOM = "telegram-private-0"


def asked(number: int, words: int = 5, **more: object) -> Question:
    return Question(ROOM, f"m{number}", words, (f"zq{number}",), **more)  # type: ignore[arg-type]


def told(number: int, words: int = 5, *, room: str = ROOM, seen: tuple[str, ...] = (), id: str = "") -> Shown:
    return Shown(room, id or f"a{number}", speech.answer(f"zq{number}", words, [*seen, f"zq{number}"]))


def notice(key: str, *, replies_to: str = "", id: str = "n", **values: str) -> Shown:
    return Shown(ROOM, id, f"*{say(key, **values)}*", replies_to)


def found(questions: list[Question], shown: list[Shown], **commands: int) -> list[tuple[str, str]]:
    verdict = check(questions, {ROOM: Counter(commands)}, shown)
    return [(violation.kind, violation.tag) for violation in verdict.violations]


def test_whole_answers_in_order_are_right() -> None:
    verdict = check([asked(1), asked(2)], {}, [told(1), told(2, seen=("zq1",))])
    assert verdict.violations == []
    assert verdict.answers == 2


def test_pages_are_one_answer() -> None:
    text = speech.answer("zq1", 400, ["zq1"])
    half = text.index("zq1=200")
    pages = [Shown(ROOM, "a", text[:half]), Shown(ROOM, "b", text[half:])]
    assert found([asked(1, 400)], pages) == []
    assert found([asked(1, 400)], pages[::-1]) == [("garbled", "zq1")]
    assert found([asked(1, 400)], pages[:1]) == [("truncated", "zq1")]
    assert found([asked(1, 400)], [pages[0], *pages]) == [("doubled", "zq1")]


def test_the_end_may_stand_alone_on_the_last_page() -> None:
    text = speech.answer("zq1", 40, ["zq1"])
    # Discord trims what a page begins and ends with.
    pages = [Shown(ROOM, "a", text[: text.index("end zq1")].strip()), Shown(ROOM, "b", "end zq1")]
    assert found([asked(1, 40)], pages) == []
    assert found([asked(1, 40)], pages[:1]) == [("truncated", "zq1")]


def test_lost() -> None:
    assert found([asked(1), asked(2)], [told(1)]) == [("lost", "zq2")]
    assert found([asked(1)], []) == [("lost", "zq1")]


def test_doubled() -> None:
    assert found([asked(1)], [told(1, id="a"), told(1, id="b")]) == [("doubled", "zq1")]
    assert found([asked(1)], [told(1), notice("failed")]) == [("doubled", "")]
    assert found([asked(1)], [notice("failed"), notice("failed")]) == [("doubled", "")]


def test_an_answer_and_a_notice_of_its_own_are_too_much() -> None:
    shown = [told(1), notice("failed", replies_to="m1")]
    assert found([asked(1)], shown) == [("doubled", "zq1")]


def test_truncated() -> None:
    whole = told(1, 20)
    cut = Shown(ROOM, "a", whole.text[: whole.text.index("zq1=13")])
    assert found([asked(1, 20)], [cut]) == [("truncated", "zq1")]
    holed = Shown(ROOM, "a", whole.text.replace(" zq1=7", ""))
    assert found([asked(1, 20)], [holed]) == [("truncated", "zq1")]
    endless = Shown(ROOM, "a", whole.text.replace("end zq1", ""))
    assert found([asked(1, 20)], [endless]) == [("truncated", "zq1")]


def test_a_cut_answer_that_says_so_is_a_notice() -> None:
    whole = told(1, 20)
    text = whole.text[: whole.text.index("zq1=13")]
    cut = Shown(ROOM, "a", f"{text}\n\n*{say('broken')}*")
    verdict = check([asked(1, 20)], {}, [cut])
    assert verdict.violations == []
    assert (verdict.answers, verdict.notices) == (0, Counter(broken=1))


def test_a_full_page_has_its_notice_behind_it() -> None:
    assert found([asked(1)], [told(1), notice("fallback", model="two")]) == []
    assert found([asked(1)], [told(1), notice("broken")]) != []


def test_out_of_order() -> None:
    assert found([asked(1), asked(2)], [told(2), told(1)]) == [("order", "zq2")]
    assert found([asked(1), asked(2), asked(3)], [told(1), told(3), told(2)]) == [("order", "zq3")]


def test_a_page_sorts_by_id() -> None:
    def page(*ids: str) -> list[str]:
        questions = [Question("web-0", id, 5, (f"zq{n}",)) for n, id in enumerate(ids)]
        shown = [
            Shown("web-0", f"{id}.0000", told(n).text, id) for n, id in sorted(enumerate(ids), key=lambda row: row[1])
        ]
        return [violation.kind for violation in check(questions, {}, shown).violations]

    assert page("01q", "02q", "03q") == []
    assert page("01q", "03q", "02q") == ["order"]


def test_leaked() -> None:
    other = Question("telegram-private-1", "m9", 5, ("zq9",))
    shown = [told(1, seen=("zq9",)), told(9, room="telegram-private-1")]
    assert found([asked(1), other], shown) == [("leaked", "zq9")]


def test_an_answer_in_the_wrong_room() -> None:
    other = Question("telegram-private-1", "m9", 5, ("zq9",))
    kinds = {kind for kind, _ in found([asked(1), other], [told(1), told(9)])}
    assert {"leaked", "lost"} <= kinds


def test_the_answer_to_an_earlier_form_is_stale() -> None:
    edited = Question(ROOM, "m1", 5, ("zq1", "zq2"))
    assert found([edited], [told(2)]) == []
    assert found([edited], [told(1)]) == [("stale", "zq2")]
    assert found([edited], [told(1), told(2)]) == [("stale", "zq2")]
    unsure = Question(ROOM, "m1", 5, ("zq1", "zq2"), is_sure=False, earlier_words=5)
    assert found([unsure], [told(1)]) == []
    assert found([unsure], [told(1), told(2)]) == [("stale", "zq2")]


@pytest.mark.parametrize("key", MANY)
def test_one_notice_stands_for_all_that_were_too_many(key: str) -> None:
    questions = [asked(n) for n in range(1, 5)]
    shown = [told(1), notice(key, count="3")]
    assert found(questions, shown) == []
    assert found([*questions, asked(5)], shown) == [("lost", "zq5")]


def test_a_notice_belongs_to_the_question_it_replies_to() -> None:
    shown = [told(1), notice("failed", replies_to="m2"), told(3)]
    assert found([asked(1), asked(2), asked(3)], shown) == []
    assert found([asked(1), asked(2), asked(3)], [shown[1], shown[0], shown[2]]) == [("order", "zq2")]


@pytest.mark.parametrize("may_stop", [True, False])
def test_who_stopped_it(may_stop: bool) -> None:
    stopped = Shown(ROOM, "a", f"zq1=0 seen zq1\n\nzq1=1\n\n*{say('stopped')}*")
    kinds = found([asked(1, may_stop=may_stop)], [stopped, notice("stopped")], stop=1)
    assert kinds == ([] if may_stop else [("unknown", "zq1")])


def test_a_question_stopped_before_its_first_word() -> None:
    """Its notice and that of the command have the same words."""
    questions = [asked(1, may_stop=True), asked(2)]
    assert found(questions, [notice("stopped", id="a"), told(2), notice("stopped", id="b")], stop=1) == []
    assert found(questions, [told(2), notice("stopped", id="b")], stop=1) == [("lost", "zq1")]


def test_commands_are_answered_once() -> None:
    help_ = Shown(ROOM, "h", say("help_head"))
    assert found([], [help_], help=1) == []
    assert found([], [], help=1) == [("lost", "")]
    assert found([], [help_, help_], help=1) == [("doubled", "")]


def test_every_sentence_is_known_by_itself() -> None:
    assert notices_in(f"*{say('fallback', model='two')}*") == ["fallback"]
    assert notices_in("zq1=1 zq1=2") == []
    assert {*INSTEAD, *BESIDE, *UNDER} <= catalog(ENGLISH).sentences.keys()


def picture(number: int, id: str = "p") -> Shown:
    return Shown(ROOM, id, say("drawn", prompt=f"dq{number}", model="painter"))


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        ([picture(1)], []),
        ([notice("comes_later", replies_to="m1"), picture(1, "later")], []),
        ([notice("not_drawn", replies_to="m1")], []),
        ([notice("failed")], []),
        ([picture(1), picture(1, "q")], ["doubled"]),
        ([picture(1), notice("not_drawn", replies_to="m1")], ["doubled"]),
        ([notice("not_drawn", replies_to="m1"), notice("not_drawn", id="o")], ["doubled"]),
        ([picture(10)], ["lost", "unknown"]),
        ([], ["lost"]),
        ([notice("stopped", replies_to="m1")], ["unknown"]),
    ],
)
def test_an_order_ends_in_one_picture_or_in_one_notice(shown: list[Shown], wrong: list[str]) -> None:
    ordered = check_orders([Order(ROOM, "m1", "dq1")], shown)
    verdict = check(ordered.open, {}, ordered.left)
    assert sorted(one.kind for one in (*ordered.violations, *verdict.violations)) == wrong


@pytest.mark.parametrize(
    ("aside", "in_room", "wrong"),
    [
        ([picture(1)], [], []),
        ([notice("comes_later")], [picture(1)], []),
        ([notice("not_drawn")], [], []),
        ([picture(1)], [picture(1, "q")], ["doubled"]),
        ([notice("not_drawn")], [picture(1)], ["doubled"]),
        ([], [], ["lost"]),
    ],
)
def test_an_order_by_a_command_of_discord_s_too(aside: list[Shown], in_room: list[Shown], wrong: list[str]) -> None:
    order = Order(ROOM, "", "dq1", is_apart=True, aside=tuple(aside))
    ordered = check_orders([order], in_room)
    assert [one.kind for one in ordered.violations] == wrong
    assert (ordered.open, ordered.left) == ([], [])
    unheard = Order(ROOM, "", "dq1", is_apart=True, is_sure=False)
    assert check_orders([unheard], []).violations == []


def test_a_picture_below_its_words_is_theirs_and_a_second_one_is_nobodys() -> None:
    for bare, wrong in ((1, []), (2, ["unknown"])):
        shown = [picture(1), *(Shown(ROOM, f"p{number}", "") for number in range(bare))]
        ordered = check_orders([Order(ROOM, "m1", "dq1")], shown)
        verdict = check(ordered.open, {}, ordered.left)
        assert [one.kind for one in (*ordered.violations, *verdict.violations)] == wrong


def test_the_notices_about_pictures_are_there() -> None:
    assert {*NO_PICTURE, *LATER} <= set(catalog(ENGLISH).sentences)
