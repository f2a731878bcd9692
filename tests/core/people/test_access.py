"""Who may do what: the space's rules, roles, and the platform's word."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from core.access import ACTS, OF_ALL, Right
from core.conversation.turn import Turn
from core.errors import RightsUnknownError
from core.message import Author, Message
from core.parts import Notice
from core.people.access import Access, Asker, Ground, Role, Standing
from core.people.gate import Denial, Gate, Reason
from core.people.identity import People
from core.people.spaces import Grant, Spaces, space_id
from core.storage.client import Store
from core.storage.shared import Once
from tests.builders import call, conversation, message

ADMIN, MODERATOR, BOB, BOSS, PARLEYS_OWNER = "2", "3", "5", "1", "9"
TOLD = Notice("new")
SPACE = space_id(conversation(), "100")


@dataclass
class Town:
    """What a platform says of its people; implements ``Authority``."""

    people: dict[str, Standing] = field(
        default_factory=lambda: {
            BOSS: Standing(True, frozenset(Right)),
            ADMIN: Standing(False, frozenset((Right.CONFIGURE, *ACTS))),
            MODERATOR: Standing(False, frozenset((Right.WARN,)), frozenset(("77",))),
        }
    )
    asked: list[str] = field(default_factory=list[str])
    is_away: bool = False

    async def may(self, call: Asker, right: Right) -> bool:
        return right in (await self.standing(call, right in ACTS)).rights

    async def standing(self, asker: Asker, fresh: bool = False) -> Standing:
        self.asked.append(f"{asker.author.id}{' fresh' if fresh else ''}")
        if self.is_away:
            raise RightsUnknownError("away")
        return self.people.get(asker.author.id, Standing())


@dataclass
class World:
    store: Store
    town: Town
    access: Access
    people: People
    spaces: Spaces

    async def choose(self, **fields: Any) -> None:
        await self.spaces.change(SPACE, lambda settings: settings.model_copy(update=fields))

    async def may(self, right: Right, who: str = BOB, **values: Any) -> bool:
        return await self.access.may(said(who, **values), right)


def said(who: str = BOB, **values: Any) -> Message:
    values = {"author": Author(who, "Somebody"), "private": False, "space": "100", **values}
    return message("hello", **values)


def rule(right: Right, who: str, allowed: bool, channel: str = "") -> Grant:
    return Grant(right=right, who=who, allowed=allowed, channel=channel)


@pytest.fixture
def world(store: Store) -> World:
    town, people, spaces = Town(), People(store), Spaces(store)
    owners = (f"telegram:{PARLEYS_OWNER}",)
    access = Access(people, spaces, owners, Once(store), may=town.may, standing=town.standing)
    return World(store, town, access, people, spaces)


async def test_where_nobody_chose_anything_the_platform_decides_and_a_message_asks_it_nothing(world: World) -> None:
    for right in OF_ALL:
        assert await world.may(right)
    assert world.town.asked == []
    assert not await world.may(Right.CONFIGURE)
    assert await world.may(Right.SEE_USAGE, ADMIN)
    assert await world.may(Right.WARN, MODERATOR)
    assert not await world.may(Right.BAN, MODERATOR)
    assert world.town.asked[-1] == f"{MODERATOR} fresh", "asked at the moment of the act"


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ((rule(Right.DRAW, "everyone", False),), False),
        ((rule(Right.DRAW, "everyone", False), rule(Right.DRAW, "role:moderator", True)), True),
        ((rule(Right.DRAW, "role:moderator", True), rule(Right.DRAW, "platform-role:77", False)), False),
        ((rule(Right.DRAW, "platform-role:77", True), rule(Right.DRAW, "everyone", False, "100")), False),
        ((rule(Right.DRAW, "platform-role:77", True), rule(Right.DRAW, "everyone", False, "200")), True),
        ((rule(Right.DRAW, "everyone", False, "100"), rule(Right.DRAW, "person:telegram:3", True)), True),
        ((rule(Right.DRAW, "person:telegram:3", True), rule(Right.DRAW, "person:telegram:3", False, "100")), False),
        # Of two that are equally near, the one that takes it away.
        ((rule(Right.DRAW, "platform-role:77", False), rule(Right.DRAW, "platform-role:77", True)), False),
        ((rule(Right.DRAW, "role:member", False), rule(Right.DRAW, "person:telegram:5", False)), True),
        ((rule(Right.DRAW, "of a newer program", False),), True),
        ((rule(Right.SPEAK, "everyone", False),), True),
    ],
)
async def test_the_rule_that_is_nearest_holds(world: World, rules: tuple[Grant, ...], allowed: bool) -> None:
    await world.choose(grants=rules)
    assert await world.may(Right.DRAW, MODERATOR) is allowed


async def test_a_role_stands_in_place_of_what_the_platform_says(world: World) -> None:
    await world.choose(roles={"telegram:5": "moderator", "telegram:2": "member", "telegram:6": "of a newer program"})
    assert await world.may(Right.BAN)
    assert not await world.may(Right.CONFIGURE)
    assert not await world.may(Right.CONFIGURE, ADMIN)
    assert await world.access.role(said(ADMIN)) is Role.MEMBER
    assert await world.access.role(said("6")) is Role.MEMBER
    assert await world.access.role(said(MODERATOR)) is Role.MODERATOR
    assert not await world.access.may_choose(said(ADMIN)), "nor does the platform's word count for choices"


async def test_owners_are_never_locked_out(world: World) -> None:
    taken = tuple(rule(right, "everyone", False) for right in Right)
    mine = (rule(Right.CONFIGURE, f"person:telegram:{BOSS}", False),)
    await world.choose(grants=taken + mine, roles={f"telegram:{BOSS}": "blocked"})
    assert await world.may(Right.CONFIGURE, BOSS)
    assert await world.may(Right.CONFIGURE, PARLEYS_OWNER)
    assert not await world.may(Right.CONFIGURE, ADMIN)


async def test_alone_with_the_bot_everybody_may_what_all_may(world: World) -> None:
    alone = call("imagine", author=Author(BOB, "Bob"))
    assert await world.access.may(alone, Right.DRAW)
    assert not await world.access.may(alone, Right.BAN)
    ours = call("admin usage", author=Author(PARLEYS_OWNER, "Grace"))
    assert await world.access.may(ours, Right.SEE_USAGE)
    assert not await world.access.may(ours, Right.BAN), "there is nobody to use it on"
    assert await world.access.may_choose(alone)


async def test_while_the_platform_does_not_tell_nobody_acts_and_everybody_talks(world: World) -> None:
    await world.choose(grants=(rule(Right.BAN, "role:member", True), rule(Right.TALK, "role:moderator", False)))
    world.town.is_away = True
    with pytest.raises(RightsUnknownError):
        await world.may(Right.BAN)
    assert await world.may(Right.TALK, MODERATOR)
    assert await world.access.has(said(), Right.TALK)


async def test_who_is_shut_out_stays_so_under_another_account(world: World) -> None:
    await world.choose(roles={"telegram:55": "blocked"})
    assert await world.may(Right.TALK)
    await world.people.change(
        "telegram:5", lambda person: person.model_copy(update={"accounts": ("telegram:5", "telegram:55")})
    )
    assert not await world.may(Right.TALK)


async def test_who_is_shut_out_everywhere_has_no_right_anywhere(world: World) -> None:
    await world.people.change(f"telegram:{ADMIN}", lambda person: person.model_copy(update={"blocked": "spam"}))
    for right in (Right.CONFIGURE, Right.WARN, Right.DRAW):
        assert not await world.may(right, ADMIN)
    assert not await world.access.may_choose(said(ADMIN))
    await world.choose(roles={f"telegram:{ADMIN}": "admin"})
    assert not await world.may(Right.CONFIGURE, ADMIN)
    assert not await world.access.may_choose(said(ADMIN))


async def test_the_ruling_tells_what_it_is_founded_on(world: World) -> None:
    denied = rule(Right.DRAW, "everyone", False)
    await world.choose(grants=(denied,), roles={"telegram:5": "blocked"})
    ruling = await world.access.rule(said(MODERATOR), Right.DRAW)
    assert (ruling.allowed, ruling.ground, ruling.role, ruling.grant) == (False, Ground.RULE, Role.MODERATOR, denied)
    blocked = await world.access.rule(said(), Right.DRAW)
    assert (blocked.ground, blocked.role) == (Ground.ROLE, Role.BLOCKED)


async def denial(world: World, who: str = BOB) -> Denial | None:
    asked = said(who)
    settings = await world.spaces.of(SPACE)
    return await world.access.check_talk(Turn(asked.conversation, "1", "1", asked, space=settings))


async def test_who_may_not_talk_is_told_once_a_day(world: World) -> None:
    assert await denial(world) is None
    await world.choose(roles={"telegram:5": "blocked"}, grants=(rule(Right.TALK, "role:moderator", False),))
    first, second = await denial(world), await denial(world)
    assert first is not None
    assert second is not None
    assert (first.notice.key, first.reason, first.silent) == ("blocked_here", Reason.BLOCKED, False)
    assert second.silent
    moderator = await denial(world, MODERATOR)
    assert moderator is not None
    assert (moderator.notice.key, moderator.reason) == ("lacking.talk", Reason.RIGHT)
    assert await denial(world, "6") is None


async def test_the_gate_asks_in_order_and_only_whom_it_must(world: World) -> None:
    asked: list[str] = []

    async def never(turn: Turn) -> Denial | None:
        asked.append("first")
        return None

    async def refuse(turn: Turn) -> Denial | None:
        asked.append("second")
        return Denial(TOLD, Reason.LIMIT)

    turn = Turn(conversation(), "1", "1", said())
    found = await Gate((never, refuse, never), lambda _: False).ask(turn)
    assert (found, asked) == (Denial(TOLD, Reason.LIMIT), ["first", "second"])
    assert await Gate((refuse,), lambda _: True).ask(turn) is None
    assert len(asked) == 2
