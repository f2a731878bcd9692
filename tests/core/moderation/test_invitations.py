"""A space's own invitations are no advertising: asked of the platform, seldom, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from core.errors import OutboundError, OutboundFault, RightsUnknownError
from core.message import Author, ConversationKey, Platform, Seen, Sighting
from core.moderation import invitations
from core.moderation.acts import Act, ActKind
from core.moderation.enforcer import Site
from core.moderation.invitations import AGAIN_SECONDS, KNOWN_SECONDS, OwnInvites
from core.moderation.own_words import OwnWords, Spot
from core.moderation.rulebook import Policy, RuleBook, RuleBooks
from core.moderation.watch import Watch
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.marks import Marks
from core.storage.watched import Watched

HERE = Site(ConversationKey(Platform.DISCORD, "9", "100"), "5")
OTHER_CHANNEL = Site(ConversationKey(Platform.DISCORD, "9", "101"), "5")
OWN, FOREIGN = "come to discord.gg/OurTown", "come to discord.gg/elsewhere"


@dataclass
class Desk:
    """A platform that tells of a space's invitations."""

    told: list[str] = field(default_factory=lambda: ["OurTown", "https://t.me/+Ab-Cd_123"])
    asked: int = 0
    now: float = 0.0
    fault: Exception | None = None

    async def asks(self, site: Site) -> Sequence[str]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return self.told

    @property
    def own(self) -> OwnInvites:
        return OwnInvites(self.asks, clock=lambda: self.now)


async def test_a_spaces_own_invitations_are_asked_for_when_one_is_seen() -> None:
    desk = Desk()
    own = desk.own
    assert await own.among(HERE, "good evening https://example.org", ["https://example.org"]) == frozenset()
    assert desk.asked == 0
    assert await own.among(HERE, OWN, []) == {"ourtown", "ab-cd_123"}
    assert await own.among(OTHER_CHANNEL, OWN, []) == {"ourtown", "ab-cd_123"}
    desk.now = KNOWN_SECONDS - 1
    await own.among(HERE, OWN, [])
    assert desk.asked == 1
    desk.now, desk.told = KNOWN_SECONDS, []
    assert await own.among(HERE, OWN, []) == frozenset()
    assert desk.asked == 2


async def test_a_new_invitation_is_known_and_a_raid_asks_seldom() -> None:
    desk = Desk()
    own = desk.own
    for desk.now in (0, 1, AGAIN_SECONDS - 1):
        assert "elsewhere" not in await own.among(HERE, FOREIGN, [])
    assert desk.asked == 1
    desk.now = AGAIN_SECONDS
    desk.told.append("elsewhere")
    assert "elsewhere" in await own.among(HERE, "", ["https://discord.com/invite/elsewhere"])
    assert desk.asked == 2


@pytest.mark.parametrize("fault", [OutboundError(OutboundFault.TRANSIENT, "away"), RightsUnknownError("?")])
async def test_while_the_platform_is_away_what_was_known_counts(fault: Exception) -> None:
    desk = Desk()
    own = desk.own
    await own.among(HERE, OWN, [])
    desk.now, desk.fault = KNOWN_SECONDS, fault
    assert "ourtown" in await own.among(HERE, OWN, [])
    assert "ourtown" in await own.among(HERE, OWN, [])
    assert desk.asked == 2


async def test_a_slow_platform_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "PATIENCE_SECONDS", 0.01)

    async def slow(site: Site) -> Sequence[str]:
        await asyncio.sleep(60)
        return ["OurTown"]

    assert await OwnInvites(slow).among(HERE, OWN, []) == frozenset()


async def test_rules_let_a_spaces_own_invitations_be(store: Store) -> None:
    policy, community, desk, acts = (
        Policy(RuleBooks(store), Watched(store), Marks(store)),
        Community.of(Settings(), store),
        Desk(),
        list[Act](),
    )
    await community.spaces.change("discord:9:5", lambda now: now.model_copy(update={"moderated": True}))
    await policy.books.change(
        "discord:9:5", lambda _: RuleBook(text='[[rule]]\nname = "adverts"\ninvites = true\ndelete = true')
    )

    async def order(ordered: Sequence[Act]) -> None:
        acts.extend(ordered)

    async def say(seen: Seen, answer: str, key: str) -> None:
        raise AssertionError(answer)

    def said(id: int, text: str) -> Sighting:
        return Sighting(HERE.conversation, str(id), f"u{id}", Author("7", "Ann"), text, 2e9, "5")

    watch = Watch(policy, community.spaces, community.people, order, say)
    watch.own_invites = desk.own
    assert await watch.look([said(1, "hello"), said(2, OWN), said(3, FOREIGN)]) == {(HERE.conversation, "3")}
    assert [(act.kind, act.messages) for act in acts] == [(ActKind.DELETE, ("3",))]
    await policy.books.change("discord:9:5", lambda _: RuleBook(text='[[rule]]\nname = "w"\nwords = ["x"]'))
    desk.asked, watch.own_invites = 0, desk.own
    await watch.look([said(4, FOREIGN)])
    assert desk.asked == 0


async def test_the_bot_may_invite_to_the_space_itself(store: Store) -> None:
    policy, community, desk = (
        Policy(RuleBooks(store), Watched(store), Marks(store)),
        Community.of(Settings(), store),
        Desk(),
    )
    rules = '[[rule]]\nname = "adverts"\ninvites = true\ndelete = true'
    await community.spaces.change("discord:9:5", lambda now: now.model_copy(update={"moderated": True}))
    await policy.books.change("discord:9:5", lambda _: RuleBook(text=rules))
    words = OwnWords(policy, community.spaces, desk.own)
    for _ in range(2):
        look = await words.look(Spot("discord:9:5", HERE.conversation))
        assert look is not None
        assert [look(OWN), look(FOREIGN)] == ["", "adverts"]
    assert desk.asked == 1
