"""The moderators' commands, through the engine, on a platform of two people and a moderator."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.access import Right
from core.commands.row import Moderation
from core.commands.table import BY_NAME
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.errors import RightsUnknownError
from core.message import Attachment, AttachmentKind, Author, CommandCall, Platform, Quote
from core.moderation.carrying import Acts
from core.moderation.cases import CaseKind
from core.moderation.members import Member, Rank, Words
from core.moderation.settings import ModerationSettings
from core.parts import Finished, Media, Menu, Notice, Part, TextDelta
from core.people.access import Asker
from core.storage.cases import LISTED, Cases
from core.storage.client import Store
from tests.builders import call
from tests.core.engines import engine
from tests.core.moderation.town import Crowd, at_work

MODERATOR, BOB, OWNER, ROBOT = Author("2", "Mo"), "5", "1", "9"
SPACE = "telegram:1:100"
SPAM = Quote("77", "Bob", "buy `this` now", author_id=BOB)


@dataclass
class Club:
    """Everybody in the space; implements ``Members``, and tells who may do what."""

    people: dict[str, Member] = field(
        default_factory=lambda: {
            "2": Member("Mo", Rank.ABOVE),
            BOB: Member("Bob", Rank.BELOW),
            "6": Member("Boss", Rank.ABOVE),
            OWNER: Member("Olga", Rank.OWNER),
            ROBOT: Member("Robot", Rank.BOT),
            "8": Member("Stranger", Rank.BELOW, is_here=False),
        }
    )
    rights: dict[str, set[Right]] = field(default_factory=lambda: {"2": set(Right)})
    closed: set[str] = field(default_factory=set[str])
    """Who takes no messages."""
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Whom or where, and what."""
    asked: list[Right] = field(default_factory=list[Right])
    is_away: bool = False
    is_member: bool = True

    async def may(self, call: Asker, right: Right) -> bool:
        self.asked.append(right)
        if self.is_away:
            raise RightsUnknownError("away")
        return right in self.rights.get(call.author.id, ())

    async def are_called(self, call: CommandCall, name: str) -> bool:
        return any(member.name == name for member in self.people.values())

    async def serves(self, call: CommandCall) -> bool:
        return self.is_member

    async def space_name(self, call: CommandCall) -> str:
        return call.place

    async def find(self, call: CommandCall, account: str) -> Member | None:
        if self.is_away:
            raise RightsUnknownError("away")
        # Platforms read a number.
        return self.people.get(str(int(account)) if account.isdecimal() else account)

    async def channel(self, call: CommandCall, wanted: str) -> str | None:
        return wanted if wanted == "42" else None

    def link(self, call: CommandCall, message_id: str) -> str:
        return f"https://club/{message_id}"

    async def tell(self, call: CommandCall, account: str, words: Words, key: str) -> bool:
        if account in self.closed:
            return False
        self.told.append((account, words("")))
        return True

    async def tell_moderators(self, call: CommandCall, channel: str, about: str, words: Words, key: str) -> bool:
        return about != OWNER and await self.tell(call, channel or OWNER, words, key)


@dataclass
class World:
    store: Store
    club: Club
    cases: Cases

    async def say(self, name: str, author: Author = MODERATOR, **values: Any) -> list[Part]:
        given: dict[str, Any] = {"author": author, "private": False, "space": "100", "place": "Chess Club", **values}
        return await self.run(call(name, **given))

    async def run(self, asked: CommandCall) -> list[Part]:
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        hands = Crowd(self.club)
        settings = ModerationSettings(reports_per_hour=3)
        async with (
            at_work(Acts(self.store, {Platform.TELEGRAM: hands}, keep_days=1)) as acts,
            engine(
                self.store,
                mailbox,
                owners=["telegram:77"],
                may=self.club.may,
                moderation={Platform.TELEGRAM: Moderation(self.cases, self.club, settings, acts, hands)},
            ) as answering,
        ):
            turn = Turn(asked.conversation, "1", "1", asked)
            *parts, last = [part async for part in answering.respond(turn)]
        assert isinstance(last, Finished)
        return parts

    async def warn(self, author: Author = MODERATOR, user: str = BOB, **values: Any) -> list[str]:
        return keys(await self.say("warn", author, options={"user": user, "reason": "spam, spam"}, **values))


@pytest.fixture
def world(store: Store) -> World:
    return World(store, Club(), Cases(store, keep_days=1))


def keys(parts: list[Part]) -> list[str]:
    assert all(isinstance(part, Notice | Menu) for part in parts)
    return [part.key for part in parts if isinstance(part, Notice)]


def text(parts: list[Part]) -> str:
    [part] = parts
    assert isinstance(part, TextDelta)
    return part.text


# ---------------------------------------------------------------------- warn


async def test_a_warning_is_kept_and_told(world: World) -> None:
    parts = await world.say("warn", options={"user": BOB, "reason": "spam\nspam"})
    assert parts[0] == Notice("warned", {"name": "`Bob`", "number": "1"})
    assert world.club.told == [(BOB, "A moderator has warned you in “Chess Club”: `spam spam`")]
    assert world.club.asked == [Right.WARN]
    count, [case] = await world.cases.of(SPACE, BOB)
    assert (count, case.kind, case.name, case.actor, case.actor_name) == (1, CaseKind.WARN, "Bob", "2", "Mo")
    assert case.reason == "spam spam"


async def test_who_takes_no_messages_is_warned_all_the_same(world: World) -> None:
    world.club.closed.add(BOB)
    assert await world.warn() == ["warned", "warned_unheard"]


async def test_who_is_no_member_is_not_written_to(world: World) -> None:
    """Else the owner of any space could have the bot write to everybody whom it meets elsewhere."""
    assert await world.warn(user="8") == ["warned", "warned_unheard"]
    assert world.club.told == []


async def test_what_a_space_is_called_is_no_markup(world: World) -> None:
    await world.warn(place="[free](https://evil) *club*")
    [(_, told)] = world.club.told
    assert "“\\[free\\](https://evil) \\*club\\*”" in told
    await world.say("report", Author("7", "Ann"), quote=SPAM, reply_to="77", place="[free](https://evil)")
    assert "“\\[free\\](https://evil)”" in world.club.told[-1][1]


async def test_a_reply_warns_its_author(world: World) -> None:
    """Where a command is typed: the reason is what stands behind it."""
    parts = await world.say("warn", options={"text": "do not sell here"}, quote=SPAM, reply_to="77")
    assert keys(parts) == ["warned"]
    _, [case] = await world.cases.of(SPACE, BOB)
    assert case.reason == "do not sell here"
    assert (case.evidence.text, case.evidence.link) == ("buy `this` now", "https://club/77")


async def test_a_command_that_is_run_again_makes_no_second_case(world: World) -> None:
    """Its worker died before the turn was finished."""
    asked = call("warn", author=MODERATOR, private=False, space="100", options={"user": BOB, "reason": "spam"})
    assert [(await world.run(asked))[0] for _ in range(2)] == [Notice("warned", {"name": "`Bob`", "number": "1"})] * 2
    assert (await world.cases.of(SPACE, BOB))[0] == 1


@pytest.mark.parametrize(
    ("user", "key"),
    [
        ("2", "not_yourself"),
        (ROBOT, "not_a_bot"),
        (OWNER, "not_the_owner"),
        ("6", "not_above_you"),
        ("12", "account_unknown"),
        ("", "warn_how"),
    ],
)
async def test_whom_nobody_can_warn(world: World, user: str, key: str) -> None:
    assert await world.warn(user=user) == [key]
    assert world.club.told == []
    assert (await world.cases.of(SPACE, user))[0] == 0


async def test_a_warning_needs_a_reason(world: World) -> None:
    assert keys(await world.say("warn", options={"user": BOB, "reason": " "})) == ["warn_how"]


async def test_who_lacks_the_right_is_refused(world: World) -> None:
    """The platform may have shown the command to them all the same."""
    ann = Author("3", "Ann")
    assert await world.warn(author=ann) == ["lacking.warn"]
    assert keys(await world.say("cases", ann, options={"user": BOB})) == ["lacking.warn"]
    assert keys(await world.say("reports", ann, options={"channel": "42"})) == ["lacking.configure"]
    world.club.rights["3"] = {Right.CONFIGURE}
    assert await world.warn(author=ann) == ["lacking.warn"]
    assert (await world.cases.of(SPACE, BOB))[0] == 0


async def test_nothing_is_done_while_nobody_knows_the_rights(world: World) -> None:
    world.club.is_away = True
    assert await world.warn() == ["rights_unknown"]
    assert (await world.cases.of(SPACE, BOB))[0] == 0


async def test_owners_of_parley_may_everywhere(world: World) -> None:
    assert await world.warn(author=Author("77", "Root")) == ["warned"]
    assert world.club.asked == []


async def test_rights_are_held_in_spaces(world: World) -> None:
    assert await world.warn(space="") == ["groups_only"]
    assert keys(await world.say("report", space="", quote=SPAM)) == ["groups_only"]


async def test_a_platform_without_spaces_has_no_moderators(world: World, store: Store) -> None:
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    asked = call("warn", author=Author("77", "Root"), private=False, space="100", options={"user": BOB})
    async with engine(store, mailbox, owners=["telegram:77"]) as answering:
        parts = [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]
    assert keys(parts[:-1]) == ["groups_only"]


# ---------------------------------------------------------------------- report and cases


async def test_a_report_is_kept_and_told_to_the_moderators(world: World) -> None:
    ann = Author("3", "Ann")
    files = (Attachment(AttachmentKind.IMAGE, "ref", "a.png", quoted=True),)
    options = {"reason": "they *sell*"}
    parts = await world.say("report", ann, quote=SPAM, reply_to="77", attachments=files, options=options)
    assert parts == [Notice("reported", {"number": "1"})]
    [(whom, told)] = world.club.told
    assert whom == OWNER
    assert told.split("\n\n") == [
        "**Case 1** in “Chess Club”: `Ann` reports `Bob` (5).",
        "https://club/77",
        "Reason: `they *sell*`",
        "> `buy 'this' now`",
        "`a.png`",
    ]
    assert world.club.asked == [], "everybody may report"


async def test_reports_go_to_the_channel_that_was_chosen(world: World) -> None:
    assert keys(await world.say("reports", options={"channel": "43"})) == ["reports_no_channel"]
    assert keys(await world.say("reports", options={"channel": "42"})) == ["reports_set"]
    assert keys(await world.say("report", Author("3", "Ann"), quote=SPAM)) == ["reported"]
    assert keys(await world.say("reports")) == ["reports_to_owner"]
    assert keys(await world.say("report", Author("3", "Ann"), quote=SPAM)) == ["reported"]
    assert [whom for whom, _ in world.club.told] == ["42", OWNER]


async def test_a_person_can_be_reported_without_a_message(world: World) -> None:
    assert keys(await world.say("report", Author("3", "Ann"), options={"user": BOB})) == ["reported"]
    _, [case] = await world.cases.of(SPACE, BOB)
    assert (case.name, case.kind, case.evidence.text) == ("Bob", CaseKind.REPORT, "")


@pytest.mark.parametrize(
    ("user", "key"),
    [
        ("3", "report_self"),
        ("1", "report_bot"),
        ("", "report_how"),
        ("[me](http://x.invalid)", "report_how"),
        (BOB, "reported"),
    ],
)
async def test_who_can_be_reported(world: World, user: str, key: str) -> None:
    # The bot's account in these conversations is 1.
    assert keys(await world.say("report", Author("3", "Ann"), options={"user": user})) == [key]


async def test_too_many_reports_of_one_person_are_not_taken(world: World) -> None:
    said = [keys(await world.say("report", Author("3", "Ann"), quote=SPAM)) for _ in range(5)]
    assert said == [["reported"]] * 3 + [["report_too_many"]] * 2
    assert keys(await world.say("report", Author("4", "Cy"), quote=SPAM)) == ["reported"]
    assert len(world.club.told) == 4


async def test_a_report_that_reaches_nobody_is_kept(world: World) -> None:
    world.club.closed.add(OWNER)
    parts = await world.say("report", Author("3", "Ann"), quote=SPAM)
    assert parts == [Notice("report_kept", {"number": "1"})]


async def test_a_report_needs_no_rights_to_be_known(world: World) -> None:
    world.club.is_away = True
    assert keys(await world.say("report", Author("3", "Ann"), quote=SPAM)) == ["reported"]


async def test_where_the_bot_is_no_member_there_is_nobody_to_tell(world: World) -> None:
    world.club.is_member = False
    assert keys(await world.say("report", Author("3", "Ann"), quote=SPAM)) == ["report_nowhere"]
    assert (await world.cases.of(SPACE, BOB))[0] == 0


async def test_cases_are_listed_newest_first(world: World) -> None:
    await world.warn()
    await world.say("report", Author("3", "Ann"), quote=SPAM)
    told = text(await world.say("cases", options={"user": BOB}, reply_token="t"))
    head, strikes, second, first = told.split("\n")
    assert (head, strikes) == ("2 cases about `Bob`:", "1 strike counts.")
    assert second.startswith("- **#2** · 20")
    assert second.endswith("· reported by `Ann` · `buy 'this' now` · https://club/77")
    assert first.endswith("· warned by `Mo` · `spam, spam`")
    assert text(await world.say("cases", options={"user": "6"}, reply_token="t")) == "There is no case about `Boss`."


async def test_no_moderator_reads_who_reported_them(world: World) -> None:
    await world.say("report", Author("3", "Ann"), quote=Quote("78", "Mo", "rude", author_id="2"))
    told = text(await world.say("cases", options={"user": "2"}, reply_token="t"))
    assert "· reported · `rude`" in told
    assert "Ann" not in told


async def test_cases_are_found_by_words_in_any_width_and_by_page(world: World) -> None:
    for number in range(LISTED + 2):
        await world.say("warn", options={"user": BOB, "reason": f"Ｓpam {number}"})
    await world.say("warn", options={"user": "8", "reason": "刷屏"})
    found = await world.say("cases", options={"text": "spam 21"}, reply_token="t")
    assert "#22" in text(found)
    assert "#21" not in text(found)
    assert "`Stranger`" in text(await world.say("cases", options={"words": "刷"}, reply_token="t"))
    assert text(await world.say("cases", options={"words": "eggs"}, reply_token="t")) == "There is no case with `eggs`."
    page, menu = await world.say("cases", options={"user": BOB}, reply_token="t")
    assert isinstance(page, TextDelta)
    assert isinstance(menu, Menu)
    assert ("#22" in page.text, "#3*" in page.text, "#2*" in page.text) == (True, True, False)
    [[older]] = menu.rows
    assert older.command == f"cases before=3 user={BOB}"
    rest = text(await world.say("cases", options={"text": older.command.partition(" ")[2]}, reply_token="t"))
    assert ("#2*" in rest, "#1*" in rest, "#3*" in rest) == (True, True, False)


async def test_a_case_is_shown_with_all_its_reasons(world: World) -> None:
    await world.warn()
    for _ in range(2):
        assert keys(await world.say("case", options={"text": "#1 he was rude"})) == ["case_reason_set"]
    shown, menu = await world.say("case", options={"number": "1"}, reply_token="t")
    assert isinstance(shown, TextDelta)
    assert isinstance(menu, Menu)
    assert "Reason: `he was rude`" in shown.text
    assert shown.text.count("when `Mo` changed it: `spam, spam`") == 1
    case = await world.cases.get(SPACE, 1)
    assert case is not None
    assert [edit.reason for edit in case.edits] == ["spam, spam"]
    assert [keys(await world.say("case", options={"number": wrong})) for wrong in ("0", "x", "7")] == [
        ["case_how"],
        ["case_how"],
        ["case_none"],
    ]
    await world.say("report", Author("3", "Ann"), quote=Quote("78", "Mo", "rude", author_id="2"))
    assert keys(await world.say("case", options={"text": "2 I did nothing"})) == ["not_yourself"]


async def test_the_file_of_all_cases_names_no_reporter(world: World) -> None:
    await world.warn()
    await world.say("report", Author("3", "Ann"), quote=SPAM)
    [file] = await world.say("cases", options={"file": "true"}, reply_token="t")
    assert isinstance(file, Media)
    second, first = [json.loads(line) for line in file.data.decode().splitlines()]
    assert (first["kind"], first["actor_name"], first["strikes"], first["reason"]) == ("warn", "Mo", 1, "spam, spam")
    assert (second["kind"], second["said"]) == ("report", "buy `this` now")
    assert "Ann" not in file.data.decode()
    assert keys(await world.say("cases", options={"file": "true"})) == ["cases_file_public"]


async def test_where_everybody_would_read_it_cases_come_in_private(world: World) -> None:
    await world.warn()
    world.club.told.clear()
    parts = await world.say("cases", quote=SPAM, reply_to="77")
    assert keys(parts) == ["told_in_private"]
    [(whom, told)] = world.club.told
    assert whom == "2"
    assert told.startswith("1 case about `Bob`:")
    world.club.closed.add("2")
    assert keys(await world.say("cases", quote=SPAM, reply_to="77")) == ["start_first"]


def test_the_model_runs_none_of_them() -> None:
    rows = [BY_NAME[name] for name in ("warn", "report", "cases", "reports")]
    assert all(row.run is not None and row.private for row in rows)
    assert [row.right for row in rows] == [Right.WARN, None, Right.WARN, Right.CONFIGURE]


# ---------------------------------------------------------------------- help


async def test_help_lists_for_each_what_they_may_use(world: World) -> None:
    world.club.rights["2"] = {Right.WARN}
    shown = text(await world.say("help"))
    assert "`/warn`" in shown
    assert "`/reports`" not in shown
    shown = text(await world.say("help", Author("3", "Ann")))
    assert "`/report`" in shown
    assert "`/warn`" not in shown
    world.club.asked.clear()
    assert "`/warn`" not in text(await world.say("help", space="", private=True))
    assert world.club.asked == []


async def test_help_where_nobody_tells_who_may_what(world: World) -> None:
    world.club.is_away = True
    shown = text(await world.say("help"))
    assert "`/report`" in shown
    assert "`/warn`" not in shown
