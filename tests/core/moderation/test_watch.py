"""Rules look at what comes in, and what follows is written down at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.message import Arrival, Author, ConversationKey, Movement, Platform, Seen, Sighting
from core.moderation.acts import Act, ActKind
from core.moderation.rulebook import Policy, RuleBook, RuleBooks
from core.moderation.watch import Watch
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.marks import Hit, Marks
from core.storage.watched import Watched

HERE = ConversationKey(Platform.TELEGRAM, "1", "-100")
SPACE = "telegram:1:-100"
ANN, BOB, MOD = Author("7", "Ann"), Author("8", "Bob"), Author("9", "Mod")
RULES = """
[[rule]]
name = "lures"
words = ["free nitro"]
delete = true
mute = "10m"
strikes = 1
reason = "No advertising here."

[[rule]]
name = "shouting"
caps = { share = 0.8, least = 10 }
shadow = true
warn = true

[[rule]]
name = "links of newcomers"
links = "any"
first_messages = 2
answer = "Say hello first."

[[rule]]
name = "no bots"
names = ["casino*"]
kick = true
"""


def said(id: int, text: str, author: Author = ANN, *, at: float = 0.0, edit: str = "") -> Sighting:
    links = tuple(word for word in text.split() if word.startswith("https://"))
    update = edit or f"u{id}"
    place = {"space": "-100", "links": links, "edited": bool(edit)}
    return Sighting(HERE, str(id), update, author, text, at or time.time(), **place)  # pyright: ignore[reportArgumentType]


@dataclass
class Here:
    """A group with rules."""

    community: Community
    policy: Policy
    acts: list[Act] = field(default_factory=list[Act])
    answers: list[str] = field(default_factory=list[str])

    @classmethod
    async def of(cls, store: Store) -> Here:
        policy = Policy(RuleBooks(store), Watched(store), Marks(store))
        here = cls(Community.of(Settings(), store), policy)
        await here.community.spaces.change(SPACE, lambda now: now.model_copy(update={"moderated": True}))
        await policy.books.change(SPACE, lambda _: RuleBook(text=RULES))
        return here

    @property
    def watch(self) -> Watch:
        return Watch(self.policy, self.community.spaces, self.community.people, self._order, self._say)

    async def _order(self, acts: Sequence[Act]) -> None:
        self.acts += acts

    async def _say(self, seen: Seen, answer: str, key: str) -> None:
        self.answers.append(answer)


async def test_what_a_rule_hits_is_acted_on_and_not_answered(store: Store) -> None:
    here = await Here.of(store)
    stopped = await here.watch.look([said(1, "hello all"), said(2, "get FREE N1TRO now"), said(3, "me too", BOB)])
    assert stopped == {(HERE, "2")}
    assert [(act.kind, act.account, act.seconds, act.messages) for act in here.acts] == [
        (ActKind.MUTE, "7", 600, ()),
        (ActKind.DELETE, "7", None, ("2",)),
    ]
    assert {act.reason for act in here.acts} == {"No advertising here."}
    assert {(act.rule, act.evidence.text) for act in here.acts} == {("lures", "get FREE N1TRO now")}
    assert [act.strikes for act in here.acts] == [1, 0]
    assert [one.id async for one in here.policy.watched.since(SPACE, 0)] == ["1", "2", "3"]


async def test_the_same_message_brings_about_the_same_acts_and_its_edit_others(store: Store) -> None:
    here = await Here.of(store)
    hit = said(2, "free nitro")
    await here.watch.look([hit])
    await here.watch.look([hit])
    assert len({act.id for act in here.acts}) == 2
    await here.watch.look([said(4, "nothing")])
    await here.watch.look([said(4, "free nitro", edit="u5")])
    assert len({act.id for act in here.acts}) == 4


async def test_rules_look_only_where_the_space_is_moderated(store: Store) -> None:
    here = await Here.of(store)
    await here.community.spaces.change(SPACE, lambda now: now.model_copy(update={"moderated": False}))
    assert await here.watch.look([said(1, "free nitro")]) == ()
    assert here.acts == []
    assert [one.id async for one in here.policy.watched.since(SPACE, 0)] == []


async def test_a_rule_in_the_shadow_only_counts(store: Store) -> None:
    here = await Here.of(store)
    assert await here.watch.look([said(1, "THIS IS VERY LOUD")]) == set()
    assert here.acts == []
    assert await here.policy.marks.counts(SPACE, 1) == {"shouting": {Hit.SHADOW: 1}}
    await here.policy.books.change(SPACE, lambda book: book.model_copy(update={"live": ("shouting",)}))
    await here.watch.look([said(2, "THIS IS VERY LOUD")])
    assert [act.kind for act in here.acts] == [ActKind.WARN]


async def test_while_it_is_paused_nothing_is_done(store: Store) -> None:
    here = await Here.of(store)
    until = time.time() + 60
    await here.policy.books.change(SPACE, lambda book: book.model_copy(update={"paused_until": until}))
    assert await here.watch.look([said(1, "free nitro")]) == set()
    assert here.acts == []


async def test_what_was_said_long_ago_is_only_shown_to_moderators(store: Store) -> None:
    here = await Here.of(store)
    await here.watch.look([said(1, "free nitro", at=time.time() - 7200)])
    assert [act.kind for act in here.acts] == [ActKind.FLAG]


async def test_the_staff_and_those_who_are_known_are_let_be(store: Store) -> None:
    here = await Here.of(store)
    await here.community.spaces.change(SPACE, lambda now: now.model_copy(update={"roles": {"telegram:9": "moderator"}}))
    watch = here.watch
    await watch.look([said(1, "free nitro", MOD), replace(said(2, "free nitro", BOB), is_staff=True)])
    assert here.acts == []
    for number in range(3, 6):
        await watch.look([said(number, "see https://example.org")])
    await watch.close()
    assert [act.evidence.message_id for act in here.acts] == ["3", "4"]
    assert here.answers == ["Say hello first."], "not twice in a moment"


async def test_who_floods_does_not_make_the_bot_do_so_too(store: Store) -> None:
    here = await Here.of(store)
    watch = here.watch
    crowd = [said(number, "see https://example.org", Author(str(number), "Cy")) for number in range(1, 30)]
    await watch.look([*crowd, replace(said(40, "https://x.org", BOB), conversation=replace(HERE, thread="5"))])
    await watch.close()
    assert here.answers == ["Say hello first."] * 2, "one in each topic"
    assert len({act.evidence.message_id for act in here.acts}) == 30


async def test_who_comes_is_looked_at_as_well(store: Store) -> None:
    here = await Here.of(store)
    come = Arrival(HERE, "-100", "u1", Author("66", "Casino Royal"), Movement.JOINED, time.time())
    heard: list[str] = []

    async def arrived(space: str, arrival: Arrival) -> None:
        heard.append(f"{space} {arrival.author.id}")

    watch = here.watch
    watch.arrivals.append(arrived)
    await watch.look([come, replace(come, author=ANN, update="u2")])
    assert [(act.kind, act.account) for act in here.acts] == [(ActKind.KICK, "66")]
    assert heard == [f"{SPACE} 66", f"{SPACE} 7"]
    await watch.look([replace(come, movement=Movement.ASKED, update="u3", author=Author("67", "casino"))])
    assert here.acts[-1].kind is ActKind.DECLINE


async def test_rules_of_a_newer_program_do_not_stop_messages(store: Store) -> None:
    here = await Here.of(store)
    await here.policy.books.change(SPACE, lambda book: book.model_copy(update={"text": "[[rule]]\nname='x'\nnew=1"}))
    assert await here.watch.look([said(1, "free nitro")]) == set()


async def test_others_hear_of_messages_in_batches(store: Store) -> None:
    here, heard = await Here.of(store), list[list[str]]()

    async def hear(batch: Sequence[tuple[str, Sighting]]) -> None:
        heard.append([one.id for _, one in batch])

    watch = here.watch
    watch.messages.append(hear)
    await watch.look([said(1, "a"), said(2, "b")])
    assert heard == [["1", "2"]]
