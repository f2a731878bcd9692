"""A rule is told in one sentence, in every language, and never with the words that it looks for."""

from __future__ import annotations

import pytest

from core.moderation.rule import CONDITIONS, EFFECTS, SEEN, Rule
from core.moderation.rules import RuleSet
from core.moderation.wording import to_words
from core.texts import languages

TRIGGERS = """
words = ["secret1", "secret2"]
words_from = ["scam-en", "scam-zh"]
names = "secret"
regex = "secret+"
links = { any = true, allow = "a.org", deny = "secret.org", imitates = "b.org" }
invites = true
attachments = { most = 3 }
mentions = 3
mentions_all = true
caps = { share = 0.5 }
emoji = 9
lines = 9
length = 9
flood = { count = 3, seconds = 9 }
repeats = { count = 3, seconds = 90, people = 2 }
forwarded = true
contact = true
language = { only = ["en", "zh"] }
account_age = "3d"
joins = { count = 3, seconds = 9 }
reactions = { count = 3, seconds = 9 }
score = { toxic = "flag", spam = 0.9 }
judge = "Is it rude?"
"""
REST = """
channels = "1"
not_channels = ["1", "2"]
roles = "1"
not_roles = "1"
member_for = "<1d"
first_messages = 5
hours = "22-6"
staff = true
flag = true
delete = true
warn = true
mute = "10m"
restrict = true
quarantine = "1h"
kick = true
ban = "7d"
decline = true
slow = { seconds = 5, for = "10m" }
lock = true
answer = "Please **stop**"
strikes = 2
"""


def rule(text: str) -> Rule:
    return RuleSet.parse(f'[[rule]]\nname = "a"\n{text}').rules[0]


@pytest.mark.parametrize("language", languages())
def test_all_that_a_rule_can_say_is_told(language: str) -> None:
    whole = rule(TRIGGERS)
    assert set(whole.triggers) == set(SEEN)
    rest = rule(f'words = "x"{REST}')
    assert set(rest.effects) == set(EFFECTS)
    assert all(getattr(rest, name) for name in CONDITIONS)
    for one in (whole, rest, rule('words = "x"\nmember_for = ">1d"\nban = true\nlock = "5m"\nrestrict = "5m"')):
        told = to_words(one, language)
        assert "secret" not in told
        assert not {"{", "}", "\n"} & {*told}


def test_a_sentence() -> None:
    body = 'words = ["x", "y"]\nlinks = "any"\nmember_for = "<1d"\nmute = "10m"\ndelete = true'
    assert to_words(rule(body)) == (
        "On forbidden words (2) or any link: mute for 10 min, delete. Only: members for less than 1 day."
    )
    assert to_words(rule(f"{body}\nshadow = true")).startswith("Only counts. ")
    assert to_words(rule(f"{body}\nenabled = false")).startswith("Switched off. ")
    assert " and " in to_words(rule(f'{body}\nmatch = "all"'))
