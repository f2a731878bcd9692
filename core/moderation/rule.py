"""One rule, as people write it in TOML: what makes it hit, whom it is for, what it does then. Values, checked as they
are read. What is said here of each name is shown in docs/moderation.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from core.moderation import hosts, patterns
from core.moderation.durations import HOUR, Duration
from core.moderation.flow import LONGEST_SECONDS, MOST_JOINS, MOST_OF_ONE
from core.moderation.matching import LONGEST, is_word

Event = Literal["message", "edit", "join", "reaction"]
Label = Literal["toxic", "spam", "injection"]
Level = Literal["flag", "act"]

MOST_WORDS = 5000
"""Of one rule."""
MOST_REGEXES = 20
"""Of one rule."""
LONGEST_NAME = 40
LONGEST_TEXT = 500
LONGEST_JUDGE = 1000
MOST_STRIKES = 10
_HOURS = re.compile(r"([01]?\d|2[0-4])(?::([0-5]\d))?\s*-\s*([01]?\d|2[0-4])(?::([0-5]\d))?")
_MEMBER_FOR = re.compile(r"\s*([<>])\s*(.+)")


def problem(key: str, **values: str | int) -> PydanticCustomError:
    """A value is wrong: ``key`` is that of the sentence which says why."""
    return PydanticCustomError(key, "{said}", {"said": key, **values})  # type: ignore[arg-type]


def _listed(value: Any) -> Any:
    """One instead of a list with one in it."""
    return (value,) if isinstance(value, str) else value


def _duration(value: Any) -> Any:
    if isinstance(value, Duration) or value is None:
        return value
    if value is True:
        return Duration()
    if value is False:
        return None
    try:
        return Duration.parse(value if isinstance(value, str) else "")
    except ValueError:
        raise problem("rule_problem_duration", found=str(value)[:LONGEST_NAME]) from None


def _limited(value: Any) -> Any:
    found = _duration(value)
    if not isinstance(found, Duration) or found.seconds is None:
        raise problem("rule_problem_duration", found=str(value)[:LONGEST_NAME])
    return found


def _words(value: tuple[str, ...]) -> tuple[str, ...]:
    for word in value:
        if not is_word(word):
            raise problem("rule_problem_word", found=word[:LONGEST_NAME])
    return value


def _regexes(value: tuple[str, ...]) -> tuple[str, ...]:
    for written in value:
        try:
            patterns.compiled(written)
        except patterns.PatternError as error:
            raise problem(error.key, found=written[:LONGEST_NAME], cause=error.cause) from None
    return value


def _domains(value: tuple[str, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for written in value:
        try:
            found.append(hosts.domain(written))
        except ValueError:
            raise problem("rule_problem_domain", found=written[:LONGEST_NAME]) from None
    return tuple(found)


def _member_for(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _MEMBER_FOR.fullmatch(value)
    if not found:
        raise problem("rule_problem_member_for", found=value[:LONGEST_NAME])
    return {"is_less": found[1] == "<", "than": found[2]}


def _hours(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _HOURS.fullmatch(value.strip())
    minutes = [int(found[at]) * 60 + int(found[at + 1] or 0) for at in (1, 3)] if found else []
    if not minutes or max(minutes) > 24 * 60 or minutes[0] == minutes[1]:
        raise problem("rule_problem_hours", found=value[:LONGEST_NAME])
    return {"begin": minutes[0] % (24 * 60), "end": minutes[1]}


def _links(value: Any) -> Any:
    return {"any": True} if value == "any" else value


def _invites(value: Any) -> Any:
    return {} if value is True else None if value is False else value


def _named(value: str) -> str:
    if not value.strip() or any(not letter.isprintable() for letter in value):
        raise problem("rule_problem_name")
    return value.strip()


Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Ids = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=40)], ...], BeforeValidator(_listed)]
Count = Annotated[int, Field(strict=True, ge=1, le=10_000)]
Seconds = Annotated[int, Field(strict=True, ge=1, le=LONGEST_SECONDS)]
Switch = Annotated[bool, Field(strict=True)]
Length = Annotated[Duration | None, BeforeValidator(_duration)]
Limited = Annotated[Duration, BeforeValidator(_limited)]
Domains = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_domains), Field(max_length=1000)]
WordList = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_words), Field(max_length=MOST_WORDS)]


class Part(BaseModel):
    """Frozen; a name that is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True)


class Links(Part):
    any: Switch = False
    allow: Domains = ()
    """Any other link hits. Only these very domains and what is below them, none that look like them."""
    deny: Domains = ()
    """These hit, also where they are only named, or written so that they look the same."""
    imitates: Domains = ()
    """Links hit that look like these domains and lead elsewhere."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.any or self.allow or self.deny or self.imitates):
            raise problem("rule_problem_links")
        return self


class Invites(Part):
    allow: Ids = ()
    """Codes of invitations that are welcome, besides the space's own."""


class Attachments(Part):
    kinds: Annotated[tuple[Literal["image", "audio", "video", "document"], ...], BeforeValidator(_listed)] = ()
    extensions: Ids = ()
    """Ends of files' names, like ``exe``."""
    most: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None
    """More files than that hit."""
    bytes: Annotated[int, Field(strict=True, ge=1)] | None = None
    """Larger files hit."""


class Caps(Part):
    share: Annotated[float, Field(ge=0.1, le=1)] = 0.7
    """Of the letters that have capitals."""
    least: Count = 20
    """Letters; shorter messages are left alone."""


class Flood(Part):
    count: Annotated[int, Field(strict=True, ge=2, le=MOST_OF_ONE)]
    seconds: Seconds


class Repeats(Part):
    count: Annotated[int, Field(strict=True, ge=2, le=50)]
    seconds: Seconds
    people: Annotated[int, Field(strict=True, ge=1, le=50)] = 1
    """By at least so many different people; with 1 only what one person says again counts."""


class Joins(Part):
    count: Annotated[int, Field(strict=True, ge=2, le=MOST_JOINS)]
    seconds: Seconds


class Languages(Part):
    only: Ids = ()
    """Any other language hits."""
    deny: Annotated[Ids, Field(alias="not")] = ()
    """These languages hit."""

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if bool(self.only) == bool(self.deny):
            raise problem("rule_problem_language")
        return self


class MemberFor(Part):
    is_less: bool
    than: Limited


class Hours(Part):
    begin: int
    """Minutes after midnight."""
    end: int

    def has(self, minute: int) -> bool:
        """Whether a minute of the day is within; the end may be on the next day."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


class Slow(Part):
    seconds: Annotated[int, Field(strict=True, ge=1, le=6 * HOUR)]
    """Between two messages of a person."""
    lasts: Annotated[Limited, Field(alias="for")] = Duration(600)


class Rule(Part):
    """One ``[[rule]]``. What is not given is not looked at, or not done."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_named)]
    """What it is called, in lists and in the book of cases."""
    on: Annotated[tuple[Event, ...], BeforeValidator(_listed)] = ()
    """What it looks at: `message`, `edit`, `join` (also requests to join), `reaction`. Left out: what its triggers
    need."""
    enabled: Switch = True
    """`false`: it is not looked at."""
    shadow: Switch = False
    """It only counts and shows what it would do."""
    reason: Text = ""
    """Told to the member, and written into the book of cases."""
    explain: Text = ""
    """For the moderators who read the rule."""
    match: Literal["any", "all"] = "any"
    """Whether one of the triggers is enough."""

    words: WordList = ()
    """Words or phrases, however they are disguised; `scam*` also where a longer word begins so. Chinese is found
    anywhere in the text."""
    words_from: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(max_length=20)] = ()
    """Lists of words: your own from `[lists]`, or those that Parley brings."""
    names: WordList = ()
    """The same in the name of who writes or joins."""
    regex: Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_regexes)] = Field(
        default=(), max_length=MOST_REGEXES
    )
    """Patterns of RE2, capitals or not; tried on the text as it is and undisguised."""
    links: Annotated[Links | None, BeforeValidator(_links)] = None
    """`"any"`, or `{allow = […]}`, `{deny = […]}`, `{imitates = […]}` with domains."""
    invites: Annotated[Invites | None, BeforeValidator(_invites)] = None
    """Invitations to other servers and groups: `true`, or `{allow = ["code"]}`."""
    attachments: Attachments | None = None
    """`{kinds = […], extensions = […], most = N, bytes = N}`: any of them."""
    mentions: Count | None = None
    """So many people and roles, or more, are named."""
    mentions_all: Switch = False
    """Everybody is named (`@everyone`, `@here`)."""
    caps: Caps | None = None
    """Too many capitals: `{share = 0.7, least = 20}`."""
    emoji: Count | None = None
    """So many emoji, or more."""
    lines: Count | None = None
    """So many lines, or more."""
    length: Annotated[int, Field(strict=True, ge=1, le=LONGEST)] | None = None
    """So many characters, or more."""
    flood: Flood | None = None
    """One person writes `{count = N, seconds = S}`."""
    repeats: Repeats | None = None
    """The same, or nearly: `{count = N, seconds = S, people = P}`."""
    forwarded: Switch = False
    """It was forwarded from elsewhere."""
    contact: Switch = False
    """It holds a contact."""
    language: Languages | None = None
    """`{only = ["en", "zh"]}` or `{not = ["ru"]}`, as far as letters and small words tell."""
    account_age: Limited | None = None
    """The account is younger than that."""
    joins: Joins | None = None
    """So many people come: `{count = N, seconds = S}`."""
    reactions: Flood | None = None
    """One person reacts so often: `{count = N, seconds = S}`."""
    score: Mapping[Label, Level | Annotated[float, Field(ge=0.05, le=1)]] = Field(
        default_factory=dict[Label, Level | float]
    )
    """What the small classifiers say: `{toxic = "act", spam = "flag", injection = 0.9}`; a level is the measured
    threshold, a number the score itself."""
    judge: Annotated[str, Field(max_length=LONGEST_JUDGE)] = ""
    """A model decides by this text, for what the other triggers let through (with `match = "all"`)."""

    channels: Ids = ()
    """Only there: ids of channels, categories, topics."""
    not_channels: Ids = ()
    """Everywhere but there."""
    roles: Ids = ()
    """Only people with one of these roles (ids; Discord)."""
    not_roles: Ids = ()
    """Nobody who has one of these roles."""
    member_for: Annotated[MemberFor | None, BeforeValidator(_member_for)] = None
    """Only who is a member for less or more than that: `"<1d"`, `">7d"`."""
    first_messages: Count | None = None
    """Only so many first messages of a member."""
    hours: Annotated[Hours | None, BeforeValidator(_hours)] = None
    """Only at these hours of the space's day: `"22-6"`, `"22:30-06:00"`."""
    staff: Switch = False
    """Also what the staff writes."""

    flag: Switch = False
    """Moderators are to look at it. The default, where a rule says nothing else."""
    delete: Switch = False
    """The message is deleted; of a flood and of repeats, all of them."""
    warn: Switch = False
    """A warning, which is a case."""
    mute: Length = None
    """They may not write: `"10m"`."""
    restrict: Length = None
    """No files and pictures: `"1h"`, or `true`."""
    quarantine: Length = None
    """Everything but one role is taken until somebody has looked: `true`, or a time."""
    kick: Switch = False
    """They are thrown out and may come again."""
    ban: Length = None
    """`"7d"`, or `true` for good."""
    decline: Switch = False
    """A request to join is declined."""
    slow: Slow | None = None
    """`{seconds = N, for = "10m"}`: between two messages of a person there."""
    lock: Length = None
    """Nobody but the staff may write there: `"10m"`."""
    answer: Text = ""
    """The bot says it there."""
    strikes: Annotated[int, Field(strict=True, ge=0, le=MOST_STRIKES)] = 0
    """So many strikes are given, 10 at most; what follows from them, the space's ladder says."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.triggers:
            raise problem("rule_problem_no_trigger")
        for event in self.on:
            seen = [name for name in self.triggers if event in SEEN[name]]
            if not seen or (self.match == "all" and len(seen) < len(self.triggers)):
                raise problem("rule_problem_never", event=event)
        if not self.events:
            raise problem("rule_problem_never", event=", ".join(self.triggers))
        # Strikes add up to bans.
        if self.is_judged and (
            grave := [name for name in ("ban", "kick", "decline", "strikes") if getattr(self, name)]
        ):
            raise problem("rule_problem_judged", name=grave[0])
        for name in ("mute", "restrict") if self.is_judged else ():
            length: Duration | None = getattr(self, name)
            if length is not None and (length.is_for_good or (length.seconds or 0) > HOUR):
                raise problem("rule_problem_judged_long", name=name)
        return self

    @property
    def triggers(self) -> tuple[str, ...]:
        """Names of those that it has, in the order in which they are looked at: what costs most last."""
        return tuple(name for name in SEEN if getattr(self, name))

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of those that it has, the gravest first; never none."""
        return tuple(name for name in EFFECTS if getattr(self, name)) or ("flag",)

    @property
    def events(self) -> frozenset[Event]:
        """What it looks at."""
        if self.on:
            return frozenset(self.on)
        if self.match == "any":
            return frozenset[Event]().union(*(_LOOKED_FOR.get(name, SEEN[name] - JOINS) for name in self.triggers))
        both = MESSAGES.union(JOINS, ("reaction",)).intersection(*(SEEN[name] for name in self.triggers))
        others = both - JOINS
        return others if others and set(self.triggers) - set(_LOOKED_FOR) else both & JOINS or both

    @property
    def is_judged(self) -> bool:
        """A classifier or a model has a say: nothing follows that cannot be undone."""
        return bool(self.score or self.judge)

    @property
    def can_wait(self) -> bool:
        """All that follows is that moderators look at it: a classifier may take a second look before."""
        return self.effects == ("flag",) and bool(self.score) and not self.judge


MESSAGES: frozenset[Event] = frozenset({"message", "edit"})
_PEOPLE: frozenset[Event] = frozenset({"message", "edit", "join"})
JOINS: frozenset[Event] = frozenset({"join"})
_LOOKED_FOR: Mapping[str, frozenset[Event]] = {"names": JOINS, "account_age": JOINS, "joins": JOINS}
"""Where a trigger is about who comes, though it can be about who writes."""
SEEN: Mapping[str, frozenset[Event]] = {
    "mentions_all": MESSAGES,
    "mentions": MESSAGES,
    "forwarded": MESSAGES,
    "contact": MESSAGES,
    "attachments": MESSAGES,
    "length": _PEOPLE,
    "lines": MESSAGES,
    "account_age": _PEOPLE,
    "joins": frozenset({"join"}),
    "reactions": frozenset({"reaction"}),
    "flood": frozenset({"message"}),
    "words": _PEOPLE,
    "words_from": _PEOPLE,
    "names": _PEOPLE,
    "regex": _PEOPLE,
    "links": _PEOPLE,
    "invites": _PEOPLE,
    "caps": MESSAGES,
    "emoji": MESSAGES,
    "repeats": MESSAGES,
    "language": _PEOPLE,
    "score": _PEOPLE,
    "judge": MESSAGES,
}
"""By trigger, what it can be looked for in."""
CONDITIONS = ("channels", "not_channels", "roles", "not_roles", "member_for", "first_messages", "hours", "staff")
EFFECTS = (
    *("ban", "kick", "decline", "quarantine", "mute", "restrict", "warn", "delete"),
    *("lock", "slow", "answer", "flag", "strikes"),
)
