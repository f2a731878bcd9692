"""What the classifier leaves open is looked at again before moderators are shown it, and never on the message's way."""

from __future__ import annotations

import struct
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from core.errors import ModelError, ModelFault
from core.message import Author, ConversationKey, Platform, Seen, Sighting
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.moderation.acts import Act, ActKind
from core.moderation.classify import WEIGHTS
from core.moderation.judge import Judge
from core.moderation.judging import MOST_LOOKS, Bench, Docket
from core.moderation.meaning import heads_of
from core.moderation.rulebook import Policy, RuleBook, RuleBooks
from core.moderation.settings import ModerationSettings
from core.moderation.watch import Watch
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.judging import Briefs
from core.storage.marks import Hit, Marks
from core.storage.watched import Watched
from core.writing import Writer

HERE = ConversationKey(Platform.TELEGRAM, "1", "-100")
SPACE = "telegram:1:-100"
UNSURE, UNSURE_AND_FLAGGED, SURE = "you are so dumb it hurts", "nobody wants you here, go away", "you stupid fool"
RULES = """
[[rule]]
name = "insults"
score = { toxic = "flag" }

[[rule]]
name = "at once"
score = { toxic = "flag" }
delete = true
shadow = true
"""
_HEAD = heads_of(WEIGHTS)["en"]["toxic"]
INSULT = struct.pack("<384f", *(weight / 100 for weight in _HEAD.weights))
HARMLESS = struct.pack("<384f", *(-weight / 100 for weight in _HEAD.weights))


@dataclass
class Street:
    """A group in which insults are shown to the moderators."""

    watch: Watch
    bench: Bench
    policy: Policy
    means: bytes | Exception = INSULT
    asked: list[str] = field(default_factory=list[str])
    jobs: list[str] = field(default_factory=list[str])
    acts: list[Act] = field(default_factory=list[Act])

    async def hear(self, text: str, id: int = 1) -> list[ActKind]:
        """What is done at once."""
        said = Sighting(HERE, str(id), f"u{id}", Author("7", "Ann"), text, time.time(), "-100")
        assert await self.watch.look([said]) == set()
        return [act.kind for act in self.acts]

    async def work(self) -> list[tuple[ActKind, str, str]]:
        for id in self.jobs:
            await self.bench.run(id)
        return [(act.kind, act.rule, act.account) for act in self.acts]


@asynccontextmanager
async def street(store: Store, *, has_model: bool = True) -> AsyncGenerator[Street]:
    policy, briefs = Policy(RuleBooks(store), Watched(store), Marks(store)), Briefs(store)
    community = Community.of(Settings(), store)
    await community.spaces.change(SPACE, lambda now: now.model_copy(update={"moderated": True}))
    await policy.books.change(SPACE, lambda _: RuleBook(text=RULES))

    async def order(ordered: Sequence[Act]) -> None:
        here.acts.extend(ordered)

    async def enqueue(name: str, id: str, argument: str) -> None:
        here.jobs.append(argument)

    async def reads(text: str, /) -> bytes:
        here.asked.append(text)
        if isinstance(here.means, Exception):
            raise here.means
        return here.means

    async def say(seen: Seen, answer: str, key: str) -> None:
        raise AssertionError(answer)

    catalog = Catalog([], [])
    router = Router(catalog, RoutingSettings(), Breaker(5, 1), OpenAIApi)
    judge = Judge(Writer(catalog, router), catalog, model="", seconds=1)
    bench = Bench(briefs, policy, community.spaces, ModerationSettings(), judge, order, reads)
    watch = Watch(policy, community.spaces, community.people, order, say)
    watch.judges, watch.has_second_look = Docket(briefs, enqueue).judges, lambda: has_model
    here = Street(watch, bench, policy)
    try:
        yield here
    finally:
        await router.aclose()


async def test_what_is_unsure_is_flagged_by_what_it_means(store: Store) -> None:
    async with street(store) as here:
        assert await here.hear(UNSURE) == []
        assert (len(here.jobs), here.asked) == (1, [])
        assert await here.work() == [(ActKind.FLAG, "insults", "7")]
        assert here.asked == [UNSURE]
        assert (await here.policy.marks.counts(SPACE, 1))["insults"] == {Hit.ACTED: 1}
        # Done again by another process, it is the same act.
        await here.hear(UNSURE)
        await here.work()
        assert len({act.id for act in here.acts}) == 1


async def test_what_letters_alone_would_flag_may_mean_nothing(store: Store) -> None:
    async with street(store) as here:
        here.means = HARMLESS
        assert await here.hear(UNSURE_AND_FLAGGED) == []
        assert await here.work() == []


@pytest.mark.parametrize("trouble", ["the model is away", "too many at once"])
async def test_without_a_second_look_the_first_scores_decide(store: Store, trouble: str) -> None:
    async with street(store) as here:
        here.means = ModelError(ModelFault.UNREACHABLE, "away") if trouble == "the model is away" else HARMLESS
        for _ in range(MOST_LOOKS if trouble == "too many at once" else 0):
            await Briefs(store).count(f"{SPACE}:meaning")
        await here.hear(UNSURE, 1)
        await here.hear(UNSURE_AND_FLAGGED, 2)
        assert await here.work() == [(ActKind.FLAG, "insults", "7")]
        assert here.acts[0].evidence.text == UNSURE_AND_FLAGGED


async def test_what_is_sure_is_flagged_at_once_and_so_is_all_without_a_model(store: Store) -> None:
    async with street(store) as here:
        assert await here.hear(SURE) == [ActKind.FLAG]
        assert here.jobs == []
    async with street(store, has_model=False) as here:
        assert await here.hear(UNSURE_AND_FLAGGED) == [ActKind.FLAG]
        await here.hear(UNSURE, 2)
        assert (len(here.acts), here.jobs) == (1, [])


async def test_what_a_rule_takes_away_does_not_wait(store: Store) -> None:
    async with street(store) as here:
        await here.policy.books.change(SPACE, lambda _: RuleBook(text=RULES.replace("shadow = true", "")))
        said = Sighting(HERE, "1", "u1", Author("7", "Ann"), UNSURE_AND_FLAGGED, time.time(), "-100")
        assert await here.watch.look([said]) == {(HERE, "1")}
        assert [act.kind for act in here.acts] == [ActKind.DELETE]
        assert len(here.jobs) == 1
