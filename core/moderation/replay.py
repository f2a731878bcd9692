"""Runs rules over what was said before, to see what they would hit before they are switched on. Nothing is done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo

from core.message import Sighting
from core.moderation.classify import Classifier
from core.moderation.facts import Facts
from core.moderation.flow import Flow
from core.moderation.rules import Effects, RuleSet, merged
from core.moderation.watch import is_staff
from core.people.identity import People
from core.people.spaces import SpaceSettings
from core.storage.watched import Watched

MOST_EXAMPLES = 5
"""Of one rule."""
MOST_PEOPLE = 10
"""Of one rule, those it hits most."""
MOST_KEPT = 50_000
"""Messages that are looked at, the newest; a space keeps as many."""
AT_ONCE = 20
"""Messages looked at before others have their turn on the event loop."""


@dataclass(slots=True)
class OfRule:
    """What one rule would have hit."""

    hits: int = 0
    unsure: int = 0
    """Hits that a model would have to decide about."""
    people: Counter[str] = field(default_factory=Counter[str])
    """Account -> how often."""
    examples: list[Sighting] = field(default_factory=list[Sighting])
    """The first ones."""


@dataclass(frozen=True, slots=True)
class Past:
    """What was said in a space, as its rules knew it then."""

    said: Sequence[Sighting]
    """Oldest first."""
    before: Mapping[str, int]
    """Account -> messages that it had written before all these."""


async def past(
    watched: Watched, people: People, settings: SpaceSettings, space: str, at: float, most: int = MOST_KEPT
) -> Past:
    """The newest messages of a space since a time (unix seconds), ``most`` of them. Raises StorageError."""
    found = [one async for one in watched.newest(space, most) if one.sent_at >= at]
    # What a platform told twice is kept twice.
    said = list({(one.conversation, one.id, one.update): one for one in reversed(found)}.values())
    staff = {
        author: await is_staff(people, settings, one) for author, one in {one.author.id: one for one in said}.items()
    }
    before = Counter(await watched.counts(space))
    before.subtract(one.author.id for one in said if not one.edited)
    return Past([replace(one, is_staff=one.is_staff or staff[one.author.id]) for one in said], before)


@dataclass(slots=True)
class Replayed:
    """What rules would have done."""

    messages: int = 0
    acted_on: int = 0
    """Messages that something would have followed from."""
    first: float = 0.0
    """Unix seconds of the oldest message looked at."""
    rules: dict[str, OfRule] = field(default_factory=dict[str, OfRule])
    """Every rule by its name, in their order."""
    names: dict[str, str] = field(default_factory=dict[str, str])
    """What accounts are called."""
    effects: Counter[str] = field(default_factory=Counter[str])
    """What would have been done, by name."""


async def replay(
    rules: RuleSet,
    past: Past,
    *,
    space: str,
    classifier: Classifier,
    zone: tzinfo = UTC,
    watch: Callable[[Replayed], None] | None = None,
) -> Replayed:
    """Rules in the shadow count like the others: it is they that one wants to know of. ``watch`` is told now and then
    how far it is."""
    trial = RuleSet([rule.model_copy(update={"shadow": False}) for rule in rules.rules], rules.lists)
    done, flow = Replayed(rules={rule.name: OfRule() for rule in rules.rules}), Flow()
    before = Counter(past.before)
    for one in past.said:
        done.messages += 1
        done.first = done.first or one.sent_at
        facts = Facts(
            now=one.sent_at,
            space=space,
            flow=flow,
            messages_before=max(0, before[one.author.id]),
            scores=lambda one=one: classifier.scores(one.text),
            thresholds=classifier.thresholds,
            is_staff=one.is_staff,
            zone=zone,
        )
        if not one.edited:
            before[one.author.id] += 1
        _note(done, trial, one, facts)
        if done.messages % AT_ONCE == 0:
            if watch is not None:
                watch(done)
            await asyncio.sleep(0)
    return done


def _note(done: Replayed, rules: RuleSet, one: Sighting, facts: Facts) -> None:
    hits = rules.look(one, facts)
    for hit in hits:
        of = done.rules[hit.rule.name]
        of.unsure += hit.needs_judge
        of.hits += not hit.needs_judge
        if hit.needs_judge:
            continue
        of.people[one.author.id] += 1
        done.names[one.author.id] = one.author.name
        if len(of.examples) < MOST_EXAMPLES:
            of.examples.append(replace(one, attachments=()))
    if effects := merged(hits):
        done.acted_on += 1
        done.effects.update(_named(effects))


def _named(effects: Effects) -> list[str]:
    asked = {
        "delete": effects.delete,
        "flag": effects.flag,
        "slow": effects.pause > 0,
        "lock": effects.lock,
        "answer": bool(effects.answer),
    }
    return [*([str(effects.act)] if effects.act else []), *(name for name, is_so in asked.items() if is_so)]
