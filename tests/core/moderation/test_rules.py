"""What rules hit, whom they are for, and what follows from several."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta, timezone
from typing import Any

import pytest

from core.message import Attachment, AttachmentKind, Movement, Seen
from core.moderation.acts import ActKind
from core.moderation.classify import Scores, Thresholds
from core.moderation.flow import Flow, Spot
from core.moderation.native import NativeRule
from core.moderation.rules import RuleSet, merged
from tests.core.moderation.sightings import DAY, NOW, PLACE, arrival, facts, reacted, sighting

EXE = Attachment(AttachmentKind.DOCUMENT, "ref", "Invoice.pdf.EXE ", size=5000)
PICTURE = Attachment(AttachmentKind.IMAGE, "ref", "a.png", size=100)
NAMED = Attachment(AttachmentKind.DOCUMENT, "ref", "free_nitro.txt", size=5)
TURNED = Attachment(AttachmentKind.DOCUMENT, "ref", "a\u202egpj.exe", size=5)
"""Shown as aexe.jpg."""
LURE = "I earned a lot with this platform, write to me for details!"


def rules(*bodies: str) -> RuleSet:
    return RuleSet.parse("".join(f'[[rule]]\nname = "r{number}"\n{body}\n' for number, body in enumerate(bodies)))


def hit(seen: Seen, *bodies: str, **known: Any) -> list[str]:
    return [one.rule.name for one in rules(*bodies).seen(seen, facts(Flow(), **known))]


@pytest.mark.parametrize(
    ("body", "hits", "misses"),
    [
        ('words = ["scam*", "加微信"]', sighting("SCAMMERS"), sighting("a scenic class")),
        ('words = "加微信"', sighting("我加.微.信"), sighting("微信")),
        ('words_from = "scam-en"', sighting("frее nitro"), sighting("nitro is free of sugar")),
        ('names = "airdrop*"', arrival(name="A i r d r o p"), arrival(name="Ann")),
        ("regex = 'gift\\s+\\d{2,}'", sighting("Get a GIFT  50"), sighting("gifts")),
        ("regex = 'free nitro'", sighting("ｆｒｅｅ ｎｉｔｒｏ"), sighting("nitro")),
        ('links = "any"', sighting("see https://x.example"), sighting("see README.md")),
        ('links = "any"', sighting("see here", links=("https://x.example",)), sighting("discord.gg")),
        ('links = { allow = "x.org" }', sighting("http://y.org"), sighting("http://a.x.org")),
        ('links = { allow = "x.org" }', sighting("http://х.org"), sighting("x.org")),
        ('links = { deny = "exa.org" }', sighting("go to ехa.org/a"), sighting("http://y.org")),
        ('links = { imitates = "discord.com" }', sighting("http://dlscord.com"), sighting("http://discord.com")),
        ("invites = true", sighting("discord.gg/abc"), sighting("discord.com/channels/1")),
        ('invites = { allow = "ABC" }', sighting("discord.gg/abd"), sighting("discord.gg/abc")),
        ("attachments = { extensions = ['exe'] }", sighting(attachments=(EXE,)), sighting(attachments=(PICTURE,))),
        ("attachments = { kinds = 'image' }", sighting(attachments=(PICTURE,)), sighting(attachments=(EXE,))),
        ("attachments = { most = 1 }", sighting(attachments=(EXE,) * 2), sighting(attachments=(EXE,))),
        ("attachments = { bytes = 1000 }", sighting(attachments=(EXE,)), sighting(attachments=(PICTURE,))),
        ("mentions = 3", sighting(mentions=3), sighting(mentions=2)),
        ("mentions_all = true", sighting(mentions_all=True), sighting("@everyone")),
        ("caps = { share = 0.7, least = 8 }", sighting("WHAT IS THIS now"), sighting("OK THEN")),
        ("emoji = 3", sighting("👍🏽 👨‍👩‍👧 <:wave:123456789012345678>"), sighting("👨‍👩‍👧 🇩🇪 12#")),
        ('words = "free nitro"', sighting(attachments=(NAMED,)), sighting(attachments=(EXE,))),
        ("regex = '\\d{9,}'", sighting("123456789"), sighting("<@123456789012345678> <a:wave:123456789012345678>")),
        ("caps = { least = 8 }", sighting("OH NO NOT NOW"), sighting("<:KEKW:123456789012345678> <:PogChamp:5> no")),
        ("regex = '^spam$'", sighting("spam", attachments=(EXE,)), sighting("spam\nspam")),
        ('words = "wave"', sighting("<:wave:123456789012345678>"), sighting("waves")),
        ("attachments = { extensions = ['exe'] }", sighting(attachments=(TURNED,)), sighting(attachments=(NAMED,))),
        (
            'links = { allow = "x.org" }',
            sighting("https://y.org"),
            sighting("see https://x.org, and (https://x.org)。"),
        ),
        ('links = { allow = "x.org" }', sighting(links=("tg://resolve?domain=y",)), sighting("看https://x.org。很好")),
        ('links = { deny = "x.org" }', sighting("去x.org看"), sighting("ax.org")),
        ('links = { deny = "x.org" }', sighting("x[.]org"), sighting("max. Orgs")),
        ("lines = 3", sighting("a\nb\nc"), sighting("a\nb\n")),
        ("length = 5", sighting("abcde"), sighting("abcd")),
        ("forwarded = true", sighting(forwarded=True), sighting()),
        ("contact = true", sighting(unsupported="contact"), sighting(unsupported="sticker")),
        ('language = { only = ["en", "zh"] }', sighting("Привет, как дела?"), sighting("你好，大家好")),
        ('language = { not = "ru" }', sighting("Привет, как дела?"), sighting("xkcd 12")),
        ('account_age = "3d"', arrival(created_at=NOW - 2 * DAY), arrival(created_at=NOW - 4 * DAY)),
        ('account_age = "3d"', arrival(created_at=NOW - 2 * DAY), arrival()),
        ('words = "spam"', sighting("spam", edited=True), sighting("ham", edited=True)),
        ('words = "spam"\non = "join"', arrival(words="I sell spam"), arrival(words="hello")),
        ('words = "spam"\nlinks = "any"\nmatch = "all"', sighting("spam http://x.y"), sighting("spam")),
    ],
)
def test_a_trigger(body: str, hits: Seen, misses: Seen) -> None:
    assert hit(hits, body) == ["r0"]
    assert hit(misses, body) == []


@pytest.mark.parametrize(
    ("body", "hits", "misses", "known"),
    [
        ('channels = "100"', {}, {}, {}),
        ('channels = "42"', {"within": ("42",)}, {}, {}),
        ('not_channels = "42"', {}, {"within": ("42",)}, {}),
        ('roles = "8"', {"roles": ("8", "9")}, {"roles": ("9",)}, {}),
        ('not_roles = "8"', {"roles": ("9",)}, {"roles": ("8",)}, {}),
        ('member_for = "<1d"', {"joined_at": NOW - 60}, {"joined_at": NOW - 2 * DAY}, {}),
        ('member_for = ">1d"', {"joined_at": NOW - 2 * DAY}, {}, {}),
        ("staff = true", {"is_staff": True}, None, {}),
        ("", {}, {"is_staff": True}, {}),
        ('hours = "22-6"', {"at": NOW + 15 * 3600}, {}, {}),
        ('hours = "8:00-08:01"', {}, {"at": NOW + 60}, {}),
    ],
)
def test_a_condition(body: str, hits: dict[str, Any], misses: dict[str, Any] | None, known: dict[str, Any]) -> None:
    assert hit(sighting("spam", **hits), f'words = "spam"\n{body}', **known) == ["r0"]
    if misses:
        assert hit(sighting("spam", **misses), f'words = "spam"\n{body}', **known) == []


def test_what_is_not_known_makes_no_rule_hit() -> None:
    body = 'words = "spam"\nfirst_messages = 3'
    assert hit(sighting("spam"), body, messages_before=2) == ["r0"]
    assert hit(sighting("spam"), body, messages_before=3) == []
    assert hit(sighting("spam"), body) == []
    assert hit(sighting("spam"), "score = { spam = 0.1 }") == []
    assert hit(sighting("spam"), 'words = "spam"\nmember_for = "<9d"', joined_at=NOW - 5) == ["r0"]


def test_hours_are_those_of_the_space() -> None:
    body = 'words = "spam"\nhours = "8-9"'
    assert hit(sighting("spam"), body) == ["r0"]
    assert hit(sighting("spam"), body, zone=timezone(timedelta(hours=5))) == []


def test_a_flood_is_told_whole_and_its_messages_once() -> None:
    flow, ruleset = Flow(), rules("flood = { count = 3, seconds = 5 }\ndelete = true")
    found = [ruleset.look(sighting("hi", id=str(n), at=NOW + n), facts(flow)) for n in range(4)]
    assert [len(hits) for hits in found] == [0, 0, 1, 1]
    assert [spot.id for spot in found[2][0].spots] == ["0", "1", "2"]
    assert found[3][0].spots == (Spot(PLACE, "3"),)
    again = ruleset.look(sighting("hi", id="2", at=NOW + 2), facts(flow))
    assert [spot.id for spot in merged(again).spots] == ["0", "1", "2"]
    assert ruleset.look(sighting("hi", id="2", at=NOW + 2, edited=True), facts(flow)) == []


def test_a_flood_is_one_slip_however_long() -> None:
    flow, ruleset = Flow(), rules("flood = { count = 3, seconds = 5 }\ndelete = true\nwarn = true\nstrikes = 2")
    found = [merged(ruleset.look(sighting("hi", id=str(n), at=NOW + n), facts(flow))) for n in range(6)]
    assert [(str(one.act or ""), one.strikes, one.delete) for one in found] == [
        *([("", 0, False)] * 2),
        ("warn", 2, True),
        *([("", 0, True)] * 3),
    ]
    later = [merged(ruleset.look(sighting("hi", id=f"x{n}", at=NOW + 60 + n), facts(flow))) for n in range(3)]
    assert [one.strikes for one in later] == [0, 0, 2]


@pytest.mark.parametrize("text", ["Happy new year!", "祝大家新年快乐", "生日快乐！"])
def test_many_may_wish_each_other_well(text: str) -> None:
    flow, ruleset = Flow(), rules("repeats = { count = 3, seconds = 60, people = 3 }")
    for number in range(9):
        assert ruleset.look(sighting(text, who=str(number), id=str(number), at=NOW), facts(flow)) == []


def test_who_says_something_once_does_not_repeat_themselves() -> None:
    flow, ruleset = Flow(), rules("repeats = { count = 3, seconds = 60 }\ndelete = true")
    for number in range(9):
        assert ruleset.look(sighting(LURE, who=str(number), id=str(number), at=NOW), facts(flow)) == []
    found = [ruleset.look(sighting(LURE, who="1", id=id, at=NOW), facts(flow)) for id in ("x", "y")]
    assert found[0] == []
    assert {spot.id for spot in found[1][0].spots} == {"1", "x", "y"}


def test_an_album_is_no_flood() -> None:
    flow, ruleset = Flow(), rules("flood = { count = 3, seconds = 5 }\ndelete = true")
    pieces = [sighting(id=str(n), at=NOW, album="a") for n in range(9)]
    assert [ruleset.look(piece, facts(flow)) for piece in pieces] == [[]] * 9
    assert ruleset.look(sighting("hi", id="10", at=NOW + 1), facts(flow)) == []
    [hit] = ruleset.look(sighting("hi", id="11", at=NOW + 2), facts(flow))
    assert (hit.why[0].found, len(hit.spots)) == ("3", 11)


def test_repetition_across_people() -> None:
    flow, ruleset = Flow(), rules("repeats = { count = 3, seconds = 60, people = 2 }")
    for number, who in enumerate("aaa"):
        assert ruleset.look(sighting(LURE, who=who, id=str(number), at=NOW + number), facts(flow)) == []
    [found] = ruleset.look(sighting(f"{LURE} 17", who="b", id="9", at=NOW + 9), facts(flow))
    assert (found.accounts, len(found.spots)) == (("a", "b"), 4)


def test_a_raid_and_reactions() -> None:
    flow, ruleset = Flow(), rules("joins = { count = 3, seconds = 10 }", "reactions = { count = 2, seconds = 10 }")
    came = [ruleset.arrived(arrival(who, at=NOW + at), facts(flow)) for at, who in enumerate("abc")]
    assert [len(hits) for hits in came] == [0, 0, 1]
    assert came[2][0].accounts == ("a", "b", "c")
    assert ruleset.arrived(arrival("d", at=NOW + 3, movement=Movement.LEFT), facts(flow)) == []
    assert ruleset.reacted(reacted("a", "1"), facts(flow)) == []
    assert ruleset.reacted(reacted("a", "2", added=False), facts(flow)) == []
    [found] = ruleset.reacted(reacted("a", "2"), facts(flow))
    assert [spot.id for spot in found.spots] == ["1", "2"]


def test_scores_are_asked_for_late_and_by_their_thresholds() -> None:
    asked: list[int] = []

    def scores() -> Scores:
        asked.append(1)
        return Scores(toxic=0.8, spam=0.2, language="en")

    thresholds = Thresholds({"pieces": {"en": {"toxic": {"flag": 0.5, "act": 0.9}}}})
    known: dict[str, Any] = {"scores": scores, "thresholds": thresholds}
    assert hit(sighting("x"), 'score = { toxic = "flag" }', 'score = { toxic = "act" }', **known) == ["r0"]
    assert hit(sighting("x"), "score = { toxic = 0.7, spam = 0.5 }", "score = { spam = 0.5 }", **known) == ["r0"]
    assert hit(sighting("x"), 'score = { spam = "flag" }', **known) == []
    asked.clear()
    assert hit(sighting("ham"), 'words = "spam"\nscore = { toxic = 0.1 }\nmatch = "all"', **known) == []
    assert hit(sighting("spam"), 'words = "spam"\nscore = { toxic = 0.1 }', **known) == ["r0"]
    assert asked == []


def test_a_judge_has_the_last_word() -> None:
    flow = facts(Flow())
    both = rules('words = "sell"\njudge = "Is it an advert?"\nmatch = "all"\ndelete = true')
    [found] = both.look(sighting("I sell it"), flow)
    assert found.needs_judge
    assert not merged([found])
    assert both.look(sighting("hello"), flow) == []
    [sure] = rules('words = "sell"\njudge = "Is it an advert?"').look(sighting("I sell it"), flow)
    assert not sure.needs_judge
    [unsure] = rules('words = "sell"\njudge = "Is it an advert?"').look(sighting("hello"), flow)
    assert (unsure.needs_judge, unsure.why) == (True, ())


def test_the_gravest_act_wins_and_everything_else_is_done_once() -> None:
    ruleset = rules(
        'words = "spam"\nwarn = true\ndelete = true\nreason = "first"\nstrikes = 1\nanswer = "a"',
        'words = "spam"\nmute = "10m"\nreason = "second"\nstrikes = 2\nanswer = "b"\n'
        'slow = { seconds = 5, for = "1h" }',
        'words = "spam"\nmute = "1h"\nlock = "5m"\ndelete = true',
        'words = "spam"\nban = true\nshadow = true',
    )
    hits = ruleset.look(sighting("spam"), facts())
    effects = merged(hits)
    assert [one.rule.name for one in hits] == ["r0", "r1", "r2", "r3"]
    assert (effects.act, effects.seconds, effects.rule, effects.reason) == (ActKind.MUTE, 3600, "r1", "second")
    assert (effects.delete, effects.strikes, effects.answer, effects.flag) == (True, 2, "a", False)
    assert (effects.pause, effects.pause_seconds, effects.lock_seconds) == (5, 3600, 300)
    live = ruleset.switched(live=["r3"]).look(sighting("spam"), facts())
    assert (merged(live).act, merged(live).seconds) == (ActKind.BAN, None)
    assert not merged(ruleset.switched(off=["r0", "r1"], shadow=["r2"]).look(sighting("spam"), facts()))
    assert merged(rules('words = "spam"').look(sighting("spam"), facts())).flag


def test_rules_are_found_by_name() -> None:
    ruleset = rules('words = "spam"')
    assert ruleset["R0 "].name == "r0"
    with pytest.raises(KeyError):
        ruleset["r1"]


def test_what_a_platforms_own_filter_can_do() -> None:
    ruleset = RuleSet.parse(
        '[lists]\nmine = ["eggs", "spam"]\n'
        '[[rule]]\nname = "a"\nwords = "spam"\nwords_from = "mine"\nregex = "a+b"\nmentions = 4\ndelete = true\n'
        'not_roles = "8"\nreason = "No."\n'
        '[[rule]]\nname = "b"\nwords = "only flagged"\n'
        '[[rule]]\nname = "c"\nwords = "shadow"\ndelete = true\nshadow = true\n'
        '[[rule]]\nname = "d"\nwords = "newcomers"\ndelete = true\nmember_for = "<1d"\n'
        '[[rule]]\nname = "e"\nwords = "both"\nlinks = "any"\nmatch = "all"\ndelete = true\n'
    )
    assert ruleset.native() == [
        NativeRule("a", ("spam", "eggs"), ("a+b",), mentions=4, reason="No.", exempt_roles=("8",))
    ]


def test_hits_are_the_same_each_time() -> None:
    ruleset = rules(*[f'words = ["w{n}", "spam"]' for n in range(20)])
    looks: Sequence[list[str]] = [
        [f"{one.rule.name} {one.why}" for one in ruleset.look(sighting("spam w3 w7"), facts())] for _ in range(3)
    ]
    assert looks[0] == looks[1] == looks[2]
    assert len(looks[0]) == 20
