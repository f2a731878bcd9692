"""Of an album all goes, or nothing, however its pieces come in."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from core.message import Author, ConversationKey, Platform, Seen, Sighting
from core.moderation.acts import Act, ActKind, Actor
from core.moderation.albums import MOST_ALBUMS, Albums
from core.moderation.rulebook import Policy, RuleBook, RuleBooks
from core.moderation.watch import Watch
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.marks import Marks
from core.storage.watched import Watched
from tests.core.moderation.test_judge import BREAKS, court, said

HERE = ConversationKey(Platform.TELEGRAM, "1", "-100")
SPACE = "telegram:1:-100"
RULES = '[[rule]]\nname = "lures"\nwords = ["free nitro"]\ndelete = true\nstrikes = 2'


def piece(id: int, text: str = "", *, album: str = "a") -> Sighting:
    return Sighting(HERE, str(id), f"u{id}", Author("7", "Ann"), text, time.time(), "-100", album=album)


class Hall:
    def __init__(self, store: Store) -> None:
        self.policy = Policy(RuleBooks(store), Watched(store), Marks(store))
        self.community = Community.of(Settings(), store)
        self.acts: list[Act] = []
        self.faults = 0
        self.watch = Watch(self.policy, self.community.spaces, self.community.people, self._order, self._say)

    async def open(self) -> Hall:
        await self.community.spaces.change(SPACE, lambda now: now.model_copy(update={"moderated": True}))
        await self.policy.books.change(SPACE, lambda _: RuleBook(text=RULES))
        return self

    async def _order(self, acts: Sequence[Act]) -> None:
        if self.faults and any(act.kind is ActKind.PURGE for act in acts):
            self.faults -= 1
            raise ConnectionError
        self.acts += acts

    async def _say(self, seen: Seen, answer: str, key: str) -> None:
        raise AssertionError(answer)

    @property
    def taken(self) -> dict[str, tuple[tuple[str, ...], int]]:
        """Messages and strikes, by the ids of acts."""
        assert {(act.account, act.rule) for act in self.acts} <= {("7", "lures")}
        return {act.id: (act.messages, act.strikes) for act in self.acts}


async def test_the_pieces_go_with_the_one_that_a_rule_takes_away(store: Store) -> None:
    hall = await Hall(store).open()
    batch = [piece(1), piece(2, "get FREE NITRO"), piece(3), piece(4, album="b"), piece(5, album="")]
    assert await hall.watch.look(batch) == {(HERE, "1"), (HERE, "2"), (HERE, "3")}
    assert list(hall.taken.values()) == [(("2",), 2), (("1", "3"), 0)]
    # What comes later goes, too; what came before is not taken twice.
    assert await hall.watch.look([piece(6)]) == {(HERE, "6")}
    assert list(hall.taken.values())[2:] == [(("6",), 0)]
    assert await hall.watch.look([piece(6)]) == {(HERE, "6")}
    assert len(hall.acts) == 3


async def test_looked_at_again_the_same_pieces_go_once(store: Store) -> None:
    hall = await Hall(store).open()
    hall.faults, batch = 1, [piece(1, "free nitro"), piece(2), piece(3)]
    with pytest.raises(ConnectionError):
        await hall.watch.look(batch)
    assert await hall.watch.look(batch) == {(HERE, "1"), (HERE, "2"), (HERE, "3")}
    assert list(hall.taken.values()) == [(("1",), 2), (("2", "3"), 0)]


def test_no_more_albums_are_known_than_came_in_of_late() -> None:
    albums = Albums()
    for number in range(MOST_ALBUMS + 1):
        albums.saw(piece(number, album=f"album {number}"), ())
    first, last = (piece(9999, album=f"album {number}") for number in (0, MOST_ALBUMS))
    act = Act("x", ActKind.DELETE, HERE, "-100", Actor("automod"), messages=("9999",))
    for one in (first, last):
        albums.saw(one, [act])
    assert [one.messages for one in albums.rest([first, last])] == [(str(MOST_ALBUMS),)]


async def test_what_a_judge_takes_away_takes_its_album_along(store: Store) -> None:
    async with court(store, BREAKS) as here:
        pieces = [said("", id="4", album="a"), said("you fool", album="a"), said("", id="6", album="a")]
        await here.policy.watched.keep([(SPACE, one) for one in (*pieces, said("", id="7", album="b"))])
        acts = await here.hear("you fool", album="a")
        assert [(act.kind, set(act.messages), act.strikes) for act in acts[1:]] == [
            (ActKind.DELETE, {"5"}, 0),
            (ActKind.PURGE, {"4", "6"}, 0),
        ]
