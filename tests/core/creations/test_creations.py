"""Something that is made in a job: followed, gone on with, stopped, handed over, shown again."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from core.conversation.mailbox import Posted
from core.conversation.turn import Turn
from core.creations.creations import Creations
from core.creations.doing import MADE, update_of
from core.creations.order import Commission, Maker, Order
from core.errors import StorageError, StorageFull
from core.message import CommandCall
from core.models.paying import Payer
from core.parts import Ending, Finished, InLine, Media, Menu, Notice, Part, Progress, TextDelta, Usage
from core.storage.client import Store
from core.storage.rotating import rotate
from core.storage.sealing import Sealing, new_key, parse_keys
from core.storage.texts import Texts
from core.tasks import end
from core.texts import Amount
from tests.builders import conversation, message

PICTURE = Media("picture.png", "image/png", b"\x89PNG picture", "a cat")
WHOLE = [Notice("drawn", {"prompt": "a cat", "model": "m"}), PICTURE, Finished(Ending.COMPLETE, Usage("m", 1, 2, 3, 1))]


@dataclass
class Kiln:
    """A maker in the test's hands, its jobs, and what was posted."""

    store: Store
    follow_seconds: float = 30.0
    parts: Sequence[Part] = tuple(WHOLE)
    runs: int = 0
    commissions: list[Commission] = field(default_factory=list[Commission])
    posted: list[CommandCall] = field(default_factory=list[CommandCall])
    known: set[str] = field(default_factory=set[str])
    """Orders in the queue: an id is one job."""
    jobs: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    on_make: Callable[[Commission], Awaitable[None]] | None = None
    works: bool = True
    """Jobs are done at once."""

    def __post_init__(self) -> None:
        self.ready.set()
        self.maker = Maker("picture", "images", self.make, follow_seconds=self.follow_seconds)
        self.creations = self.process()

    def process(self) -> Creations:
        """Another one would be another process."""
        return Creations([self.maker], self.store, self.enqueue, self.post, self.payer_of, keep_days=1)

    async def make(self, commission: Commission) -> AsyncGenerator[Part]:
        self.runs += 1
        self.commissions.append(commission)
        try:
            yield Progress("making.draw", {"prompt": "a cat"}, 0.25, Media("preview.png", "image/png", b"half"))
            if self.on_make is not None:
                await self.on_make(commission)
            await self.ready.wait()
            for part in self.parts:
                yield part
        finally:
            self.closed.set()

    async def enqueue(self, name: str, id: str, argument: str) -> None:
        if self.works and argument not in self.known:
            self.known.add(argument)
            self.work(argument)

    def work(self, id: str) -> asyncio.Task[None]:
        (job,) = self.creations.jobs
        assert job.run is not None
        self.jobs.append(asyncio.create_task(job.run(id)))
        return self.jobs[-1]

    async def post(self, calls: Sequence[CommandCall]) -> list[Posted]:
        seen = {call.update for call in self.posted}
        self.posted += [call for call in calls if call.update not in seen]
        return [Posted.SEEN if call.update in seen else Posted.ACCEPTED for call in calls]

    async def payer_of(self, order: Order) -> Payer:
        return Payer(f"person of {order.account}", order.space, order.name)

    def order(self, turn: Turn, inputs: Sequence[bytes] = ()) -> AsyncGenerator[Part]:
        return self.creations.made(turn, "picture", {"prompt": "a cat"}, inputs)


@pytest.fixture
async def kiln(store: Store) -> AsyncGenerator[Kiln]:
    made = Kiln(store)
    yield made
    await end(made.jobs)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.creations.doing.NOTE_SECONDS", 0.05)


def turn_of(number: str = "1") -> Turn:
    return Turn(conversation(), number, "1", message(id="5"), lease_ends=float("inf"))


async def read(parts: AsyncGenerator[Part]) -> list[Part]:
    async with asyncio.timeout(10):
        return [part async for part in parts]


def lasting(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not isinstance(part, Progress | InLine)]


async def test_what_a_job_makes_comes_whole_with_its_files_and_its_maker_knows_who_pays(kiln: Kiln) -> None:
    turn = turn_of()
    assert lasting(await read(kiln.order(turn, [b"a drawing", b"\x00\xff"]))) == WHOLE
    (commission,) = kiln.commissions
    assert commission.inputs == (b"a drawing", b"\x00\xff")
    assert commission.payer.person == f"person of {commission.order.account}"
    assert commission.order.request == {"prompt": "a cat"}
    assert turn.creations == [turn.id]
    assert kiln.posted == []


async def test_how_far_it_is_and_what_it_looks_like_is_told_while_it_is_made(kiln: Kiln) -> None:
    kiln.ready.clear()
    parts = kiln.order(turn_of())
    first = await asyncio.wait_for(anext(parts), 5)
    kiln.ready.set()
    assert first == Progress("making.draw", {"prompt": "a cat"}, 0.25, Media("preview.png", "image/png", b"half"))
    assert lasting(await read(parts)) == WHOLE


async def test_what_has_ended_is_not_made_again_whoever_asks(kiln: Kiln) -> None:
    await read(kiln.order(turn_of()))
    kiln.creations = kiln.process()
    assert lasting(await read(kiln.order(turn_of()))) == WHOLE
    await kiln.work(turn_of().id)
    assert kiln.runs == 1


async def test_a_job_whose_process_died_is_begun_anew_and_knows_what_it_remembered(kiln: Kiln) -> None:
    async def on_make(commission: Commission) -> None:
        if not commission.remembered:
            await commission.remember("job 7")
            raise asyncio.CancelledError

    kiln.on_make = on_make
    parts = asyncio.create_task(read(kiln.order(turn_of())))
    await asyncio.wait_for(kiln.closed.wait(), 5)
    await kiln.work(turn_of().id)
    assert lasting(await parts) == WHOLE
    assert [commission.remembered for commission in kiln.commissions] == ["", "job 7"]


async def test_who_stops_the_turn_stops_the_job_and_its_maker(kiln: Kiln) -> None:
    kiln.ready.clear()
    turn = turn_of()
    parts = kiln.order(turn)
    await asyncio.wait_for(anext(parts), 5)
    turn.interrupt("stopped")
    await parts.aclose()
    await asyncio.wait_for(kiln.closed.wait(), 5)
    await kiln.jobs[0]
    assert kiln.commissions[0].unwanted.is_set()
    assert await read(kiln.order(turn_of())) == [Finished(Ending.STOPPED)]


async def test_a_worker_that_ends_leaves_the_job_to_whoever_takes_the_turn_over(kiln: Kiln) -> None:
    kiln.ready.clear()
    parts = kiln.order(turn_of())
    await asyncio.wait_for(anext(parts), 5)
    await parts.aclose()
    await asyncio.sleep(0.5)
    assert not kiln.closed.is_set()
    kiln.ready.set()
    assert lasting(await read(kiln.order(turn_of()))) == WHOLE
    assert kiln.runs == 1


async def test_what_takes_long_is_handed_over_with_a_stop_button_and_posted_once(store: Store) -> None:
    kiln = Kiln(store, follow_seconds=0.2)
    kiln.ready.clear()
    parts = lasting(await read(kiln.order(turn_of("12"))))
    assert parts[0] == Notice("comes_later_far", {"percent": 25})
    assert isinstance(parts[1], Menu)
    assert parts[1].rows[0][0].command == "unmake 12"
    assert parts[2] == Finished(Ending.COMPLETE)
    kiln.ready.set()
    await kiln.jobs[0]
    (call,) = kiln.posted
    id = turn_of("12").id
    assert (call.name, call.update, call.reply_to) == (MADE, update_of(id), "5")
    assert await read(kiln.creations.shown(id)) == WHOLE
    await kiln.work(id)
    assert len(kiln.posted) == 1, "a job that is run again posts what the mailbox has seen"
    assert isinstance(lasting(await read(kiln.order(turn_of("12"))))[0], Notice), (
        "the turn's successor shows it no more"
    )


async def test_what_is_for_the_asker_alone_is_followed_to_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiln = Kiln(store, follow_seconds=0.0)
    kiln.ready.clear()
    monkeypatch.setattr("core.creations.creations.ALONE_SECONDS", 0.3)
    turn = turn_of()
    said = message(id="5")
    turn.incoming = CommandCall(said.conversation, "7", "u7", said.author, "imagine", alone=True)
    assert lasting(await read(kiln.order(turn))) == [Notice("creation_too_long"), Finished(Ending.COMPLETE)]
    parts = kiln.creations.made(turn_of("13"), "picture", {"prompt": "a cat"}, alone=True)
    assert Notice("creation_too_long") in await read(parts), "the command says that it is for the asker alone"
    await asyncio.wait_for(kiln.closed.wait(), 5)
    await kiln.jobs[0]
    assert kiln.posted == []


async def test_who_waits_in_line_is_told_their_place(kiln: Kiln) -> None:
    kiln.works = False
    first = asyncio.create_task(read(kiln.order(turn_of("1"))))
    await asyncio.sleep(0.05)
    second = kiln.order(turn_of("2"))
    assert await asyncio.wait_for(anext(second), 5) == InLine(2, 0)
    for number in ("1", "2"):
        await kiln.work(turn_of(number).id)
    assert lasting(await first) == lasting(await read(second)) == WHOLE


async def test_what_a_message_shows_is_known_with_the_files_it_was_made_of(kiln: Kiln) -> None:
    turn = turn_of()
    await read(kiln.order(turn, [b"a drawing"]))
    turn.pages = {0: "901", 1: "902"}
    await kiln.creations.delivered(turn)
    order = await kiln.creations.of_message(turn.conversation, "902")
    assert order is not None
    assert (order.id, order.kind, order.request) == (turn.id, "picture", {"prompt": "a cat"})
    assert await kiln.creations.inputs_of(order) == (b"a drawing",)
    assert await kiln.creations.parts_of(order) == WHOLE
    assert await kiln.creations.of_message(turn.conversation, "903") is None
    assert await kiln.creations.of_message(conversation("9"), "902") is None, "in another chat it is another message"


async def test_what_is_in_the_making_is_told_to_who_ordered_it_and_can_be_stopped(kiln: Kiln) -> None:
    kiln.ready.clear()
    parts = kiln.order(turn_of())
    await asyncio.wait_for(anext(parts), 5)
    account = kiln.commissions[0].order.account
    ((order, told),) = await kiln.creations.in_the_making(conversation(), account)
    assert order.id == turn_of().id
    assert isinstance(told, Progress)
    assert await kiln.creations.in_the_making(conversation(), "discord:other") == []
    assert await kiln.creations.asker_of(order.id) == account
    assert await kiln.creations.stop(order.id)
    assert lasting(await read(parts)) == [Finished(Ending.STOPPED)]
    assert not await kiln.creations.stop(order.id), "it has ended"
    assert await kiln.creations.in_the_making(conversation(), account) == []


async def test_a_mistake_in_a_maker_is_told_and_not_paid_twice(kiln: Kiln) -> None:
    async def on_make(commission: Commission) -> None:
        raise RuntimeError("a mistake")

    kiln.on_make = on_make
    said = [Notice("creation_failed"), Finished(Ending.COMPLETE)]
    assert lasting(await read(kiln.order(turn_of()))) == said
    await kiln.work(turn_of().id)
    assert kiln.runs == 1


async def test_what_takes_too_long_is_ended_and_told(kiln: Kiln) -> None:
    kiln.maker = Maker("picture", "images", kiln.make, seconds=0.1)
    kiln.creations = kiln.process()
    kiln.ready.clear()
    said = [Notice("creation_late", {"count": 0}), Finished(Ending.COMPLETE)]
    assert lasting(await read(kiln.order(turn_of()))) == said
    assert kiln.closed.is_set()


async def test_a_job_that_failed_for_good_tells_who_waits(kiln: Kiln) -> None:
    async def on_make(commission: Commission) -> None:
        raise StorageError("Redis is away")

    kiln.on_make = on_make
    parts = asyncio.create_task(read(kiln.order(turn_of())))
    await asyncio.wait_for(kiln.closed.wait(), 5)
    with pytest.raises(StorageError):
        await kiln.jobs[0]
    await kiln.creations.died("make picture", turn_of().id)
    assert lasting(await parts)[0] == Notice("creation_failed")


async def test_where_the_memory_of_redis_is_full_that_is_told_and_nothing_is_left(kiln: Kiln) -> None:
    store = kiln.store
    used = int((await store.redis.info("memory"))["used_memory"])
    before = {key async for key in store.redis.scan_iter()}
    await store.redis.config_set("maxmemory", used + 400_000)
    try:
        told = await read(kiln.order(turn_of(), [b"x" * 900_000, b"y" * 900_000]))
    finally:
        await store.redis.config_set("maxmemory", 0)
    assert told == [Notice("storage_full"), Finished(Ending.COMPLETE)]
    assert {key async for key in store.redis.scan_iter()} == before


async def test_a_result_that_does_not_fit_is_told_and_its_files_are_gone(kiln: Kiln) -> None:
    async def on_make(commission: Commission) -> None:
        raise StorageFull("OOM")

    kiln.on_make = on_make
    assert lasting(await read(kiln.order(turn_of()))) == [Notice("storage_full"), Finished(Ending.COMPLETE)]


async def test_files_that_are_too_many_to_keep_are_refused_or_left_out(
    kiln: Kiln, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.creations.creations.MAX_INPUT_BYTES", 10)
    monkeypatch.setattr("core.creations.doing.MAX_RESULT_BYTES", len(PICTURE.data))
    sizes = {"size": Amount(11 / 1e6, "megabyte"), "allowed": Amount(10 / 1e6, "megabyte")}
    refused = await read(kiln.order(turn_of(), [b"x" * 11]))
    assert refused == [Notice("creation_inputs", sizes), Finished(Ending.COMPLETE)]
    kiln.parts = [PICTURE, PICTURE, TextDelta("two"), Finished(Ending.COMPLETE)]
    parts = lasting(await read(kiln.order(turn_of("2"))))
    assert parts[0] == PICTURE
    assert isinstance(parts[1], Notice)
    assert parts[2:] == kiln.parts[2:]


async def test_what_is_kept_is_sealed_and_sealed_anew_by_a_newer_key(kiln: Kiln, valkey_url: str) -> None:
    old, new = new_key(), new_key()
    sealed = Store(valkey_url, Texts(Sealing(parse_keys(old)), seals=True))
    kiln.store, turn = sealed, turn_of()
    kiln.creations = kiln.process()
    await read(kiln.order(turn, [b"a drawing"]))
    turn.pages = {0: "901"}
    await kiln.creations.delivered(turn)
    plain = "\n".join([f"{await _value(sealed, key)}" async for key in sealed.redis.scan_iter("parley:*")])
    assert not any(word in plain for word in ("a cat", base64.b64encode(b"a drawing").decode(), "picture.png"))
    rotated = await rotate(sealed, Sealing(parse_keys(f"{new},{old}")))
    assert rotated.values >= 5
    assert rotated.lost == 0
    later = Store(valkey_url, Texts(Sealing(parse_keys(new)), seals=True))
    kiln.store = later
    creations = kiln.process()
    order = await creations.of_message(turn.conversation, "901")
    assert order is not None
    assert await creations.parts_of(order) == WHOLE
    assert await creations.inputs_of(order) == (b"a drawing",)
    await sealed.close()
    await later.close()


async def _value(store: Store, key: str) -> object:
    readers = {"hash": store.redis.hgetall, "string": store.redis.get}
    kind = await store.redis.type(key)
    return await readers[kind](key) if kind in readers else ""
