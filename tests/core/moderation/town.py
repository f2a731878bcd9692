"""A platform with state for acts: who may speak, who is shut out, what is said. Implements ``Enforcer``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.errors import OutboundError, OutboundFault
from core.message import Author, CommandCall, ConversationKey, Platform
from core.moderation.acts import Act, ActKind, Actor, Answer, Outcome
from core.moderation.carrying import Acts
from core.moderation.durations import DAY, Span
from core.moderation.enforcer import Asked, Known, Rows, Site
from core.moderation.evidence import Said, said_before
from core.moderation.members import Members, Rank
from core.tasks import end

SQUARE = ConversationKey(Platform.DISCORD, "1", "10")
SPACE = "100"
PLACE = "discord:1:100"
MODERATOR = Actor("2", "Mo")
ENDED_BY_US = Span(longest=None)
MUTED = Span(longest=28 * DAY, for_good=False)
_PERSON = {
    ActKind.MUTE: ("muted", "yes"),
    ActKind.UNMUTE: ("muted", ""),
    ActKind.RESTRICT: ("restricted", "yes"),
    ActKind.UNRESTRICT: ("restricted", ""),
    ActKind.QUARANTINE: ("roles", ""),
    ActKind.RELEASE: ("roles", "member"),
    ActKind.BAN: ("banned", "yes"),
    ActKind.UNBAN: ("banned", ""),
}
_CHANNEL = {
    ActKind.SLOW: ("pause", "30"),
    ActKind.UNSLOW: ("pause", ""),
    ActKind.LOCK: ("locked", "yes"),
    ActKind.UNLOCK: ("locked", ""),
    ActKind.PIN: ("pinned", "yes"),
    ActKind.UNPIN: ("pinned", ""),
}


@dataclass
class Town:
    """Everybody and everything in it; what changed is counted, as a platform's log would."""

    people: dict[str, Known] = field(
        default_factory=lambda: {
            "2": Known("2", "Mo", Rank.ABOVE, is_admin=True),
            "5": Known("5", "Bob", Rank.BELOW),
            "6": Known("6", "Boss", Rank.ABOVE, is_admin=True),
            "3": Known("3", "Olga", Rank.OWNER),
            "1": Known("1", "Robot", Rank.BOT),
            "8": Known("8", "Stranger", Rank.BELOW, is_here=False),
        }
    )
    state: dict[tuple[str, str], str] = field(default_factory=lambda: {("5", "roles"): "fan,artist"})
    messages: dict[str, Said] = field(default_factory=dict[str, Said])
    log: list[tuple[ActKind, str]] = field(default_factory=list[tuple[ActKind, str]])
    """Kind and whom or where, of what changed anything."""
    asked: list[tuple[ActKind, int | None]] = field(default_factory=list[tuple[ActKind, int | None]])
    """Kind and seconds of every call."""
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    posted: list[tuple[str, str, list[str]]] = field(default_factory=list[tuple[str, str, list[str]]])
    """Channel, text and what the buttons hold."""
    missing: dict[ActKind, str] = field(default_factory=dict[ActKind, str])
    """What the bot lacks."""
    outages: int = 0
    """So many calls are not answered."""
    answers: list[Answer] = field(default_factory=list[Answer])
    """What is said to the next calls in place of doing them."""
    keys: set[str] = field(default_factory=set[str])
    questions: list[Asked] = field(default_factory=list[Asked])
    open_questions: set[str] = field(default_factory=set[str])
    can_ask: bool = True
    held: asyncio.Event | None = None
    """Calls wait for it."""
    abilities: Mapping[ActKind, Span] = field(
        default_factory=lambda: {
            **dict.fromkeys((kind for kind in ActKind if kind is not ActKind.UNDO), Span()),
            ActKind.MUTE: MUTED,
            **dict.fromkeys(
                (ActKind.BAN, ActKind.RESTRICT, ActKind.QUARANTINE, ActKind.SLOW, ActKind.LOCK), ENDED_BY_US
            ),
        }
    )

    async def know(self, site: Site, account: str, actor: str) -> Known | None:
        return self.people.get(account)

    async def lacking(self, act: Act) -> str:
        return self.missing.get(act.kind, "")

    async def lacking_all(self, site: Site) -> list[tuple[ActKind, str]]:
        return []

    async def blind(self, site: Site) -> str:
        return ""

    async def invites(self, site: Site) -> Sequence[str]:
        return ()

    async def before(self, act: Act) -> Mapping[str, str]:
        if found := _PERSON.get(act.kind):
            return {found[0]: self.state.get((act.account, found[0]), "")}
        if found := _CHANNEL.get(act.kind):
            return {found[0]: self.state.get((self._thing(act), found[0]), "")}
        if act.kind in (ActKind.DELETE, ActKind.PURGE):
            return {id: self.messages[id].written() for id in act.messages if id in self.messages}
        return {}

    async def carry_out(self, act: Act, seconds: int | None) -> Answer:
        if self.held is not None:
            await self.held.wait()
        self.asked.append((act.kind, seconds))
        if self.outages:
            self.outages -= 1
            raise OutboundError(OutboundFault.TRANSIENT, "away")
        if self.answers:
            return self.answers.pop(0)
        if act.kind in (ActKind.DELETE, ActKind.PURGE):
            gone = [id for id in act.messages if self.messages.pop(id, None)]
            return self._changed(act, bool(gone), len(gone))
        if act.kind is ActKind.REPOST:
            self.messages |= said_before(act.before)
            return self._changed(act, True, len(act.before))
        if act.kind is ActKind.KICK:
            return self._changed(act, self.people.pop(act.account, None) is not None)
        who, found = (act.account, _PERSON[act.kind]) if act.kind in _PERSON else (self._thing(act), ("", ""))
        if act.kind in _CHANNEL:
            found = _CHANNEL[act.kind]
        if not found[0]:
            return Answer(Outcome.DONE)
        wanted = act.before.get(found[0], found[1])
        is_new = self.state.get((who, found[0]), "") != wanted
        self.state[who, found[0]] = wanted
        return self._changed(act, is_new)

    def _thing(self, act: Act) -> str:
        return act.messages[0] if act.kind in (ActKind.PIN, ActKind.UNPIN) else f"#{act.conversation.chat}"

    def _changed(self, act: Act, is_new: bool, count: int = 0) -> Answer:
        if not is_new:
            return Answer(Outcome.NOTHING)
        self.log.append((act.kind, act.account or self._thing(act)))
        return Answer(Outcome.DONE, count=count)

    async def recent(self, site: Site, account: str, count: int, seconds: int) -> Sequence[str] | None:
        ids = [id for id, said in reversed(self.messages.items()) if account in ("", said.account)]
        return ids[:count]

    async def link(self, site: Site, message_id: str) -> str:
        return f"https://town/{message_id}"

    async def tell(self, site: Site, account: str, markdown: str, key: str) -> bool:
        if key not in self.keys:
            self.keys.add(key)
            self.told.append((account, markdown))
        return True

    async def post(self, site: Site, channel: str, markdown: str, key: str, buttons: Rows = ()) -> bool:
        if key not in self.keys:
            self.keys.add(key)
            self.posted.append((channel, markdown, [choice.command for row in buttons for choice in row]))
        return True

    async def ask(self, site: Site, asked: Asked) -> str:
        if asked.is_note:
            self.open_questions.add("note")
            return "note"
        if not self.can_ask:
            return ""
        self.questions.append(asked)
        where = f"{asked.private_chat or site.conversation.chat} {len(self.questions)}"
        self.open_questions.add(where)
        return where

    async def unask(self, site: Site, where: str) -> None:
        self.open_questions.discard(where)

    @property
    def now(self) -> dict[tuple[str, str], str]:
        """How everything is, as far as it is anything."""
        said = {(id, "said"): one.text for id, one in self.messages.items()}
        return {key: value for key, value in {**self.state, **said}.items() if value}


@dataclass
class Crowd:
    """The hands of a platform of which only the people are known (``Members``): what is done changes nothing."""

    members: Members
    abilities: Mapping[ActKind, Span] = field(default_factory=lambda: dict.fromkeys(ActKind, Span()))

    async def know(self, site: Site, account: str, actor: str) -> Known | None:
        found = await self.members.find(_call(site), account)
        return Known(account, found.name, found.rank, is_here=found.is_here) if found is not None else None

    async def lacking(self, act: Act) -> str:
        return ""

    async def lacking_all(self, site: Site) -> list[tuple[ActKind, str]]:
        return []

    async def blind(self, site: Site) -> str:
        return ""

    async def invites(self, site: Site) -> Sequence[str]:
        return ()

    async def before(self, act: Act) -> Mapping[str, str]:
        return {}

    async def carry_out(self, act: Act, seconds: int | None) -> Answer:
        return Answer(Outcome.DONE)

    async def recent(self, site: Site, account: str, count: int, seconds: int) -> Sequence[str] | None:
        return None

    async def link(self, site: Site, message_id: str) -> str:
        return self.members.link(_call(site), message_id)

    async def tell(self, site: Site, account: str, markdown: str, key: str) -> bool:
        return await self.members.tell(_call(site), account, lambda _: markdown, key)

    async def post(self, site: Site, channel: str, markdown: str, key: str, buttons: Rows = ()) -> bool:
        return False

    async def ask(self, site: Site, asked: Asked) -> str:
        return ""

    async def unask(self, site: Site, where: str) -> None:
        return


def _call(site: Site) -> CommandCall:
    return CommandCall(site.conversation, "1", "1", Author("", ""), "warn", space=site.space)


@asynccontextmanager
async def at_work(acts: Acts) -> AsyncGenerator[Acts]:
    """Carries out what is ordered."""
    task = asyncio.create_task(acts.run())
    try:
        yield acts
    finally:
        await end([task])
