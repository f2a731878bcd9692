"""Rules that staff wrote: which of them answers what."""

from __future__ import annotations

import pytest

from core.knowledge.faq import (
    LONGEST_ASKED,
    MOST_RULES,
    Faq,
    filled,
    match,
    triggers_of,
    with_rule,
    without_rule,
)


def faq(*triggers: str) -> Faq:
    found = Faq()
    for trigger in triggers:
        found = with_rule(found, triggers_of(trigger), f"about {trigger}")
    return found


def answered(rules: Faq, text: str) -> str:
    hit = match(rules, text)
    return hit.rule.answer if hit else ""


@pytest.mark.parametrize(
    ("trigger", "asked"),
    [
        ("When are you open?", "when are you OPEN"),
        ("When are you open?", "Ｗhen\u200b are you — open?!"),
        ("*opening hours*", "What are your opening hours, please?"),
        ("*opening hours*", "Opening hours?"),
        ("where is *", "Where is the library?"),
        ("* refund", "I want a refund!"),
        ("refund * order", "Refund my last order"),
        ("*营业时间*", "请问你们的营业时间是？"),
        ("什么时候开门*", "什么时候开门呀"),
        ("hello | hi | 你好", "你好！"),
    ],
)
def test_what_a_trigger_answers(trigger: str, asked: str) -> None:
    assert answered(faq(trigger), asked) == f"about {trigger}"


@pytest.mark.parametrize(
    ("trigger", "asked"),
    [
        ("When are you open?", "When are you open on Sunday?"),
        ("*open*", "The opening was great"),
        ("* refund", "refund me"),
        ("where is *", "I know where is it"),
        ("refund * order", "refund"),
        ("a b * b c", "a b c"),
        ("*hours*", "hours " * LONGEST_ASKED),
        ("hello", ""),
    ],
)
def test_what_it_does_not(trigger: str, asked: str) -> None:
    assert answered(faq(trigger), asked) == ""


def test_the_trigger_that_says_most_answers() -> None:
    rules = faq("*price*", "*price of shipping*", "*the*")
    assert answered(rules, "What is the price of shipping to Peru?") == "about *price of shipping*"
    assert answered(rules, "the price?") == "about *price*"


@pytest.mark.parametrize("typed", ["", "*", "  | ", "?", "a", "x" * 201, "|".join(map(str, range(100, 111)))])
def test_what_is_no_trigger(typed: str) -> None:
    assert triggers_of(typed) == ()


def test_a_trigger_belongs_to_one_rule_and_numbers_stay() -> None:
    rules = with_rule(with_rule(Faq(), ("hello", "hi"), "one"), ("Hello!",), "two")
    assert [(rule.number, rule.triggers) for rule in rules.rules] == [(1, ("hi",)), (2, ("Hello!",))]
    rules = with_rule(without_rule(rules, 2), ("HI",), "three")
    assert [(rule.number, rule.answer) for rule in rules.rules] == [(3, "three")]
    assert without_rule(rules, 1) == rules


def test_there_are_not_too_many() -> None:
    rules = Faq()
    for number in range(MOST_RULES):
        rules = with_rule(rules, (f"question {number}",), "answer")
    assert with_rule(rules, ("one more",), "answer") == rules
    assert with_rule(rules, ("question 7",), "new") != rules


def test_templates() -> None:
    hit = match(faq("where is *"), "Where is the Library?")
    assert hit is not None
    assert hit.rest == "the library"
    assert filled("{rest}: ask {name}, {unknown} {", {"rest": hit.rest, "name": "Ada"}) == (
        "the library: ask Ada, {unknown} {"
    )
