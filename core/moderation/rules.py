"""A space's rules: read from the TOML that people write, and asked about what is seen there. Pure, in memory.

:meth:`RuleSet.parse` finds everything that is wrong at once. :meth:`RuleSet.look` says which rules hit, in the order in
which they are written; :func:`merged` says what is to be done then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from core.message import Arrival, Reacted, Seen, Sighting
from core.moderation import patterns
from core.moderation.acts import ActKind
from core.moderation.durations import Duration
from core.moderation.facts import Facts
from core.moderation.flow import Spot
from core.moderation.matching import Word, Words
from core.moderation.native import NativeRule
from core.moderation.reading import RulesError, Written, read
from core.moderation.rule import SEEN, Event, Rule
from core.moderation.triggers import TRIGGERS, Found, Look, Trigger, is_for

__all__ = ["Effects", "Hit", "Rule", "RuleSet", "RulesError", "Why", "merged"]

_ON_PEOPLE: Mapping[str, ActKind] = {
    "ban": ActKind.BAN,
    "kick": ActKind.KICK,
    "decline": ActKind.DECLINE,
    "quarantine": ActKind.QUARANTINE,
    "mute": ActKind.MUTE,
    "restrict": ActKind.RESTRICT,
    "warn": ActKind.WARN,
}
"""Effects that one person feels, the gravest first."""
_COUNTING = frozenset(("flood", "repeats", "joins", "reactions"))


@dataclass(frozen=True, slots=True)
class Why:
    """One trigger that hit."""

    trigger: str
    found: str
    """What it saw: for moderators' eyes only."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule hit."""

    rule: Rule
    why: tuple[Why, ...]
    """Empty where only the judge can say."""
    needs_judge: bool = False
    """It hits only if a model says so, which is asked later: by ``rule.judge``, or about ``rule.score`` once more."""
    spots: tuple[Spot, ...] = ()
    """Messages that belong to it besides what was looked at: of a flood, of a repetition. Told once for a rule."""
    accounts: tuple[str, ...] = ()
    """Of people who belong to it: who joined together, who said the same."""

    @property
    def is_live(self) -> bool:
        """Something is to follow from it now."""
        return not self.rule.shadow and not self.needs_judge

    @property
    def goes_on(self) -> bool:
        """A flood or a repetition that this rule has hit before, with one message more."""
        return bool(self.why) and len(self.spots) < 2 and all(one.trigger in ("flood", "repeats") for one in self.why)


@dataclass(frozen=True, slots=True)
class Effects:
    """What is to be done."""

    act: ActKind | None = None
    """On its author: the gravest that any rule wants."""
    seconds: int | None = None
    """How long that lasts; None: until somebody ends it."""
    delete: bool = False
    flag: bool = False
    pause: int = 0
    """Slow mode: seconds between two messages of a person; 0: none."""
    pause_seconds: int | None = None
    """How long slow mode lasts."""
    lock: bool = False
    lock_seconds: int | None = None
    """How long nobody may write; None: until somebody ends it."""
    answer: str = ""
    strikes: int = 0
    """Of the rule that gives most: one message is one slip."""
    rule: str = ""
    """Name of the rule that decided about the act, or else of the first."""
    reason: str = ""
    spots: tuple[Spot, ...] = ()
    """Messages besides the one looked at that are to be deleted, each once."""

    def __bool__(self) -> bool:
        """Anything is to be done."""
        return bool(self.act or self.delete or self.flag or self.pause or self.lock or self.answer or self.strikes)


NOTHING = Effects()


class RuleSet:
    """Rules that can be asked. Frozen, and may be used by several threads; what counts is in ``Facts.flow``."""

    def __init__(
        self, rules: Sequence[Rule], lists: Mapping[str, tuple[str, ...]], finder: _Finder | None = None
    ) -> None:
        """``lists`` are the words of all that the rules name by ``words_from``."""
        self.rules = tuple(rules)
        self.lists = lists
        self._finder = finder or _Finder.of(self.rules, lists)
        self._plans = tuple(_Plan.of(rule) for rule in self.rules)
        self._counts = any(_COUNTING.intersection(rule.triggers) for rule in self.rules)

    @classmethod
    def parse(cls, text: str) -> RuleSet:
        """Raises RulesError, which says all that is wrong."""
        written: Written = read(text)
        return cls(written.rules, written.lists)

    def switched(
        self, *, off: Collection[str] = (), shadow: Collection[str] = (), live: Collection[str] = ()
    ) -> RuleSet:
        """The same with some rules switched off, in the shadow, or out of it, by their names."""
        return RuleSet(
            [
                rule.model_copy(
                    update={
                        "enabled": (rule.enabled or rule.name in live or rule.name in shadow) and rule.name not in off,
                        "shadow": (rule.shadow or rule.name in shadow) and rule.name not in live,
                    }
                )
                for rule in self.rules
            ],
            self.lists,
            self._finder,
        )

    def __getitem__(self, name: str) -> Rule:
        """By its name, in capitals or not. Raises KeyError."""
        found = next((rule for rule in self.rules if rule.name.casefold() == name.strip().casefold()), None)
        if found is None:
            raise KeyError(name)
        return found

    @property
    def looks_at_invites(self) -> bool:
        """A rule wants to know which invitations are the space's own."""
        return any(rule.enabled and rule.invites is not None for rule in self.rules)

    def words_of(self, rule: Rule) -> tuple[str, ...]:
        """All that it looks for in texts, of its lists, too."""
        listed = (word for name in rule.words_from for word in self.lists[name])
        return tuple(dict.fromkeys((*rule.words, *listed)))

    def native(self) -> list[NativeRule]:
        """What of them a platform's own filter can do as well: words, patterns and mentions that make a message be
        deleted, for everybody and at any time. What only counts or is judged is not among it."""
        return [
            NativeRule(
                rule.name,
                words=self.words_of(rule),
                regexes=rule.regex,
                mentions=rule.mentions or 0,
                reason=rule.reason,
                exempt_roles=rule.not_roles,
                exempt_channels=rule.not_channels,
            )
            for rule in self.rules
            if rule.enabled and not rule.shadow and rule.delete and _is_plain(rule)
        ]

    def look(self, sighting: Sighting, facts: Facts) -> list[Hit]:
        """Which rules a message hits, new or edited, in their order. It is noted in ``facts.flow``; once, however often
        it is looked at."""
        return self.seen(sighting, facts)

    def arrived(self, arrival: Arrival, facts: Facts) -> list[Hit]:
        """The same for somebody who came or asks to."""
        return self.seen(arrival, facts) if arrival.movement != "left" else []

    def reacted(self, reacted: Reacted, facts: Facts) -> list[Hit]:
        """The same for an emoji under a message."""
        return self.seen(reacted, facts) if reacted.added else []

    def seen(self, seen: Seen, facts: Facts) -> list[Hit]:
        """Any of them."""
        look = Look(seen, facts)
        if self._counts:
            look.note()
        found = _Searched(self._finder, look)
        hits: list[Hit] = []
        for at, plan in enumerate(self._plans):
            if look.event in plan.events and is_for(plan.rule, look) and (hit := self._hit(at, plan, look, found)):
                hits.append(hit)
        return hits

    def _hit(self, at: int, plan: _Plan, look: Look, found: _Searched) -> Hit | None:
        rule, why = plan.rule, list[tuple[str, Found]]()
        for name, trigger in plan.triggers[look.event]:
            if name == "score" and why and not plan.is_all:
                # The classifier is not asked where nothing depends on it.
                continue
            seen = trigger(getattr(rule, name), look, rule) if trigger else found.of(name, at)
            if seen is not None:
                why.append((name, seen))
            elif plan.is_all:
                return None
        # With "all" the judge has the last word; with "any" only where nothing else has hit.
        needs_judge = bool(rule.judge) and look.event in ("message", "edit") and (plan.is_all or not why)
        needs_judge = needs_judge or any(one.is_unsure for _, one in why)
        if not why and not needs_judge:
            return None
        return Hit(
            rule,
            tuple(Why(name, one.text) for name, one in why),
            needs_judge,
            tuple(dict.fromkeys(spot for _, one in why for spot in one.spots)),
            tuple(dict.fromkeys(account for _, one in why for account in one.accounts)),
        )


@dataclass(frozen=True, slots=True)
class _Finder:
    """The words and patterns of all rules, made ready."""

    words: Words
    names: Words
    lists: Mapping[str, Words]
    listed: Sequence[Sequence[str]]
    """By rule, its lists."""
    patterns: Sequence[Sequence[patterns.Pattern]]
    """By rule."""

    @classmethod
    def of(cls, rules: Sequence[Rule], lists: Mapping[str, tuple[str, ...]]) -> _Finder:
        return cls(
            Words(Word(word, at) for at, rule in enumerate(rules) for word in rule.words),
            Words(Word(word, at) for at, rule in enumerate(rules) for word in rule.names),
            {name: _of_list(words) for name, words in lists.items()},
            tuple(rule.words_from for rule in rules),
            tuple(tuple(patterns.compiled(one) for one in rule.regex) for rule in rules),
        )


@lru_cache(64)
def _of_list(words: tuple[str, ...]) -> Words:
    """Shared by all spaces that use the list."""
    return Words(Word(word, 0) for word in words)


class _Searched:
    """What of a finder's words is in what is looked at: looked for when the first rule asks, and once."""

    def __init__(self, finder: _Finder, look: Look) -> None:
        self._finder = finder
        self._look = look
        self._found: dict[str, Mapping[int, str]] = {}

    def of(self, name: str, at: int) -> Found | None:
        """By the name of a trigger and the place of a rule."""
        finder, look = self._finder, self._look
        match name:
            case "words":
                word = self._once(name, finder.words, look).get(at)
            case "names":
                word = self._once(name, finder.names, look).get(at)
            case "words_from":
                found = (self._once(f"list {one}", finder.lists[one], look).get(0) for one in finder.listed[at])
                word = next(filter(None, found), None)
            case _:
                texts = look.texts
                word = next((one.pattern for one in finder.patterns[at] if any(map(one.search, texts))), None)
        return None if word is None else Found(word)

    def _once(self, name: str, words: Words, look: Look) -> Mapping[int, str]:
        if name not in self._found:
            self._found[name] = words.found(look.name_readings if name == "names" else look.readings)
        return self._found[name]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a rule is looked at."""

    rule: Rule
    events: frozenset[Event]
    """Empty for a rule that is switched off."""
    triggers: Mapping[Event, tuple[tuple[str, Trigger | None], ...]]
    """By event, those that can be there; None: looked for together with those of all rules."""
    is_all: bool

    @classmethod
    def of(cls, rule: Rule) -> _Plan:
        names = [name for name in rule.triggers if name != "judge"]
        triggers: dict[Event, tuple[tuple[str, Trigger | None], ...]] = {
            event: tuple((name, TRIGGERS.get(name)) for name in names if event in SEEN[name]) for event in rule.events
        }
        return cls(rule, rule.events if rule.enabled else frozenset(), triggers, rule.match == "all")


def _is_plain(rule: Rule) -> bool:
    """Words, patterns or mentions alone make it hit, whoever writes them, wherever and whenever."""
    wanted = {"words", "words_from", "regex", "mentions"}.intersection(rule.triggers)
    if rule.match == "all" and len(rule.triggers) > 1:
        return False
    narrowed = rule.channels or rule.roles or rule.member_for or rule.first_messages or rule.hours
    return bool(wanted) and not narrowed and "message" in rule.events


def merged(hits: Sequence[Hit]) -> Effects:
    """What all of them together ask for: the gravest act, for the longest time; deleting, answering and so on once.
    Rules in the shadow, and those that wait for the judge, ask for nothing."""
    rules = [hit.rule for hit in hits if hit.is_live]
    if not rules:
        return NOTHING
    # A flood is one slip, however long.
    slips = [hit.rule for hit in hits if hit.is_live and not hit.goes_on]
    kind = next(
        (name for name in _ON_PEOPLE if any(getattr(rule, name) for rule in (slips if name == "warn" else rules))), ""
    )
    deciding = [rule for rule in rules if kind and getattr(rule, kind)] or rules
    slow = max((rule.slow for rule in rules if rule.slow), key=lambda slow: slow.seconds, default=None)
    return Effects(
        act=_ON_PEOPLE.get(kind),
        seconds=_longest(kind, deciding),
        delete=any(rule.delete for rule in rules),
        flag=any("flag" in rule.effects for rule in rules),
        pause=slow.seconds if slow else 0,
        pause_seconds=slow.lasts.seconds if slow else None,
        lock=any(rule.lock for rule in rules),
        lock_seconds=_longest("lock", rules),
        answer=next((rule.answer for rule in rules if rule.answer), ""),
        strikes=max((rule.strikes for rule in slips), default=0),
        rule=deciding[0].name,
        reason=next((rule.reason for rule in (*deciding, *rules) if rule.reason), ""),
        spots=tuple(dict.fromkeys(spot for hit in hits if hit.is_live and hit.rule.delete for spot in hit.spots)),
    )


def _longest(name: str, rules: Sequence[Rule]) -> int | None:
    """Seconds; None for good, and for what has no time."""
    lengths = [length for rule in rules if isinstance(length := getattr(rule, name, None), Duration)]
    return None if any(one.is_for_good for one in lengths) else max((one.seconds or 0 for one in lengths), default=None)
