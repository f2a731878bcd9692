"""What a person may do in a space: the community's own rules first, then what the platform says.

Of the rules that are about a person the one that is nearest to them holds: their own before all, then those for a
channel before those for the whole space, and those for a role of the platform before those for one of ours, before
those for everyone. Of two that are equally near, the one that takes the right away holds. Where there is none, the role
says it. Owners may do everything everywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import structlog

from core.access import ACTS, OF_ALL, Right, is_owner
from core.conversation.turn import Turn
from core.errors import RightsUnknownError
from core.message import Author, CommandCall, Message
from core.parts import Notice
from core.people.gate import DAY, Denial, Reason
from core.people.hearing import channels_of
from core.people.identity import People, Person, account_of
from core.people.spaces import Grant, Spaces, SpaceSettings, space_id
from core.storage.shared import Once

log = structlog.get_logger()

Asker = Message | CommandCall
"""Who wrote it, where."""


class Role(StrEnum):
    """What somebody is in a space."""

    OWNER = "owner"
    """Runs this Parley, or the space is theirs by the platform's own word."""
    ADMIN = "admin"
    MODERATOR = "moderator"
    MEMBER = "member"
    BLOCKED = "blocked"
    """Shut out there."""


RANKS: Mapping[Role, int] = {role: rank for rank, role in enumerate(reversed(Role))}
DEFAULTS: Mapping[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.ADMIN: frozenset(Right),
    Role.MODERATOR: OF_ALL | ACTS | {Right.TEACH},
    Role.MEMBER: OF_ALL,
    Role.BLOCKED: frozenset(),
}
"""What a role may do where no rule says otherwise. Who is an administrator or moderator by the platform alone may do to
others what the platform lets them."""
EVERYONE, PERSON, ROLE, PLATFORM_ROLE = "everyone", "person", "role", "platform-role"
"""Whom rules are about: the part of ``Grant.who`` before the colon."""
_NEARNESS: Mapping[str, int] = {EVERYONE: 0, ROLE: 1, PLATFORM_ROLE: 2, PERSON: 3}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a platform says of somebody in a space."""

    owns: bool = False
    """The space is theirs."""
    rights: frozenset[Right] = frozenset()
    """Of those that are one in all of the space."""
    roles: frozenset[str] = frozenset()
    """Ids of their roles there, where the platform has roles."""


class Authority(Protocol):
    """A platform's word on its people. Both raise RightsUnknownError where it does not tell now."""

    async def may(self, call: Asker, right: Right) -> bool:
        """Whether the platform gives somebody a right where they are; asked anew if it is one of :data:`ACTS`."""
        ...

    async def standing(self, asker: Asker, *, fresh: bool = False) -> Standing:
        """As it was told a minute ago at most, or ``fresh``."""
        ...


IsAdmin = Callable[[Asker], Awaitable[bool]]
May = Callable[[Asker, Right], Awaitable[bool]]
StandingOf = Callable[[Asker, bool], Awaitable[Standing]]


class Ground(StrEnum):
    """What a ruling is founded on."""

    OWNER = "owner"
    BLOCKED = "blocked"
    """The owner shut them out everywhere."""
    RULE = "rule"
    ROLE = "role"
    PLATFORM = "platform"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether somebody has a right, and why."""

    allowed: bool
    ground: Ground
    role: Role = Role.MEMBER
    """Where it is founded on that."""
    grant: Grant | None = None
    """The rule that it is founded on."""


class Access:
    """Decides on rights, for all platforms."""

    def __init__(
        self,
        people: People,
        spaces: Spaces,
        owners: Collection[str],
        once: Once,
        *,
        may: May | None = None,
        standing: StandingOf | None = None,
        is_admin: IsAdmin | None = None,
    ) -> None:
        """``owners`` are those of the settings: ``platform:account id``. The rest are the platforms' words
        (:class:`Authority`). Without ``may`` the platform gives nobody a right over others, without ``is_admin``
        everybody may choose for all."""
        self._people = people
        self._spaces = spaces
        self._owners = owners
        self._once = once
        self._platform_may = may
        self._platform_standing = standing
        self._platform_is_admin = is_admin

    async def may(self, asker: Asker | Turn, right: Right) -> bool:
        """Whether who wrote that has a right where they are. Raises RightsUnknownError, StorageError."""
        return (await self.rule(asker.incoming if isinstance(asker, Turn) else asker, right)).allowed

    async def may_choose(self, asker: Asker) -> bool:
        """Whether they may choose for all there: alone with the bot everybody may. Raises RightsUnknownError,
        StorageError."""
        if asker.private or self.is_owner(asker):
            return True
        if (await self._person(asker)).blocked:
            return False
        if ruling := await self._by_space(asker, Right.CONFIGURE):
            return ruling.allowed
        return self._platform_is_admin is None or await self._platform_is_admin(asker)

    async def has(self, asker: Asker | Turn, right: Right) -> bool:
        """The same for one of :data:`OF_ALL`, which a platform that does not tell takes from nobody."""
        try:
            return await self.may(asker, right)
        except RightsUnknownError as error:
            log.warning("nobody tells what somebody may do", right=str(right), cause=str(error))
            return True

    async def rule(self, asker: Asker, right: Right) -> Ruling:
        """Whether they have a right there, and why. What is done to others is asked anew, of the platform and of the
        space's rules. Raises RightsUnknownError, StorageError."""
        if self.is_owner(asker):
            # A right over others is held in a space; what all of them spend is for the owner to see anywhere.
            allowed = bool(asker.space) or right in OF_ALL or right is Right.SEE_USAGE
            return Ruling(allowed, Ground.OWNER, Role.OWNER)
        if (await self._person(asker)).blocked:
            return Ruling(False, Ground.BLOCKED, Role.BLOCKED)
        if not asker.space:
            return Ruling(right in OF_ALL, Ground.PRIVATE)
        return await self._by_space(asker, right) or await self._by_platform(asker, right)

    async def role(self, asker: Asker, *, fresh: bool = False) -> Role:
        """What somebody is in the space. Raises RightsUnknownError, StorageError."""
        if self.is_owner(asker):
            return Role.OWNER
        chosen = chosen_role(await self._settings(asker, fresh=fresh), await self._person(asker), asker)
        standing = await self._standing(asker, fresh=fresh)
        return Role.OWNER if standing.owns else chosen or role_by(standing)

    async def role_by_platform(self, asker: Asker) -> Role:
        """What they would be if nobody had chosen a role for them. Raises RightsUnknownError."""
        return role_by(await self._standing(asker, fresh=True))

    async def is_made_moderator(self, asker: Asker, other: str) -> bool:
        """Whether the space's own rules let somebody warn an ordinary member (``other``, an account id), though the two
        stand equally high by the platform's word. Raises RightsUnknownError, StorageError."""
        ruling = await self.rule(asker, Right.WARN)
        if not ruling.allowed or ruling.ground not in (Ground.RULE, Ground.ROLE):
            return False
        return await self.role(as_account(asker, other), fresh=True) in (Role.MEMBER, Role.BLOCKED)

    def is_owner(self, asker: Asker) -> bool:
        """Whether they run this Parley."""
        return is_owner(asker.author, asker.conversation.platform, self._owners)

    async def check_talk(self, turn: Turn) -> Denial | None:
        """A ``core.people.gate.Check``: who may not use the bot there is told so once a day."""
        asker, settings = turn.incoming, turn.space
        if not asker.space or not (settings.grants or settings.roles) or await self.has(asker, Right.TALK):
            return None
        is_blocked = chosen_role(settings, turn.person, asker) is Role.BLOCKED
        what = f"talk:{account_of(asker.author, asker.conversation.platform)}:{asker.space}"
        first = await self._once.may(what if is_blocked else f"{what}:{channels_of(asker)[0]}", DAY)
        if is_blocked:
            return Denial(Notice("blocked_here"), Reason.BLOCKED, silent=not first)
        return Denial(Notice("lacking.talk"), Reason.RIGHT, silent=not first)

    async def _person(self, asker: Asker) -> Person:
        return await self._people.of(account_of(asker.author, asker.conversation.platform))

    async def _settings(self, asker: Asker, *, fresh: bool) -> SpaceSettings:
        id = space_id(asker.conversation, asker.space)
        return (await self._spaces.records.fresh(id)).value if fresh and id else await self._spaces.of(id)

    async def _standing(self, asker: Asker, *, fresh: bool = False) -> Standing:
        return await self._platform_standing(asker, fresh) if self._platform_standing else Standing()

    async def _by_platform(self, asker: Asker, right: Right) -> Ruling:
        if right in OF_ALL:
            return Ruling(True, Ground.PLATFORM)
        asked = right if right in ACTS else Right.CONFIGURE
        allowed = self._platform_may is not None and await self._platform_may(asker, asked)
        return Ruling(allowed, Ground.PLATFORM)

    async def _by_space(self, asker: Asker, right: Right) -> Ruling | None:
        """What the space's own rules say; None where they say nothing."""
        if not asker.space:
            return None
        settings = await self._settings(asker, fresh=right in ACTS)
        rules = [rule for rule in settings.grants if rule.right == right and _is_here(rule, asker)]
        who = await self._person(asker)
        chosen = chosen_role(settings, who, asker)
        if not rules and chosen is None:
            return None
        try:
            standing = await self._standing(asker, fresh=right in ACTS)
        except RightsUnknownError:
            if right not in OF_ALL:
                raise
            standing = Standing()
        if standing.owns:
            return Ruling(True, Ground.OWNER, Role.OWNER)
        role = chosen or role_by(standing)
        if role is Role.BLOCKED:
            return Ruling(False, Ground.ROLE, role)
        if nearest := nearest_rule(rules, _names(rules, who, asker), role, standing.roles):
            return Ruling(nearest.allowed, Ground.RULE, role, nearest)
        return None if chosen is None else Ruling(right in DEFAULTS[role], Ground.ROLE, role)


def as_account(asker: Asker, account: str) -> Asker:
    """The same, were it somebody else's (an account id of that platform)."""
    return replace(asker, author=Author(account, ""))


def role_by(standing: Standing) -> Role:
    """The role that goes with what a platform lets somebody do."""
    if standing.owns:
        return Role.OWNER
    if Right.CONFIGURE in standing.rights:
        return Role.ADMIN
    return Role.MODERATOR if standing.rights & ACTS else Role.MEMBER


def chosen_role(settings: SpaceSettings, person: Person, asker: Asker) -> Role | None:
    """The role that stands in place of what the platform says; None for none, and for one of a newer program. Who was
    shut out is so by whatever account they write."""
    if person.is_shut_out(settings.roles):
        return Role.BLOCKED
    kept = settings.roles.get(account_of(asker.author, asker.conversation.platform), "")
    return Role(kept) if kept in set(Role) else None


def nearest_rule(
    rules: Sequence[Grant], accounts: Collection[str], role: Role, platform_roles: Collection[str]
) -> Grant | None:
    """The rule that holds for somebody who goes by ``accounts``, of those about one right where they are."""
    theirs = {EVERYONE, f"{ROLE}:{role}", *(f"{PERSON}:{account}" for account in accounts)}
    theirs |= {f"{PLATFORM_ROLE}:{id}" for id in platform_roles}
    return max((rule for rule in rules if rule.who in theirs), key=_nearness, default=None)


def _names(rules: Sequence[Grant], person: Person, asker: Asker) -> set[str]:
    """The accounts by which rules may name them: their own here, and for what is taken away every one of theirs."""
    own = account_of(asker.author, asker.conversation.platform)
    taking = (rule.who.partition(":")[2] for rule in rules if not rule.allowed and rule.who.startswith(f"{PERSON}:"))
    return {own, *filter(person.is_or_was, taking)}


def _nearness(rule: Grant) -> tuple[bool, bool, int, bool]:
    kind = rule.who.partition(":")[0]
    return kind == PERSON, bool(rule.channel), _NEARNESS[kind], not rule.allowed


def _is_here(rule: Grant, asker: Asker) -> bool:
    return not rule.channel or rule.channel in channels_of(asker)
