"""Strikes that go by themselves and with what gave them, and the ladder that follows from them."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

from core.moderation.acts import AUTOMOD, ActKind, Actor, Answer, Outcome
from core.moderation.cases import Case, CaseKind, CaseState
from core.moderation.consequences import consequences
from core.moderation.durations import DAY, HOUR
from core.moderation.ladder import Ladder
from core.moderation.rules import RuleSet
from core.moderation.strikes import Strikes
from core.people.identity import People
from core.people.kin import kin
from core.people.spaces import Spaces
from core.storage.client import Store
from tests.core.moderation.sightings import facts, sighting
from tests.core.moderation.test_carrying import World
from tests.core.moderation.town import PLACE

OTHER = "telegram:42:-100500"
RULES = Actor(AUTOMOD, "Automod")


class Judged(World):
    """A space with a ladder."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.spaces, self.people = Spaces(store), People(store)
        self.strikes = Strikes(self.acts.cases, self.spaces)
        self.ladder = Ladder(self.acts, self.spaces, self.strikes, partial(kin, self.people, self.spaces))
        self.acts.listeners.append(self.ladder.climb)

    async def choose(self, **values: Any) -> None:
        await self.spaces.change(PLACE, lambda settings: settings.model_copy(update=values))

    async def warn(self, id: str, account: str = "5", **values: Any) -> Case:
        return await self.do(ActKind.WARN, id, account, **{"at": time.time(), **values})

    async def climbed(self) -> list[tuple[str, str, int | None]]:
        """What the ladder did, the first step first: kind, to whom, for how long."""
        cases = reversed(await self.acts.cases.latest(PLACE))
        return [(case.kind, case.account, case.seconds) for case in cases if case.act.startswith("ladder:")]


async def test_a_strike_goes_after_its_days(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = Judged(store)
    await judged.warn("a", at=time.time() - 29 * DAY)
    await judged.warn("b", strikes=3)
    assert await judged.strikes.of(PLACE, "5") == 4
    await judged.choose(strike_days=29)
    assert await judged.strikes.of(PLACE, "5") == 3
    await judged.choose(strike_days=None)
    await judged.pass_time(monkeypatch, 2 * DAY)
    assert await judged.strikes.of(PLACE, "5") == 3


async def test_undoing_a_case_takes_its_strikes_back_and_no_others(store: Store) -> None:
    judged = Judged(store)
    await judged.warn("a")
    await judged.do(ActKind.MUTE, "m", strikes=2, actor=RULES, at=time.time(), seconds=HOUR)
    await judged.warn("b")
    assert await judged.strikes.of(PLACE, "5") == 4
    await judged.undo(2)
    assert await judged.strikes.of(PLACE, "5") == 2
    await judged.undo(1)
    assert await judged.strikes.of(PLACE, "5") == 1


async def test_strikes_of_what_is_over_can_be_taken_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = Judged(store)
    await judged.do(ActKind.MUTE, "m", strikes=2, actor=RULES, at=time.time(), seconds=HOUR)
    await judged.do(ActKind.KICK, "k", strikes=1, actor=RULES, at=time.time())
    await judged.pass_time(monkeypatch, 2 * HOUR)
    assert (await judged.case(1)).state is CaseState.ENDED
    assert await judged.strikes.of(PLACE, "5") == 3
    asked = list(judged.town.asked)
    await judged.undo(1)
    await judged.undo(2)
    assert [(await judged.case(number)).state for number in (1, 2)] == [CaseState.UNDONE] * 2
    assert await judged.strikes.of(PLACE, "5") == 0
    assert judged.town.asked == asked, "nobody asks the platform"


async def test_what_was_not_done_gives_none_but_for_who_was_faster(store: Store) -> None:
    judged = Judged(store)
    judged.town.answers = [Answer(Outcome.REFUSED)]
    await judged.do(ActKind.MUTE, "m", strikes=2, actor=RULES, at=time.time())
    assert await judged.strikes.of(PLACE, "5") == 0
    judged.town.answers = [Answer(Outcome.GONE)]
    await judged.do(ActKind.DELETE, "d", strikes=1, actor=RULES, at=time.time(), messages=("1",))
    assert await judged.strikes.of(PLACE, "5") == 1


async def test_a_step_is_done_when_the_strikes_come_to_it_and_once(store: Store) -> None:
    judged = Judged(store)
    await judged.choose(ladder="2: mute 1h, 3: mute 2h, 5: ban 1d")
    await judged.warn("a")
    assert await judged.climbed() == []
    case = await judged.warn("b")
    assert await judged.climbed() == [("mute", "5", HOUR)]
    for _ in range(2):
        # As after a crash.
        await judged.ladder.climb(PLACE, case)
    await judged.acts.carry(PLACE)
    assert await judged.climbed() == [("mute", "5", HOUR)]
    await judged.warn("c", strikes=4)
    # Of the two it came to with that, the higher one.
    assert await judged.climbed() == [("mute", "5", HOUR), ("ban", "5", DAY)]
    step = await judged.case(3)
    assert (step.actor, step.strikes, step.state) == (AUTOMOD, 0, CaseState.DONE)


async def test_two_at_once_are_one_step(store: Store) -> None:
    judged = Judged(store)
    first, second = await judged.warn("a"), await judged.warn("b")
    await judged.choose(ladder="2: mute 1h")
    for case in (second, first):
        await judged.ladder.climb(PLACE, case)
    await judged.acts.carry(PLACE)
    assert len(await judged.climbed()) == 1


async def test_who_was_let_off_climbs_again(store: Store) -> None:
    judged = Judged(store)
    await judged.choose(ladder="2: mute 1h")
    await judged.warn("a")
    await judged.warn("b")
    await judged.undo(2)
    await judged.warn("c")
    assert len(await judged.climbed()) == 2


async def test_a_step_shortens_nothing(store: Store) -> None:
    judged = Judged(store)
    await judged.choose(ladder="1: mute 1h")
    await judged.do(ActKind.MUTE, "m", strikes=1, actor=RULES, at=time.time(), seconds=DAY)
    assert await judged.climbed() == []


@pytest.mark.parametrize("account", ["6", "3", "1"])
async def test_no_step_is_done_to_the_staff(store: Store, account: str) -> None:
    judged = Judged(store)
    await judged.choose(ladder="1: ban")
    await judged.warn("a", account)
    assert await judged.climbed() == []


async def test_no_step_is_done_to_who_is_made_a_moderator_here(store: Store) -> None:
    judged = Judged(store)
    await judged.choose(ladder="1: ban", roles={"discord:5": "moderator"})
    await judged.warn("a")
    assert await judged.climbed() == []


async def test_strikes_of_one_person_count_together_where_both_spaces_want_it(store: Store) -> None:
    judged = Judged(store)
    both = {"accounts": ("discord:5", "telegram:8")}
    await judged.people.change("discord:5", lambda person: person.model_copy(update=both))
    there = Case(CaseKind.WARN, "8", "Bo", "3", "Mo", "rude", time.time() - 9, strikes=1)
    await judged.acts.cases.make(OTHER, there, "there")
    await judged.choose(ladder="2: mute 1h, 3: ban 7d", joined=(OTHER, "nonsense", PLACE))
    await judged.warn("a")
    assert await judged.climbed() == []
    await judged.spaces.change(OTHER, lambda settings: settings.model_copy(update={"joined": (PLACE,)}))
    await judged.warn("b")
    # Its own two and that one.
    assert await judged.climbed() == [("ban", "5", 7 * DAY)]
    assert await judged.strikes.of(PLACE, "5") == 2, "moderators are shown what was given here"
    await judged.warn("c", "6")
    assert len(await judged.climbed()) == 1, "nobody else has a part in it"


def test_a_rule_gives_strikes_once_for_a_message_however_much_it_does() -> None:
    effects = 'delete = true\nmute = "1h"\nstrikes = 2\nlock = "1m"'
    rules = RuleSet.parse(f'[[rule]]\nname = "x"\nwords = ["bad"]\n{effects}')
    seen = sighting("bad")
    acts = consequences(rules.seen(seen, facts()), seen).acts
    assert [(act.kind, act.strikes) for act in acts] == [("mute", 2), ("delete", 0), ("lock", 0)]
