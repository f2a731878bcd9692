"""Reports of several members: the alert, what the space has done by itself, and the buttons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from core.access import Right
from core.commands.row import Moderation
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall, Platform, Quote
from core.moderation.acts import ActKind
from core.moderation.carrying import Acts
from core.moderation.cases import Case, CaseKind, CaseState, Evidence
from core.moderation.evidence import Said
from core.moderation.reports import Reports
from core.moderation.settings import ModerationSettings
from core.parts import Finished, Notice
from core.people.access import Access, Asker
from core.people.identity import People
from core.people.spaces import Spaces
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.shared import Once
from tests.builders import call
from tests.core.commands.test_moderate import Club
from tests.core.engines import engine
from tests.core.moderation.town import PLACE, SPACE, SQUARE, Town, at_work

MO, BOB = Author("2", "Mo"), Author("5", "Bob")
SPAM = Quote("77", "Bob", "buy `this`", author_id="5")


@dataclass
class World:
    store: Store
    town: Town = field(default_factory=lambda: Town(messages={"77": Said("Bob", "buy `this`", "5")}))
    club: Club = field(default_factory=Club)
    rights: dict[str, set[Right]] = field(default_factory=lambda: {"2": set(Right)})

    @property
    def cases(self) -> Cases:
        return Cases(self.store, keep_days=1)

    async def may(self, asker: Asker, right: Right) -> bool:
        return right in self.rights.get(asker.author.id, ()) and asker.space == SPACE

    async def run(self, asked: CommandCall) -> list[str]:
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        access = Access(People(self.store), Spaces(self.store), (), Once(self.store), may=self.may)
        async with at_work(Acts(self.store, {"discord": self.town}, keep_days=1, access=access)) as acts:
            kept = Moderation(self.cases, self.club, ModerationSettings(), acts, self.town)
            async with engine(self.store, mailbox, may=self.may, moderation={Platform.DISCORD: kept}) as answering:
                *parts, last = [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]
            waiting = [c.number for c in await self.cases.latest(PLACE) if c.state is CaseState.PLANNED]
            await acts.carried(PLACE, waiting, 5)
        assert isinstance(last, Finished)
        return [part.key for part in parts if isinstance(part, Notice)]

    async def report(self, number: int, quote: Quote | None = SPAM, **values: Any) -> list[str]:
        """By the member of that number."""
        asked = self.call("report", Author(f"30{number}", f"Member {number}"), quote=quote, reply_to="77", **values)
        return await self.run(asked)

    async def press(self, button: str, by: Author = MO) -> list[str]:
        name, _, text = button.partition(" ")
        return await self.run(self.call(name, by, options={"text": text}))

    def call(self, name: str, by: Author, **values: Any) -> CommandCall:
        return call(name, conversation=SQUARE, author=by, private=False, space=SPACE, place="Chess Club", **values)

    async def choose(self, **update: Any) -> None:
        await Spaces(self.store).change(PLACE, lambda now: now.model_copy(update=update))

    async def kinds(self) -> list[CaseKind]:
        return [case.kind for case in reversed(await self.cases.latest(PLACE)) if case.kind is not CaseKind.REPORT]


@pytest.fixture
async def world(store: Store) -> World:
    found = World(store)
    await found.cases.choose_channel(PLACE, "42")
    return found


async def test_moderators_are_alerted_once_when_enough_members_report_somebody(world: World) -> None:
    await world.report(1)
    await world.report(1)
    await world.report(2, quote=None, options={"user": "5"})
    assert world.town.posted == [], "two members, however often"
    await world.report(3, options={"reason": "a scam"})
    await world.report(4)
    [(channel, told, buttons)] = world.town.posted
    assert channel == "42"
    assert "3 members have reported `Bob` (`5`)" in told
    assert "`buy 'this'`" in told
    assert "`a scam`" in told
    assert "Member" not in told, "who reported is nobody's business"
    assert buttons == [f"reported {word} 100/4" for word in ("warn", "mute", "delete", "dismiss")]


async def test_a_space_chooses_how_many_it_takes(world: World) -> None:
    await world.choose(report_alert=2)
    await world.report(1)
    await world.report(2)
    assert len(world.town.posted) == 1
    assert await world.kinds() == [], "nothing is done unless the space wants it"


@pytest.mark.parametrize(("wanted", "kind"), [("delete", ActKind.DELETE), ("mute", ActKind.MUTE)])
async def test_what_enough_members_report_is_hidden_where_the_space_wants_it(
    world: World, wanted: str, kind: ActKind
) -> None:
    await world.choose(report_hides=wanted)
    for number in (1, 2):
        await world.report(number)
    assert world.town.log == []
    await world.report(3)
    assert world.town.log == [(kind, "5")]
    [case] = [case for case in await world.cases.latest(PLACE) if case.kind == kind]
    assert (case.actor, case.reason) == ("automod", "Reported by 3 members")
    assert case.seconds == (600 if wanted == "mute" else None)
    assert "Member" not in "".join(told for _, told in world.town.told)


async def test_staff_that_many_report_is_left_alone(world: World) -> None:
    await world.choose(report_hides="mute")
    for number in (1, 2, 3):
        await world.report(number, quote=Quote("78", "Boss", "no", author_id="6"))
    assert len(world.town.posted) == 1
    assert world.town.log == []


async def test_buttons_act_as_whoever_presses_them(world: World) -> None:
    for number in (1, 2, 3):
        await world.report(number)
    [(_, _, buttons)] = world.town.posted
    warn, mute, delete, _ = buttons
    assert await world.press(warn, Author("7", "Ann")) == ["lacking.warn"]
    assert await world.press(mute, BOB) == ["lacking.mute"]
    assert await world.press(warn) == ["warned"]
    assert (await world.press(mute))[0] == "act_done.mute"
    assert await world.press(delete) == ["act_done.delete"]
    assert await world.kinds() == [CaseKind.WARN, CaseKind.MUTE, CaseKind.DELETE]
    assert "77" not in world.town.messages
    found = [case for case in await world.cases.latest(PLACE) if case.kind is not CaseKind.REPORT]
    assert {(case.actor, case.reason) for case in found} == {("2", "Reported by 3 members")}
    assert [case.seconds for case in found if case.kind is CaseKind.MUTE] == [3600]


async def test_who_reports_falsely_again_and_again_alerts_nobody_any_more(world: World) -> None:
    for number in range(3):
        whom = str(200 + number)
        for member in (1, 2, 3):
            await world.report(member, quote=Quote("9", "X", "fine", author_id=whom))
        assert await world.press(world.town.posted[-1][2][-1]) == ["reported_dismiss"]
    assert len(world.town.posted) == 3
    for member in (1, 2, 3):
        await world.report(member)
    assert len(world.town.posted) == 3
    for member in (4, 5):
        await world.report(member)
    assert len(world.town.posted) == 3, "two who are believed"
    await world.report(6)
    assert len(world.town.posted) == 4


async def test_reports_are_dismissed_once_and_only_by_moderators(world: World) -> None:
    for number in (1, 2, 3):
        await world.report(number)
    dismiss = world.town.posted[0][2][-1]
    assert await world.press(dismiss, BOB) == ["lacking.warn"]
    assert await world.press(dismiss) == ["reported_dismiss"]
    assert await world.press(dismiss) == ["reported_dismissed"]
    await world.report(4)
    assert len(world.town.posted) == 1, "the count begins anew"


@pytest.mark.parametrize("text", ["warn", "warn 100/999", "ban 100/1", "warn ../1", "warn 999/1", "dismiss -1"])
async def test_buttons_that_nobody_made_do_nothing(world: World, text: str) -> None:
    await world.report(1)
    assert await world.press(f"reported {text}") == ["reported_none"]
    assert await world.kinds() == []


async def test_where_no_channel_was_chosen_the_owner_is_alerted_in_private(world: World) -> None:
    await world.cases.choose_channel(PLACE, "")
    for number in (1, 2, 3):
        await world.report(number)
    assert [told for _, told in world.club.told if "3 members have reported" in told]


async def test_reports_that_are_older_than_an_hour_do_not_count(world: World) -> None:
    reports = Reports(world.cases, Spaces(world.store))
    for number, age in enumerate((4000, 3000, 0), 1):
        case = Case(CaseKind.REPORT, "5", "Bob", str(number), "", "", 1e9 - age, Evidence("77"))
        await world.cases.make(PLACE, case, str(number))
    assert await reports.reached(PLACE, 3) is None
    late = Case(CaseKind.REPORT, "5", "Bob", "4", "", "", 1e9 + 1, Evidence("77"))
    await world.cases.make(PLACE, late, "4")
    reached = await reports.reached(PLACE, 4)
    assert reached is not None
    assert (reached.members, reached.messages) == (3, ())
