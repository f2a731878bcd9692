"""Acts against the fake Discord: done once, undone exactly, refused with the right that is missing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import pytest

from bots.discord_bot import hands
from bots.discord_bot.enforcing import ABILITIES, Enforcer
from bots.discord_bot.rest import Rest
from bots.discord_bot.rights import Rights
from bots.discord_bot.telling import Telling
from bots.pacing import Limits, Pacer
from core.errors import OutboundError, OutboundFault, RightsUnknownError
from core.moderation.acts import AUTOMOD, Act, ActKind, Answer, Outcome
from core.moderation.members import Rank
from tests.bots.discord_bot.enforced import STAFF, Court, court_of
from tests.platforms.discord_comings import allow_members
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import FakeDiscord

DAY = 86400
DONE, NOTHING, GONE = Answer(Outcome.DONE), Answer(Outcome.NOTHING), Answer(Outcome.GONE)


@pytest.fixture
async def court(discord: FakeDiscord) -> AsyncIterator[Court]:
    async with court_of(discord) as made:
        yield made


async def done(court: Court, act: Act, seconds: int | None = None) -> Answer:
    """Carried out twice, as after a crash: the world must be the same."""
    first = await court.enforcer.carry_out(act, seconds)
    await court.enforcer.carry_out(act, seconds)
    return first


async def undone(court: Court, act: Act, kind: ActKind, before: dict[str, str]) -> Answer:
    return await done(court, replace(act, kind=kind, before=before, undoes=1))


# ---------------------------------------------------------------------- people
async def test_a_time_out_and_its_mirror_image(court: Court) -> None:
    act = court.act(ActKind.MUTE)
    court.held.time_out(court.guild, court.bob, 600)
    earlier = court.member()
    before = dict(await court.enforcer.before(act))
    assert await done(court, act, 3600) == DONE
    until = datetime.fromisoformat(court.member()["communication_disabled_until"]).timestamp()
    assert abs(until - time.time() - 3600) < 5
    assert court.world.audit[0]["reason"] == "Carol: spam 广告"
    assert await undone(court, act, ActKind.UNMUTE, before) == DONE
    assert court.member() == earlier
    assert await court.enforcer.carry_out(replace(act, kind=ActKind.UNMUTE), None) == DONE
    assert await court.enforcer.carry_out(replace(act, kind=ActKind.UNMUTE), None) == NOTHING
    assert court.member()["communication_disabled_until"] is None


async def test_a_time_out_for_good_is_as_long_as_discord_takes_it(court: Court) -> None:
    """The rest is ours to renew."""
    span = ABILITIES[ActKind.MUTE]
    assert (span.native(None), span.needs_us(None), span.needs_us(90 * DAY)) == (28 * DAY, True, True)
    assert await court.enforcer.carry_out(court.act(ActKind.MUTE), span.native(90 * DAY)) == DONE
    assert ABILITIES[ActKind.BAN].needs_us(DAY), "Discord knows no timed bans"


async def test_administrators_are_not_timed_out(court: Court) -> None:
    court.held.give(court.guild, court.bob, May.ADMINISTRATOR, position=3)
    answer = await court.enforcer.carry_out(court.act(ActKind.MUTE), 60)
    assert (answer.outcome, answer.key) == (Outcome.REFUSED, "no_timeout_of_administrators")


async def test_a_kick_is_done_once(court: Court) -> None:
    act = court.act(ActKind.KICK)
    assert await done(court, act) == DONE
    assert (court.guild, court.bob) in court.held.gone
    court.held.gone.clear()
    court.world.joined[court.guild, court.bob] = time.time() + 5
    assert await court.enforcer.carry_out(act, None) == NOTHING, "whoever comes back is not thrown out again"
    assert (court.guild, court.bob) not in court.held.gone


async def test_a_ban_and_its_mirror_image(court: Court) -> None:
    said = court.say("buy!")
    act = court.act(ActKind.BAN, delete_seconds=600)
    before = dict(await court.enforcer.before(act))
    assert await done(court, act) == DONE
    assert court.world.bans[court.guild, court.bob] == "Carol: spam 广告"
    assert said.deleted
    assert (await court.enforcer.before(act))["banned"] == "yes"
    assert await undone(court, act, ActKind.UNBAN, before) == DONE
    assert not court.world.bans
    assert await court.enforcer.carry_out(replace(act, kind=ActKind.UNBAN), None) == NOTHING


async def test_the_undoing_of_a_second_ban_leaves_the_first(court: Court) -> None:
    act = court.act(ActKind.BAN)
    await court.enforcer.carry_out(act, None)
    before = dict(await court.enforcer.before(act))
    assert await undone(court, act, ActKind.UNBAN, before) == NOTHING
    assert court.world.bans


async def test_who_is_no_member_can_be_banned_and_who_is_nobody_cannot(court: Court) -> None:
    court.held.gone.add((court.guild, court.bob))
    assert await court.enforcer.carry_out(court.act(ActKind.BAN), None) == DONE
    nobody = await court.enforcer.carry_out(court.act(ActKind.BAN, account="123"), None)
    assert nobody.outcome is Outcome.GONE


@pytest.mark.parametrize("has_role", [False, True])
async def test_quarantine_takes_all_roles_and_gives_back_exactly_those(court: Court, has_role: bool) -> None:
    first = court.held.give(court.guild, court.bob, May.MANAGE_MESSAGES, position=2)
    booster = court.held.give(court.guild, court.bob, position=3)
    court.world.guild["roles"][-1]["managed"] = True
    court.held.time_out(court.guild, court.bob, 600)
    apart = ""
    if has_role:
        apart = court.held.give(court.guild, court.carol, position=1)
        court.world.guild["roles"][-1]["name"] = "Quarantine"
    earlier, act = court.member(), court.act(ActKind.QUARANTINE)
    before = dict(await court.enforcer.before(act))
    assert await done(court, act, ABILITIES[ActKind.QUARANTINE].native(None)) == DONE
    now = court.member()
    assert set(now["roles"]) == ({apart, booster} if apart else {booster})
    is_longer = now["communication_disabled_until"] != earlier["communication_disabled_until"]
    assert is_longer is not has_role, "without such a role they are timed out"
    assert await undone(court, act, ActKind.RELEASE, before) == DONE
    assert set(court.member()["roles"]) == {first, booster}
    assert court.member()["communication_disabled_until"] == earlier["communication_disabled_until"]


async def test_the_end_of_a_quarantine_is_ours(court: Court) -> None:
    act = replace(court.act(ActKind.QUARANTINE), seconds=600)
    assert (await court.enforcer.carry_out(act, 600)).needs_end, "nobody else gives the roles back"
    assert not (await court.enforcer.carry_out(replace(act, seconds=None), 28 * 86400)).needs_end


async def test_the_end_of_a_quarantine_by_a_role_leaves_other_time_outs_alone(court: Court) -> None:
    court.held.give(court.guild, court.carol, position=1)
    court.world.guild["roles"][-1]["name"] = "Quarantine"
    act = court.act(ActKind.QUARANTINE)
    before = dict(await court.enforcer.before(act))
    await done(court, act)
    court.held.time_out(court.guild, court.bob, 600)
    now = court.member()["communication_disabled_until"]
    assert await undone(court, act, ActKind.RELEASE, before) == DONE
    assert court.member()["communication_disabled_until"] == now


async def test_a_longer_time_out_comes_back_after_a_shorter_one(court: Court) -> None:
    court.held.time_out(court.guild, court.bob, 7200)
    earlier, act = court.member(), court.act(ActKind.MUTE)
    before = dict(await court.enforcer.before(act))
    assert (await court.enforcer.carry_out(act, 600)).needs_end
    assert not (await court.enforcer.carry_out(act, 3600)).needs_end, "this one lasts longer than what was there"
    await undone(court, act, ActKind.UNMUTE, before)
    assert court.member() == earlier


async def test_a_token_that_is_not_taken_is_no_word_about_anybody(court: Court) -> None:
    rest = Rest(court.discord.api_base, "old")
    enforcer = Enforcer(rest, Rights(rest), Telling(rest, Pacer(Limits())), Pacer(Limits()))
    try:
        with pytest.raises(RightsUnknownError):
            await enforcer.lacking(court.act(ActKind.BAN))
        with pytest.raises(RightsUnknownError):
            await enforcer.know(court.site(), court.bob, AUTOMOD)
        for asked in (enforcer.before(court.act(ActKind.LOCK)), enforcer.carry_out(court.act(ActKind.UNBAN), None)):
            with pytest.raises(OutboundError) as away:
                await asked
            assert away.value.fault is OutboundFault.TRANSIENT
    finally:
        await rest.close()


# ---------------------------------------------------------------------- channels
@pytest.mark.parametrize("earlier", [None, (0, 0), (May.SEND_MESSAGES | May.EMBED_LINKS, May.ATTACH_FILES)])
async def test_a_lock_and_its_mirror_image(court: Court, earlier: tuple[int, int] | None) -> None:
    if earlier is not None:
        court.held.overwrite(court.world.general, court.guild, allow=earlier[0], deny=earlier[1])
    overwrites, act = [*court.overwrites()], court.act(ActKind.LOCK)
    before = dict(await court.enforcer.before(act))
    assert await done(court, act) == DONE
    assert not court.held.of(court.bob, court.world.general) & (May.SEND_MESSAGES | May.SEND_MESSAGES_IN_THREADS)
    assert await court.enforcer.carry_out(act, None) == NOTHING
    assert await undone(court, act, ActKind.UNLOCK, before) == DONE
    assert court.overwrites() == overwrites


async def test_unlocking_takes_nothing_else_away(court: Court) -> None:
    act = court.act(ActKind.LOCK)
    before = dict(await court.enforcer.before(act))
    await court.enforcer.carry_out(act, None)
    [made] = court.overwrites()
    court.held.overwrite(court.world.general, court.guild, allow=0, deny=int(made["deny"]) | May.EMBED_LINKS)
    assert await undone(court, act, ActKind.UNLOCK, before) == DONE
    assert court.overwrites() == [{"id": court.guild, "type": 0, "allow": "0", "deny": str(int(May.EMBED_LINKS))}]
    court.held.overwrite(court.world.general, court.guild, allow=May.SEND_MESSAGES)
    assert await court.enforcer.carry_out(court.act(ActKind.UNLOCK), None) == NOTHING
    assert court.overwrites()[0]["allow"] == str(int(May.SEND_MESSAGES))


async def test_a_lock_tells_who_may_still_write(court: Court) -> None:
    court.held.overwrite(court.world.general, court.role, allow=May.SEND_MESSAGES)
    act, players = court.act(ActKind.LOCK), court.held.give(court.guild, court.bob)
    assert (await court.enforcer.carry_out(act, None)).key == "", "that is the staff's"
    court.held.overwrite(court.world.general, players, allow=May.SEND_MESSAGES)
    assert (await court.enforcer.carry_out(act, None)).key == "lock_roles_write"


async def test_a_thread_is_locked_by_itself(court: Court) -> None:
    thread = court.discord.open_thread("opening")
    act = court.act(ActKind.LOCK, thread)
    before = dict(await court.enforcer.before(act))
    assert await done(court, act) == DONE
    assert court.world.channels[thread]["thread_metadata"]["locked"]
    assert await undone(court, act, ActKind.UNLOCK, before) == DONE
    assert not court.world.channels[thread]["thread_metadata"]["locked"]


async def test_slow_mode_and_its_mirror_image(court: Court) -> None:
    channel = court.world.channels[court.world.general]
    channel["rate_limit_per_user"] = 5
    act = court.act(ActKind.SLOW, pause=99_999)
    before = dict(await court.enforcer.before(act))
    assert await done(court, act) == DONE
    assert channel["rate_limit_per_user"] == 21_600
    assert await undone(court, act, ActKind.UNSLOW, before) == DONE
    assert channel["rate_limit_per_user"] == 5
    assert await court.enforcer.carry_out(court.act(ActKind.UNSLOW), None) == DONE
    assert channel["rate_limit_per_user"] == 0


async def test_pins_and_their_mirror_image(court: Court) -> None:
    new, old = court.say("new"), court.say("old")
    old.data["pinned"] = True
    act = court.act(ActKind.PIN, messages=(new.id, old.id))
    before = dict(await court.enforcer.before(act))
    assert await done(court, act) == DONE
    assert (new.data["pinned"], old.data["pinned"]) == (True, True)
    assert await undone(court, act, ActKind.UNPIN, before) == DONE
    assert (new.data["pinned"], old.data["pinned"]) == (False, True)
    assert await court.enforcer.carry_out(court.act(ActKind.PIN, messages=("99",)), None) == GONE


# ---------------------------------------------------------------------- messages
async def test_many_messages_are_deleted_together_and_old_ones_one_by_one(court: Court) -> None:
    young = [court.say(f"spam {number}") for number in range(103)]
    old = [court.say("old", days=20), court.say("older", days=30)]
    kept = court.say("other", user=court.carol)
    act = court.act(ActKind.PURGE, messages=tuple(one.id for one in (*young, *old)))
    assert await court.enforcer.carry_out(act, None) == Answer(Outcome.DONE, count=105)
    assert all(one.deleted for one in (*young, *old))
    assert not kept.deleted
    assert len(court.discord.wire.made("bulk-delete")) == 2
    assert await court.enforcer.carry_out(replace(act, messages=(old[0].id,)), None) == NOTHING


async def test_what_was_deleted_is_said_again_and_rings_nobody(court: Court) -> None:
    said = [court.say("first **bold**"), court.say(f"second <@{court.carol}>")]
    act = court.act(ActKind.PURGE, messages=tuple(one.id for one in said))
    before = dict(await court.enforcer.before(act))
    await court.enforcer.carry_out(act, None)
    assert (await undone(court, act, ActKind.REPOST, before)).outcome is Outcome.DONE
    [again] = court.discord.by_bot(court.world.general)
    assert again.text.startswith("**Bob**: first **bold**\n**Bob**: second")
    assert again.pinged == []


async def test_the_newest_messages_of_somebody(court: Court) -> None:
    court.say("old", days=3)
    mine = [court.say(f"{number}").id for number in range(3)]
    court.say("other", user=court.carol)
    site = court.site()
    assert await court.enforcer.recent(site, court.bob, 2, 0) == mine[:0:-1]
    assert await court.enforcer.recent(site, court.bob, 100, DAY) == mine[::-1]
    assert len(await court.enforcer.recent(site, "", 100, 0) or ()) == 5


# ---------------------------------------------------------------------- who may
async def test_how_somebody_stands_to_whoever_acts(court: Court) -> None:
    court.held.give(court.guild, court.carol, May.MODERATE_MEMBERS, position=5)
    admin, above = court.world.add_user("admin"), court.world.add_user("above")
    court.held.give(court.guild, admin, May.ADMINISTRATOR, position=2)
    court.held.give(court.guild, above, position=11)

    async def rank(account: str, actor: str) -> Rank | None:
        known = await court.enforcer.know(court.site(), account, actor)
        return known.rank if known else None

    assert await rank(court.bob, court.carol) is Rank.BELOW
    assert await rank(court.carol, court.carol) is Rank.ABOVE
    assert await rank(admin, court.carol) is Rank.ABOVE, "an administrator, however low the role"
    assert await rank(court.alice, court.carol) is Rank.OWNER
    assert await rank(admin, court.alice) is Rank.BELOW
    assert await rank(above, AUTOMOD) is Rank.ABOVE
    assert await rank(court.carol, AUTOMOD) is Rank.BELOW
    assert await rank(court.world.bot, court.alice) is Rank.BOT
    assert await rank("99", court.alice) is None
    bob, carol = [await court.enforcer.know(court.site(), one, court.alice) for one in (court.bob, court.carol)]
    assert bob
    assert carol
    assert (bob.name, bob.is_admin, carol.is_admin, bob.is_here) == ("Bob", False, True, True)
    assert abs(time.time() - 30 * DAY - bob.joined_at) < 60


MISSING = {
    ActKind.MUTE: (May.MODERATE_MEMBERS, "permission.moderate_members"),
    ActKind.KICK: (May.KICK_MEMBERS, "permission.kick_members"),
    ActKind.BAN: (May.BAN_MEMBERS, "permission.ban_members"),
    ActKind.QUARANTINE: (May.MANAGE_ROLES, "permission.manage_roles"),
    ActKind.DELETE: (May.MANAGE_MESSAGES, "permission.manage_messages"),
    ActKind.SLOW: (May.MANAGE_CHANNELS, "permission.manage_channels"),
    ActKind.LOCK: (May.MANAGE_ROLES, "permission.manage_roles"),
    ActKind.PIN: (May.PIN_MESSAGES, "permission.pin_messages"),
    ActKind.APPROVE: (May.KICK_MEMBERS, "permission.kick_members"),
}


async def test_the_right_that_is_missing_has_a_name_before_and_after(court: Court) -> None:
    """Also when it was taken away after the look."""
    said = court.say("x").id
    role = next(one for one in court.world.guild["roles"] if one["id"] == court.role)
    for kind, (right, key) in MISSING.items():
        act = court.act(kind, messages=(said,), pause=5)
        role["permissions"] = str(int(sum(STAFF)))
        assert await court.enforcer.lacking(act) == ""
        role["permissions"] = str(int(sum(one for one in STAFF if one is not right)))
        assert await court.enforcer.lacking(act) == key
        assert (kind, key) in await court.enforcer.lacking_all(court.site())
        answer = await court.enforcer.carry_out(act, 60)
        assert (answer.outcome, answer.key) == (Outcome.FORBIDDEN, key)


async def test_rules_that_do_not_see_who_joins_say_so(court: Court) -> None:
    assert await court.enforcer.blind(court.site()) == "rules_see_no_joins"
    allow_members(court.discord)
    assert await court.enforcer.blind(court.site()) == ""


async def test_who_stands_above_the_bot(court: Court) -> None:
    court.held.give(court.guild, court.bob, position=11)
    for kind in (ActKind.MUTE, ActKind.KICK, ActKind.BAN, ActKind.QUARANTINE):
        assert await court.enforcer.lacking(court.act(kind)) == "bot_below"
        assert (await court.enforcer.carry_out(court.act(kind), 60)).outcome is Outcome.FORBIDDEN
    assert await court.enforcer.lacking(court.act(ActKind.BAN, account=court.alice)) == "bot_below"
    assert await court.enforcer.lacking_all(court.site()) == []


async def test_what_cannot_be_reached_is_tried_again_and_a_limit_is_waited_for(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = court.act(ActKind.BAN)
    court.discord.fail("429", "PUT", times=2)
    assert await court.enforcer.carry_out(act, None) == DONE
    court.discord.fail("500", "PUT")
    with pytest.raises(OutboundError) as broken:
        await court.enforcer.carry_out(act, None)
    assert broken.value.fault is OutboundFault.TRANSIENT
    monkeypatch.setattr(hands, "LONGEST_WAIT", 0.0)
    court.discord.fail("429", "PUT")
    with pytest.raises(OutboundError) as limited:
        await court.enforcer.carry_out(act, None)
    assert limited.value.fault is OutboundFault.TRANSIENT
    court.discord.fail("500", "GET /guilds")
    with pytest.raises(RightsUnknownError):
        await court.enforcer.lacking(act)


async def test_a_long_reason_and_odd_letters_fit_into_the_audit_log(court: Court) -> None:
    """The fake objects to what does not."""
    act = court.act(ActKind.BAN, reason="坏" * 500 + "\r\nX-Other: 1\ud800")
    assert await court.enforcer.carry_out(act, None) == DONE
    kept = court.world.bans[court.guild, court.bob]
    assert kept.startswith("Carol: 坏坏")
    assert len(kept) > 50


async def test_a_request_to_join_is_decided(court: Court) -> None:
    court.held.gone.add((court.guild, court.bob))
    court.world.requests[court.guild] = [{"id": "71", "user_id": court.bob, "application_status": "SUBMITTED"}]
    assert await court.enforcer.carry_out(court.act(ActKind.DECLINE, account=court.carol), None) == GONE
    assert await court.enforcer.carry_out(court.act(ActKind.APPROVE), None) == DONE
    assert (court.guild, court.bob) not in court.held.gone
    assert await court.enforcer.carry_out(court.act(ActKind.APPROVE), None) == GONE


async def test_moderators_are_told_in_channels_of_their_own_guild_alone(court: Court) -> None:
    other = court.world.add_channel(court.world.add_guild("Elsewhere")["id"], "log")
    assert not await court.enforcer.post(court.site(), other, "banned", "1")
    assert not await court.enforcer.post(court.site(), "general", "banned", "1")
    assert await court.enforcer.post(court.site(), court.world.general, "banned", "1")
    assert await court.enforcer.tell(court.site(), court.bob, "banned", "2")
    assert (await court.enforcer.link(court.site(), "9")).endswith(f"/{court.guild}/{court.world.general}/9")


async def test_a_guilds_own_invitations_are_told_as_far_as_the_bot_may_know(court: Court) -> None:
    court.world.guild["vanity_url_code"] = "our-town"
    court.world.invites[court.guild] = ["abc", "def"]
    assert await court.enforcer.invites(court.site()) == ["our-town", "abc", "def"]
    court.held.roles[court.guild, court.world.bot] = []
    assert await court.enforcer.invites(court.site()) == ["our-town"]
