"""What moderators do to people, messages and places, by commands, in a town with state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from core.access import Right
from core.commands import acts as commands
from core.commands.row import Moderation
from core.commands.table import BY_NAME
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall, Platform, Quote
from core.moderation import hands
from core.moderation.acts import NEEDS, ActKind
from core.moderation.carrying import Acts
from core.moderation.cases import Case, CaseKind, CaseState
from core.moderation.durations import DAY, HOUR
from core.moderation.evidence import Said
from core.parts import Finished, Menu, Notice, Part, TextDelta
from core.people.access import Access, Asker
from core.people.identity import People
from core.people.spaces import Spaces
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.proposals import Proposals
from core.storage.shared import Once
from tests.builders import call, conversation
from tests.core.commands.test_moderate import Club
from tests.core.engines import engine
from tests.core.moderation.town import SQUARE, Town, at_work

MO, ANN = Author("2", "Mo"), Author("7", "Ann")
PLACE = "discord:1:100"
BOBS = Quote("70", "Bob", "buy this", author_id="5")


@dataclass
class World:
    store: Store
    town: Town = field(default_factory=Town)
    rights: dict[str, set[Right]] = field(default_factory=lambda: {"2": set(Right)})
    platforms: tuple[Platform, ...] = (Platform.DISCORD,)
    """Where this process can act."""

    @property
    def cases(self) -> Cases:
        return Cases(self.store, keep_days=1)

    async def may(self, asker: Asker, right: Right) -> bool:
        return right in self.rights.get(asker.author.id, ())

    async def run(self, asked: CommandCall) -> list[Part]:
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        access = Access(People(self.store), Spaces(self.store), (), Once(self.store), may=self.may)
        towns = {str(platform): self.town for platform in self.platforms}
        async with at_work(Acts(self.store, towns, keep_days=1, access=access)) as acts:
            kept = Moderation(self.cases, Club(), acts=acts, enforcer=self.town)
            async with engine(
                self.store, mailbox, may=self.may, moderation={Platform.DISCORD: kept, Platform.TELEGRAM: kept}
            ) as answering:
                *parts, last = [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]
        assert isinstance(last, Finished)
        return parts

    def call(self, name: str, by: Author = MO, **values: Any) -> CommandCall:
        given: dict[str, Any] = {
            "conversation": SQUARE,
            "author": by,
            "private": False,
            "space": "100",
            "place": "Chess Club",
            **values,
        }
        return call(name, **given)

    async def say(self, name: str, by: Author = MO, **values: Any) -> list[str]:
        """Keys of what is said; of a plan, its button's command."""
        return said(await self.run(self.call(name, by, **values)))

    async def press(self, button: str, by: Author = MO, **values: Any) -> list[str]:
        name, _, text = button.partition(" ")
        return await self.say(name, by, options={"text": text}, **values)

    async def case(self, number: int = 1) -> Case:
        case = await self.cases.get(PLACE, number)
        assert case is not None
        return case


def said(parts: list[Part]) -> list[str]:
    found: list[str] = []
    for part in parts:
        if isinstance(part, Notice):
            found.append(part.key)
        elif isinstance(part, Menu):
            found.append(part.rows[0][0].command)
        else:
            assert isinstance(part, TextDelta)
    return found


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


async def test_named_options_make_an_act(world: World) -> None:
    options = {"user": "5", "for": "1h 30m", "reason": "in *sults*"}
    assert await world.say("mute", options=options) == ["act_done.mute", "act_until", "undo 1"]
    case = await world.case()
    assert (case.kind, case.account, case.name, case.actor_name) == (CaseKind.MUTE, "5", "Bob", "Mo")
    assert (case.seconds, case.reason, case.state) == (5400, "in *sults*", CaseState.DONE)
    assert world.town.now["5", "muted"] == "yes"
    assert world.town.told[0][1].startswith("You have been muted in “Chess Club”.\nIt ends on ")


@pytest.mark.parametrize(
    ("typed", "seconds", "reason"),
    [
        ("5 1h insults, again", HOUR, "insults, again"),
        ("5 7 days spam", 7 * DAY, "spam"),
        ("5 1h 30m", 5400, ""),
        ("5 insults", None, "insults"),
        ("5", None, ""),
        ("<@5> forever spam", None, "spam"),
    ],
)
async def test_typed_words_make_the_same(world: World, typed: str, seconds: int | None, reason: str) -> None:
    assert (await world.say("mute", options={"text": typed}))[0] == "act_done.mute"
    case = await world.case()
    assert (case.account, case.seconds, case.reason) == ("5", seconds, reason)


async def test_a_reply_names_its_author_and_keeps_what_they_wrote(world: World) -> None:
    assert (await world.say("mute", options={"text": "1h spam"}, quote=BOBS, reply_to="70"))[0] == "act_done.mute"
    case = await world.case()
    assert (case.account, case.seconds, case.reason) == ("5", HOUR, "spam")
    assert (case.evidence.text, case.evidence.link) == ("buy this", "https://club/70")


@pytest.mark.parametrize("length", ["-5m", "0s", "99999y", "soon", "٣h"])
async def test_a_length_that_is_none_does_nothing(world: World, length: str) -> None:
    assert await world.say("mute", options={"user": "5", "for": length}) == ["act_no_time"]
    assert world.town.asked == []


@pytest.mark.parametrize("typed", ["5 10 spam", "5 10", "5 10mn spam", "5 ٣h"])
async def test_what_begins_like_a_length_and_is_none_is_no_act_for_ever(world: World, typed: str) -> None:
    for name in ("mute", "ban"):
        assert await world.say(name, options={"text": typed}) == ["act_no_time"]
    assert world.town.asked == []


@pytest.mark.parametrize(
    ("user", "key"),
    [("2", "not_yourself"), ("1", "not_a_bot"), ("3", "not_the_owner"), ("6", "not_above_you"),
     ("12", "account_unknown"), ("8", "act_not_here"), ("", "act_how_person")],
)  # fmt: skip
async def test_whom_nobody_can_act_on(world: World, user: str, key: str) -> None:
    for name in ("mute", "kick"):
        assert await world.say(name, options={"user": user} if user else {}) == [key]
    assert (world.town.asked, world.town.told) == ([], [])


async def test_the_checks_have_an_order(world: World) -> None:
    """The actor before the target, the target before the bot."""
    world.town.missing[ActKind.MUTE] = "permission.manage_webhooks"
    assert await world.say("mute", ANN, options={"user": "3"}) == ["lacking.mute"]
    assert await world.say("mute", options={"user": "3"}) == ["not_the_owner"]
    parts = await world.run(world.call("mute", options={"user": "5"}))
    assert said(parts) == ["bot_lacks.discord"]
    del world.town.missing[ActKind.MUTE]
    world.town.abilities = {kind: span for kind, span in world.town.abilities.items() if kind is not ActKind.MUTE}
    assert await world.say("mute", options={"user": "5"}) == ["act_lacks"]


async def test_a_ban_is_asked_about_and_done_once(world: World) -> None:
    ban = {"user": "5", "for": "7d", "delete": "day", "reason": "spam"}
    [button] = await world.say("ban", options=ban)
    assert world.town.asked == []
    assert await world.press(button, ANN) == ["confirm_not_yours"]
    assert await world.press(button, space="200") == ["confirm_over"]
    assert await world.press(button) == ["act_done.ban", "act_until", "undo 1"]
    assert await world.press(button) == ["confirm_over"]
    case = await world.case()
    assert (case.seconds, case.delete_seconds, case.reason) == (7 * DAY, DAY, "spam")
    assert world.town.log == [(ActKind.BAN, "5")]


async def test_a_press_that_another_process_runs_again_is_one_act(world: World) -> None:
    [button] = await world.say("ban", options={"user": "5"})
    pressed = world.call("confirm", options={"text": button.partition(" ")[2]})
    assert [said(await world.run(pressed))[0] for _ in range(2)] == ["act_done.ban"] * 2
    assert world.town.log == [(ActKind.BAN, "5")]
    assert len(await world.cases.latest(PLACE)) == 1


async def test_rights_are_asked_again_when_it_is_confirmed(world: World) -> None:
    [button] = await world.say("ban", options={"user": "5"})
    world.rights["2"] = {Right.MUTE}
    assert await world.press(button) == ["lacking.ban"]
    assert world.town.asked == []


async def test_a_name_turns_nothing_round_in_a_plan(world: World) -> None:
    world.town.people["5"] = replace(world.town.people["5"], name="\u202egro.nnA `<@3>\u2069\u200b\n# x")
    shown = await world.run(world.call("ban", options={"user": "5", "reason": "a\u202eb"}))
    [text] = [part.text for part in shown if isinstance(part, TextDelta)]
    assert "`gro.nnA '<@3> # x`" in text
    assert "`ab`" in text


async def test_what_is_cancelled_is_not_done(world: World) -> None:
    [button] = await world.say("ban", options={"user": "5"})
    assert await world.press(f"{button} no", ANN) == ["confirm_not_yours"]
    assert await world.press(f"{button} no") == ["confirm_dropped"]
    assert await world.press(button) == ["confirm_over"]
    assert await world.press("confirm nonsense") == ["confirm_over"]
    for strange in ("{}", "[]", "name = 'settings'"):
        id = await Proposals(world.store).keep(PLACE, strange)
        assert await world.press(f"confirm {id}") == ["confirm_over"]
        assert await world.press(f"confirm {id} no") == ["confirm_over"]
    assert world.town.asked == []


async def test_several_are_banned_in_one_go(world: World) -> None:
    for id in ("55555", "66666"):
        world.town.people[id] = world.town.people["5"]
    shown = await world.run(world.call("ban", options={"text": "<@55555> <@66666> 7d raid"}))
    text = next(part.text for part in shown if isinstance(part, TextDelta))
    assert "`Bob`, `Bob`" in text
    assert (await world.press(said(shown)[-1])) == ["act_done.ban", "act_until"] * 2
    assert {account for _, account in world.town.log} == {"55555", "66666"}
    assert [case.reason for case in await world.cases.latest(PLACE)] == ["raid"] * 2
    many = ",".join(map(str, range(1000, 1025)))
    assert await world.say("ban", options={"user": "5", "others": many}) == ["act_too_many"]
    refused = await world.say("ban", options={"user": "5", "others": "<@3>, <@6>"})
    assert refused[:2] == ["act_some_refused"] * 2


async def test_the_newest_messages_are_deleted(world: World) -> None:
    world.town.messages = {str(n): Said("Bob", f"m{n}", "57"[n % 2]) for n in range(40)}
    assert await world.say("purge", options={"count": "3"}) == ["act_done.purge", "undo 1"]
    assert len(world.town.messages) == 37
    assert "39" not in world.town.messages
    assert (await world.say("purge", options={"text": "2 5"}))[0] == "act_done.purge"
    [button] = await world.say("purge", options={"count": "30"})
    assert len(world.town.messages) == 35, "more than twenty are asked about"
    assert (await world.press(button))[0] == "act_done.purge"
    assert len(world.town.messages) == 5
    for count in ("0", "-1", "1001", "many", "99999999999"):
        assert await world.say("purge", options={"count": count}) == ["purge_how"]


async def test_a_message_is_deleted_and_said_again(world: World) -> None:
    world.town.messages = {"70": Said("Bob", "hello", "5")}
    assert await world.say("delete", quote=BOBS, reply_to="70") == ["act_done.delete", "undo 1"]
    assert world.town.messages == {}
    assert await world.press("undo 1") == ["act_done.repost"]
    assert world.town.messages["70"].text == "hello"
    assert await world.say("delete") == ["act_how_message"]
    boss = Quote("71", "Boss", "hi", author_id="6")
    assert await world.say("delete", quote=boss, reply_to="71") == ["not_above_you"]


async def test_places(world: World) -> None:
    before = world.town.now
    assert (await world.say("lock", options={"text": "10m"}))[0] == "act_done.lock"
    assert (await world.say("slow", options={"text": "30"}))[0] == "act_done.slow"
    assert world.town.now["#10", "locked"] == "yes"
    assert (await world.say("unlock"))[0] == "act_done.unlock"
    assert (await world.say("slow", options={"seconds": "0"}))[0] == "act_done.unslow"
    assert (await world.say("unlock"))[0] == "act_nothing"
    assert world.town.now == before
    assert (await world.case(1)).state is CaseState.ENDED
    for seconds in ("-1", "21601", "x"):
        assert await world.say("slow", options={"seconds": seconds}) == ["slow_how"]
    assert await world.say("lock", options={"for": "soon"}) == ["act_no_time"]
    assert (await world.say("pin", quote=BOBS, reply_to="70"))[0] == "act_done.pin"
    assert (await world.say("unpin", quote=BOBS, reply_to="70"))[0] == "act_done.unpin"


async def test_leaving_quarantine_by_hand_gives_the_roles_back(world: World) -> None:
    assert (await world.say("quarantine", options={"user": "5"}))[0] == "act_done.quarantine"
    assert ("5", "roles") not in world.town.now
    assert (await world.say("release", options={"user": "5"}))[0] == "act_done.release"
    assert world.town.now["5", "roles"] == "fan,artist"


async def test_undo_takes_the_newest_of_ones_own(world: World) -> None:
    world.rights["7"] = set(Right)
    await world.say("mute", options={"user": "5"})
    await world.say("slow", ANN, options={"seconds": "5"})
    assert await world.say("undo") == ["act_done.unmute"]
    assert ("5", "muted") not in world.town.now
    assert await world.say("undo") == ["undo_nothing"]
    world.rights["2"] = {Right.MUTE}
    assert await world.say("undo", options={"case": "2"}) == ["lacking.purge"], (
        "for what another did they need the right"
    )
    assert await world.say("undo", options={"case": "99"}) == ["undo_none"]
    assert await world.say("undo", options={"case": "first"}) == ["undo_how"]
    world.rights["2"] = set()
    assert await world.say("undo", options={"case": "#2"}) == ["lacking.purge"]
    for case in ("99", "1"):
        assert await world.say("undo", options={"case": case}) == ["lacking.warn"], "what is in the book is not said"


async def test_what_is_refused_says_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_a_minute(tries: int) -> float:
        return 60.0

    monkeypatch.setattr(hands, "pause", in_a_minute)
    monkeypatch.setattr("core.commands.acting.WAIT_SECONDS", 0.2)
    world.town.outages = 1
    assert await world.say("mute", options={"user": "5"}) == ["act_waiting"]
    assert (await world.case()).state is CaseState.PLANNED


async def test_acts_are_for_groups(world: World) -> None:
    assert await world.say("mute", options={"user": "5"}, space="") == ["groups_only"]
    telegram = world.call("mute", options={"user": "5"}, conversation=conversation("-5"))
    assert said(await world.run(telegram)) == ["act_too_late"]


def test_every_act_that_people_do_has_its_command_and_right() -> None:
    for kind in set(NEEDS) - {ActKind.FLAG, ActKind.REPOST, ActKind.UNSLOW}:
        assert BY_NAME[kind].right is NEEDS[kind]
        assert BY_NAME[kind].run is not None, "the model runs none of them"
    assert commands.LONGEST_PAUSE == 6 * HOUR


async def test_the_same_number_of_a_message_in_another_group_is_another_act(world: World) -> None:
    """Telegram counts messages in each chat, and anew where a group becomes a supergroup."""
    options = {"user": "5", "reason": "spam"}
    for chat, space in (("10", "100"), ("20", "200")):
        asked = world.call("warn", conversation=replace(SQUARE, chat=chat), space=space, options=options)
        assert said(await world.run(replace(asked, id="57")))[:1] == ["warned"]
    assert [account for account, _ in world.town.told] == ["5", "5"]
