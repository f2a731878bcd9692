"""Fairness: no share waits for more than one service of each other, and no place is lost or given twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from core.fair import FairLine, FairQueue

SHARES = ("a", "b", "c", "d")
Step = tuple[str, str]
"""What to do, and for which share."""
steps = st.lists(st.tuples(st.sampled_from(["push", "push", "pop", "remove"]), st.sampled_from(SHARES)), max_size=80)


def drained(queue: FairQueue[str]) -> list[str]:
    items: list[str] = []
    while (item := queue.pop()) is not None:
        items.append(item)
    return items


class Played:
    """Steps on a queue, and what was served."""

    def __init__(self, todo: Sequence[Step]) -> None:
        self.queue: FairQueue[tuple[str, int]] = FairQueue()
        self.waiting: list[tuple[str, int]] = []
        """In the order of coming."""
        self.served: list[tuple[str, int]] = []
        self.allowed: dict[tuple[str, int], int] = {}
        """Items of its own share up to it, when it came."""
        self.came: dict[tuple[str, int], int] = {}
        """How many were served before it came."""
        for number, (what, share) in enumerate(todo):
            own = [item for item in self.waiting if item[0] == share]
            if what == "push":
                item = (share, number)
                self.queue.push(share, item)
                self.waiting.append(item)
                self.allowed[item] = len(own) + 1
                self.came[item] = len(self.served)
            elif what == "remove" and own:
                assert self.queue.remove(own[-1])
                self.waiting.remove(own[-1])
            elif what == "pop":
                self.serve()
            assert len(self.queue) == len(self.waiting)
            each = Counter(item[0] for item in self.waiting)
            assert [self.queue.count(share) for share in SHARES] == [each[share] for share in SHARES]

    def serve(self) -> tuple[str, int] | None:
        item = self.queue.pop()
        assert (item is None) == (not self.waiting)
        if item is not None:
            self.waiting.remove(item)
            self.served.append(item)
        return item


@given(steps)
def test_between_an_item_and_its_service_no_other_share_gets_more_than_its_turns(todo: list[Step]) -> None:
    played = Played(todo)
    while played.serve() is not None:
        pass
    for place, item in enumerate(played.served):
        meanwhile = Counter(share for share, _ in played.served[played.came[item] : place])
        del meanwhile[item[0]]
        assert all(count <= played.allowed[item] for count in meanwhile.values())


@given(steps)
def test_each_share_keeps_its_order_and_all_are_served_once(todo: list[Step]) -> None:
    played = Played(todo)
    left = list(played.waiting)
    while played.serve() is not None:
        pass
    assert sorted(played.served[len(played.served) - len(left) :]) == sorted(left)
    for share in SHARES:
        own = [number for owner, number in played.served if owner == share]
        assert own == sorted(own)


@given(steps, st.sampled_from(SHARES))
def test_how_many_are_ahead_is_told_exactly(todo: list[Step], share: str) -> None:
    played = Played(todo)
    told = played.queue.ahead(share)
    played.queue.push(share, (share, -1))
    served = 0
    while played.queue.pop() != (share, -1):
        served += 1
    assert served == told


def test_a_share_at_its_limit_is_passed_over_and_keeps_its_place() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "b1", "c1"):
        queue.push(item[0], item)
    assert queue.pop(lambda share: share != "a") == "b1"
    assert queue.pop(lambda share: share not in "abc") is None
    assert drained(queue) == ["a1", "c1", "a2"]


def test_an_item_that_waits_already_keeps_its_place() -> None:
    queue: FairQueue[str] = FairQueue()
    for share, item in (("a", "a1"), ("a", "a2"), ("b", "a1")):
        queue.push(share, item)
    assert "a1" in queue
    assert [queue.count(share) for share in "ab"] == [2, 0]
    assert not queue.remove("a3")
    assert drained(queue) == ["a1", "a2"]


def test_a_hundred_thousand_shares_cost_no_more_each_than_a_few() -> None:
    """It would take hours if taking one looked at all."""
    queue: FairQueue[int] = FairQueue()
    for number in range(100_000):
        queue.push(str(number), number)
    assert [queue.pop() for _ in range(100_000)] == list(range(100_000))


members = st.lists(st.tuples(st.sampled_from(SHARES), st.sampled_from("xyz")), max_size=40)


@given(members, st.integers(0, 39))
def test_the_place_in_line_is_the_number_served_before(asked: Sequence[tuple[str, str]], which: int) -> None:
    line: FairLine[int] = FairLine()
    for number, (share, member) in enumerate(asked):
        told = line.ahead(share, member)
        line.push(share, member, number)
        assert line.before(number) == told
    if not asked:
        assert line.pop() is None
        return
    which %= len(asked)
    place = line.before(which)
    served = [line.pop() for _ in range(len(asked))]
    assert served.index(which) == place
    assert (len(line), line.pop()) == (0, None)


@given(
    st.lists(st.tuples(st.sampled_from(SHARES), st.sampled_from("xyz")), min_size=1, max_size=40), st.integers(0, 39)
)
def test_who_leaves_a_line_moves_the_others_up(asked: Sequence[tuple[str, str]], which: int) -> None:
    line: FairLine[int] = FairLine()
    for number, (share, member) in enumerate(asked):
        line.push(share, member, number)
    which %= len(asked)
    assert line.remove(which)
    assert not line.remove(which)
    served = [line.pop() for _ in range(len(asked) - 1)]
    assert sorted(number for number in served if number is not None) == [n for n in range(len(asked)) if n != which]
