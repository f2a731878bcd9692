"""Acts in groups, against the fake Bot API: what people may do there before, after, and after it is undone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from bots.pacing import Limits, Pacer
from bots.telegram_bot.admins import Admins
from bots.telegram_bot.api import Api
from bots.telegram_bot.enforcing import TelegramEnforcer
from core.errors import OutboundError, OutboundFault, RightsUnknownError
from core.message import Author, ConversationKey, Platform, Sighting
from core.moderation.acts import AUTOMOD, OPPOSITE, Act, ActKind, Actor, Answer, Outcome
from core.moderation.carrying import Acts
from core.moderation.enforcer import Known, Site
from core.moderation.evidence import Said
from core.moderation.members import Rank
from core.moderation.timers import Timers
from core.storage.client import Store
from core.storage.deadlines import Deadlines
from core.storage.shared import Once
from core.storage.watched import Watched
from tests.platforms import telegram_groups, telegram_moderation
from tests.platforms.telegram_moderation import EVERYTHING, standing
from tests.platforms.telegram_server import Fault, TelegramServer
from tests.platforms.telegram_text import Json

GROUP, BASIC, CHANNEL = -100_700, -7, -100_999
OWNER, MO, BOB, STRANGER = 1, 2, 5, 404
HOUR, DAY = 3600, 86400


class Club:
    """A supergroup in which the bot may do everything."""

    def __init__(self, server: TelegramServer, api: Api, store: Store) -> None:
        self.server, self.world = server, server.world
        self.chat = self.world.group(GROUP)
        self.chat.admins, self.chat.moderators = {OWNER}, {MO: ("can_restrict_members",)}
        self.chat.rights = EVERYTHING
        self.said = self.world.text(GROUP, "buy @friends this", user=BOB)
        self.moves: list[tuple[str, str]] = []
        self.watched = Watched(store)
        self.enforcer = TelegramEnforcer(api, Admins(api), Pacer(Limits()), Once(store), self.moved, self.watched.by)

    async def moved(self, old: str, new: str) -> None:
        self.moves.append((old, new))

    def act(self, kind: ActKind, seconds: int | None = None, *, chat: int = GROUP, account: int = BOB) -> Act:
        key = ConversationKey(Platform.TELEGRAM, "4242", str(chat))
        messages = (str(self.said),)
        actor = Actor(str(OWNER), "Olga")
        return Act("act", kind, key, str(chat), actor, str(account), "Bob", seconds, messages=messages, at=time.time())

    async def do(self, act: Act) -> Answer:
        """As the carrier does it."""
        return await self.enforcer.carry_out(act, self.enforcer.abilities[act.kind].native(act.seconds))

    async def undo(self, act: Act, before: Mapping[str, str]) -> Answer:
        return await self.do(replace(act, kind=OPPOSITE[act.kind], seconds=None, before=before))

    def state(self) -> Json:
        return {
            "bob": standing(self.chat, BOB),
            "permissions": dict(self.chat.permissions),
            "pinned": list(self.chat.pinned),
        }


@pytest.fixture
def club(server: TelegramServer, api: Api, store: Store) -> Club:
    return Club(server, api, store)


def site(chat: int = GROUP) -> Site:
    return Site(ConversationKey(Platform.TELEGRAM, "4242", str(chat)), str(chat))


def limited(until: int = 0) -> tuple[Json, int]:
    """Somebody's restrictions by a human hand: no stickers, nobody invited."""
    allowed = dict.fromkeys(telegram_moderation.PERMISSIONS, True)
    return allowed | {"can_send_other_messages": False, "can_invite_users": False}, until


@pytest.mark.parametrize("was", ["free", "limited", "gone"])
async def test_undoing_is_the_mirror_image(club: Club, was: str) -> None:
    if was == "limited":
        club.chat.restricted[BOB] = limited(int(time.time()) + HOUR)
    if was == "gone":
        club.chat.gone.add(BOB)
    club.chat.permissions["can_send_polls"] = False
    for kind in (ActKind.MUTE, ActKind.RESTRICT, ActKind.QUARANTINE, ActKind.LOCK, ActKind.PIN):
        state, act = club.state(), club.act(kind)
        before = await club.enforcer.before(act)
        assert (await club.do(act)).outcome is Outcome.DONE
        assert club.state() != state
        assert (await club.undo(act, before)).outcome is Outcome.DONE
        assert club.state() == state
        assert (await club.undo(act, before)).outcome is Outcome.NOTHING


@pytest.mark.parametrize("was", ["limited", "banned", "free"])
async def test_a_ban_undone_gives_back_what_was_but_not_the_membership(club: Club, was: str) -> None:
    later = int(time.time()) + HOUR
    if was == "limited":
        club.chat.restricted[BOB] = limited(later)
    if was == "banned":
        club.chat.banned[BOB] = later
        club.chat.gone.add(BOB)
    before = await club.enforcer.before(club.act(ActKind.BAN))
    state = club.state()
    assert (await club.do(club.act(ActKind.BAN))).outcome is Outcome.DONE
    assert standing(club.chat, BOB)["until_date"] == 0
    await club.undo(club.act(ActKind.BAN), before)
    after = club.state()["bob"]
    if was == "free":
        assert after["status"] == "left"
    else:
        assert after == state["bob"] | ({"is_member": False} if was == "limited" else {})


async def test_what_is_taken(club: Club) -> None:
    await club.do(club.act(ActKind.RESTRICT))
    bob = standing(club.chat, BOB)
    assert (bob["can_send_messages"], bob["can_send_photos"], bob["can_send_other_messages"]) == (True, False, False)
    await club.do(club.act(ActKind.MUTE))
    bob = standing(club.chat, BOB)
    assert (bob["can_send_messages"], bob["can_react_to_messages"], bob["can_invite_users"]) == (False, False, True)
    await club.do(club.act(ActKind.QUARANTINE))
    assert not any(standing(club.chat, BOB)[name] for name in telegram_moderation.PERMISSIONS)


@pytest.mark.parametrize("kind", [ActKind.MUTE, ActKind.BAN])
async def test_an_end_is_told_only_where_it_would_not_mean_for_good(club: Club, kind: ActKind) -> None:
    span = club.enforcer.abilities[kind]
    for seconds, told in ((20, False), (45, False), (HOUR, True), (365 * DAY, True), (366 * DAY, False)):
        act = club.act(kind, seconds)
        club.chat.restricted.clear()
        club.chat.banned.clear()
        answer = await club.do(act)
        until = standing(club.chat, BOB)["until_date"]
        assert span.needs_us(seconds) is not told
        assert abs(until - (act.at + seconds if told else 0)) < 2
        assert answer.needs_end is not told
        assert await club.do(act) == answer
        assert standing(club.chat, BOB)["until_date"] == until


async def test_what_is_left_of_a_late_act_never_means_for_good(club: Club) -> None:
    """It waited until little of its time was left, and Telegram would take that for no end."""
    answer = await club.enforcer.carry_out(club.act(ActKind.MUTE, HOUR), None)
    assert answer.needs_end
    assert standing(club.chat, BOB)["until_date"] == 0


async def test_over_another_restriction_the_end_is_ours_and_brings_it_back(club: Club) -> None:
    club.chat.restricted[BOB] = limited()
    act = club.act(ActKind.MUTE, HOUR)
    before = await club.enforcer.before(act)
    assert (await club.do(act)).needs_end
    assert standing(club.chat, BOB)["until_date"] == 0
    await club.undo(act, before)
    assert club.chat.restricted[BOB] == limited()


async def test_the_carrier_brings_back_what_a_mute_took_the_place_of(club: Club, store: Store) -> None:
    """Somebody may send no stickers by a human hand; our restriction, and our mute over it, are over in a second."""
    club.chat.restricted[BOB] = limited()
    acts = Acts(store, {"telegram": club.enforcer}, keep_days=1)
    timers = Timers(Deadlines(store), acts.handlers)
    for kind, seconds in ((ActKind.RESTRICT, 1), (ActKind.MUTE, 1)):
        act = replace(club.act(kind, seconds), id=kind)
        await acts.order([act])
        await acts.carry(act.place)
    assert not standing(club.chat, BOB)["can_send_messages"]
    async with asyncio.timeout(10):
        while club.chat.restricted.get(BOB) != limited():
            await timers.step()
            await asyncio.sleep(0.02)


async def test_an_earlier_end_that_has_passed_brings_nothing_back(club: Club) -> None:
    club.chat.restricted[BOB] = limited(int(time.time()) + 5)
    act = club.act(ActKind.MUTE)
    before = await club.enforcer.before(act)
    await club.do(act)
    await club.undo(act, before)
    assert standing(club.chat, BOB)["status"] == "member"


async def test_a_mute_lets_nobody_in_again_and_its_end_ends_no_ban(club: Club) -> None:
    before = await club.enforcer.before(club.act(ActKind.MUTE))
    await club.do(club.act(ActKind.BAN))
    assert (await club.do(club.act(ActKind.MUTE))).outcome is Outcome.GONE
    assert (await club.undo(club.act(ActKind.MUTE), before)).outcome is Outcome.NOTHING
    assert (await club.do(club.act(ActKind.KICK))).outcome is Outcome.NOTHING
    assert standing(club.chat, BOB)["status"] == "kicked"


async def test_a_kick_is_one_call_that_leaves_no_ban(club: Club) -> None:
    assert await club.do(club.act(ActKind.KICK)) == Answer(Outcome.DONE)
    assert standing(club.chat, BOB)["status"] == "left"
    assert len([c for c in club.server.calls if "ban" in c.method.lower()]) == 1
    assert await club.do(club.act(ActKind.KICK)) == Answer(Outcome.NOTHING)


async def test_unmute_and_unrestrict_end_only_their_own(club: Club) -> None:
    await club.do(club.act(ActKind.RESTRICT))
    assert (await club.do(club.act(ActKind.UNMUTE))).outcome is Outcome.NOTHING
    assert (await club.do(club.act(ActKind.UNRESTRICT))).outcome is Outcome.DONE
    await club.do(club.act(ActKind.MUTE))
    assert (await club.do(club.act(ActKind.UNRESTRICT))).outcome is Outcome.NOTHING
    assert (await club.do(club.act(ActKind.RELEASE))).outcome is Outcome.DONE
    assert standing(club.chat, BOB)["status"] == "member"


async def test_a_channel_can_be_banned_and_its_end_is_ours(club: Club) -> None:
    ban = club.act(ActKind.BAN, HOUR, account=CHANNEL)
    assert (await club.do(ban)).needs_end
    assert CHANNEL in club.chat.banned
    assert (await club.do(club.act(ActKind.MUTE, account=CHANNEL))).key == "channels_are_banned"
    assert (await club.do(replace(ban, kind=ActKind.UNBAN))).is_done
    assert CHANNEL not in club.chat.banned


async def test_a_ban_takes_messages_and_reactions_along(club: Club) -> None:
    """Those that were seen lately: Telegram tells no bot what somebody wrote."""
    now, ids = time.time(), dict[str, str]()
    for what, user, age in (("old", BOB, 2 * HOUR), ("new", BOB, 5), ("other", MO, 1)):
        ids[what] = str(club.world.text(GROUP, what, user=user))
        author = Author(str(user), "Somebody")
        said = Sighting(site().conversation, ids[what], what, author, what, now - age, str(GROUP))
        await club.watched.keep([(club.act(ActKind.BAN).place, said)])
    telegram_moderation.react(club.world, GROUP, int(ids["other"]), BOB, "🔥")
    answer = await club.do(replace(club.act(ActKind.BAN), messages=(), delete_seconds=HOUR))
    assert answer.count == 1
    assert [what for what, id in ids.items() if club.chat.posts[int(id)].deleted] == ["new"]
    assert not club.chat.posts[int(ids["other"])].reactions


async def test_messages_are_deleted_as_far_as_telegram_lets(club: Club) -> None:
    """One that is too old keeps all in its call from being deleted."""
    ids = [club.world.text(GROUP, str(number), user=BOB) for number in range(250)]
    for id in ids[:37]:
        club.chat.posts[id].date -= 3 * DAY
    club.chat.posts[ids[200]].deleted = True
    act = replace(club.act(ActKind.PURGE), messages=(*map(str, ids), "-5/12", "x"))
    assert await club.do(act) == Answer(Outcome.DONE, "deleted_too_old", count=213)
    assert [id for id in ids if not club.chat.posts[id].deleted] == ids[:37]
    assert len(club.server.named("deleteMessages")) < 20
    assert (await club.do(replace(act, messages=tuple(map(str, ids[:37]))))).outcome is Outcome.REFUSED
    club.chat.rights = ("can_restrict_members",)
    refused = await club.do(replace(act, messages=(str(ids[0]),)))
    assert (refused.outcome, refused.key) == (Outcome.FORBIDDEN, "permission.can_delete_messages")


async def test_what_was_deleted_is_said_again_once_and_names_nobody(club: Club) -> None:
    before = {
        str(club.said): Said("B*b @all", "buy @friends **this** 💰").written(),
        "-7/3": Said("Ann", "old").written(),
    }
    act = replace(club.act(ActKind.REPOST), before=before)
    assert (await club.do(act)).count == 2
    await club.do(act)
    texts = club.world.texts(GROUP)
    assert [text.replace("\u2060", "") for text in texts] == ["Ann:\nold", "B*b @all:\nbuy @friends **this** 💰"]
    assert not any(e["type"] == "mention" for post in club.world.shown(GROUP) for e in post.entities)


async def test_requests_to_join(club: Club) -> None:
    for user in (8, 9):
        telegram_moderation.ask(club.world, GROUP, user)
    approve, decline = club.act(ActKind.APPROVE, account=8), club.act(ActKind.DECLINE, account=9)
    assert (await club.do(approve)).outcome is (await club.do(decline)).outcome is Outcome.DONE
    assert standing(club.chat, 8)["status"] == "member"
    assert (await club.do(approve)).outcome is Outcome.NOTHING
    assert (await club.do(decline)).outcome is Outcome.GONE


async def test_a_basic_group_says_what_it_lacks(club: Club) -> None:
    chat = club.world.group(BASIC)
    chat.rights = EVERYTHING
    club.world.text(BASIC, "hello", user=BOB)
    for kind in (ActKind.MUTE, ActKind.BAN, ActKind.UNBAN, ActKind.RESTRICT):
        assert (await club.do(club.act(kind, chat=BASIC))).key == "needs_supergroup"
        assert await club.enforcer.lacking(club.act(kind, chat=BASIC)) == "needs_supergroup"
    assert (await club.do(club.act(ActKind.LOCK, chat=BASIC))).is_done
    assert (await club.do(club.act(ActKind.KICK, chat=BASIC))).is_done
    assert BOB in chat.gone
    lacking = dict(await club.enforcer.lacking_all(site(BASIC)))
    assert lacking[ActKind.MUTE] == "needs_supergroup"
    assert ActKind.KICK not in lacking


async def test_a_group_that_moved_is_acted_on_where_it_is_now(club: Club) -> None:
    club.world.group(BASIC)
    there = telegram_groups.move(club.world, BASIC, -100_701)
    there.rights = EVERYTHING
    telegram_moderation.join(club.world, -100_701, BOB)
    assert (await club.do(club.act(ActKind.KICK, chat=BASIC))).is_done
    assert BOB in there.gone
    assert club.moves == [(str(BASIC), "-100701")] * 2


async def test_which_right_is_missing(club: Club) -> None:
    rights = {
        ActKind.MUTE: "can_restrict_members",
        ActKind.LOCK: "can_restrict_members",
        ActKind.PURGE: "can_delete_messages",
        ActKind.PIN: "can_pin_messages",
        ActKind.APPROVE: "can_invite_users",
    }
    assert await club.enforcer.lacking_all(site()) == []
    for kind, right in rights.items():
        act = club.act(kind)
        for held in (tuple(one for one in EVERYTHING if one != right), None):
            club.chat.rights = held
            assert await club.enforcer.lacking(act) == f"permission.{right}"
            assert (kind, f"permission.{right}") in await club.enforcer.lacking_all(site())
            if kind is not ActKind.PURGE:
                answer = await club.do(act)
                assert (answer.outcome, answer.key) == (Outcome.FORBIDDEN, f"permission.{right}")
        club.chat.rights = EVERYTHING
        assert await club.enforcer.lacking(act) == ""
    club.chat.rights = None
    assert await club.enforcer.lacking(club.act(ActKind.WARN)) == ""


async def test_what_is_no_account_is_nobody(club: Club) -> None:
    for account in ("", "bob", "-", "9" * 30, "-100x"):
        act = replace(club.act(ActKind.BAN), account=account)
        assert await club.enforcer.before(act) == {}
        assert (await club.do(act)).outcome is Outcome.GONE
        assert await club.enforcer.know(site(), account, AUTOMOD) is None
    purge = replace(club.act(ActKind.PURGE), messages=("9" * 30, "", "-5"))
    assert (await club.do(purge)).outcome is Outcome.GONE
    assert club.server.named("banChatMember") == []


@pytest.mark.parametrize("damaged", ["", "{", "[]", "null", '{"x": 1}'])
async def test_a_damaged_record_neither_punishes_nor_gives_rights(club: Club, damaged: str) -> None:
    club.chat.permissions["can_change_info"] = False
    for kind in (ActKind.MUTE, ActKind.LOCK):
        await club.do(club.act(kind))
        await club.undo(club.act(kind), {"status": "restricted", "until": "soon", "permissions": damaged})
    assert standing(club.chat, BOB)["status"] == "member"
    assert club.chat.permissions["can_send_photos"]
    assert not club.chat.permissions["can_change_info"]


async def test_thrown_out_the_bot_may_nothing(club: Club) -> None:
    club.chat.blocked = True
    answer = await club.do(club.act(ActKind.MUTE))
    assert (answer.outcome, answer.key) == (Outcome.FORBIDDEN, "")
    with pytest.raises(RightsUnknownError):
        await club.enforcer.lacking(club.act(ActKind.MUTE))


async def test_nobody_acts_on_administrators(club: Club) -> None:
    for user in (MO, OWNER):
        assert await club.enforcer.lacking(club.act(ActKind.BAN, account=user)) == "bot_below"
        for kind in (ActKind.BAN, ActKind.MUTE, ActKind.KICK):
            answer = await club.do(club.act(kind, account=user))
            assert (answer.outcome, answer.key) == (Outcome.FORBIDDEN, "bot_below")
    assert (await club.do(club.act(ActKind.BAN, account=STRANGER))).outcome is Outcome.GONE


async def test_who_stands_where(club: Club) -> None:
    async def known(account: int, actor: str) -> Known | None:
        return await club.enforcer.know(site(), str(account), actor)

    bob, mo = str(BOB), str(MO)
    assert await known(BOB, mo) == Known(bob, "Ann Lee 5", Rank.BELOW, language="en")
    assert await known(MO, AUTOMOD) == Known(mo, "Ann Lee 2", Rank.ABOVE, is_admin=True, language="en")
    ranks = [(await known(MO, str(OWNER))), (await known(OWNER, mo)), (await known(4242, mo))]
    assert [one and one.rank for one in ranks] == [Rank.BELOW, Rank.OWNER, Rank.BOT]
    assert await known(STRANGER, mo) is None
    club.chat.linked = CHANNEL
    assert await known(GROUP, mo) == Known(str(GROUP), "", Rank.ABOVE, is_admin=True)
    assert await known(CHANNEL, mo) == Known(str(CHANNEL), "", Rank.ABOVE, is_admin=True)
    assert await known(-100_5, mo) == Known("-1005", "", Rank.BELOW)
    assert await club.enforcer.know(site(), "-x", mo) is None
    club.chat.restricted[BOB] = limited()
    club.chat.gone.add(BOB)
    bob_now = await known(BOB, mo)
    assert bob_now is not None
    assert not bob_now.is_here


async def test_what_failed_on_the_way_is_tried_again(club: Club) -> None:
    club.server.fail("banChatMember", Fault.BAD_GATEWAY)
    with pytest.raises(OutboundError) as failed:
        await club.do(club.act(ActKind.BAN))
    assert failed.value.fault is OutboundFault.TRANSIENT
    club.server.fail("banChatMember", Fault.FLOOD, retry_after=7)
    with pytest.raises(OutboundError) as flooded:
        await club.do(club.act(ActKind.BAN))
    assert (flooded.value.fault, flooded.value.retry_after) == (OutboundFault.RATE_LIMITED, 7.0)
    club.server.fail("getChatMember", Fault.BAD_GATEWAY)
    with pytest.raises(RightsUnknownError):
        await club.enforcer.know(site(), str(BOB), AUTOMOD)


async def test_what_is_told_is_told_once(club: Club) -> None:
    club.world.text(BOB, "/start")
    for _ in range(2):
        assert not await club.enforcer.tell(site(), str(STRANGER), "be kind", "1"), "nor is it taken for told later"
    for _ in range(2):
        assert await club.enforcer.tell(site(), str(BOB), "be **kind**", "2")
    assert club.world.texts(BOB) == ["be kind"]
    club.world.group(-100_800)
    assert await club.enforcer.post(site(), "-100800", "Bob was muted", "3")
    assert club.world.texts(-100_800) == ["Bob was muted"]
    assert not await club.enforcer.post(site(), "general", "Bob was muted", "4")


async def test_where_rules_see_little(club: Club) -> None:
    assert await club.enforcer.blind(site()) == ""
    club.chat.rights = None
    assert await club.enforcer.blind(site()) == "rules_see_little"
    club.server.me["can_read_all_group_messages"] = True
    assert await club.enforcer.blind(site()) == ""


async def test_a_groups_own_invitation_is_told(club: Club) -> None:
    assert await club.enforcer.invites(site()) == []
    club.chat.invite_link = "https://t.me/+Ab-Cd_123"
    assert await club.enforcer.invites(site()) == ["https://t.me/+Ab-Cd_123"]
