"""Appeals: told with the act, made alone with the bot, decided by somebody else, and told again."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.access import Right
from core.commands.row import Moderation
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall, Platform
from core.moderation import appeals as appealing
from core.moderation.acts import Act, ActKind, Actor
from core.moderation.appeals import Appeals
from core.moderation.carrying import Acts
from core.moderation.cases import CaseKind, CaseState
from core.moderation.durations import DAY
from core.parts import Finished, Menu, Notice, Part, TextDelta
from core.people.access import Access, Asker
from core.people.identity import People
from core.people.spaces import Spaces
from core.storage.appeals import AppealBook
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.shared import Once
from tests.builders import call, conversation
from tests.core.commands.test_moderate import Club
from tests.core.engines import engine
from tests.core.moderation.town import PLACE, SPACE, SQUARE, Town, at_work

MO, BOSS, BOB = Author("2", "Mo"), Author("6", "Boss"), Author("5", "Bob")
ALONE = conversation("900", platform=Platform.DISCORD)
WEB = conversation("1", platform=Platform.WEB)


@dataclass
class World:
    store: Store
    town: Town = field(default_factory=Town)
    rights: dict[str, set[Right]] = field(default_factory=lambda: {"2": set(Right), "6": set(Right)})

    @property
    def cases(self) -> Cases:
        return Cases(self.store, keep_days=99)

    @property
    def book(self) -> AppealBook:
        return AppealBook(self.store)

    async def may(self, asker: Asker, right: Right) -> bool:
        return right in self.rights.get(asker.author.id, ())

    def acts(self) -> Acts:
        access = Access(People(self.store), Spaces(self.store), (), Once(self.store), may=self.may)
        recourse = Appeals(self.book, Spaces(self.store)).recourse
        return Acts(self.store, {"discord": self.town}, keep_days=99, access=access, recourse_of=recourse)

    async def act(self, kind: ActKind = ActKind.MUTE, actor: Actor | None = None, **values: Any) -> str:
        """Something is done to Bob; the code in what he is told of it."""
        given: dict[str, Any] = {"reason": "spam", "at": time.time(), "where": "Chess Club", **values}
        who = actor or Actor("2", "Mo")
        asked = Act(f"act{time.time_ns()}", kind, SQUARE, SPACE, who, "5", "Bob", **given)
        async with at_work(self.acts()) as acts:
            await acts.carried(PLACE, await acts.order([asked]), 5)
        found = re.search(r"/appeal (\w+)", self.town.told[-1][1]) if self.town.told else None
        return found[1] if found else ""

    async def run(self, asked: CommandCall) -> list[Part]:
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with at_work(self.acts()) as acts:
            kept = Moderation(self.cases, Club(), acts=acts, enforcer=self.town)
            async with engine(self.store, mailbox, may=self.may, moderation={Platform.DISCORD: kept}) as answering:
                *parts, last = [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]
        assert isinstance(last, Finished)
        return parts

    async def appeal(self, words: str, by: Author = BOB, **values: Any) -> list[Part]:
        given: dict[str, Any] = {"conversation": ALONE, "author": by, "options": {"text": words}, **values}
        return await self.run(call("appeal", **given))

    async def say(self, name: str, by: Author = BOSS, text: str = "") -> list[Part]:
        return await self.run(self.press(name, by, text))

    def press(self, name: str, by: Author, text: str) -> CommandCall:
        return call(
            name, conversation=SQUARE, author=by, space=SPACE, private=False, options={"text": text}, reply_token="t"
        )

    async def state(self, number: int = 1) -> CaseState:
        case = await self.cases.get(PLACE, number)
        assert case is not None
        return case.state


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


def text(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


async def test_an_appeal_that_is_accepted_takes_the_act_back(world: World) -> None:
    code = await world.act()
    await world.cases.choose_channel(PLACE, "77")
    assert code
    assert world.town.state["5", "muted"] == "yes"
    assert keys(await world.appeal(f"{code} it was `my` brother")) == ["appeal_made"]
    [(channel, posted, buttons)] = world.town.posted
    assert channel == "77"
    assert "`it was 'my' brother`" in posted
    assert buttons == [f"decide accept {code}", f"decide keep {code}"]
    world.town.told.clear()
    assert keys(await world.say("decide", text=f"accept {code}")) == ["act_done.unmute", "appeal_done.accepted"]
    assert world.town.state["5", "muted"] == ""
    assert await world.state() is CaseState.UNDONE
    assert [whom for whom, told in world.town.told if "accepted" in told] == ["5"]
    assert "accepted" in text(await world.appeal(code))
    notes = [case for case in await world.cases.newest(PLACE, "5") if case.kind is CaseKind.NOTE]
    assert [(note.actor, note.reason, note.evidence.text) for note in notes] == [
        ("6", "Appeal against case 1: accepted.", "it was `my` brother")
    ]
    assert keys(await world.say("decide", by=MO, text=f"keep {code}")) == ["appeal_was.accepted"]


async def test_who_acted_does_not_decide_alone_that_it_stands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    code = await world.act(ActKind.WARN)
    await world.appeal(f"{code} unfair")
    assert keys(await world.say("decide", by=MO, text=f"keep {code}")) == ["appeal_not_alone"]
    assert [found for found, _ in await world.book.open(PLACE)] == [code]
    monkeypatch.setattr(appealing, "ALONE_SECONDS", 0)
    assert keys(await world.say("decide", by=MO, text=f"keep {code}")) == ["appeal_done.kept"]
    [note] = [case for case in await world.cases.newest(PLACE, "5") if case.kind is CaseKind.NOTE]
    assert "decided alone" in note.reason
    assert await world.state() is CaseState.DONE
    assert await world.book.open(PLACE) == []


async def test_after_a_decision_there_is_a_pause(world: World) -> None:
    code = await world.act(ActKind.WARN)
    await world.appeal(f"{code} unfair")
    assert keys(await world.appeal(f"{code} still unfair")) == ["appeal_is.open"]
    assert keys(await world.say("decide", text=f"keep {code}")) == ["appeal_done.kept"]
    assert keys(await world.appeal(f"{code} again")) == ["appeal_again"]
    await world.book.change(code, lambda now: now.model_copy(update={"decided_at": time.time() - 8 * DAY}))
    assert keys(await world.appeal(f"{code} again")) == ["appeal_made"]


async def test_the_banned_appeal_from_where_the_bot_does_not_know_them(world: World) -> None:
    """On Discord they share no server with it: with the code anybody can, also in the web chat."""
    code = await world.act(ActKind.BAN)
    stranger = Author("w1", "Guest")
    assert keys(await world.appeal(f"{code.lower()[:6]}-{code.lower()[6:]} sorry", stranger, conversation=WEB)) == [
        "appeal_made"
    ]
    assert "waits" in text(await world.appeal(code, stranger, conversation=WEB))
    await world.say("decide", text=f"accept {code}")
    assert world.town.state["5", "banned"] == ""


async def test_who_was_not_told_finds_what_they_can_appeal_against(world: World) -> None:
    world.town.people.pop("5")
    assert await world.act(ActKind.BAN) == ""
    shown = text(await world.appeal(""))
    found = re.search(r"/appeal (\w+)", shown)
    assert found is not None
    assert keys(await world.appeal(f"{found[1]} why?")) == ["appeal_made"]
    assert "nothing" in text(await world.appeal("", Author("8", "Stranger")))


async def test_codes_that_are_nobodys_are_refused(world: World) -> None:
    await world.act()
    for words in ("ABCDEFGHJKMN why", "ABCDEFGHJKMN"):
        assert keys(await world.appeal(words)) == ["appeal_unknown"]
    for words in ("12 why", "ＡＢＣＤＥＦＧＨＪＫＭＮ why", "-1", "ABCDEFGHJKM* why"):
        assert "/appeal" in text(await world.appeal(words)), words
    assert keys(await world.say("decide", text="accept ABCDEFGHJKMN")) == ["appeal_unknown"]
    assert keys(await world.say("decide", text="rewrite it")) == ["appeal_unknown"]


async def test_nobody_reads_a_code_in_a_group(world: World) -> None:
    code = await world.act()
    asked = call("appeal", conversation=SQUARE, author=BOB, space=SPACE, private=False, options={"text": code})
    assert keys(await world.run(asked)) == ["appeal_privately"]


async def test_only_those_with_the_right_decide_and_never_about_themselves(world: World) -> None:
    code = await world.act(ActKind.BAN)
    await world.appeal(f"{code} sorry")
    world.rights |= {"7": {Right.WARN}, "5": set(Right)}
    assert keys(await world.say("decide", by=Author("7", "Ann"), text=f"accept {code}")) == ["lacking.ban"]
    assert keys(await world.say("decide", by=BOB, text=f"accept {code}")) == ["not_yourself"]
    other = call(
        "decide", conversation=SQUARE, author=BOSS, space="999", private=False, options={"text": f"keep {code}"}
    )
    assert keys(await world.run(other)) == ["appeal_unknown"]
    assert world.town.state["5", "banned"] == "yes"


async def test_what_a_rule_did_any_moderator_decides(world: World) -> None:
    code = await world.act(actor=Actor("automod", "Automod"), rule="links")
    await world.appeal(f"{code} no link")
    assert keys(await world.say("decide", by=MO, text=f"keep {code}")) == ["appeal_done.kept"]


async def test_a_decision_that_is_run_again_is_one(world: World) -> None:
    """Its worker died before the turn was finished."""
    code = await world.act()
    await world.appeal(f"{code} sorry")
    pressed = world.press("decide", BOSS, f"accept {code}")
    assert keys(await world.run(pressed)) == ["act_done.unmute", "appeal_done.accepted"]
    world.town.told.clear()
    assert keys(await world.run(pressed)) == ["appeal_done.accepted"]
    assert world.town.told == []
    assert len(await world.cases.newest(PLACE, "5")) == 3, "the act, its undoing and a note"


async def test_of_two_moderators_at_once_one_decides(world: World) -> None:
    code = await world.act()
    await world.appeal(f"{code} sorry")
    presses = [world.press("decide", BOSS, f"accept {code}"), world.press("decide", MO, f"accept {code}")]
    said = [keys(parts) for parts in await asyncio.gather(*map(world.run, presses))]
    assert sorted(each[-1] for each in said) == ["appeal_done.accepted", "appeal_was.accepted"]
    assert [kind for kind, _ in world.town.log] == [ActKind.MUTE, ActKind.UNMUTE]


async def test_appeals_go_along_with_a_group_that_gets_another_name(world: World) -> None:
    code = await world.act()
    await world.appeal(f"{code} sorry")
    await world.cases.move(PLACE, "discord:1:200")
    await world.book.move(PLACE, "discord:1:200")
    assert [found for found, _ in await world.book.open("discord:1:200")] == [code]
    assert "waits" in text(await world.appeal(code))


async def test_an_appeal_waits_on_where_the_undoing_fails(world: World) -> None:
    code = await world.act()
    await world.appeal(f"{code} sorry")
    world.town.missing[ActKind.UNMUTE] = "permission.moderate_members"
    assert keys(await world.say("decide", text=f"accept {code}")) == ["bot_lacks.discord"]
    world.town.missing.clear()
    assert keys(await world.say("decide", text=f"accept {code}"))[-1] == "appeal_done.accepted"


async def test_open_appeals_are_listed_with_their_buttons(world: World) -> None:
    """Also where no channel was chosen."""
    assert keys(await world.say("appeals")) == ["appeals_none"]
    codes = [await world.act(ActKind.WARN) for _ in range(2)]
    for code in codes:
        await world.appeal(f"{code} unfair")
    parts = await world.say("appeals")
    assert text(parts).count("`unfair`") == 2
    [menu] = [part for part in parts if isinstance(part, Menu)]
    assert [row[0].command for row in menu.rows] == [f"decide accept {code}" for code in codes]
    assert keys(await world.say("appeals", by=BOB)) == ["lacking.warn"]


async def test_one_person_makes_few_appeals_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.commands.appeals.MOST_A_DAY", 1)
    one, two = await world.act(ActKind.WARN), await world.act(ActKind.WARN)
    assert keys(await world.appeal(f"{one} unfair")) == ["appeal_made"]
    assert keys(await world.appeal(f"{two} unfair")) == ["appeal_too_many"]


async def test_a_space_chooses_how_long_appeals_are_taken(world: World) -> None:
    old = await world.act(ActKind.WARN, at=time.time() - 15 * DAY)
    assert keys(await world.appeal(f"{old} unfair")) == ["appeal_late"]
    await Spaces(world.store).change(PLACE, lambda now: now.model_copy(update={"appeal_days": 30}))
    assert keys(await world.appeal(f"{old} unfair")) == ["appeal_made"]
    await Spaces(world.store).change(PLACE, lambda now: now.model_copy(update={"appeal_days": 0}))
    world.town.told.clear()
    assert await world.act(ActKind.WARN) == ""
    assert len(world.town.told) == 1


async def test_a_kick_cannot_be_taken_back_and_has_no_appeal(world: World) -> None:
    assert await world.act(ActKind.KICK) == ""
    assert len(world.town.told) == 1


async def test_what_is_over_needs_no_appeal(world: World) -> None:
    code = await world.act()
    async with at_work(world.acts()) as acts:
        await acts.carried(PLACE, [await acts.undo(PLACE, 1, Actor("2", "Mo"), "undo")], 5)
    assert keys(await world.appeal(f"{code} sorry")) == ["appeal_over"]
