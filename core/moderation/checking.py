"""Whether an act may be done, asked in a fixed order: the actor may, whom it is about may be acted on, the bot may."""

from __future__ import annotations

import re
from dataclasses import replace

from core.access import Right
from core.message import Platform
from core.moderation.acts import OF_AUTOMOD, ON_PEOPLE, Act, ActKind
from core.moderation.enforcer import Enforcer, Known, Site
from core.moderation.members import Rank
from core.parts import Notice
from core.people.access import Access, Asker
from core.texts import Label, one_line

LONGEST_NAME = 60
_ACCOUNT = re.compile(r"-?[1-9][0-9]{0,19}")
UNKNOWN = frozenset((ActKind.BAN, ActKind.UNBAN, ActKind.APPROVE, ActKind.DECLINE))
"""What can be done to an account that the platform does not show."""
ABSENT = UNKNOWN | {ActKind.WARN, ActKind.UNMUTE, ActKind.UNRESTRICT, ActKind.RELEASE}
"""What can be done to somebody who is no member: what was taken from them waits for them until they come back."""
ON_WORDS = frozenset((ActKind.DELETE, ActKind.PURGE))
"""Acts on what somebody wrote: their author's rank counts."""


async def check(act: Act, asker: Asker | None, enforcer: Enforcer | None, access: Access | None) -> Notice | None:
    """The sentence for why not; None: it may be done. Without ``asker`` the space's rules act.

    Raises RightsUnknownError, OutboundError, StorageError.
    """
    if refusal := await _actor(act, asker, access):
        return refusal
    if act.kind is ActKind.UNDO:
        # It changes the book alone.
        return None
    if enforcer is None or act.kind not in enforcer.abilities:
        return lacks(act.kind, act.conversation.platform)
    if (act.kind in ON_PEOPLE or act.kind in ON_WORDS) and act.account:
        known = await enforcer.know(Site(act.conversation, act.space), act.account, act.actor.account)
        if refusal := await _target(act, known, asker, access):
            return refusal
    return bot_lacks(await enforcer.lacking(act), act.conversation.platform)


def is_account(text: str) -> bool:
    """Whether that is an account as both platforms write the numbers of people, and Telegram those of channels, too.
    Anything else is nobody, however a platform might read it: their rank would be another's."""
    return _ACCOUNT.fullmatch(text) is not None


async def is_spared(act: Act, enforcer: Enforcer) -> bool:
    """Whether rules do not act on whom it is about, whatever they hit. Raises RightsUnknownError, OutboundError."""
    if not act.account or (act.kind not in ON_PEOPLE and act.kind not in ON_WORDS):
        return False
    known = await enforcer.know(Site(act.conversation, act.space), act.account, act.actor.account)
    return await _target(act, known, None, None) is not None


async def has_risen(act: Act, enforcer: Enforcer) -> bool:
    """Whether whom somebody acts on is of the staff by now: an act may have waited for its platform. Raises
    RightsUnknownError, OutboundError."""
    if not act.account or act.kind not in ON_PEOPLE:
        return False
    known = await enforcer.know(Site(act.conversation, act.space), act.account, act.actor.account)
    return known is not None and (known.rank is Rank.OWNER or (known.rank is Rank.ABOVE and known.is_admin))


def lacks(kind: ActKind, platform: Platform) -> Notice:
    """The platform has no such act."""
    return Notice("act_lacks", {"act": Label("act", kind), "platform": Label("platform", platform)})


def bot_lacks(key: str, platform: Platform) -> Notice | None:
    """A sentence for what an :class:`Enforcer` says that the bot lacks."""
    group, _, word = key.partition(".")
    if group == "permission":
        return Notice(f"bot_lacks.{platform}", {"right": Label(group, word)})
    return Notice(key) if key else None


async def _actor(act: Act, asker: Asker | None, access: Access | None) -> Notice | None:
    if asker is None:
        return None if act.kind in OF_AUTOMOD else Notice("automod_may_not", {"act": Label("act", act.kind)})
    if act.kind not in ON_PEOPLE and act.conversation != asker.conversation:
        # Some have a right in one channel alone, and what is undone may have been done in another.
        asker = replace(asker, conversation=act.conversation, within=())
    if act.kind is ActKind.UNDO:
        # Of a warning.
        own = Notice("not_yourself") if act.account == act.actor.account else None
        return own or await _right(asker, Right.WARN, access)
    return await _right(asker, act.needs, access)


async def _right(asker: Asker, right: Right, access: Access | None) -> Notice | None:
    return None if access is None or await access.may(asker, right) else Notice(f"lacking.{right}")


async def _target(act: Act, known: Known | None, asker: Asker | None, access: Access | None) -> Notice | None:
    if not is_account(act.account):
        return Notice("account_unknown")
    if act.account == act.actor.account:
        # Their own messages they may delete.
        return None if act.kind in ON_WORDS else Notice("not_yourself")
    if known is None:
        return None if act.kind in UNKNOWN or act.kind in ON_WORDS else Notice("account_unknown")
    if refusal := await _rank(act, known, asker, access):
        return refusal
    if not known.is_here and act.kind not in ABSENT and act.kind not in ON_WORDS:
        return Notice("act_not_here", {"name": _name(known)})
    return None


async def _rank(act: Act, known: Known, asker: Asker | None, access: Access | None) -> Notice | None:
    match known.rank:
        case Rank.OWNER:
            return Notice("not_the_owner")
        case Rank.BOT:
            return None if act.kind in ON_WORDS else Notice("not_a_bot")
        case Rank.ABOVE:
            # Made a moderator by the space's own rules, they stand no higher by the platform's word.
            if asker and access and not known.is_admin and await access.is_made_moderator(asker, act.account):
                return None
            return Notice("not_above_you", {"name": _name(known)})
        case Rank.BELOW:
            if known.is_admin and asker is None:
                return Notice("not_above_you", {"name": _name(known)})
            return None


def _name(known: Known) -> str:
    name = one_line(known.name, LONGEST_NAME).replace("`", "'")
    return f"`{name}`" if name else known.account
