"""Acts by way of the book of cases, as moderators order them, on the fake Discord."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from core.message import Platform
from core.moderation import hands
from core.moderation.acts import AUTOMOD, Act, ActKind, Actor
from core.moderation.carrying import Acts
from core.moderation.cases import Case, CaseState
from core.moderation.timers import Timers
from core.storage.client import Store
from core.storage.deadlines import Deadlines
from tests.bots.discord_bot.enforced import Court, court_of
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import FakeDiscord


@dataclass
class Bench:
    """The book of Alice's guild."""

    court: Court
    acts: Acts
    timers: Timers

    async def do(self, act: Act) -> Case:
        [number] = await self.acts.order([act])
        return await self.carried(act, number)

    async def undo(self, act: Act, number: int) -> Case:
        return await self.carried(
            act, await self.acts.undo(act.place, number, Actor(self.court.carol), f"undo {number}")
        )

    async def carried(self, act: Act, number: int) -> Case:
        await self.acts.carry(act.place)
        case = await self.acts.cases.get(act.place, number)
        assert case is not None
        return case

    def state(self) -> dict[str, Any]:
        """All that acts change, as it is now."""
        world, guild = self.court.world, self.court.guild
        general = world.channels[world.general]
        member = self.court.member()
        there = [posted.data["content"] for posted in world.messages[world.general].values() if not posted.deleted]
        return copy.deepcopy(
            {
                "member": {**member, "roles": sorted(member["roles"])},
                "is_here": (guild, self.court.bob) not in self.court.held.gone,
                "bans": world.bans,
                "overwrites": general["permission_overwrites"],
                "pause": general["rate_limit_per_user"],
                "pinned": [posted.data["pinned"] for posted in world.messages[world.general].values()],
                "said": there,
            }
        )


@pytest.fixture
async def bench(discord: FakeDiscord, store: Store) -> AsyncIterator[Bench]:
    async with court_of(discord) as court:
        acts = Acts(store, {Platform.DISCORD: court.enforcer}, keep_days=1)
        yield Bench(court, acts, Timers(Deadlines(store), acts.handlers))


MIRRORED: dict[ActKind, dict[str, Any]] = {
    ActKind.MUTE: {"seconds": 3600},
    ActKind.QUARANTINE: {},
    ActKind.SLOW: {"pause": 30},
    ActKind.LOCK: {"seconds": 600},
    ActKind.PIN: {},
}


@pytest.mark.parametrize("kind", MIRRORED)
async def test_what_is_undone_is_exactly_as_it_was(bench: Bench, kind: ActKind) -> None:
    court = bench.court
    court.held.give(court.guild, court.bob, May.EMBED_LINKS, position=2)
    court.held.time_out(court.guild, court.bob, 7200)
    court.held.overwrite(court.world.general, court.guild, allow=May.SEND_MESSAGES, deny=May.EMBED_LINKS)
    court.world.channels[court.world.general]["rate_limit_per_user"] = 5
    said = court.say("hello")
    earlier = bench.state()
    messages = (said.id,) if kind is ActKind.PIN else ()
    act = court.act(kind, messages=messages, **MIRRORED[kind])
    case = await bench.do(act)
    assert case.state is CaseState.DONE, case.answers
    assert bench.state() != earlier
    assert (await bench.undo(act, case.number)).state is CaseState.DONE
    assert bench.state() == earlier


async def test_what_was_deleted_is_said_again_with_its_authors_name(bench: Bench) -> None:
    said = [bench.court.say(text) for text in ("one", "two")]
    act = bench.court.act(ActKind.PURGE, messages=tuple(one.id for one in said))
    case = await bench.do(act)
    assert bench.state()["said"] == []
    await bench.undo(act, case.number)
    assert bench.state()["said"] == ["**Bob**: one\n**Bob**: two"]


async def test_a_ban_for_a_time_ends_by_us_and_a_later_one_for_good_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    court = bench.court
    short = await bench.do(court.act(ActKind.BAN, seconds=600))
    assert short.is_told, "before the ban, since afterwards nobody reaches them"
    other = court.world.add_user("dave")
    await bench.do(court.act(ActKind.BAN, account=other, seconds=600, id="dave 1"))
    await bench.do(court.act(ActKind.BAN, account=other, id="dave 2"))
    then = time.time() + 700
    with monkeypatch.context() as later:
        later.setattr("core.storage.deadlines.time.time", lambda: then)
        while await bench.timers.step():
            pass
        await bench.acts.carry(court.act(ActKind.BAN).place)
    assert court.world.bans.keys() == {(court.guild, other)}


async def test_a_lost_answer_is_asked_for_again_and_the_act_is_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discord did it, and nobody heard."""
    monkeypatch.setattr(hands, "LONGEST_PAUSE", 0.01)
    # The client makes a call once more by itself, where a connection that was kept broke.
    bench.court.discord.fail("reset after", "PUT /guilds", times=2)
    act = bench.court.act(ActKind.BAN)
    case = await bench.do(act)
    assert case.state is CaseState.PLANNED
    while case.state is CaseState.PLANNED:
        await asyncio.sleep(0.01)
        case = await bench.carried(act, case.number)
    assert (case.state, case.tries) == (CaseState.DONE, 1)
    assert [one["action"] for one in bench.court.world.audit] == [22, 22, 22]
    assert len(bench.court.discord.by_bot(bench.court.world.direct(bench.court.bob))) == 1, "told once"
    assert (await bench.acts.cases.of(act.place, bench.court.bob))[0] == 1


async def test_rules_delete_with_few_calls_and_see_who_has_become_staff(bench: Bench) -> None:
    """Each is some tenths of a second of what Discord lets a bot ask for."""
    court = bench.court
    staff = court.held.give(court.guild, court.carol, May.MANAGE_MESSAGES, position=2)
    said = [court.say(f"buy this {number}") for number in range(4)]
    acts = [replace(court.act(ActKind.DELETE, messages=(one.id,), id=one.id), actor=Actor(AUTOMOD)) for one in said]
    await bench.do(acts[0])
    before = len(court.discord.calls)
    assert [(await bench.do(act)).state for act in acts[1:3]] == [CaseState.DONE] * 2
    assert len(court.discord.calls) - before == 2 * 3, "who wrote it, what it says, and its end"
    court.held.roles[court.guild, court.bob] = [staff]
    assert (await bench.do(acts[3])).answers[-1].key == "automod_spares"
