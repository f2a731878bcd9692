"""What everybody's commands and answers go by: people, spaces and what they share. One for the whole process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from core.knowledge.faq import Faqs
from core.knowledge.libraries import Libraries
from core.knowledge.open_questions import Waiting
from core.moderation.rulebook import Policy, RuleBooks
from core.people.broadcasts import Broadcasts
from core.people.budgets import Budgets
from core.people.gate import Check
from core.people.house import Houses
from core.people.identity import People
from core.people.limits import Limits
from core.people.linking import Linking
from core.people.maintenance import Maintenance
from core.people.personas import Personas
from core.people.spaces import Spaces
from core.settings import Owners, Settings
from core.storage.client import Store
from core.storage.marks import Marks
from core.storage.processes import Processes
from core.storage.sealing import Sealing
from core.storage.shared import Once
from core.storage.spaces_seen import SpacesSeen
from core.storage.watched import Watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """All that is known of people and spaces, and may be changed by commands."""

    settings: Settings
    store: Store
    people: People
    linking: Linking
    """Joins and parts accounts."""
    spaces: Spaces
    personas: Personas
    houses: Houses
    """What whoever runs Parley decides for all of it."""
    maintenance: Maintenance
    broadcasts: Broadcasts
    processes: Processes
    """All that run over this store."""
    seen: SpacesSeen
    """The spaces that bots are in."""
    sealing: Sealing
    """With the owner's keys, where there are any."""
    limits: Limits
    budgets: Budgets
    faqs: Faqs
    """Answers that spaces' staff wrote."""
    questions: Waiting
    """What waits for an answer of theirs."""
    libraries: Libraries
    """Which documents spaces and people taught."""
    policy: Policy
    """The rules of spaces."""

    @classmethod
    def of(cls, settings: Settings, store: Store) -> Community:
        people, spaces, houses = People(store), Spaces(store), Houses(store)
        seen = SpacesSeen(store)
        sealing, budgets = Sealing.of(settings), Budgets(store, settings.budgets, people, spaces)
        return cls(
            settings=settings,
            store=store,
            people=people,
            linking=Linking(store, people, sealing, budgets),
            spaces=spaces,
            personas=Personas(store, settings.chat.persona),
            houses=houses,
            maintenance=Maintenance(houses, Once(store), Owners(settings)),
            broadcasts=Broadcasts(store, spaces, seen),
            processes=Processes(store),
            sealing=sealing,
            limits=Limits(store, settings.chat),
            budgets=budgets,
            seen=seen,
            faqs=Faqs(store),
            questions=Waiting.of_store(store),
            libraries=Libraries(store),
            policy=Policy(
                RuleBooks(store),
                Watched(store, settings.moderation.message_days, settings.moderation.messages),
                Marks(store),
            ),
        )

    @property
    def checks(self) -> Sequence[Check]:
        """What messages and commands have to pass besides the rights (``core/people/gate.py``), in this order."""
        return (self.maintenance.check,)

    async def follow(self) -> None:
        """Keeps up with what other processes change, until cancelled."""
        await asyncio.gather(
            self.people.records.follow(),
            self.spaces.records.follow(),
            self.personas.records.follow(),
            self.houses.records.follow(),
            self.broadcasts.records.follow(),
            self.faqs.records.follow(),
            self.libraries.records.follow(),
            self.policy.books.records.follow(),
        )
