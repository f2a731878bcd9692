"""The log of a space, in the channel of its moderators; and what is done again to who comes back."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import pytest

from core.message import Arrival, Author, Movement, Platform
from core.moderation import posting
from core.moderation.acts import AUTOMOD, ActKind, Actor, Answer, Outcome
from core.moderation.cases import Case, CaseKind, CaseState
from core.moderation.durations import DAY, HOUR, MINUTE
from core.moderation.evidence import Evidence
from core.moderation.posting import CaseLog, in_words
from core.moderation.rejoining import Rejoining
from core.moderation.timers import Timers
from core.people.spaces import Spaces
from core.storage.client import Store
from core.storage.deadlines import Deadlines
from core.texts import languages
from tests.core.moderation.test_carrying import World
from tests.core.moderation.town import PLACE, SPACE, SQUARE

RULES = Actor(AUTOMOD, "Automod")
SAID = Evidence("70", "", "join @everyone `now`\n**free** nitro" + "!" * 500, ("a`b.png",))


class Logged(World):
    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.spaces = Spaces(store)
        self.log = self.another()
        self.acts.listeners.append(self.log.post)
        self.timers = Timers(Deadlines(store), {**self.acts.handlers, **self.log.handlers})

    def another(self) -> CaseLog:
        """As another process has it."""
        return CaseLog(self.acts, self.spaces, Deadlines(self.store))

    async def choose(self, **values: Any) -> None:
        await self.spaces.change(PLACE, lambda settings: settings.model_copy(update=values))

    @property
    def texts(self) -> list[str]:
        return [text for _, text, _ in self.town.posted]


async def test_what_rules_do_is_told_once_with_what_was_said_and_buttons(store: Store) -> None:
    logged = Logged(store)
    await logged.choose(log_channel="77")
    case = await logged.do(ActKind.MUTE, seconds=HOUR, actor=RULES, rule="lures", strikes=1, evidence=SAID)
    # As after a crash, in another process.
    await logged.another().post(PLACE, case)
    [(channel, text, buttons)] = logged.town.posted
    assert channel == "77"
    assert buttons == ["undo 100/1", "mark right 100/1", "mark wrong 100/1"]
    head, by, until, reason, strikes, link, quoted, files = text.split("\n")
    assert head == "**#1** · muting · `Bob` (`5`)"
    assert by == "By the rule `lures`"
    assert until.startswith("It ends on ")
    assert (reason, strikes, link) == ("Reason: `spam`", "1 strike.", "https://town/70")
    assert quoted.startswith("> `join @everyone 'now' **free** nitro!!!")
    assert len(quoted) < 310
    assert files == "`a'b.png`"


async def test_undoing_and_failing_are_told_and_endings_are_not(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = Logged(store)
    await logged.choose(log_channel="77", language="zh_Hans")
    await logged.do(ActKind.WARN)
    await logged.undo(1)
    logged.town.missing[ActKind.BAN] = "permission.ban_members"
    await logged.do(ActKind.BAN)
    await logged.do(ActKind.MUTE, seconds=60)
    await logged.pass_time(monkeypatch, 120)
    assert (await logged.case(4)).state is CaseState.ENDED
    assert [text.split("\n")[0].split(" ")[0] for text in logged.texts] == ["**#1**", "**#2**", "**#3**", "**#4**"]
    assert [buttons for _, _, buttons in logged.town.posted] == [["undo 100/1"], [], [], ["undo 100/4"]]
    assert "撤销了 #1。" in logged.texts[1]
    assert "未能执行" in logged.texts[2]


async def test_it_goes_where_reports_go_unless_chosen_and_nowhere_without(store: Store) -> None:
    logged = Logged(store)
    await logged.do(ActKind.WARN, "a")
    assert logged.town.posted == []
    await logged.acts.cases.choose_channel(PLACE, "66")
    await logged.do(ActKind.WARN, "b")
    await logged.choose(log_channel="77")
    await logged.do(ActKind.WARN, "c")
    assert [channel for channel, _, _ in logged.town.posted] == ["66", "77"]


async def test_a_raid_is_told_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = Logged(store)
    await logged.choose(log_channel="77")
    now = time.time() // MINUTE * MINUTE
    for number in range(30):
        await logged.do(ActKind.BAN, f"b{number}", str(900 + number), actor=RULES, rule="raid", at=now)
    assert len(logged.town.posted) == posting.MOST_POSTS
    await logged.pass_time(monkeypatch, 2 * MINUTE)
    assert len(logged.town.posted) == posting.MOST_POSTS + 1
    lines = logged.texts[-1].split("\n")
    assert len(lines) == posting.MOST_LINES + 2
    assert (lines[1].split(" ")[0], lines[-1]) == ("**#1**", "… and 10 others.")


@pytest.mark.parametrize("code", languages())
def test_every_kind_and_state_has_its_words(code: str) -> None:
    for kind in set(ActKind) - {ActKind.UNDO}:
        for state in CaseState:
            for outcome in Outcome:
                case = Case(
                    CaseKind(kind), "5", "", "2", "", "", 1.0, state=state, answers=(Answer(outcome),), number=3
                )
                assert in_words(case, Platform.DISCORD, "", code).startswith("**#3** · ")


@dataclass
class Back:
    """Somebody who leaves and comes back, without what held them there."""

    logged: Logged

    async def rejoin(self, update: str = "u1", account: str = "5", movement: Movement = Movement.JOINED) -> None:
        arrival = Arrival(SQUARE, SPACE, update, Author(account, "Bob"), movement, time.time())
        await Rejoining(self.logged.acts).hear(PLACE, arrival)
        while await self.logged.timers.step():
            pass


async def test_who_comes_back_is_muted_until_the_same_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = Logged(store)
    back = Back(logged)
    await logged.choose(log_channel="77")
    before = await logged.do(ActKind.MUTE, seconds=3 * HOUR)
    await logged.pass_time(monkeypatch, HOUR)
    for update in ("u1", "u1", "u2"):
        del logged.town.state["5", "muted"]
        await back.rejoin(update)
        assert logged.town.now["5", "muted"] == "yes"
    kind, seconds = logged.town.asked[-1]
    assert kind == ActKind.MUTE
    assert seconds is not None
    assert abs(seconds - 2 * HOUR) < 5
    assert [case.number for case in await logged.acts.cases.latest(PLACE)] == [1]
    assert await logged.case(1) == before
    assert (len(logged.town.told), len(logged.town.posted)) == (1, 1), "nobody is told anew"
    await logged.pass_time(monkeypatch, 2 * HOUR + 5)
    assert (await logged.case(1)).state is CaseState.ENDED


async def test_who_was_let_off_or_let_in_comes_back_free(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = Logged(store)
    back = Back(logged)
    await logged.do(ActKind.MUTE, "ended", seconds=60)
    await logged.pass_time(monkeypatch, 61)
    await logged.do(ActKind.QUARANTINE, "undone")
    await logged.undo(2)
    await logged.do(ActKind.MUTE, "under the ban")
    await logged.do(ActKind.BAN, "banned")
    await logged.do(ActKind.MUTE, "another", "8")
    asked = list(logged.town.asked)
    await back.rejoin()
    await back.rejoin("u2", "8", Movement.LEFT)
    assert logged.town.asked == asked


async def test_who_leaves_again_at_once_is_muted_the_next_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = Logged(store)
    back = Back(logged)
    await logged.do(ActKind.MUTE, seconds=DAY)
    del logged.town.state["5", "muted"]
    logged.town.answers = [Answer(Outcome.GONE)]
    await back.rejoin()
    assert logged.town.now.get(("5", "muted")) is None
    await back.rejoin("u2")
    assert logged.town.now["5", "muted"] == "yes"
    await logged.pass_time(monkeypatch, DAY + 5)
    assert (await logged.case(1)).state is CaseState.ENDED


async def test_all_that_holds_is_set_again_unless_the_platform_keeps_it(store: Store) -> None:
    logged = Logged(store)
    back = Back(logged)
    await logged.do(ActKind.QUARANTINE, seconds=DAY)
    await logged.do(ActKind.RESTRICT)
    logged.town.state |= {("5", "roles"): "fan", ("5", "restricted"): ""}
    await back.rejoin()
    assert logged.town.now.get(("5", "roles")) is None
    assert logged.town.now["5", "restricted"] == "yes"
    await logged.undo(2)
    await logged.undo(1)
    assert logged.town.now.get(("5", "roles")) == "fan,artist"
    assert logged.town.now.get(("5", "restricted")) is None
    await logged.do(ActKind.MUTE)
    spans = logged.town.abilities
    logged.town.abilities = {kind: replace(span, stays=True) for kind, span in spans.items()}
    asked = list(logged.town.asked)
    await back.rejoin("u2")
    assert logged.town.asked == asked
