"""What is wrong with rules is said at once, each with its place; what is right is read."""

from __future__ import annotations

import pytest

from core.moderation import reading
from core.moderation.durations import Duration
from core.moderation.rules import RulesError, RuleSet


def problems(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(RulesError) as raised:
        RuleSet.parse(text)
    return [(problem.line, problem.rule, problem.key) for problem in raised.value.problems]


def of(body: str) -> str:
    [(_, _, key)] = problems(f'[[rule]]\nname = "a"\n{body}')
    return key.removeprefix("rule_problem_")


def test_all_that_is_wrong_is_said_with_its_line() -> None:
    text = """bans = 1
[[rule]]
name = "First"
wrods = ["x"]
mute = "soon"

[[rule]]
words = "x"
flood = { cont = 3, seconds = 99999 }
"""
    assert problems(text) == [
        (0, "", "rule_problem_unknown"),
        (4, "First", "rule_problem_meant"),
        (5, "First", "rule_problem_duration"),
        (7, "2", "rule_problem_missing"),
        (9, "2", "rule_problem_missing"),
        (9, "2", "rule_problem_most"),
        (9, "2", "rule_problem_meant"),
    ]
    with pytest.raises(RulesError) as raised:
        RuleSet.parse(text)
    assert raised.value.sentences()[1] == "Line 4, rule “First”: wrods is not known. Did you mean words?"
    assert "您是不是指 words" in raised.value.sentences("zh-CN")[1]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('words = "x*y"', "word"),
        ("words = ['\u200b']", "word"),
        ("regex = '(?=a)'", "regex"),
        ("regex = '(a'", "regex"),
        (r"regex = '(a)\1'", "regex"),
        ("regex = 'a*'", "regex_empty"),
        (r"regex = '[\pL]{1,400}x'", "regex_large"),
        (f"regex = '{'a' * 501}'", "regex_large"),
        ('links = { allow = "no domain" }', "domain"),
        ("links = {}", "links"),
        ('links = "all"', "form"),
        ('words = "x"\nmember_for = "1d"', "member_for"),
        ('words = "x"\nmember_for = "<forever"', "duration"),
        ('words = "x"\nhours = "25-3"', "hours"),
        ('words = "x"\nhours = "3-3"', "hours"),
        ('words = "x"\nshadow = "yes"', "switch"),
        ("emoji = true", "number"),
        ("emoji = -1", "least"),
        ("emoji = 99999999", "most"),
        ("flood = { count = 3, seconds = 86400 }", "most"),
        ("flood = { count = 1, seconds = 5 }", "least"),
        ('words = "x"\nmute = "10 fortnights"', "duration"),
        ('words = "x"\nmute = -5', "duration"),
        ('words = "x"\non = "msg"', "choice"),
        ("score = { evil = 1 }", "choice"),
        ("emoji = 0x" + "F" * 9000, "most"),
        ("emoji = " + "{ a = " * 150 + "1" + " }" * 150, "number"),
        ("language = {}", "language"),
        ("delete = true", "no_trigger"),
        ('joins = { count = 3, seconds = 9 }\non = "message"', "never"),
        ('joins = { count = 3, seconds = 9 }\nemoji = 3\nmatch = "all"', "never"),
        ("score = { toxic = 0.99 }\nban = true", "judged"),
        ("score = { toxic = 0.99 }\nstrikes = 1", "judged"),
        ('judge = "Is it rude?"\nwords = "x"\nkick = true', "judged"),
        ('words_from = "nothing"', "no_list"),
    ],
)
def test_what_is_wrong_is_refused(body: str, key: str) -> None:
    assert of(body) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[[rule]\n", "toml"),
        ("a = " + "[" * 5000, "toml"),
        ("a" + ".a" * 49_000 + " = 1", "toml"),
        ("rule = 3", "no_rules"),
        ("[rule]\nname = 'a'", "no_rules"),
        ("lists = 3", "lists"),
        ("[lists]\nmine = 3", "list"),
        ("[lists]\nmine = ['*']", "word"),
        ("#" * (reading.LONGEST + 1), "long"),
        ("[[rule]]\n" * 101, "many"),
        ("[[rule]]\nname='a'\nwords='x'\n[[rule]]\nname='A'\nwords='x'", "twice"),
    ],
)
def test_a_file_as_a_whole_can_be_wrong(text: str, key: str) -> None:
    assert [found.removeprefix("rule_problem_") for _, _, found in problems(text)] == [key]


def test_there_is_an_end_to_words_and_patterns() -> None:
    many = ", ".join(f'"word{n}"' for n in range(5000))
    rules = "".join(f'[[rule]]\nname = "{n}"\nwords_from = "mine"\n' for n in range(5))
    assert [key for *_, key in problems(f"[lists]\nmine = [{many}]\n{rules}")] == ["rule_problem_words"]
    regexes = ", ".join("'a'" for _ in range(20))
    rules = "".join(f'[[rule]]\nname = "{n}"\nregex = [{regexes}]\n' for n in range(6))
    assert [key for *_, key in problems(rules)] == ["rule_problem_patterns"]
    regexes = ", ".join(f"'a{{900}}{n}'" for n in range(12))
    assert of(f"regex = [{regexes}]") == "steps"


def test_of_many_mistakes_the_first_are_looked_for() -> None:
    many = "\n".join(f"k{n} = 1" for n in range(9000))
    assert len(problems(f'[[rule]]\nname = "a"\n{many}')) == reading.MOST_PROBLEMS


def test_names_are_shown_as_text_in_sentences() -> None:
    for name in ("", " ", "a\\nb", "a\\u202Eb", "x" * 41):
        assert problems(f'[[rule]]\nname = "{name}"\nwords = "x"')


def test_what_is_written_briefly_is_read() -> None:
    [rule] = RuleSet.parse(
        '[[rule]]\nname = "a"\nwords = "x"\nban = true\nmute = "1h 30m"\nrestrict = false\ninvites = true\n'
        'links = "any"\nlanguage = { not = "ru" }\nslow = { seconds = 5, for = "2m" }\non = "edit"\n'
    ).rules
    assert (rule.ban, rule.mute, rule.restrict) == (Duration(), Duration(5400), None)
    assert rule.events == {"edit"}
    assert rule.effects == ("ban", "mute", "slow")
    assert rule.slow is not None
    assert rule.slow.lasts == Duration(120)


def test_no_rules_are_no_mistake() -> None:
    assert RuleSet.parse("").rules == ()


@pytest.mark.parametrize(
    ("body", "events"),
    [
        ('words = "x"', {"message", "edit"}),
        ("flood = { count = 3, seconds = 9 }", {"message"}),
        ("joins = { count = 3, seconds = 9 }", {"join"}),
        ("reactions = { count = 3, seconds = 9 }", {"reaction"}),
        ('account_age = "1d"', {"join"}),
        ('names = "x"\nwords = "x"', {"message", "edit", "join"}),
        ('account_age = "1d"\nlinks = "any"\nmatch = "all"', {"message", "edit"}),
        ('account_age = "1d"\nnames = "x"\nmatch = "all"', {"join"}),
        ("flood = { count = 3, seconds = 9 }\ncaps = {}\nmatch = 'all'", {"message"}),
    ],
)
def test_a_rule_looks_at_what_its_triggers_need(body: str, events: set[str]) -> None:
    [rule] = RuleSet.parse(f'[[rule]]\nname = "a"\n{body}').rules
    assert rule.events == events
