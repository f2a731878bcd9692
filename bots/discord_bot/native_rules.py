"""Discord's AutoMod, which blocks a message before anybody has seen it. Implements
``core.moderation.native.NativeRules``.

Rules whose name begins with :data:`PREFIX` are ours; all others are people's, and are neither read nor touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bots.discord_bot import permissions
from bots.discord_bot.hands import Hands
from bots.discord_bot.rest import CallFailed, Rest
from bots.discord_bot.rights import Raw, Rights
from bots.pacing import Pacer
from core.errors import OutboundFault
from core.moderation.acts import Answer, Outcome
from core.moderation.enforcer import Site
from core.moderation.native import Fitted, NativeLimits, NativeRule, diff, fitted

PREFIX = "Parley: "
WORDS, MENTIONS = 1, 5
"""Kinds of triggers: keywords, mention spam."""
BLOCK, ALERT = 1, 2
MESSAGE_SENT = 1
MOST_REASON = 150
"""Characters of what is told to whom it stops."""
LIMITS = NativeLimits(
    word_rules=6,
    words=1000,
    # One less of each at either end: a word of a language without blanks is looked for anywhere.
    word_chars=58,
    regexes=10,
    # Less the mark that capitals do not matter.
    regex_chars=256,
    allowed=100,
    exempt_roles=20,
    exempt_channels=50,
    mentions=51,
)
"""By the documentation of AutoMod; it allows 50 mentions and no more, so that 51 are too many."""
ANY_CASE = "(?i)"
STAFF = permissions.MODERATORS & ~permissions.ADMINISTRATOR & ~permissions.MANAGE_GUILD


class AutoMod:
    """That of one bot's guilds."""

    limits = LIMITS

    def __init__(self, rest: Rest, rights: Rights, pacer: Pacer) -> None:
        self._hands = Hands(rest, pacer)
        self._rights = rights

    async def lacking(self, site: Site) -> str:
        guild = await self._rights.guild(site.space, fresh=True)
        me = await self._rights.member(site.space, site.conversation.bot, fresh=True)
        if guild is None or me is None:
            return "permission.view_channel"
        held = permissions.in_guild(guild, me, site.conversation.bot, self._hands.now())
        return "" if held & permissions.MANAGE_GUILD else "permission.manage_guild"

    async def read(self, site: Site) -> list[NativeRule]:
        return [_read(raw) for raw in await self._all(site) if _is_ours(raw)]

    async def fit(self, site: Site, wanted: Sequence[NativeRule]) -> Fitted:
        theirs = [raw["trigger_type"] for raw in await self._all(site) if not _is_ours(raw)]
        staff = await self._staff(site)
        wanted = [replace(rule, exempt_roles=_ids((*rule.exempt_roles, *staff))) for rule in wanted]
        found = fitted(wanted, LIMITS, max(0, LIMITS.word_rules - theirs.count(WORDS)))
        rules = tuple(_read(_written(rule)) for rule in found.rules)
        if MENTIONS not in theirs:
            return replace(found, rules=rules)
        # There can be one rule about mentions, and people have made it.
        left = tuple(f"mentions = {rule.mentions}" for rule in rules if rule.mentions)
        return Fitted(tuple(rule for rule in rules if not rule.mentions), (*found.left, *left))

    async def push(self, site: Site, wanted: Sequence[NativeRule]) -> Answer:
        path = f"/guilds/{site.space}/auto-moderation/rules"
        try:
            raws = {_read(raw).name: raw for raw in await self._all(site) if _is_ours(raw)}
            changes = diff([_read(raw) for raw in raws.values()], wanted)
            # What goes makes room for what comes.
            for change in sorted(changes, key=lambda change: change.new is not None):
                raw = raws.get(change.name)
                if change.new is None and raw is not None:
                    await self._hands.change(site.space, "DELETE", f"{path}/{raw['id']}")
                elif change.new is not None and raw is None:
                    await self._hands.change(site.space, "POST", path, _written(change.new))
                elif change.new is not None and raw is not None:
                    await self._hands.change(site.space, "PATCH", f"{path}/{raw['id']}", _written(change.new))
        except CallFailed as error:
            if error.fault is OutboundFault.FORBIDDEN:
                return Answer(Outcome.FORBIDDEN, "permission.manage_guild", error.detail)
            if error.fault is OutboundFault.TRANSIENT:
                raise
            return Answer(Outcome.REFUSED, detail=f"{error.detail} {' '.join(sorted(error.reasons))}".strip())
        return Answer(Outcome.DONE if changes else Outcome.NOTHING)

    async def _staff(self, site: Site) -> list[str]:
        """Roles with a moderator's permission, whom rules let be. Discord itself knows only those who manage the
        server."""
        guild = await self._rights.guild(site.space)
        roles: list[Raw] = list(guild["roles"]) if guild else []
        return [str(one["id"]) for one in roles if int(one["permissions"]) & STAFF and str(one["id"]) != site.space]

    async def _all(self, site: Site) -> list[Raw]:
        return await self._hands.read(f"/guilds/{site.space}/auto-moderation/rules") or []


def _ids(found: Sequence[str]) -> tuple[str, ...]:
    """Each once; what is no id of Discord's is a role of another platform."""
    return tuple(dict.fromkeys(id for id in found if id.isdecimal()))


def _is_ours(raw: Raw) -> bool:
    return str(raw["name"]).startswith(PREFIX) and raw["trigger_type"] in (WORDS, MENTIONS)


def _written(rule: NativeRule) -> Mapping[str, Any]:
    actions: list[Mapping[str, Any]] = [{"type": BLOCK}]
    if rule.reason:
        actions = [{"type": BLOCK, "metadata": {"custom_message": rule.reason[:MOST_REASON]}}]
    if rule.alert:
        actions.append({"type": ALERT, "metadata": {"channel_id": rule.alert}})
    kind, metadata = MENTIONS, {"mention_total_limit": max(0, rule.mentions - 1)}
    if not rule.mentions:
        kind, metadata = WORDS, _words(rule)
    return {
        "name": f"{PREFIX}{rule.name}",
        "event_type": MESSAGE_SENT,
        "trigger_type": kind,
        "trigger_metadata": metadata,
        "actions": actions,
        "enabled": rule.is_on,
        "exempt_roles": list(rule.exempt_roles),
        "exempt_channels": list(_ids(rule.exempt_channels)),
    }


def _words(rule: NativeRule) -> dict[str, Any]:
    return {
        "keyword_filter": [_keyword(word) for word in rule.words],
        "regex_patterns": [regex if regex.startswith(ANY_CASE) else ANY_CASE + regex for regex in rule.regexes],
        "allow_list": [_keyword(word) for word in rule.allowed],
    }


def _keyword(word: str) -> str:
    """Discord looks for whole words, which are parted by blanks: where a language has none, anywhere. What was read
    from it stays as it is."""
    return f"*{word.strip('*')}*" if any(letter >= "\u2e80" for letter in word) else word


def _read(raw: Raw) -> NativeRule:
    metadata: Raw = raw.get("trigger_metadata") or {}
    actions: Sequence[Raw] = raw.get("actions") or ()
    about: Mapping[int, Raw] = {one["type"]: one.get("metadata") or {} for one in actions}
    limit: int | None = metadata.get("mention_total_limit")
    return NativeRule(
        str(raw["name"]).removeprefix(PREFIX),
        words=tuple(metadata.get("keyword_filter") or ()),
        regexes=tuple(metadata.get("regex_patterns") or ()),
        allowed=tuple(metadata.get("allow_list") or ()),
        mentions=0 if limit is None else limit + 1,
        reason=str(about.get(BLOCK, {}).get("custom_message") or ""),
        alert=str(about.get(ALERT, {}).get("channel_id") or ""),
        # Discord promises no order of them.
        exempt_roles=tuple(sorted(map(str, raw.get("exempt_roles") or ()))),
        exempt_channels=tuple(sorted(map(str, raw.get("exempt_channels") or ()))),
        is_on=bool(raw.get("enabled")),
    )
