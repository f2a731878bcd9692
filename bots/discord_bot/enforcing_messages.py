"""Acts on messages: deleted, together where Discord takes them together; said again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from bots.discord_bot.hands import Hands
from bots.discord_bot.ranks import name_of
from bots.discord_bot.rest import CallFailed
from bots.discord_bot.rights import Raw
from bots.discord_bot.snowflake import moment
from bots.discord_bot.telling import Telling
from core.errors import OutboundError, OutboundFault
from core.moderation.acts import Act, ActKind, Answer, Outcome
from core.moderation.durations import DAY
from core.moderation.evidence import Said, said_before
from core.texts import one_line

TOGETHER = 100
"""Messages that one call deletes."""
TOGETHER_SECONDS = 14 * DAY - 300
"""How old these may be: two weeks, less what a call and two clocks may take."""
MOST_OLD = 50
"""Older ones that one act deletes, one by one: Discord lets a bot do few of them in a minute."""
PAGE = 100
MOST_PAGES = 10
"""Pages of a channel's history that are read for one act."""
MOST_TEXT = 1900
"""Characters of one message in which what was deleted is said again."""
OLD_LEFT = "old_messages_left"


class MessageActs:
    """Those of one bot."""

    def __init__(self, hands: Hands, telling: Telling) -> None:
        self._hands = hands
        self._telling = telling

    async def before(self, act: Act) -> Mapping[str, str]:
        """What they said, as far as Discord still tells it."""
        if not act.messages or act.kind is ActKind.REPOST:
            return {}
        wanted, ids = set(act.messages), sorted(map(int, act.messages))
        found: dict[str, str] = {}
        async for raw in self._history(act.conversation.chat, str(ids[-1] + 1)):
            if int(raw["id"]) < ids[0]:
                break
            if raw["id"] in wanted:
                user: Raw = raw["author"]
                found[raw["id"]] = Said(name_of(user, {}), str(raw.get("content") or ""), str(user["id"])).written()
        return found

    async def do(self, act: Act, seconds: int | None) -> Answer:
        """Raises as :class:`Hands` does."""
        return await (self._repost(act) if act.kind is ActKind.REPOST else self._delete(act))

    async def _delete(self, act: Act) -> Answer:
        """Those that are gone already are fine: whoever goes on after a crash finds some so."""
        ids = [id for id in dict.fromkeys(act.messages) if id.isdecimal()]
        since = self._hands.now() - TOGETHER_SECONDS
        young, old = [id for id in ids if moment(id) > since], [id for id in ids if moment(id) <= since]
        count = 0
        for some in _parts(young):
            count += await self._together(act, some)
        for id in sorted(old, key=int, reverse=True)[:MOST_OLD]:
            count += await self._one(act, id)
        left = OLD_LEFT if len(old) > MOST_OLD else ""
        return Answer(Outcome.DONE if count or not ids else Outcome.NOTHING, left, count=count)

    async def _together(self, act: Act, ids: Sequence[str]) -> int:
        if len(ids) == 1:
            return await self._one(act, ids[0])
        await self._hands.do(act, "POST", f"/channels/{act.conversation.chat}/messages/bulk-delete", {"messages": ids})
        return len(ids)

    async def _one(self, act: Act, id: str) -> int:
        try:
            await self._hands.do(act, "DELETE", f"/channels/{act.conversation.chat}/messages/{id}")
        except CallFailed as error:
            if error.fault is OutboundFault.GONE:
                return 0
            raise
        return 1

    async def _repost(self, act: Act) -> Answer:
        said = sorted(said_before(act.before).items(), key=lambda one: (len(one[0]), one[0]))
        pages = list(_pages([words for _, words in said if words.text]))
        if not pages:
            return Answer(Outcome.GONE)
        for number, page in enumerate(pages):
            if not await self._telling.channel(act.conversation.chat, page, f"{act.id}:{number}"):
                raise OutboundError(OutboundFault.TRANSIENT, "what was deleted could not be said again")
        return Answer(Outcome.DONE, count=len(said))

    async def recent(self, channel: str, account: str, count: int, seconds: int) -> list[str]:
        """Ids of the newest messages, newest first. Raises as :class:`Hands` does."""
        since = self._hands.now() - seconds if seconds else 0.0
        found: list[str] = []
        async for raw in self._history(channel, ""):
            if len(found) >= count or moment(raw["id"]) < since:
                break
            if not account or raw["author"]["id"] == account:
                found.append(raw["id"])
        return found

    async def _history(self, channel: str, before: str) -> AsyncIterator[Raw]:
        for _ in range(MOST_PAGES):
            query = {"limit": str(PAGE)} | ({"before": before} if before else {})
            page: list[Raw] = await self._hands.read(f"/channels/{channel}/messages", query) or []
            for raw in page:
                yield raw
            if len(page) < PAGE:
                return
            before = page[-1]["id"]


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), TOGETHER):
        yield ids[start : start + TOGETHER]


def _pages(said: Sequence[Said]) -> Iterator[str]:
    """Messages with the words of several people, each with their name."""
    page = ""
    for words in said:
        piece = f"**{one_line(words.author, 60)}**: {words.text}"[:MOST_TEXT]
        if page and len(page) + len(piece) + 1 > MOST_TEXT:
            yield page
            page = ""
        page = f"{page}\n{piece}" if page else piece
    if page:
        yield page
