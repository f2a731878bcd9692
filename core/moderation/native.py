"""Rules that a platform keeps by itself: only these stop a message before anybody has seen it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from core.moderation.acts import Answer
from core.moderation.enforcer import Site


@dataclass(frozen=True, slots=True)
class NativeRule:
    """What a platform's own filter stops: as a space's rules say it, or as the platform holds it."""

    name: str
    words: tuple[str, ...] = ()
    """As in a space's rules: ``scam*`` is also a longer word's beginning."""
    regexes: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    """Words and phrases that are let pass."""
    mentions: int = 0
    """So many people and roles named in one message, or more, are too many; 0: any number may be."""
    reason: str = ""
    """Told to whom it stops."""
    alert: str = ""
    """Id of a channel that is told of what it stopped; empty: nobody is."""
    exempt_roles: tuple[str, ...] = ()
    exempt_channels: tuple[str, ...] = ()
    is_on: bool = True


@dataclass(frozen=True, slots=True)
class Fitted:
    """Rules as a platform would hold them."""

    rules: tuple[NativeRule, ...]
    left: tuple[str, ...] = ()
    """Words and regexes that it cannot hold."""


@dataclass(frozen=True, slots=True)
class NativeLimits:
    """What a platform's own rules can hold."""

    word_rules: int
    """Rules with words or regexes in a space, those of people among them."""
    words: int
    """In one rule; the same for what follows."""
    word_chars: int
    regexes: int
    regex_chars: int
    allowed: int
    exempt_roles: int
    exempt_channels: int
    mentions: int


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one rule. Neither ``old`` nor ``new`` is None where it is changed."""

    old: NativeRule | None
    new: NativeRule | None

    @property
    def name(self) -> str:
        rule = self.new or self.old
        return rule.name if rule else ""

    @property
    def added(self) -> tuple[str, ...]:
        """Words and regexes that come."""
        return _without(self.new, self.old)

    @property
    def removed(self) -> tuple[str, ...]:
        """Words and regexes that go."""
        return _without(self.old, self.new)


class NativeRules(Protocol):
    """The rules that a platform keeps in a space for us; those of people are neither shown nor touched. Every method
    raises OutboundError where the platform does not answer, or does not let the bot see them."""

    async def lacking(self, site: Site) -> str:
        """Key of the sentence that names the right which the bot lacks for it; empty: it may. Raises
        RightsUnknownError."""
        ...

    async def read(self, site: Site) -> list[NativeRule]:
        """As they are now."""
        ...

    async def fit(self, site: Site, wanted: Sequence[NativeRule]) -> Fitted:
        """What :meth:`push` is to be given for a space's rules."""
        ...

    async def push(self, site: Site, wanted: Sequence[NativeRule]) -> Answer:
        """Makes them so; doing it again changes nothing more."""
        ...


def diff(old: Iterable[NativeRule], new: Iterable[NativeRule]) -> list[Change]:
    """What has to be done for the old rules to be like the new ones, by name; nothing where they are alike."""
    before, after = {rule.name: rule for rule in old}, {rule.name: rule for rule in new}
    names = sorted(before.keys() | after.keys())
    changes = (Change(before.get(name), after.get(name)) for name in names)
    return [change for change in changes if change.old != change.new]


def digest(changes: Sequence[Change]) -> str:
    """Names exactly these changes: whoever agrees to them agrees to no others."""
    plain = [[asdict(rule) if rule else None for rule in (change.old, change.new)] for change in changes]
    return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=8).hexdigest()


def fitted(wanted: Iterable[NativeRule], limits: NativeLimits, free: int) -> Fitted:
    """The same in as few rules as possible, within a platform's limits.

    ``free`` is the number of rules with words that may be used. Rules with the same exemptions are put together.
    """
    left: list[str] = []
    groups: dict[tuple[object, ...], list[NativeRule]] = {}
    mentions: NativeRule | None = None
    for rule in [_within(rule, limits, left) for rule in wanted]:
        if rule.words or rule.regexes:
            groups.setdefault((rule.exempt_roles, rule.exempt_channels, rule.alert), []).append(rule)
        if rule.mentions and (mentions is None or rule.mentions < mentions.mentions):
            mentions = replace(rule, name="mentions", words=(), regexes=(), allowed=())
    made = [piece for rules in groups.values() for piece in _pieces(rules, limits)]
    for rule in made[free:]:
        left += [*rule.words, *rule.regexes]
    named = [replace(rule, name=f"words {number}") for number, rule in enumerate(made[:free], 1)]
    return Fitted((*named, *([mentions] if mentions else [])), tuple(left))


def _within(rule: NativeRule, limits: NativeLimits, left: list[str]) -> NativeRule:
    """Without what is too long for the platform, which is added to ``left``."""
    left += [word for word in rule.words if len(word) > limits.word_chars]
    left += [regex for regex in rule.regexes if len(regex) > limits.regex_chars]
    return replace(
        rule,
        words=tuple(word for word in rule.words if len(word) <= limits.word_chars),
        regexes=tuple(regex for regex in rule.regexes if len(regex) <= limits.regex_chars),
        allowed=tuple(word for word in rule.allowed if len(word) <= limits.word_chars),
        mentions=min(rule.mentions, limits.mentions),
        exempt_roles=rule.exempt_roles[: limits.exempt_roles],
        exempt_channels=rule.exempt_channels[: limits.exempt_channels],
    )


def _pieces(rules: Sequence[NativeRule], limits: NativeLimits) -> list[NativeRule]:
    """Rules of one kind as few full ones."""
    words = [*dict.fromkeys(word for rule in rules for word in rule.words)]
    regexes = [*dict.fromkeys(regex for rule in rules for regex in rule.regexes)]
    allowed = tuple(dict.fromkeys(word for rule in rules for word in rule.allowed))[: limits.allowed]
    reason = rules[0].reason if len({rule.reason for rule in rules}) == 1 else ""
    count = max(-(-len(words) // limits.words), -(-len(regexes) // limits.regexes))
    return [
        replace(
            rules[0],
            words=tuple(words[at * limits.words : (at + 1) * limits.words]),
            regexes=tuple(regexes[at * limits.regexes : (at + 1) * limits.regexes]),
            allowed=allowed,
            reason=reason,
            mentions=0,
        )
        for at in range(count)
    ]


def _without(one: NativeRule | None, other: NativeRule | None) -> tuple[str, ...]:
    held = {*other.words, *other.regexes} if other else set[str]()
    return tuple(what for what in (*one.words, *one.regexes) if what not in held) if one else ()
