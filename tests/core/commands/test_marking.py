"""The buttons under what a log tells: taken back, right or wrong, also from another group than the one it is about."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from core.access import Right
from core.message import Author, ConversationKey, Platform
from core.moderation.acts import AUTOMOD, Act, ActKind, Actor
from core.moderation.carrying import Acts
from core.moderation.cases import CaseState
from core.moderation.evidence import Evidence
from core.people.access import Asker
from core.people.spaces import Spaces
from core.storage.client import Store
from core.storage.marks import Hit, Marks
from tests.core.commands.test_acts import MO, PLACE, World
from tests.core.moderation.town import SQUARE

CLUB = ConversationKey(Platform.TELEGRAM, "1", "-100")
LOG = ConversationKey(Platform.TELEGRAM, "1", "-200")
EVE = Author("9", "Eve")


@dataclass
class Logged(World):
    """Two groups: Mo moderates one of them, and Eve the other, in which both read the log."""

    platforms: tuple[Platform, ...] = (Platform.DISCORD, Platform.TELEGRAM)
    groups: dict[str, str] = field(default_factory=lambda: {"2": "-100", "9": "-200"})

    async def may(self, asker: Asker, right: Right) -> bool:
        if asker.conversation.platform is Platform.DISCORD:
            return await super().may(asker, right)
        return not asker.by_admin and self.groups[asker.author.id] == asker.space == asker.conversation.chat

    async def acted(self, conversation: ConversationKey = SQUARE, space: str = "100", *, rule: str = "lures") -> None:
        """Automod warns Bob."""
        acts = Acts(self.store, dict.fromkeys(Platform, self.town), keep_days=1)
        said = Evidence("70", "", "free nitro")
        id = f"{space}:{rule}"
        act = Act(id, ActKind.WARN, conversation, space, Actor(AUTOMOD), "5", "Bob", at=1.0, evidence=said, rule=rule)
        await acts.order([act])
        await acts.carry(act.place)

    async def press_in_the_log(self, button: str, by: Author) -> list[str]:
        name, _, text = button.partition(" ")
        return await self.say(name, by, options={"text": text}, conversation=LOG, space="-200", by_admin=by is EVE)

    async def state(self, place: str) -> CaseState | None:
        case = await self.cases.get(place, 1)
        return case.state if case else None


@pytest.fixture
def logged(store: Store) -> Logged:
    return Logged(store)


async def test_a_mark_is_kept_with_its_example_and_counted_once(logged: Logged) -> None:
    await logged.acted()
    marks = Marks(logged.store)
    assert await logged.press("mark right 100/1") == ["mark_right"]
    assert await logged.press("mark right 100/1") == ["mark_same"]
    assert await logged.press("mark wrong 1") == ["mark_wrong"]
    [kept] = await marks.marks(PLACE)
    assert (kept.number, kept.rule, kept.is_right, kept.text, kept.by, kept.account) == (
        1,
        "lures",
        False,
        "free nitro",
        "2",
        "5",
    )
    assert (await marks.counts(PLACE, 1))["lures"] == {Hit.RIGHT: 1, Hit.WRONG: 1}


async def test_only_moderators_mark_and_only_what_a_rule_did(logged: Logged) -> None:
    await logged.acted()
    assert await logged.press("mark right 100/1", Author("7", "Ann")) == ["lacking.warn"]
    await logged.acted(rule="")
    for button in ("mark right 100/2", "mark right 100/77"):
        assert await logged.press(button) == ["mark_none"]
    for button in ("mark maybe 1", "mark right", "mark right x", "mark right 100/²", "mark right 1:2/1", "mark"):
        assert await logged.press(button) == ["undo_how"]
    # On Discord a log is in the server that it is about.
    assert await logged.press("mark right 101/1") == ["undo_how"]
    assert await Marks(logged.store).marks(PLACE) == []


async def test_in_another_group_it_is_about_the_one_that_it_names(logged: Logged) -> None:
    await logged.acted(CLUB, "-100")
    await logged.acted(LOG, "-200")
    assert await logged.press_in_the_log("mark wrong -100/1", EVE) == ["lacking.warn"]
    assert await logged.press_in_the_log("undo -100/1", EVE) == ["lacking.warn"]
    assert await logged.press_in_the_log("mark wrong -100/1", MO) == ["mark_wrong"]
    assert await logged.press_in_the_log("undo -100/1", MO) == ["act_done.undo"]
    assert await logged.state("telegram:1:-100") is CaseState.UNDONE
    assert await logged.state("telegram:1:-200") is CaseState.DONE
    assert [mark.by for mark in await Marks(logged.store).marks("telegram:1:-100")] == ["2"]


async def test_a_log_of_a_group_that_moved_goes_on(logged: Logged) -> None:
    await logged.acted(CLUB, "-99")
    await logged.cases.move("telegram:1:-99", "telegram:1:-100")
    assert await logged.press_in_the_log("undo -99/1", MO) == ["act_done.undo"]
    assert await logged.state("telegram:1:-100") is CaseState.UNDONE


async def test_the_channel_is_chosen_by_who_may_configure(logged: Logged) -> None:
    assert await logged.say("modlog", options={"channel": "42"}) == ["log_set"]
    assert await logged.say("modlog", options={"channel": "43"}) == ["reports_no_channel"]
    assert (await Spaces(logged.store).of(PLACE)).log_channel == "42"
    assert await logged.say("modlog", Author("7", "Ann")) == ["lacking.configure"]
    assert await logged.say("modlog") == ["log_usual"]
    assert (await Spaces(logged.store).of(PLACE)).log_channel == ""
