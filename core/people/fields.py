"""The settings of a space that people can change: one table for commands, menus, the web form and files. Pure.

What is typed is read in every language that Parley speaks, and nothing is guessed: digits are 0 to 9, and what is out
of bounds is refused with a sentence that says what is possible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, cast, get_args

from core.errors import ParleyError
from core.moderation import steps
from core.people.spaces import Allowance, SpaceSettings
from core.people.words import words
from core.safety.words import LONGEST_WORD, MOST_WORDS, listed
from core.storage.windows import windows_of
from core.texts import Money, Value, closest, languages, one_line, say
from core.tools.settings import ToolName

MILLIONTHS = 1_000_000
MOST_MONEY = 1_000_000_000
"""Currency units: their millionths are exact in Redis, which counts to 2^53."""
MOST_LISTED = 50
"""Channels or models of one list."""
LONGEST_TEXT = 2000
"""Characters of a value as typed."""
LONGEST_FOUND = 60
NO_TOOLS = "off"
"""What is kept where models are not to use any."""
_NUMBER = re.compile(r"[0-9]{1,9}")
_MONEY = re.compile(r"(?:([A-Za-z]{3}) ?)?([0-9]{1,10})(?:\.([0-9]{1,6}))?(?: ?([A-Za-z]{3}))?")
_CHANNEL = re.compile(r"<?#?(-?[0-9]{1,20})>?")
_CLOCK = r"([0-9]{1,2})(?:[:：]([0-9]{2}))?"
_LIMIT_WORDS = {"times": "", "per": "/", "second": "second", "minute": "minute", "hour": "hour", "day": "day"}
"""What is written in limits, as the library reads it."""


@cache
def _hours() -> re.Pattern[str]:
    between = "|".join(map(re.escape, sorted(words("to"))))
    return re.compile(rf"{_CLOCK}\s*(?:-|–|—|~|{between})\s*{_CLOCK}")


class Kind(StrEnum):
    """What a field takes."""

    CHOICE = "choice"
    SWITCH = "switch"
    NUMBER = "number"
    MONEY = "money"
    LANGUAGE = "language"
    MODEL = "model"
    MODELS = "models"
    PERSONA = "persona"
    CHANNELS = "channels"
    HOURS = "hours"
    WORDS = "words"
    TOOLS = "tools"
    ZONE = "zone"
    LIMIT = "limit"
    LADDER = "ladder"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Field:
    """A setting. Its words stand in the catalogs: what it is called under ``field.NAME``, what its choices are under
    ``field.NAME.CHOICE``."""

    name: str
    """As it is typed, and in files."""
    group: str
    """The page of the menu that it stands on."""
    kind: Kind
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    presets: tuple[str, ...] = ()
    """Values to press, of those that can be typed."""
    within: str = ""
    """The field of SpaceSettings that it is a part of."""
    part: str = ""

    @property
    def path(self) -> tuple[str, ...]:
        """Where ``core/storage/audit.py`` finds it."""
        return (self.within, self.part) if self.within else (self.name,)

    def called(self, language: str = "") -> str:
        return say(f"field.{self.name}", language)


_MONEY_PRESETS, _IMAGE_PRESETS, _SECOND_PRESETS = ("0", "1", "5", "20", "100"), ("0", "10", "50"), ("0", "600", "3600")


def _allowance(whose: str, within: str) -> tuple[Field, ...]:
    return tuple(
        Field(
            f"{whose}_{period}_{what}",
            "budgets",
            Kind.MONEY if what == "money" else Kind.NUMBER,
            most=most,
            presets=presets,
            within=within,
            part=f"{period}_{what}",
        )
        for period in ("day", "month")
        for what, most, presets in (
            ("money", MOST_MONEY, _MONEY_PRESETS),
            ("images", 1_000_000, _IMAGE_PRESETS),
            ("seconds", 100_000_000, _SECOND_PRESETS),
        )
    )


FIELDS: tuple[Field, ...] = (
    Field("model", "answers", Kind.MODEL),
    Field("models", "answers", Kind.MODELS),
    Field("persona", "answers", Kind.PERSONA),
    Field("own_voice", "answers", Kind.SWITCH),
    Field("language", "answers", Kind.LANGUAGE),
    Field("documents", "answers", Kind.CHOICE, choices=("also", "only", "off")),
    Field("image_size", "answers", Kind.CHOICE, choices=("square", "wide", "tall")),
    Field("label_text", "answers", Kind.SWITCH),
    Field("label_mark", "answers", Kind.SWITCH),
    Field("answers", "hearing", Kind.CHOICE, choices=("mentions", "always")),
    Field("passive", "hearing", Kind.SWITCH),
    Field("moderated", "hearing", Kind.SWITCH),
    Field("check_pictures", "hearing", Kind.SWITCH),
    Field("mood", "hearing", Kind.SWITCH),
    Field("mood_digest", "hearing", Kind.SWITCH),
    Field("only_channels", "hearing", Kind.CHANNELS),
    Field("not_channels", "hearing", Kind.CHANNELS),
    Field("blocked_words", "hearing", Kind.WORDS),
    Field("tools", "answers", Kind.TOOLS),
    Field("check_answers", "answers", Kind.SWITCH),
    Field("quiet", "hearing", Kind.HOURS, presets=("22:00-07:00", "23:00-08:00", "00:00-06:00")),
    Field(
        "time_zone",
        "hearing",
        Kind.ZONE,
        presets=("UTC", "Europe/London", "Europe/Berlin", "Asia/Shanghai", "Asia/Tokyo", "America/New_York"),
    ),
    Field("person_limit", "limits", Kind.LIMIT, presets=("3/minute", "10/minute", "30/hour", "100/day")),
    Field("space_limit", "limits", Kind.LIMIT, presets=("10/minute", "60/minute", "300/hour", "1000/day")),
    *_allowance("space", "allowance"),
    *_allowance("person", "person_allowance"),
    Field("join_check", "newcomers", Kind.CHOICE, choices=("off", "button", "question")),
    Field("join_question", "newcomers", Kind.TEXT, most=300),
    Field("join_answers", "newcomers", Kind.WORDS),
    Field("join_minutes", "newcomers", Kind.NUMBER, least=1, most=1440, presets=("2", "5", "15", "60")),
    Field("raid", "newcomers", Kind.LIMIT, presets=("5/10seconds", "10/minute", "30/minute")),
    Field("raid_does", "newcomers", Kind.CHOICE, choices=("check", "lock")),
    Field("raid_minutes", "newcomers", Kind.NUMBER, least=1, most=1440, presets=("5", "10", "30", "60")),
    Field("raid_channels", "newcomers", Kind.CHANNELS),
    Field("keep_days", "keeping", Kind.NUMBER, least=1, most=3650, presets=("1", "7", "30", "90", "365")),
    Field("broadcasts", "keeping", Kind.SWITCH),
    Field("joined", "moderation", Kind.WORDS),
    Field("strike_days", "moderation", Kind.NUMBER, least=1, most=3650, presets=("7", "30", "90", "365")),
    Field(
        "ladder",
        "moderation",
        Kind.LADDER,
        presets=("3: mute 1h, 5: mute 1d, 7: ban 7d", "3: mute 1h, 5: ban 7d, 7: ban", "5: mute 1d"),
    ),
    Field("appeal_days", "moderation", Kind.NUMBER, least=0, most=60, presets=("0", "7", "14", "30")),
    Field("report_alert", "moderation", Kind.NUMBER, least=2, most=50, presets=("2", "3", "5", "10")),
    Field("report_hides", "moderation", Kind.CHOICE, choices=("off", "delete", "mute")),
)
BY_NAME: Mapping[str, Field] = {field.name: field for field in FIELDS}
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(field.group for field in FIELDS))


class Refused(ParleyError):
    """A value that cannot be used: the key of the sentence that says why, and what fills it."""

    def __init__(self, key: str, **values: Value) -> None:
        super().__init__(key)
        self.key = key
        self.values: Mapping[str, Value] = values


@dataclass(frozen=True, slots=True)
class Terms:
    """What values are read and shown by."""

    models: tuple[str, ...] = ()
    """Names of those there are."""
    personas: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    """What models may ask for."""
    currency: str = "USD"
    language: str = ""
    """Of the person who reads."""
    channel: str = ""
    """Where they are: what ``here`` means."""
    mention: Callable[[str], str] = lambda channel: f"`{channel}`"
    """How a channel is shown."""


def get(settings: SpaceSettings, field: Field) -> Any:
    """What was chosen; None for nothing."""
    value: Any = settings
    for name in field.path:
        value = getattr(value, name)
    return None if value in ("", ()) else value


def put(settings: SpaceSettings, field: Field, value: Any) -> SpaceSettings:
    """The settings with that value, None to choose nothing."""
    if field.within:
        inner: Allowance = getattr(settings, field.within)
        return settings.model_copy(update={field.within: inner.model_copy(update={field.part: value})})
    kept = SpaceSettings.model_fields[field.name].default if value is None else value
    return settings.model_copy(update={field.name: kept})


def parse(field: Field, text: str, terms: Terms) -> Any:
    """A value as typed, as it is kept; None for the words that take a choice back. Raises Refused."""
    typed = " ".join(text.split())
    if typed.lower() in words("usual"):
        return None
    value = _READERS[field.kind](field, typed, terms) if len(text) <= LONGEST_TEXT else None
    if value is None:
        raise refusal(field, text, terms)
    return value


def preset(field: Field, text: str, terms: Terms) -> Any:
    """One of :attr:`Field.presets` as it is kept. Of those that are kept as they are typed none is read: the library
    that reads limits takes 110 ms to load."""
    return text if field.kind in (Kind.HOURS, Kind.ZONE, Kind.LIMIT) else parse(field, text, terms)


def read(field: Field, value: object, terms: Terms) -> Any:
    """A value as it stands in a file. Raises Refused."""
    if isinstance(value, bool):
        if field.kind is Kind.SWITCH:
            return value
    elif isinstance(value, str) or (isinstance(value, int | Decimal) and field.kind in (Kind.NUMBER, Kind.MONEY)):
        return parse(field, str(value), terms)
    elif field.kind in (Kind.MODELS, Kind.CHANNELS, Kind.WORDS, Kind.TOOLS) and isinstance(value, list):
        items = cast("list[object]", value)
        if not items:
            return None
        if all(isinstance(item, str) and item.strip() for item in items):
            return parse(field, ",".join(map(str, items)), terms)
    raise refusal(field, f"{value}", terms)


def written(field: Field, value: Any) -> Any:
    """A value as it stands in files; where nobody chose, the word for that."""
    if value is None:
        return "auto"
    if field.kind is Kind.MONEY:
        return plain_money(value)
    return list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value


def typed(field: Field, value: Any) -> str:
    """A value as it would be typed."""
    found = written(field, value)
    if isinstance(found, bool):
        return "on" if found else "off"
    return ", ".join(cast("list[str]", found)) if isinstance(found, list) else str(found)


def plain_money(millionths: int) -> str:
    """As a number of currency units, two decimals at least."""
    units, rest = divmod(millionths, MILLIONTHS)
    decimals = f"{rest:06d}".rstrip("0")
    return f"{units}.{decimals:0<2}"


def show(field: Field, value: Any, terms: Terms) -> str:
    """A value for people, as Markdown."""
    if value is None:
        return say("setting_usual", terms.language)
    match field.kind:
        case Kind.CHOICE:
            return say(f"field.{field.name}.{value}", terms.language)
        case Kind.SWITCH:
            return say("setting_on" if value else "setting_off", terms.language)
        case Kind.MONEY:
            return say("field_money", terms.language, money=Money(value / MILLIONTHS, terms.currency))
        case Kind.NUMBER:
            return say("field_number", terms.language, number=int(value))
        case Kind.CHANNELS:
            return ", ".join(map(terms.mention, value))
        case Kind.TOOLS:
            return ", ".join(one_line(tool_called(name, terms.language), LONGEST_FOUND) for name in value)
        case Kind.MODELS | Kind.WORDS:
            return ", ".join(one_line(name, LONGEST_FOUND) for name in value)
        case Kind.LANGUAGE:
            return _language(value)
        case _:
            return one_line(str(value), LONGEST_FOUND)


def tool_called(name: str, language: str) -> str:
    """What people know a tool by that spaces choose among; :data:`NO_TOOLS`: that there are none."""
    if name == NO_TOOLS:
        return say("setting_off", language)
    return say(f"tool.{name}", language) if name in get_args(ToolName) else name


@cache
def _language(code: str) -> str:
    from babel import Locale

    return (Locale.parse(code).get_display_name(code) or code) if code in languages() else code


@cache
def zones() -> Mapping[str, str]:
    """All time zones by their names in small letters. Read from files at the first use: some 10 ms."""
    from zoneinfo import available_timezones

    return {name.lower(): name for name in available_timezones()}


def refusal(field: Field, text: str, terms: Terms) -> Refused:
    """Why a value cannot be used, and what can."""
    found = one_line(text[: LONGEST_FOUND * 2], LONGEST_FOUND)
    named: dict[str, Value] = {"field": field.called(terms.language), "found": found}
    match field.kind:
        case Kind.NUMBER:
            return Refused("field_wrong.number", **named, least=field.least, most=field.most)
        case Kind.MONEY:
            return Refused("field_wrong.money", **named, currency=terms.currency, most=field.most)
        case Kind.CHOICE:
            return Refused("field_wrong.choice", **named, choices=", ".join((*field.choices, "auto")))
        case Kind.LANGUAGE:
            return Refused("field_wrong.choice", **named, choices=", ".join((*languages(), "auto")))
        case Kind.MODEL | Kind.MODELS:
            listed = ", ".join(one_line(name, LONGEST_FOUND) for name in terms.models[:MOST_LISTED])
            return Refused("field_wrong.choice", **named, choices=listed or "–")
        case Kind.PERSONA:
            listed = ", ".join(one_line(name, LONGEST_FOUND) for name in terms.personas[:MOST_LISTED])
            return Refused("field_wrong.choice", **named, choices=listed or "–")
        case Kind.TOOLS:
            return Refused("field_wrong.choice", **named, choices=", ".join((*terms.tools, NO_TOOLS, "auto")))
        case Kind.TEXT:
            return Refused("field_wrong.text", **named, most=field.most)
        case Kind.WORDS:
            return Refused("field_wrong.words", **named, most=MOST_WORDS, longest=LONGEST_WORD)
        case _:
            return Refused(f"field_wrong.{field.kind}", **named)


# ---- readers: a value as it is kept, or None for what cannot be read


def _read_choice(field: Field, text: str, terms: Terms) -> str | None:
    wanted = text.lower()
    words = {say(f"field.{field.name}.{choice}", terms.language).lower(): choice for choice in field.choices}
    return wanted if wanted in field.choices else words.get(wanted)


def _read_switch(field: Field, text: str, terms: Terms) -> bool | None:
    wanted = text.lower()
    return True if wanted in words("on") else False if wanted in words("off") else None


def _read_number(field: Field, text: str, terms: Terms) -> int | None:
    number = int(text) if _NUMBER.fullmatch(text) else -1
    return number if field.least <= number <= field.most else None


def _read_money(field: Field, text: str, terms: Terms) -> int | None:
    found = _MONEY.fullmatch(text)
    if found is None or (found[1] and found[4]):
        return None
    if (found[1] or found[4] or terms.currency).upper() != terms.currency:
        return None
    millionths = int(found[2]) * MILLIONTHS + int((found[3] or "").ljust(6, "0"))
    return millionths if millionths <= field.most * MILLIONTHS else None


def _read_language(field: Field, text: str, terms: Terms) -> str | None:
    return closest(text) or None


def _read_model(field: Field, text: str, terms: Terms) -> str | None:
    return next((name for name in terms.models if name.lower() == text.lower()), None)


def _read_models(field: Field, text: str, terms: Terms) -> tuple[str, ...] | None:
    if whole := _read_model(field, text, terms):
        # It may have a comma in it.
        return (whole,)
    wanted = [part.strip() for part in re.split("[,，、;；]", text) if part.strip()]
    found = [_read_model(field, part, terms) for part in wanted]
    known = tuple(dict.fromkeys(name for name in found if name is not None))
    return known if wanted and len(found) <= MOST_LISTED and None not in found else None


def _read_persona(field: Field, text: str, terms: Terms) -> str | None:
    return next((name for name in terms.personas if name.lower() == text.lower()), None)


def _read_channels(field: Field, text: str, terms: Terms) -> tuple[str, ...] | None:
    ids: list[str] = []
    for part in re.split(r"[\s,，、;；]+", text):
        if part.lower() in words("here") and terms.channel:
            ids.append(terms.channel)
        elif found := _CHANNEL.fullmatch(part):
            ids.append(found[1])
        elif part:
            return None
    return tuple(dict.fromkeys(ids)) if 0 < len(ids) <= MOST_LISTED else None


def _read_hours(field: Field, text: str, terms: Terms) -> str | None:
    found = _hours().fullmatch(text.lower())
    if found is None:
        return None
    first, last = ((int(found[at]), int(found[at + 1] or 0)) for at in (1, 3))
    if first == last or any(hour > 23 or minute > 59 for hour, minute in (first, last)):
        return None
    return "-".join(f"{hour:02d}:{minute:02d}" for hour, minute in (first, last))


def _read_tools(field: Field, text: str, terms: Terms) -> tuple[str, ...] | None:
    if text.lower() in words("off"):
        return (NO_TOOLS,)
    by_label = {tool_called(name, terms.language).lower(): name for name in terms.tools}
    parts = (part.strip() for part in re.split("[,，、;；]", text.lower()))
    names = (name for part in parts for name in ([by_label[part]] if part in by_label else part.split()))
    wanted = tuple(dict.fromkeys(names))
    return wanted if wanted and set(wanted) <= set(terms.tools) else None


def _read_words(field: Field, text: str, terms: Terms) -> tuple[str, ...] | None:
    return listed(text)


def _read_text(field: Field, text: str, terms: Terms) -> str | None:
    return text if len(text) <= field.most and one_line(text, field.most) else None


def _read_zone(field: Field, text: str, terms: Terms) -> str | None:
    return zones().get(text.lower().replace(" ", "_"))


def _read_ladder(field: Field, text: str, terms: Terms) -> str | None:
    try:
        return steps.written(steps.parse(text))
    except ValueError:
        return None


def _read_limit(field: Field, text: str, terms: Terms) -> str | None:
    limit = "".join(text.lower().replace("；", ";").split())
    for meaning, written in _LIMIT_WORDS.items():
        for word in words(meaning):
            limit = limit.replace(word, written)
    try:
        return limit if windows_of(limit) else None
    except ValueError:
        return None


_READERS: Mapping[Kind, Callable[[Field, str, Terms], Any]] = {
    Kind.CHOICE: _read_choice,
    Kind.SWITCH: _read_switch,
    Kind.NUMBER: _read_number,
    Kind.MONEY: _read_money,
    Kind.LANGUAGE: _read_language,
    Kind.MODEL: _read_model,
    Kind.MODELS: _read_models,
    Kind.PERSONA: _read_persona,
    Kind.CHANNELS: _read_channels,
    Kind.HOURS: _read_hours,
    Kind.WORDS: _read_words,
    Kind.TOOLS: _read_tools,
    Kind.ZONE: _read_zone,
    Kind.LIMIT: _read_limit,
    Kind.LADDER: _read_ladder,
    Kind.TEXT: _read_text,
}
