"""The book of cases, over a real Valkey."""

from __future__ import annotations

import asyncio

import pytest

from core.message import Attachment, AttachmentKind, Quote
from core.moderation.cases import MAX_EVIDENCE, Case, CaseKind, Evidence, space_of
from core.storage import cases as stored
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.keys import CaseKeys
from tests.builders import call

SPACE = "discord:1:100"


def case(account: str = "5", kind: CaseKind = CaseKind.WARN, actor: str = "7", at: float = 1.0) -> Case:
    return Case(kind, account, "Bob", actor, "Ada", "spam", at, Evidence("9", "https://l", "buy", ("a.png",)))


@pytest.fixture
def cases(store: Store) -> Cases:
    return Cases(store, keep_days=365)


async def test_a_case_comes_back_as_it_was(cases: Cases) -> None:
    number = await cases.make(SPACE, case(), "call1")
    count, [kept] = await cases.of(SPACE, "5")
    assert (number, count, kept.number) == (1, 1, 1)
    assert kept.to_json() == case().to_json()
    assert kept.evidence.files == ("a.png",)


async def test_numbers_are_the_spaces_own_and_without_gaps(cases: Cases) -> None:
    """Also where many processes write at once."""
    made = await asyncio.gather(*(cases.make(SPACE, case(str(n % 3)), f"call{n}") for n in range(60)))
    assert sorted(made) == list(range(1, 61))
    assert await cases.make("discord:1:200", case(), "call1") == 1
    count, newest = await cases.of(SPACE, "0")
    assert (count, len(newest)) == (20, 20)


async def test_the_same_call_makes_one_case(cases: Cases) -> None:
    made = await asyncio.gather(*(cases.make(SPACE, case(), "call1", most=1) for _ in range(5)))
    assert made == [1] * 5
    assert (await cases.of(SPACE, "5"))[0] == 1


async def test_the_newest_come_first_and_only_some(cases: Cases) -> None:
    for number in range(stored.LISTED + 5):
        await cases.make(SPACE, case(at=float(number)), f"call{number}")
    count, newest = await cases.of(SPACE, "5")
    assert count == stored.LISTED + 5
    assert [one.number for one in newest] == list(range(count, count - stored.LISTED, -1))
    assert await cases.of(SPACE, "6") == (0, [])


async def test_too_many_of_one_person_are_not_made(cases: Cases, store: Store) -> None:
    async def report(n: int, actor: str = "7") -> int:
        return await cases.make(SPACE, case(str(n), CaseKind.REPORT, actor), f"{actor}-{n}", most=2)

    assert [await report(n) for n in range(4)] == [1, 2, 0, 0]
    assert await report(1, "8") == 3, "another person's count is another"
    assert await cases.make(SPACE, case(), "warning") == 4, "warnings are not counted"
    assert 0 < await store.redis.ttl(CaseKeys(SPACE).many("report", "7")) <= 3600
    await store.redis.delete(CaseKeys(SPACE).many("report", "7"))
    assert await report(4) == 5


async def test_a_book_holds_only_so_many(cases: Cases, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST_CASES", 3)
    for number in range(6):
        await cases.make(SPACE, case(), f"call{number}")
    fields = await store.redis.hkeys(CaseKeys(SPACE).cases)
    assert sorted(fields) == ["4", "5", "6", "last"]
    assert [one.number for one in (await cases.of(SPACE, "5"))[1]] == [6, 5, 4], "what is gone is not listed"


async def test_old_cases_go(store: Store) -> None:
    cases = Cases(store, keep_days=1)
    for number in range(2):
        await cases.make(SPACE, case(), f"call{number}")
    book = CaseKeys(SPACE)
    await store.redis.zadd(book.order, {"1": 1.0})
    await store.redis.zadd(book.of("5"), {"1": 1.0})
    assert await cases.make(SPACE, case("6"), "later") == 3
    assert not await store.redis.hexists(book.cases, "1")
    count, kept = await cases.of(SPACE, "5")
    assert (count, [one.number for one in kept]) == (1, [2])
    for key in (book.cases, book.order, book.of("5")):
        assert 0 < await store.redis.ttl(key) <= 86400


async def test_a_damaged_case_hides_no_other(cases: Cases, store: Store) -> None:
    for number in range(3):
        await cases.make(SPACE, case(), f"call{number}")
    await store.redis.hset(CaseKeys(SPACE).cases, mapping={"1": "{}", "2": "no json"})
    assert [one.number for one in (await cases.of(SPACE, "5"))[1]] == [3]


async def test_where_reports_go(cases: Cases, store: Store) -> None:
    assert await cases.channel(SPACE) == ""
    await cases.choose_channel(SPACE, "42")
    assert await cases.channel(SPACE) == "42"
    assert await cases.channel("discord:1:200") == ""
    assert await store.redis.ttl(CaseKeys(SPACE).choices) > 86400
    await cases.choose_channel(SPACE, "")
    assert await cases.channel(SPACE) == ""


def test_evidence_is_shortened() -> None:
    files = tuple(Attachment(AttachmentKind.IMAGE, "ref", f"{n}.png") for n in range(20))
    about = call("report", quote=Quote("9", "Bob", "x" * 5000), attachments=files, space="100")
    evidence = Evidence.of(about, "https://l")
    assert (len(evidence.text), evidence.message_id, len(evidence.files)) == (MAX_EVIDENCE, "9", 10)
    assert Evidence.of(call("warn"), "https://l") == Evidence()
    assert space_of(about) == "telegram:1:100"


async def test_a_book_goes_on_under_another_name(cases: Cases, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is told to, and in small pieces."""
    monkeypatch.setattr(stored, "CHUNK", 2)
    new = "discord:1:200"
    await cases.move(SPACE, new)
    assert await store.redis.keys("parley:cases:*") == []
    for number in range(5):
        await cases.make(SPACE, case(str(number % 2)), f"call{number}")
    kept = await store.redis.hgetall(CaseKeys(SPACE).cases)
    await cases.move(SPACE, new)
    # As if a process had died before it removed the old ones.
    await store.redis.hset(CaseKeys(SPACE).cases, mapping=kept)
    await cases.move(SPACE, new)
    assert [one.number for one in (await cases.of(new, "0"))[1]] == [5, 3, 1]
    assert (await cases.of(new, "1"))[0] == 2
    assert await store.redis.exists(CaseKeys(SPACE).cases, CaseKeys(SPACE).order, CaseKeys(SPACE).of("0")) == 0
    assert 0 < await store.redis.ttl(CaseKeys(new).of("0")) <= 365 * 86400
    assert await cases.make(new, case(), "next") == 6


async def test_a_number_that_is_taken_stays_whose_it_is(cases: Cases) -> None:
    new = "discord:1:200"
    for number in range(2):
        await cases.make(SPACE, case("5"), f"call{number}")
    await cases.make(new, case("6"), "early")
    await cases.move(SPACE, new)
    assert [one.number for one in (await cases.of(new, "5"))[1]] == [2]
    assert [one.number for one in (await cases.of(new, "6"))[1]] == [1]
    assert await cases.make(new, case("7"), "next") == 3
