"""What rules delete together is asked about person by person: of those whom rules let be, nothing goes."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import RightsUnknownError
from core.message import Platform
from core.moderation.acts import AUTOMOD, Act, ActKind, Actor, Outcome
from core.moderation.carrying import Acts
from core.moderation.cases import Case, CaseState
from core.moderation.consequences import consequences
from core.moderation.enforcer import Known, Site
from core.moderation.evidence import Said
from core.moderation.flow import Flow
from core.moderation.members import Rank
from core.moderation.rules import RuleSet
from core.storage.client import Store
from tests.core.moderation.sightings import NOW, facts, sighting
from tests.core.moderation.town import PLACE, SPACE, SQUARE, Town

RAID = """
[[rule]]
name = "raid"
repeats = { count = 3, seconds = 60, people = 2 }
delete = true
"""


def purge(**authors: str) -> Act:
    ids = (*authors, "m")
    others = {id: account for id, account in authors.items() if account != "5"}
    return Act(
        "p", ActKind.PURGE, SQUARE, SPACE, Actor(AUTOMOD, "Automod"), "5", messages=ids, authors=others, rule="raid"
    )


async def carried(store: Store, town: Town, act: Act) -> Case:
    acts = Acts(store, {Platform.DISCORD: town}, keep_days=1)
    town.messages = {id: Said("x", id) for id in act.messages}
    [number] = await acts.order([act])
    await acts.carry(PLACE)
    case = await acts.cases.get(PLACE, number)
    assert case is not None
    return case


def town_with(*staff: str) -> Town:
    town = Town()
    for account in ("5", "6", "7", "8"):
        is_admin = account in staff
        town.people[account] = Known(account, f"n{account}", Rank.ABOVE if is_admin else Rank.BELOW, is_admin=is_admin)
    return town


def test_a_repetition_says_who_wrote_which_message() -> None:
    rules, flow = RuleSet.parse(RAID), Flow()
    for id, who in (("1", "5"), ("2", "6"), ("3", "5")):
        said = sighting("come to my casino now, all of you", who=who, id=id, at=NOW)
        acts = consequences(rules.look(said, facts(flow)), said).acts
    assert [(act.kind, set(act.messages), act.authors) for act in acts] == [
        (ActKind.PURGE, {"1", "2", "3"}, {"2": "6"})
    ]
    kept = Case.from_json(Case.of(acts[0]).to_json(), 1).as_act(acts[0].place)
    assert kept.authors == {"2": "6"}


async def test_messages_of_the_staff_stay(store: Store) -> None:
    town = town_with("7")
    case = await carried(store, town, purge(a="5", b="6", c="7", d="7"))
    assert (case.state, case.messages, case.authors) == (CaseState.DONE, ("a", "b", "m"), None)
    assert list(town.messages) == ["c", "d"]


async def test_where_all_are_spared_nothing_is_asked_of_the_platform(store: Store) -> None:
    town = town_with("6", "7")
    act = Act(
        *("p", ActKind.PURGE, SQUARE, SPACE, Actor(AUTOMOD), "5"),
        messages=("a", "b"),
        authors={"a": "6", "b": "7"},
    )
    case = await carried(store, town, act)
    assert (case.state, case.answers[-1].outcome, case.answers[-1].key) == (
        *(CaseState.FAILED, Outcome.REFUSED),
        "automod_spares",
    )
    assert (list(town.messages), town.asked) == (["a", "b"], [])


async def test_while_nobody_tells_who_they_are_nothing_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    town = town_with("7")
    ask = town.know

    async def know(site: Site, account: str, actor: str) -> Any:
        if account == "7":
            raise RightsUnknownError("away")
        return await ask(site, account, actor)

    monkeypatch.setattr(town, "know", know)
    case = await carried(store, town, purge(b="6", c="7"))
    assert (case.state, case.tries, list(town.messages)) == (CaseState.PLANNED, 1, ["b", "c", "m"])
