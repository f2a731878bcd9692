"""Values of a space's settings: what can be typed, and what is refused with a sentence."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.people import fields
from core.people.fields import BY_NAME, FIELDS, Kind, Refused, Terms
from core.people.spaces import SpaceSettings
from core.texts import languages, say

ROOT = Path(__file__).parents[3]
TERMS = Terms(
    models=("gpt-x", "Local", "a, b"), personas=("tutor",), tools=("time", "shop"), currency="EUR", channel="77"
)


def parsed(name: str, text: str, terms: Terms = TERMS) -> Any:
    return fields.parse(BY_NAME[name], text, terms)


TYPED: list[tuple[str, str, Any]] = [
    ("model", "LOCAL", "Local"),
    ("models", "local, gpt-x，local", ("Local", "gpt-x")),
    ("models", "a, b", ("a, b",)),
    ("persona", "Tutor", "tutor"),
    ("language", "zh-CN", "zh_Hans"),
    ("answers", "Always", "always"),
    ("moderated", "yes", True),
    ("passive", "yes", True),
    ("passive", "关", False),
    ("keep_days", "3650", 3650),
    ("space_day_money", "5", 5_000_000),
    ("space_day_money", "5.00 eur", 5_000_000),
    ("space_day_money", "EUR 0.000001", 1),
    ("space_day_money", "0", 0),
    ("person_month_images", "0", 0),
    ("only_channels", "<#12> #34, here 12", ("12", "34", "77")),
    ("not_channels", "-1001", ("-1001",)),
    ("quiet", "22-7:30", "22:00-07:30"),
    ("quiet", "22：00 至 07：00", "22:00-07:00"),
    ("time_zone", "asia/shanghai", "Asia/Shanghai"),
    ("person_limit", "10/minute", "10/minute"),
    ("person_limit", "10次每分钟", "10/minute"),
    ("person_limit", "10 times per minute", "10/minute"),
    ("space_limit", "auto", None),
    ("models", "默认", None),
    ("tools", "Time, shop", ("time", "shop")),
    ("tools", "关", ("off",)),
    ("blocked_words", "one,two words，三", ("one", "two words", "三")),
    ("ladder", "3：禁言1小时；5: BAN 90m;7: ban forever", "3: mute 1h, 5: ban 1h 30m, 7: ban"),
    ("join_question", "Which  colour, if any?", "Which colour, if any?"),
]


def test_what_can_be_typed() -> None:
    assert [(name, text, parsed(name, text)) for name, text, _ in TYPED] == TYPED


WRONG: list[tuple[str, str]] = [
    ("model", "gpt-y"),
    ("models", "local, gpt-y"),
    ("models", ","),
    ("persona", "Admin"),
    ("language", "Klingon"),
    ("answers", "often"),
    ("passive", "maybe"),
    *(("keep_days", text) for text in ("0", "-1", "3651", "9" * 30, "٣", "１０", "1e3", "NaN", "", "1.5")),
    *(("space_day_money", text) for text in ("-5", "NaN", "inf", "5,00", "5.0000001", "1000000001", "５", "5 USD")),
    ("space_day_money", "EUR 5 EUR"),
    ("only_channels", "#general"),
    ("only_channels", " ".join(map(str, range(51)))),
    ("only_channels", "²"),
    *(("quiet", text) for text in ("25:00-07:00", "22:60-07:00", "07:00-07:00", "٢٢:00-07:00", "always")),
    *(("time_zone", text) for text in ("Mars/Base", "../../etc/passwd", "Europe", "\x00")),
    *(("person_limit", text) for text in ("0/minute", "-1/minute", "99999/minute", "10/century", "often", "１/day")),
    ("models", "x," * 2000),
    *(("join_question", text) for text in ("", "\u200b", "x" * 301)),
    *(("tools", text) for text in ("shell", "time, off", ",", "")),
    *(("ladder", text) for text in ("", "mute 1h", "0: ban", "101: ban", "3: warn", "3: kick 1h", "3: bananas")),
    *(("ladder", text) for text in ("5: mute, 3: ban", "3: mute, 3: ban", "3: ban 99y", "³: ban", "1: ban," * 11)),
    *(("blocked_words", text) for text in ("\u200b", ", ", "x" * 61, ",".join(map(str, range(201))))),
]


def test_what_is_refused_gets_a_sentence() -> None:
    for name, text in WRONG:
        with pytest.raises(Refused) as refused:
            print(name, text, parsed(name, text))
        for code in languages():
            sentence = say(refused.value.key, code, **refused.value.values)
            assert "{" not in sentence
            assert len(sentence) < 400


def test_what_people_typed_is_shown_as_one_harmless_line() -> None:
    with pytest.raises(Refused) as refused:
        parsed("quiet", "**x**\n# y")
    assert refused.value.values["found"] == r"\*\*x\*\* # y"


def test_here_is_no_channel_where_there_is_none() -> None:
    with pytest.raises(Refused):
        parsed("only_channels", "here", Terms())


def test_the_page_for_administrators_names_every_field_and_a_test_of_what_it_does() -> None:
    page = (ROOT / "docs/administration.md").read_text("utf-8")
    rows = [line.split("|") for line in page.splitlines() if re.match(r"\| `\w+`.*test_", line)]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[1])]
    assert sorted(named) == sorted(BY_NAME)
    tests = [found for row in rows for found in re.findall(r"`([\w/]+\.py)::(test_\w+)`", row[4])]
    assert len(tests) == len(rows)
    assert [one for one in tests if f"def {one[1]}(" not in (ROOT / "tests" / one[0]).read_text("utf-8")] == []


SOME: dict[Kind, Any] = {
    Kind.SWITCH: True,
    Kind.NUMBER: 7,
    Kind.MONEY: 2_500_000,
    Kind.MODEL: "Local",
    Kind.MODELS: ("gpt-x", "Local"),
    Kind.TOOLS: ("time",),
    Kind.WORDS: ("one", "two words"),
    Kind.PERSONA: "tutor",
    Kind.LANGUAGE: "en",
    Kind.CHANNELS: ("1", "2"),
    Kind.HOURS: "22:00-07:00",
    Kind.ZONE: "UTC",
    Kind.LIMIT: "10/minute",
    Kind.LADDER: "3: mute 1h, 5: ban 7d 12h, 7: kick",
    Kind.TEXT: "Which colour has the sky?",
}


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_is_kept_shown_and_read_again(field: fields.Field) -> None:
    value = field.choices[0] if field.kind is Kind.CHOICE else SOME[field.kind]
    settings = fields.put(SpaceSettings(), field, value)
    assert settings != SpaceSettings()
    assert fields.get(SpaceSettings.model_validate_json(settings.model_dump_json()), field) == value
    assert fields.read(field, fields.written(field, value), TERMS) == value
    assert fields.parse(field, fields.typed(field, value), TERMS) == value
    assert all(fields.show(field, value, Terms(language=code)) and field.called(code) for code in languages())
    for preset in field.presets:
        assert fields.parse(field, preset, TERMS) == fields.preset(field, preset, TERMS)
    assert fields.put(settings, field, None) == SpaceSettings()
    assert fields.read(field, "auto", TERMS) is None


def test_the_fields_are_all_that_people_set() -> None:
    parts = {field.path[0] for field in FIELDS}
    # These have commands of their own: roles and rights look at who gives them, a channel is looked for in the space.
    assert set(SpaceSettings.model_fields) - parts == {"roles", "grants", "announcements", "log_channel"}


OTHERS: list[tuple[str, object]] = [
    ("keep_days", True),
    ("keep_days", Decimal("7.5")),
    ("keep_days", -1),
    ("passive", 1),
    ("passive", {}),
    ("models", [1]),
    ("models", ["Local", ""]),
    ("model", ["Local"]),
    ("space_day_money", Decimal("NaN")),
    ("space_day_money", Decimal("1E+999")),
    ("quiet", 22),
]


def test_values_of_another_type_are_refused_in_files() -> None:
    for name, value in OTHERS:
        with pytest.raises(Refused):
            print(name, value, fields.read(BY_NAME[name], value, TERMS))


def test_a_file_may_hold_money_as_a_number() -> None:
    assert fields.read(BY_NAME["space_day_money"], Decimal("2.5"), TERMS) == 2_500_000
    assert fields.read(BY_NAME["space_day_money"], 3, TERMS) == 3_000_000
