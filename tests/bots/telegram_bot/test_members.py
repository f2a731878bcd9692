"""Rights and members of groups, against the fake Bot API."""

from __future__ import annotations

import pytest

from bots.pacing import Limits, Pacer
from bots.telegram_bot.admins import Admins
from bots.telegram_bot.api import Api
from bots.telegram_bot.members import Members
from bots.telegram_bot.raw import Me
from bots.telegram_bot.translate import to_value
from core.access import OF_ALL, Right
from core.errors import RightsUnknownError
from core.message import Author, CommandCall, ConversationKey, Platform
from core.moderation.members import Member, Rank
from core.people.access import Standing
from tests.platforms.telegram_server import TelegramServer

ME = Me("4242", "parley_bot")
GROUP, OWNER, MO, EDITOR, BOB = -100_700, 1, 2, 3, 5


class Club:
    def __init__(self, server: TelegramServer, api: Api) -> None:
        self.server, self.world = server, server.world
        self.chat = self.world.group(GROUP)
        self.chat.admins = {OWNER}
        self.chat.moderators = {MO: ("can_restrict_members",), EDITOR: ("can_change_info", "can_delete_messages")}
        self.admins = Admins(api, ["telegram:77"])
        self.members = Members(api, self.admins, Pacer(Limits()))

    def call(self, user: int | str, name: str = "warn", *, private: bool = False) -> CommandCall:
        key = ConversationKey(Platform.TELEGRAM, "1", str(user) if private else str(GROUP))
        return CommandCall(key, "1", "1", Author(str(user), "Somebody"), name, private=private, space=str(GROUP))

    async def rank(self, caller: int, target: int) -> Rank | None:
        found = await self.members.find(self.call(caller), str(target))
        return found and found.rank


@pytest.fixture
def club(server: TelegramServer, api: Api) -> Club:
    return Club(server, api)


@pytest.mark.parametrize(
    ("user", "rights"),
    [
        (OWNER, {*Right}),
        (MO, {*OF_ALL, Right.WARN, Right.MUTE, Right.BAN}),
        (EDITOR, {*OF_ALL, Right.CONFIGURE, Right.PURGE, Right.SEE_USAGE, Right.TEACH}),
        (BOB, {*OF_ALL}),
        (77, {*Right}),
        (GROUP, {*OF_ALL}),
    ],
)
async def test_each_right_is_one_of_an_administrators(club: Club, user: int, rights: set[Right]) -> None:
    """Who writes as the group is an administrator, but nobody knows which one."""
    assert {right for right in Right if await club.admins.may(club.call(user), right)} == rights


@pytest.mark.parametrize(
    ("user", "standing"),
    [
        (OWNER, Standing(True, frozenset({*Right} - OF_ALL))),
        (MO, Standing(False, frozenset((Right.WARN, Right.MUTE, Right.BAN)))),
        (BOB, Standing()),
    ],
)
async def test_what_somebody_is_there(club: Club, user: int, standing: Standing) -> None:
    assert await club.admins.standing(club.call(user)) == standing


async def test_a_right_that_was_taken_away_counts_at_once(club: Club) -> None:
    assert await club.admins.may(club.call(MO), Right.BAN)
    assert await club.admins.is_admin(club.call(MO))
    club.chat.moderators.clear()
    assert not await club.admins.may(club.call(MO), Right.BAN)


async def test_nobody_may_while_telegram_does_not_tell(club: Club) -> None:
    club.chat.blocked = True
    with pytest.raises(RightsUnknownError):
        await club.admins.may(club.call(MO), Right.BAN)
    assert not await club.admins.is_admin(club.call(MO))
    assert await club.admins.may(club.call(BOB, private=True), Right.CONFIGURE)
    assert not await club.admins.may(club.call(BOB, private=True), Right.BAN)


async def test_how_people_stand_to_each_other(club: Club) -> None:
    club.world.text(GROUP, "hello", user=BOB)
    club.world.text(GROUP, "beep", user=8, is_bot=True)
    assert await club.rank(MO, BOB) is Rank.BELOW
    assert await club.rank(MO, EDITOR) is Rank.ABOVE
    assert await club.rank(OWNER, EDITOR) is Rank.BELOW
    assert await club.rank(MO, OWNER) is Rank.OWNER
    assert await club.rank(MO, 8) is Rank.BOT
    assert await club.rank(MO, 404) is None
    assert await club.members.find(club.call(MO), "-100") is None
    assert await club.members.find(club.call(MO), str(BOB)) == Member("Ann Lee 5", Rank.BELOW)
    club.chat.gone.add(BOB)
    assert await club.members.find(club.call(MO), str(BOB)) == Member("Ann Lee 5", Rank.BELOW, is_here=False)


async def test_where_a_message_can_be_seen(club: Club) -> None:
    assert club.members.link(club.call(MO), "9") == "https://t.me/c/700/9"
    basic = CommandCall(ConversationKey(Platform.TELEGRAM, "1", "-5"), "1", "1", Author("1", "A"), "report")
    assert club.members.link(basic, "9") == ""
    assert await club.members.channel(club.call(MO), "42") is None


async def test_administrators_are_told_except_whom_it_is_about(club: Club) -> None:
    for user in (OWNER, EDITOR, MO):
        club.world.text(user, "/start")
    club.chat.moderators[MO] = ()
    assert await club.members.tell_moderators(club.call(BOB), "", str(EDITOR), lambda language: "a **report**", "1")
    assert club.world.texts(OWNER) == club.world.texts(MO) == ["a report"]
    assert club.world.texts(EDITOR) == []
    assert await club.members.tell(club.call(MO), str(EDITOR), lambda language: "be kind", "2")
    assert not await club.members.tell(club.call(MO), "404", lambda language: "be kind", "3")


async def test_what_is_too_long_for_a_message_is_cut_between_lines(club: Club) -> None:
    club.world.text(MO, "/start")
    text = "\n".join(f"- case {number}: " + "x" * 300 for number in range(20))
    assert await club.members.tell(club.call(MO), str(MO), lambda language: text, "1")
    [told] = club.world.texts(MO)
    assert "case 0" in told
    assert told.endswith("…")


def test_a_command_in_a_reply_tells_whose_message_it_is_about(club: Club) -> None:
    said = club.world.text(GROUP, "buy this", user=BOB)
    club.world.text(GROUP, "/warn@parley_bot spam", user=MO, reply_to=said)
    updates = sorted(club.world.pending)
    call = to_value(club.world.pending[updates[-1]], ME, 1)
    assert isinstance(call, CommandCall)
    assert call.quote is not None
    assert (call.quote.author_id, call.quote.text, call.options) == (str(BOB), "buy this", {"text": "spam"})


async def test_a_channel_for_moderators_is_one_of_their_own_that_the_reported_cannot_read(club: Club) -> None:
    staff = -100_900
    room = club.world.group(staff)
    assert await club.members.channel(club.call(MO), str(staff)) is None
    room.moderators[MO] = ()
    assert await club.members.channel(club.call(MO), str(staff)) == str(staff)
    assert await club.members.channel(club.call(BOB), str(staff)) is None
    assert await club.members.channel(club.call(MO), "-100901") is None
    assert await club.members.tell_moderators(club.call(BOB), str(staff), "404", lambda language: "a report", "1")
    assert club.world.texts(staff) == ["a report"]
    assert not await club.members.tell_moderators(club.call(BOB), str(staff), str(MO), lambda language: "on you", "2")
    assert club.world.texts(staff) == ["a report"]
