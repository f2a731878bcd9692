"""Requests to join a guild, where its members are let in by hand."""

from __future__ import annotations

from collections.abc import Mapping

from bots.discord_bot.hands import Hands
from bots.discord_bot.rights import Raw
from core.moderation.acts import Act, ActKind, Answer, Outcome

PAGE = 100
MOST_PAGES = 10
MAX_REASON = 160
"""Characters of a reason that Discord tells who asked."""


class RequestActs:
    """Those of one bot."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    async def before(self, act: Act) -> Mapping[str, str]:
        return {}

    async def do(self, act: Act, seconds: int | None) -> Answer:
        """Raises as :class:`Hands` does."""
        id = await self._find(act)
        if not id:
            return Answer(Outcome.GONE)
        body = {"action": "APPROVED"}
        if act.kind is ActKind.DECLINE:
            body = {"action": "REJECTED", "rejection_reason": act.reason[:MAX_REASON]}
        await self._hands.do(act, "PATCH", f"/guilds/{act.space}/requests/{id}", body)
        return Answer(Outcome.DONE)

    async def _find(self, act: Act) -> str:
        """The request of one person that waits; empty for none."""
        before = ""
        for _ in range(MOST_PAGES):
            query = {"status": "SUBMITTED", "limit": str(PAGE)} | ({"before": before} if before else {})
            told = await self._hands.read(f"/guilds/{act.space}/requests", query)
            page: list[Raw] = told.get("guild_join_requests") or []
            for one in page:
                if str(one["user_id"]) == act.account:
                    return str(one["id"])
            if len(page) < PAGE:
                break
            before = str(page[-1]["id"])
        return ""
