"""What makes a rule hit, and whom it is for: one function for each name in ``core/moderation/rule.py``. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from core.message import Arrival, AttachmentKind, Reacted, Seen, Sighting
from core.models.language import language_of
from core.moderation import hosts
from core.moderation.classify import Label, Level, Thresholds
from core.moderation.facts import Facts
from core.moderation.flow import Reacting, Said, Sketch, Spot, told
from core.moderation.matching import cut, key, readings
from core.moderation.rule import (
    Attachments,
    Caps,
    Event,
    Flood,
    Invites,
    Joins,
    Languages,
    Links,
    MemberFor,
    Repeats,
    Rule,
)

_EMOJI = re.compile(
    r"<a?:\w{2,32}:\d{15,21}>"
    r"|[\U0001f1e6-\U0001f1ff]{2}"
    r"|[0-9#*]\ufe0f?\u20e3"
    r"|[\u231a-\u23ff\u2600-\u27bf\u2b05-\u2b55\U0001f000-\U0001faff]"
    r"[\ufe0f\U0001f3fb-\U0001f3ff]*(?:\u200d[\u2600-\u27bf\U0001f000-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*)*"
)
"""Discord's own, flags, keycaps, and the rest with its skin and what it is joined to: each is one."""
_MARKS = re.compile(r"<(?:@[!&]?\d{1,21}|a?(:\w{2,32}:)\d{1,21})>")
"""Of Discord: somebody named, whose name is not what was said; an emoji."""
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Found:
    """What a trigger saw."""

    text: str = ""
    """The word, the host: for moderators' eyes only."""
    spots: tuple[Spot, ...] = ()
    """Other messages that belong to it."""
    accounts: tuple[str, ...] = ()
    """People who belong to it."""
    is_unsure: bool = False
    """A second look may find that there is nothing, or was not asked yet."""


class Look:
    """What rules look at, with what several of them ask about it found out once."""

    def __init__(self, seen: Seen, facts: Facts) -> None:
        self.seen = seen
        self.facts = facts

    @cached_property
    def event(self) -> Event:
        match self.seen:
            case Sighting(edited=True):
                return "edit"
            case Sighting():
                return "message"
            case Arrival():
                return "join"
            case Reacted():
                return "reaction"

    @cached_property
    def text(self) -> str:
        """Of a message, or what somebody says of themselves who comes."""
        text = self.seen.text if isinstance(self.seen, Sighting) else getattr(self.seen, "words", "")
        return cut(text)

    @cached_property
    def typed(self) -> str:
        """Without Discord's marks for people and emoji, whose names others chose."""
        return _MARKS.sub("", self.text) if "<" in self.text else self.text

    @cached_property
    def plain(self) -> str:
        """With the names of emoji, and without those of people."""
        return _MARKS.sub(lambda found: found[1] or "@", self.text) if "<" in self.text else self.text

    @cached_property
    def words(self) -> str:
        """What is said in it, and what its files are called."""
        files = self.seen.attachments if isinstance(self.seen, Sighting) else ()
        return cut("\n".join((self.plain, *(file.name for file in files if file.name)))) if files else self.plain

    @cached_property
    def readings(self) -> Sequence[str]:
        return readings(self.words)

    @cached_property
    def name_readings(self) -> Sequence[str]:
        return readings(self.seen.author.name[:200])

    @cached_property
    def texts(self) -> Sequence[bytes]:
        """What patterns are tried on."""
        # Capitals do not matter.
        texts = dict.fromkeys((self.plain.casefold(), self.words.casefold(), *self.readings[:2]))
        return tuple(text.encode("utf-8", "replace") for text in texts)

    @cached_property
    def links(self) -> Sequence[str]:
        own = self.seen.links if isinstance(self.seen, Sighting) else ()
        return tuple(dict.fromkeys((*own[: hosts.MOST_LINKS], *hosts.written_links(self.text))))

    @cached_property
    def hosts(self) -> Sequence[str]:
        return tuple(dict.fromkeys(host for link in self.links if (host := hosts.host_of(link))))

    @cached_property
    def named_hosts(self) -> Sequence[str]:
        """Also those that are no links."""
        return tuple(dict.fromkeys((*self.hosts, *hosts.bare_hosts(self.text), *hosts.bare_hosts(key(self.text)))))

    @cached_property
    def invites(self) -> Sequence[str]:
        return hosts.invites(self.text, self.links)

    @cached_property
    def emoji(self) -> int:
        return 0 if self.text.isascii() and "<" not in self.text else sum(1 for _ in _EMOJI.finditer(self.text))

    @cached_property
    def capitals(self) -> tuple[int, int]:
        """Letters that are capitals, and all that could be."""
        upper = sum(map(str.isupper, self.typed))
        return upper, upper + sum(map(str.islower, self.typed))

    @cached_property
    def language(self) -> str:
        return language_of(self.typed)

    @cached_property
    def said(self) -> Said | None:
        """The message, noted in the flow; None where nothing is noted, or there is none."""
        if not isinstance(self.seen, Sighting) or self.facts.flow is None:
            return None
        seen = self.seen
        files = [f"{one.kind}:{one.size}:{one.name}" for one in seen.attachments if one.size]
        spot = Spot(seen.conversation, seen.id, seen.author.id)
        # Of the words alone.
        reading = readings(self.plain)[1] if files else self.readings[1]
        sketch = Sketch.of(reading, files)
        said = self.facts.flow.said(self.facts.space, spot, seen.author.id, seen.sent_at, sketch, edited=seen.edited)
        said.is_staff, said.album = self.is_staff, seen.album
        return said

    @cached_property
    def alike(self) -> Sequence[Said]:
        """What says the same as the message, which is among it."""
        flow, said = self.facts.flow, self.said
        return flow.alike(self.facts.space, said) if flow and said else ()

    def note(self) -> None:
        """Counts it for the rules that look at more than one message, whether one of them asks or not."""
        flow = self.facts.flow
        if flow is None:
            return
        match self.seen:
            case Sighting():
                _ = self.said
            case Arrival(author=author, at=at):
                flow.joined(self.facts.space, author.id, at)
            case Reacted(conversation=conversation, message_id=id, author=author, emoji=emoji, at=at, added=True):
                flow.reacted(self.facts.space, author.id, Reacting(Spot(conversation, id), emoji, at))
            case Reacted():
                pass

    @property
    def at(self) -> float:
        return self.seen.sent_at if isinstance(self.seen, Sighting) else self.seen.at

    @property
    def joined_at(self) -> float:
        own = self.seen.joined_at if isinstance(self.seen, Sighting) else 0.0
        return own or self.facts.joined_at

    @property
    def created_at(self) -> float:
        own = 0.0 if isinstance(self.seen, Reacted) else self.seen.created_at
        return own or self.facts.created_at

    @property
    def is_staff(self) -> bool:
        return self.facts.is_staff or (isinstance(self.seen, Sighting) and self.seen.is_staff)


Trigger = Callable[[Any, Look, Rule], Found | None]
"""Of the trigger's value in the rule; None: it does not hit."""


def _at_least(count: Callable[[Look], int]) -> Trigger:
    def looked(least: int, look: Look, rule: Rule) -> Found | None:
        found = count(look)
        return Found(str(found)) if found >= least else None

    return looked


def _has(attribute: str, *values: object) -> Trigger:
    def looked(wanted: bool, look: Look, rule: Rule) -> Found | None:
        return Found() if getattr(look.seen, attribute, None) in values else None

    return looked


def _mentions(look: Look) -> int:
    return look.seen.mentions if isinstance(look.seen, Sighting) else 0


def _lines(look: Look) -> int:
    return len(look.text.strip().splitlines())


def _attachments(value: Attachments, look: Look, rule: Rule) -> Found | None:
    files = look.seen.attachments if isinstance(look.seen, Sighting) else ()
    if value.most is not None and len(files) > value.most:
        return Found(str(len(files)))
    kinds = {AttachmentKind(kind) for kind in value.kinds}
    ends = tuple(f".{one.casefold().lstrip('.')}" for one in value.extensions)
    for file in files:
        # What is not seen in a name, and blanks at its end, are dropped by who opens it.
        name = key(_BIDI.sub("", file.name)).rstrip(". ")
        if file.kind in kinds or (ends and name.endswith(ends)) or (value.bytes and file.size > value.bytes):
            return Found(file.name)
    return None


def _caps(value: Caps, look: Look, rule: Rule) -> Found | None:
    upper, all = look.capitals
    return Found(f"{upper / all:.0%}") if all >= value.least and upper >= value.share * all else None


def _links(value: Links, look: Look, rule: Rule) -> Found | None:
    if value.any and look.links:
        return Found(look.links[0])
    if value.allow and (other := next((one for one in look.hosts if not hosts.is_within(one, value.allow)), "")):
        return Found(other)
    if value.deny and (bad := next((one for one in look.named_hosts if hosts.looks_within(one, value.deny)), "")):
        return Found(bad)
    if value.imitates and (false := next((one for one in look.hosts if hosts.imitated(one, value.imitates)), "")):
        return Found(false)
    return None


def _invites(value: Invites, look: Look, rule: Rule) -> Found | None:
    welcome = look.facts.own_invites | {code.casefold() for code in value.allow}
    other = next((code for code in look.invites if code.casefold() not in welcome), "")
    return Found(other) if other else None


def _language(value: Languages, look: Look, rule: Rule) -> Found | None:
    language = look.language
    if not language or (language not in value.deny if value.deny else language in value.only):
        return None
    return Found(language)


def _account_age(value: Any, look: Look, rule: Rule) -> Found | None:
    created = look.created_at
    return Found() if created and look.facts.now - created < value.seconds else None


def _flood(value: Flood, look: Look, rule: Rule) -> Found | None:
    flow, said = look.facts.flow, look.said
    if flow is None or said is None:
        return None
    found = flow.by_one(look.facts.space, said, value.seconds)
    count = len({one.album or one.spot for one in found})
    if count < value.count:
        return None
    return Found(str(count), told(rule.name, said, found))


def _repeats(value: Repeats, look: Look, rule: Rule) -> Found | None:
    said = look.said
    if said is None:
        return None
    # What the staff quotes is no repetition of it, and does not go with it.
    counted = [one for one in look.alike if rule.staff or not one.is_staff]
    if value.people == 1:
        # Of one who says it again. Many who say the same are another matter.
        counted = [one for one in counted if one.account == said.account]
    found = [one for one in counted if abs(one.at - said.at) <= value.seconds]
    accounts = tuple(dict.fromkeys(one.account for one in found))
    if len(found) < value.count or len(accounts) < value.people:
        return None
    return Found(str(len(found)), told(rule.name, said, found), accounts)


def _joins(value: Joins, look: Look, rule: Rule) -> Found | None:
    if look.facts.flow is None:
        return None
    found = look.facts.flow.joins(look.facts.space, look.at, value.seconds)
    return Found(str(len(found)), accounts=tuple(found)) if len(found) >= value.count else None


def _reactions(value: Flood, look: Look, rule: Rule) -> Found | None:
    if look.facts.flow is None:
        return None
    found = look.facts.flow.reactions(look.facts.space, look.seen.author.id, look.at, value.seconds)
    return Found(str(len(found)), tuple(dict.fromkeys(found))) if len(found) >= value.count else None


def _score(value: Mapping[Label, Level | float], look: Look, rule: Rule) -> Found | None:
    if look.facts.scores is None or not look.text.strip():
        return None
    scores, thresholds = look.facts.scores(), look.facts.thresholds or Thresholds({})
    if look.facts.has_second_look and rule.can_wait and thresholds.is_unsure(value, scores):
        return Found(is_unsure=True)
    label = thresholds.met(value, scores)
    return Found(f"{label} {scores[label]:.2f}") if label else None


TRIGGERS: Mapping[str, Trigger] = {
    "mentions_all": _has("mentions_all", True),
    "mentions": _at_least(_mentions),
    "forwarded": _has("forwarded", True),
    "contact": _has("unsupported", "contact"),
    "attachments": _attachments,
    "length": _at_least(lambda look: len(look.typed)),
    "lines": _at_least(_lines),
    "account_age": _account_age,
    "joins": _joins,
    "reactions": _reactions,
    "flood": _flood,
    "links": _links,
    "invites": _invites,
    "caps": _caps,
    "emoji": _at_least(lambda look: look.emoji),
    "repeats": _repeats,
    "language": _language,
    "score": _score,
}
"""But for words and patterns, which are looked for together (``core/moderation/rules.py``), and the judge, who is asked
later."""


def is_for(rule: Rule, look: Look) -> bool:
    """Whether the rule's conditions hold. What is not known does not."""
    if look.is_staff and not rule.staff:
        return False
    if rule.channels or rule.not_channels:
        places = _places(look.seen)
        if (rule.channels and places.isdisjoint(rule.channels)) or not places.isdisjoint(rule.not_channels):
            return False
    if rule.roles or rule.not_roles:
        roles = set(look.seen.roles if isinstance(look.seen, Sighting) else ())
        if (rule.roles and roles.isdisjoint(rule.roles)) or not roles.isdisjoint(rule.not_roles):
            return False
    if rule.member_for and not _is_member_for(rule.member_for, look):
        return False
    if rule.first_messages and not _is_first(rule.first_messages, look.facts.messages_before):
        return False
    if rule.hours:
        now = datetime.fromtimestamp(look.at, look.facts.zone)
        return rule.hours.has(now.hour * 60 + now.minute)
    return True


def _places(seen: Seen) -> set[str]:
    own = {seen.conversation.chat, seen.conversation.thread}
    return (own | set(seen.within) if isinstance(seen, Sighting) else own) - {""}


def _is_member_for(wanted: MemberFor, look: Look) -> bool:
    seconds = wanted.than.seconds or 0
    # Who comes is a member from now on.
    joined = look.at if isinstance(look.seen, Arrival) else look.joined_at
    return bool(joined) and (look.at - joined < seconds if wanted.is_less else look.at - joined > seconds)


def _is_first(most: int, before: int | None) -> bool:
    return before is not None and before < most
