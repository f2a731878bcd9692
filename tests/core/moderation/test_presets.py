"""The rules that moderators can begin with: they are read, hit what they are for, and let ordinary talk be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from core.message import Attachment, AttachmentKind
from core.moderation import presets
from core.moderation.flow import Flow
from core.moderation.rules import RuleSet
from core.moderation.wording import to_words
from core.texts import languages
from tests.core.moderation.sightings import facts, sighting

SAMPLES = Path(presets.__file__).parents[1] / "samples.jsonl"
HARMLESS = (
    "Scunthorpe has a class on cocktails, and an assessment of shiitake mushrooms",
    "I got Nitro for free with my phone plan, is that normal?",
    "Never share your seed phrase with anybody who asks for it",
    "He told me to go and die of laughter, that was a good joke",
    "What do you think of 习近平 and of the election?",
    "六四、台湾、香港的新闻大家怎么看？",
    "你加一下他的微信吧，他在群里问过你",
    "我在找兼职，暑假想去书店打工",
    "这个游戏的皮肤真好看，多少钱？",
    "OMG THIS IS SO COOL",
    "see https://docs.python.org and https://discord.com/developers, README.md too",
    "the traders in the forex documentary lost everything",
)
LURES = (
    *(
        "FREE NITRO!! click",
        "frее nitrо here",
        "f r e e  n i t r o",
        "Cl4im your airdr0p",
        "guaranteed profits every day",
    ),
    *("加微信领红包", "兼職日結，私聊", "稳.赚.不.赔", "博彩平台注册送彩金", "手机兼职日赚五百"),
)


@pytest.mark.parametrize("name", presets.presets())
def test_a_preset_is_read_and_told(name: str) -> None:
    rules = RuleSet.parse(presets.preset(name))
    for rule in rules.rules:
        for language in languages():
            told = to_words(rule, language)
            assert told
            assert "{" not in told
        assert not {"ban", "kick"} & {*rule.effects}, "what a preset does can be undone"
        assert rule.reason or rule.effects == ("flag",), "who is acted on is told why"


@pytest.mark.parametrize("name", presets.presets())
def test_ordinary_talk_is_let_be(name: str) -> None:
    found = {text: RULES[name].look(sighting(text), facts(Flow(), messages_before=0)) for text in HARMLESS}
    assert {text: hits for text, hits in found.items() if hits} == {}


@pytest.mark.parametrize("name", presets.presets())
def test_lures_are_seen(name: str) -> None:
    for text in LURES:
        assert "Lures" in [hit.rule.name for hit in RULES[name].look(sighting(text), facts(Flow()))], text


def test_false_links_and_programs_are_seen() -> None:
    calm = RULES["calm"]
    false = sighting("gift: https://dlscord.gift/abc and https://steamcommunlty.com/x")
    program = sighting(attachments=(Attachment(AttachmentKind.DOCUMENT, "r", "photo.jpg.scr", size=9),))
    assert [hit.rule.name for hit in calm.look(false, facts(Flow()))] == ["False links"]
    assert [hit.rule.name for hit in calm.look(program, facts(Flow()))] == ["Programs"]


def test_lists_hit_no_harmless_sample() -> None:
    rules = RuleSet.parse('[[rule]]\nname = "a"\nwords_from = ["scam-en", "scam-zh", "insults-en", "insults-zh"]')
    samples = [json.loads(line) for line in SAMPLES.read_text("utf-8").splitlines()]
    harmless = [sample["text"] for sample in samples if not sample["labels"]]
    assert len(harmless) > 50
    hits = [text for text in harmless if rules.look(sighting(text), facts())]
    # Those quote what others said: a list of words cannot tell.
    assert len(hits) <= len(harmless) // 20, hits


def test_the_example_of_the_documentation_is_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "moderation.md").read_text("utf-8")
    examples = re.findall(r"```toml\n(.*?)```", page.partition("## Rules")[2].partition("\n## ")[0], re.DOTALL)
    assert [[rule.name for rule in RuleSet.parse(example).rules] for example in examples] == [
        ["Adverts of newcomers", "Flood"]
    ]


def test_there_are_no_others() -> None:
    for name in ("", "../calm", "none"):
        with pytest.raises(KeyError):
            presets.preset(name)
        with pytest.raises(KeyError):
            presets.word_list(name)


RULES = {name: RuleSet.parse(presets.preset(name)) for name in presets.presets()}
