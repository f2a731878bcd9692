"""/admin role, grant, deny, reset, roles: who is what in a space, and may do what. /admin block: shutting somebody out
everywhere.

Nobody gives away what they do not have themselves, nor decides on somebody who stands as high as they do.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from core.access import Right, is_owner
from core.commands.row import Room
from core.commands.typed import ACCOUNT, LEFT, NUMBER
from core.errors import RightsUnknownError
from core.message import Author, Platform
from core.moderation.members import Rank
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people.access import EVERYONE, PERSON, PLATFORM_ROLE, RANKS, ROLE, Access, Role, as_account
from core.people.changing import Actor, change_space
from core.people.identity import Person, account_of
from core.people.spaces import Grant, SpaceSettings, space_id
from core.storage.records import Conflict
from core.texts import one_line, say

DONE = Finished(Ending.COMPLETE)
AUTOMATIC = "automatic"
ROLES = (*Role, AUTOMATIC)
GIVEN_ROLES = (Role.ADMIN, Role.MODERATOR, Role.MEMBER, EVERYONE)
"""Whom a rule may be about besides people and the platform's roles: those who are shut out have no rights, owners have
all."""
MOST_ROLES = 500
MOST_GRANTS = 200
LISTED = 40
NAMED = 15
"""People whose names are asked of the platform for a list; of the others it says the id."""
MAX_NAME = 60
MAX_REASON = 200
NO_REASON = "-"


class _Refused(Exception):
    """A change that is not to be: the sentence for who wanted it."""

    def __init__(self, notice: Notice) -> None:
        super().__init__(notice.key)
        self.notice = notice


@dataclass(frozen=True, slots=True)
class _Whom:
    """Whom a rule is to be about."""

    who: str
    """As ``Grant.who``."""
    name: str
    role: Role
    """What they are, for those who decide on it."""
    is_self: bool = False


async def role(room: Room) -> AsyncIterator[Part]:
    """Chooses somebody's role in the space; ``automatic``: what the platform says."""
    yield await _tried(room, _role)
    yield DONE


async def grant(room: Room) -> AsyncIterator[Part]:
    """Gives a right."""
    yield await _tried(room, partial(_rule, True))
    yield DONE


async def deny(room: Room) -> AsyncIterator[Part]:
    """Takes a right away."""
    yield await _tried(room, partial(_rule, False))
    yield DONE


async def reset(room: Room) -> AsyncIterator[Part]:
    """Drops a rule, so that the next one holds."""
    yield await _tried(room, partial(_rule, None))
    yield DONE


async def roles(room: Room) -> AsyncIterator[Part]:
    """Lists the roles and rules of the space."""
    settings = (await room.community.spaces.records.fresh(_space(room))).value
    lines = [f"- {await _name(room, who, n)}: {say(f'role.{r}', room.language)}" for n, (who, r) in _some(settings)]
    lines += [await _line(room, rule, n) for n, rule in enumerate(settings.grants[:LISTED])]
    left = max(0, len(settings.roles) - LISTED) + max(0, len(settings.grants) - LISTED)
    if left:
        lines.append(say("roles_more", room.language, count=left))
    text = "\n".join((say("roles_head", room.language), "", *lines))
    yield TextDelta(text) if lines else Notice("roles_none")
    yield DONE


async def block(room: Room) -> AsyncIterator[Part]:
    """Shuts a person out everywhere, by whatever account they write."""
    account = _anywhere(room)
    if not account:
        yield Notice("block_how")
    elif (refusal := await _unblockable(room, account)) is not None:
        yield refusal
    else:
        reason = " ".join(room.value("reason").split())[:MAX_REASON] or NO_REASON
        yield await _blocked(room, account, reason)
    yield DONE


async def unblock(room: Room) -> AsyncIterator[Part]:
    """Lets a person in again."""
    account = _anywhere(room)
    if not account:
        yield Notice("block_how")
    elif not (await room.community.people.fresh(account)).value.blocked:
        yield Notice("not_blocked", {"account": _quoted(account)})
    else:
        yield await _blocked(room, account, "")
    yield DONE


# ---------------------------------------------------------------------- roles and rules
async def _tried(room: Room, change: Callable[[Room, Access], Awaitable[Notice]]) -> Notice:
    if room.access is None or room.moderation is None or not room.call.space:
        return Notice("groups_only", {"name": room.call.name})
    try:
        return await change(room, room.access)
    except _Refused as refused:
        return refused.notice
    except Conflict:
        return Notice("changed_meanwhile")


async def _role(room: Room, access: Access) -> Notice:
    wanted, account = _word(room, "role"), room.value("user")
    if wanted not in ROLES or not account:
        raise _Refused(Notice("role_how"))
    kept = await room.community.spaces.records.fresh(_space(room))
    mine = await access.role(room.call, fresh=True)
    whom = await _person(room, access, account, kept.value, gone=wanted in (AUTOMATIC, Role.BLOCKED))
    becomes = Role(wanted) if wanted != AUTOMATIC else await access.role_by_platform(as_account(room.call, account))
    _check_height(mine, whom, becomes)
    key = whom.who.partition(":")[2]

    def change(settings: SpaceSettings) -> SpaceSettings:
        chosen = {who: role for who, role in settings.roles.items() if who != key}
        if wanted != AUTOMATIC:
            chosen[key] = wanted
        if len(chosen) > MOST_ROLES:
            raise _Refused(Notice("roles_full", {"allowed": MOST_ROLES}))
        return settings.model_copy(update={"roles": chosen})

    await _change(room, change, kept.version)
    if wanted == AUTOMATIC:
        return Notice("role_automatic", {"name": whom.name})
    return Notice("role_set", {"name": whom.name, "role": say(f"role.{wanted}", room.language)})


async def _rule(allowed: bool | None, room: Room, access: Access) -> Notice:
    named = _word(room, "right")
    # Of words that were not understood one may be the name of somebody else than the message replied to is from.
    if named not in set(Right) or room.value(LEFT):
        raise _Refused(Notice("grant_how"))
    right, channel = Right(named), await _channel(room)
    kept = await room.community.spaces.records.fresh(_space(room))
    mine = await access.role(room.call, fresh=True)
    whom = await _whom(room, access, kept.value, gone=allowed is None)
    _check_height(mine, whom)
    if mine is not Role.OWNER and not await _holds(room, access, right, channel):
        raise _Refused(Notice("not_held", {"right": say(f"right.{right}", room.language)}))
    if right is Right.CONFIGURE and mine is not Role.OWNER and whom.who.startswith((EVERYONE, PLATFORM_ROLE)):
        # It might lock out those who stand as high.
        raise _Refused(Notice("not_above_them"))

    def change(settings: SpaceSettings) -> SpaceSettings:
        left = [rule for rule in settings.grants if (rule.right, rule.who, rule.channel) != (right, whom.who, channel)]
        if allowed is not None:
            left.append(Grant(right=right, allowed=allowed, who=whom.who, channel=channel))
        elif len(left) == len(settings.grants):
            raise _Refused(Notice("no_such_rule"))
        if len(left) > MOST_GRANTS:
            raise _Refused(Notice("roles_full", {"allowed": MOST_GRANTS}))
        return settings.model_copy(update={"grants": tuple(left)})

    await _change(room, change, kept.version)
    done = "rule_dropped" if allowed is None else "rule_given" if allowed else "rule_taken"
    return Notice(done, {"right": say(f"right.{right}", room.language), "name": whom.name})


async def _holds(room: Room, access: Access, right: Right, channel: str) -> bool:
    """Whether the caller has a right where a rule is to hold: what somebody has by a rule for one channel, they have
    nowhere else."""
    ruling = await access.rule(room.call, right)
    return ruling.allowed and (ruling.grant is None or ruling.grant.channel in ("", channel))


async def _change(room: Room, change: Callable[[SpaceSettings], SpaceSettings], seen: int) -> None:
    # Not undoable: whoever undoes a change would give what they may not have themselves.
    actor = Actor.of(room.turn)
    await change_space(room.community, _space(room), actor, change, seen=seen, undoable=False)


def _check_height(mine: Role, whom: _Whom, becomes: Role | None = None) -> None:
    """Raises _Refused where somebody decides on who stands as high as they do, or gives a role above their own. Their
    own they may lower."""
    if mine is Role.OWNER:
        if whom.is_self and becomes is not None:
            raise _Refused(Notice("not_yourself"))
        return
    if becomes is not None and RANKS[becomes] > RANKS[mine]:
        raise _Refused(Notice("role_too_high"))
    if RANKS[whom.role] >= RANKS[mine] and not (whom.is_self and becomes is not None):
        raise _Refused(Notice("not_above_them"))


async def _whom(room: Room, access: Access, settings: SpaceSettings, *, gone: bool) -> _Whom:
    """Raises _Refused unless exactly one is named. The message that the command replies to names who wrote it."""
    role, account, own = _word(room, "role"), room.value("user"), room.value("server_role")
    if not (role or account or own) and room.call.quote is not None:
        account = room.call.quote.author_id
    if len([given for given in (role, account, own) if given]) != 1 or (role and role not in GIVEN_ROLES):
        raise _Refused(Notice("grant_how"))
    if account:
        return await _person(room, access, account, settings, gone=gone)
    if own:
        if not own.isdecimal() or room.call.conversation.platform is not Platform.DISCORD:
            raise _Refused(Notice("grant_how"))
        if own != room.call.space:
            return _Whom(f"{PLATFORM_ROLE}:{own}", _quoted(own), Role.MEMBER)
        # Discord's own role of all has the server's id, and nobody is told to have it.
        role = EVERYONE
    if role == EVERYONE:
        return _Whom(EVERYONE, say("role.everyone", room.language), Role.MEMBER)
    return _Whom(f"{ROLE}:{role}", say(f"role.{role}", room.language), Role(role))


async def _person(room: Room, access: Access, account: str, settings: SpaceSettings, *, gone: bool) -> _Whom:
    """Somebody by their account. ``gone``: also who is no member any more. Raises _Refused."""
    assert room.moderation is not None
    who = f"{room.call.conversation.platform}:{account}"
    member = await room.moderation.members.find(room.call, account) if NUMBER.fullmatch(account) else None
    if member is None and gone and (who in settings.roles or any(rule.who.endswith(who) for rule in settings.grants)):
        # What was chosen for an account that is no more can be taken back.
        return _Whom(f"{PERSON}:{who}", _quoted(account), Role.MEMBER)
    if member is None or not (member.is_here or gone):
        raise _Refused(Notice("account_unknown"))
    if member.rank is Rank.BOT:
        raise _Refused(Notice("not_a_bot"))
    if member.rank is Rank.OWNER:
        raise _Refused(Notice("not_the_owner"))
    found = await access.role(as_account(room.call, account), fresh=True)
    return _Whom(f"{PERSON}:{who}", _quoted(member.name), found, account == room.call.author.id)


async def _channel(room: Room) -> str:
    wanted = room.value("channel")
    if not wanted:
        return ""
    here = room.call.conversation
    # Telegram tells of no topic whether there is such a one.
    is_topic = here.platform is Platform.TELEGRAM and wanted.isdecimal()
    if is_topic or wanted in (here.chat, here.thread):
        return wanted
    assert room.moderation is not None
    if (channel := await room.moderation.members.channel(room.call, wanted)) is None:
        raise _Refused(Notice("no_such_channel"))
    return channel


def _space(room: Room) -> str:
    return space_id(room.call.conversation, room.call.space)


def _word(room: Room, option: str) -> str:
    return room.value(option).lower()


# ---------------------------------------------------------------------- lists
def _some(settings: SpaceSettings) -> list[tuple[int, tuple[str, str]]]:
    known = [(who, role) for who, role in settings.roles.items() if role in set(Role)]
    return list(enumerate(sorted(known)[:LISTED]))


async def _line(room: Room, rule: Grant, number: int) -> str:
    kind, _, id = rule.who.partition(":")
    if kind == PERSON:
        name = await _name(room, id, number)
    elif kind == PLATFORM_ROLE:
        name = say("platform_role", room.language, id=_quoted(id))
    else:
        known = {*GIVEN_ROLES} & {id or kind}
        name = say(f"role.{id or kind}", room.language) if known else _quoted(rule.who)
    right = say(f"right.{rule.right}", room.language) if rule.right in set(Right) else _quoted(rule.right)
    values = {"name": name, "right": right, "channel": _quoted(rule.channel)}
    if rule.channel:
        key = "rule_line_gives_in" if rule.allowed else "rule_line_takes_in"
        return f"- {say(key, room.language, **values)}"
    values.pop("channel")
    return f"- {say('rule_line_gives' if rule.allowed else 'rule_line_takes', room.language, **values)}"


async def _name(room: Room, account: str, number: int) -> str:
    id = account.partition(":")[2]
    if number < NAMED and room.moderation is not None and id.isdecimal():
        with contextlib.suppress(RightsUnknownError):
            if member := await room.moderation.members.find(room.call, id):
                return f"{_quoted(member.name)} ({_quoted(id)})"
    return _quoted(id or account)


def _quoted(text: str) -> str:
    """As code: nothing that people wrote is a mark or a mention here."""
    return "`" + one_line(text, MAX_NAME).replace("\\", "").replace("`", "'") + "`"


# ---------------------------------------------------------------------- shutting out
def _anywhere(room: Room) -> str:
    """The account that is meant, with its platform; empty for none."""
    named = room.value("user")
    account = named if ":" in named else f"{room.call.conversation.platform}:{named}" if named else ""
    platform, _, id = account.partition(":")
    is_known = ACCOUNT.fullmatch(account) and platform in set(Platform)
    return account if is_known and (platform == Platform.WEB or NUMBER.fullmatch(id)) else ""


async def _unblockable(room: Room, account: str) -> Notice | None:
    person = (await room.community.people.fresh(account)).value
    theirs = {account, *person.known_accounts}
    if account_of(room.call.author, room.call.conversation.platform) in theirs:
        return Notice("not_yourself")
    owners = room.community.settings.owners
    named = (known.partition(":")[::2] for known in theirs)
    if any(is_owner(Author(id, ""), Platform(platform), owners) for platform, id in named):
        return Notice("not_an_owner")
    return None


async def _blocked(room: Room, account: str, reason: str) -> Notice:
    def change(person: Person) -> Person:
        return person.model_copy(update={"blocked": reason})

    person = await room.community.people.change(account, change)
    names = ", ".join(map(_quoted, sorted({account, *person.known_accounts})))
    return Notice("blocked_set" if reason else "blocked_lifted", {"accounts": names})
