"""A provider with several servers, and the line before their places: real clients against real servers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from core.errors import ModelError
from core.models import pool as pools
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.chat import ChatMessage, ChatRequest
from core.models.model import LOCAL, Endpoint, LocalModel, Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.pool import Busy, Pool
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.parts import Ending, Notice, Part
from tests.core.models.routing import ANSWER, HELLO, answer, finished, notices, text
from tests.platforms.openai_server import Fault, OpenAIServer
from tests.ports import free_port

SETTINGS = RoutingSettings(total_seconds=60)
M, SPARE = Model("m", "p", "m"), Model("spare", "q", "spare")


def pooled(*servers: OpenAIServer, places: int = 100, max_waiting: int = 100) -> Provider:
    first, *more = (server.url for server in servers)
    return Provider("p", first, "sk", places, tuple(more), max_waiting)


@asynccontextmanager
async def routing(
    *providers: Provider, models: tuple[Model, ...] = (M,), settings: RoutingSettings = SETTINGS
) -> AsyncGenerator[Router]:
    breaker = Breaker(settings.breaker_failures, settings.breaker_seconds)
    router = Router(Catalog(providers, models), settings, breaker, OpenAIApi)
    try:
        yield router
    finally:
        await router.aclose()


@asynccontextmanager
async def serving(count: int) -> AsyncGenerator[list[OpenAIServer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(OpenAIServer(models=["m"])) for _ in range(count)]


@asynccontextmanager
async def spared(count: int) -> AsyncGenerator[tuple[list[OpenAIServer], OpenAIServer, Router]]:
    """A pool, and another model to fall back on."""
    async with (
        serving(count) as servers,
        OpenAIServer(models=["spare"]) as spare,
        routing(pooled(*servers), Provider("q", spare.url), models=(M, SPARE)) as router,
    ):
        yield servers, spare, router


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def started(task: asyncio.Task[list[Part]]) -> None:
    """Lets a question get as far as it can without a place."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()


def asking(router: Router, words: str = "hello wide world", space: str = "") -> asyncio.Task[list[Part]]:
    request = ChatRequest((ChatMessage("user", words),), space=space)
    return asyncio.create_task(answer(router, request))


def asked(server: OpenAIServer) -> list[str]:
    return [str(request.messages[-1]["content"]) for request in server.requests]


async def test_questions_at_once_are_spread_evenly() -> None:
    async with serving(3) as servers, routing(pooled(*servers)) as router:
        for server in servers:
            server.first_token = 0.2
        answers = await asyncio.gather(*(answer(router) for _ in range(30)))
    assert [text(parts) for parts in answers] == [ANSWER] * 30
    assert [server.peak for server in servers] == [10, 10, 10]


async def test_one_after_the_other_they_do_not_all_go_to_the_first() -> None:
    async with serving(2) as servers, routing(pooled(*servers)) as router:
        for _ in range(30):
            await answer(router)
    assert min(len(server.requests) for server in servers) > 2


async def test_a_slow_server_gets_fewer_questions() -> None:
    async with serving(3) as servers, routing(pooled(*servers)) as router:
        for server, seconds in zip(servers, (0.01, 0.01, 0.2), strict=True):
            server.first_token = seconds

        async def person() -> None:
            for _ in range(10):
                assert text(await answer(router)) == ANSWER

        await asyncio.gather(*(person() for _ in range(6)))
    quick, other, slow = (len(server.requests) for server in servers)
    assert slow * 2 < min(quick, other)


async def test_a_dead_server_costs_one_question_a_silent_retry_and_the_others_nothing() -> None:
    async with serving(2) as servers:
        dead = f"http://127.0.0.1:{free_port()}/v1"
        provider = replace(pooled(*servers), base_url=dead, more_urls=tuple(server.url for server in servers))
        async with routing(provider) as router:
            answers = [await answer(router) for _ in range(12)]
    assert all((text(parts), notices(parts)) == (ANSWER, []) for parts in answers)
    calls = [finished(parts).usage.calls for parts in answers]
    assert sum(calls) <= 13
    assert max(calls) <= 2


async def test_a_server_that_comes_back_is_used_again_without_costing_a_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "FIRST_PROBE_SECONDS", 0.02)
    monkeypatch.setattr(pools, "LAST_PROBE_SECONDS", 0.02)
    async with serving(1) as (there,):
        away = OpenAIServer(models=["m"], port=free_port())
        async with routing(pooled(there, away)) as router:
            await until_out(router)
            answers = [await answer(router) for _ in range(5)]
            async with away:
                async with asyncio.timeout(10):
                    while not away.requests:
                        answers.append(await answer(router))
                        await asyncio.sleep(0.01)
    assert {finished(parts).usage.calls for parts in answers} == {1}


async def until_out(router: Router) -> None:
    """Asks until a question had to be asked twice: then the dead server is out of service."""
    async with asyncio.timeout(10):
        while finished(await answer(router)).usage.calls == 1:
            pass


async def test_the_only_server_comes_back_without_a_question_trying_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "FIRST_PROBE_SECONDS", 0.02)
    monkeypatch.setattr(pools, "LAST_PROBE_SECONDS", 0.02)
    server = OpenAIServer(models=["m"], port=free_port())
    settings = SETTINGS.model_copy(update={"breaker_failures": 1})
    async with routing(pooled(server), settings=settings) as router:
        assert finished(await answer(router)).ending is Ending.FAILED
        async with server, asyncio.timeout(10):
            while text(await answer(router)) != ANSWER:
                await asyncio.sleep(0.01)
        assert [request.outcome for request in server.requests] == ["done"]


async def test_a_server_that_lists_its_models_but_fails_to_answer_stays_away_for_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "FIRST_PROBE_SECONDS", 0.01)
    monkeypatch.setattr(pools, "LAST_PROBE_SECONDS", 0.01)
    settings = SETTINGS.model_copy(update={"breaker_failures": 1})
    async with serving(1) as (server,), routing(pooled(server), settings=settings) as router:
        server.fail(Fault.SERVER_ERROR)
        assert finished(await answer(router)).ending is Ending.FAILED
        await asyncio.sleep(0.1)
        assert finished(await answer(router)).usage.calls == 0
        assert len(server.requests) == 1


async def test_probes_end_with_the_router(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "FIRST_PROBE_SECONDS", 60.0)
    before = asyncio.all_tasks()
    async with serving(1) as (there,):
        away = OpenAIServer(port=free_port())
        async with routing(pooled(there, away)) as router:
            await until_out(router)
            assert [task for task in asyncio.all_tasks() - before if "_probe" in repr(task)]
        assert not [task for task in asyncio.all_tasks() - before if "_probe" in repr(task)]


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RATE_LIMIT, Fault.HTML, Fault.UNAUTHORISED])
async def test_what_one_server_fails_another_answers_before_any_fallback(fault: Fault) -> None:
    async with spared(2) as (servers, spare, router):
        for server in servers:
            server.fail(fault, times=3)
        servers[1].strikes.clear()
        for _ in range(5):
            parts = await answer(router)
            assert (text(parts), notices(parts), finished(parts).usage.model) == (ANSWER, [], "m")
    assert spare.requests == []


async def test_a_refused_request_is_not_taken_round_the_pool() -> None:
    async with spared(3) as (servers, _, router):
        for server in servers:
            server.models = ["other"]
        assert finished(await answer(router)).usage.model == "spare"
    assert sum(len(server.requests) for server in servers) == 1


async def test_the_last_call_is_for_another_model() -> None:
    async with spared(3) as (servers, _, router):
        for server in servers:
            server.fail(Fault.SERVER_ERROR, times=3)
        parts = await answer(router)
    assert (text(parts), notices(parts)) == (ANSWER, [])
    assert (finished(parts).usage.model, finished(parts).usage.calls) == ("spare", 3)


async def test_without_another_model_all_three_calls_are_the_pools() -> None:
    async with serving(4) as servers, routing(pooled(*servers)) as router:
        for server in servers:
            server.fail(Fault.SERVER_ERROR, times=3)
        parts = await answer(router)
    assert (finished(parts).ending, finished(parts).usage.calls) == (Ending.FAILED, 3)
    assert sorted(len(server.requests) for server in servers) == [0, 1, 1, 1]


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.NO_FINISH, Fault.ERROR_EVENT])
async def test_a_cut_in_mid_answer_is_taken_over_by_the_same_model_elsewhere(fault: Fault) -> None:
    async with spared(2) as (servers, spare, router):
        for server in servers:
            server.reply = lambda body: "alpha beta" if len(body["messages"]) == 1 else " gamma delta"
            server.fail(fault, 2)

        def spare_the_other() -> None:
            first = next(server for server in servers if server.requests)
            next(server for server in servers if server is not first).strikes.clear()

        parts: list[Part] = []
        async with aclosing(router.answer(HELLO)) as coming:
            async for part in coming:
                parts.append(part)
                if len(parts) == 1:
                    spare_the_other()
    assert (text(parts), notices(parts), finished(parts).ending) == ("alpha beta gamma delta", [], Ending.COMPLETE)
    assert [len(server.requests) for server in servers] == [1, 1]
    assert spare.requests == []
    second = max(servers, key=lambda server: len(server.requests[0].messages))
    assert second.requests[0].messages[1]["content"] == "alpha beta"


def local(server: OpenAIServer, name: str = "m", slots: int = 100) -> LocalModel:
    return LocalModel(server.url, "k", name, name, 4096, small=False, slots=slots)


async def test_servers_that_come_take_part_and_calls_on_those_that_go_are_finished() -> None:
    catalog = Catalog((), ())
    router = Router(catalog, SETTINGS, Breaker(5, 20), OpenAIApi)
    async with serving(3) as (first, second, other):
        catalog.announce([local(first, slots=1)], expected=True)
        first.tokens, first.tokens_per_second = 40, 100
        answers = [asking(router)]
        await until(lambda: first.active == 1)
        answers.append(asking(router))
        await started(answers[1])
        # Who waits in line is served by a server that comes, and the answer under way stays where it is.
        catalog.announce([local(second, slots=1)], expected=True)
        assert text(await answers[1]) == ANSWER
        assert finished(await answers[0]).ending is Ending.COMPLETE
        assert [request.outcome for request in first.requests] == ["done"]
        # Another model's servers are another row.
        other.models = ["n"]
        catalog.announce([local(second), local(other, "n")], expected=True)
        assert text(await answer(router, replace(HELLO, model="n"))) == ANSWER
        assert [len(server.requests) for server in (first, second, other)] == [1, 1, 1]
        catalog.announce([], expected=False)
        assert notices(await answer(router)) == [Notice("no_models")]
    await router.aclose()


async def test_a_server_is_asked_for_its_model_by_its_own_name() -> None:
    catalog = Catalog((), ())
    router = Router(catalog, SETTINGS, Breaker(5, 20), OpenAIApi)
    async with OpenAIServer(models=["/models/tiny"]) as one, OpenAIServer(models=["tiny"]) as two:
        catalog.announce([replace(local(one, "tiny"), id="/models/tiny"), local(two, "tiny")], expected=True)
        for server in (one, two):
            server.first_token = 0.1
        answers = await asyncio.gather(answer(router), answer(router))
    await router.aclose()
    assert [text(parts) for parts in answers] == [ANSWER] * 2
    assert [len(one.requests), len(two.requests)] == [1, 1]


async def test_who_waits_for_servers_that_all_went_is_told() -> None:
    catalog = Catalog((), ())
    router = Router(catalog, SETTINGS, Breaker(5, 20), OpenAIApi)
    async with serving(1) as (server,):
        server.tokens, server.tokens_per_second = 1000, 100
        catalog.announce([local(server, slots=1)], expected=False)
        busy = asking(router)
        await until(lambda: server.active == 1)
        waits = asking(router)
        await started(waits)
        catalog.announce([], expected=False)
        assert finished(await waits).ending is Ending.FAILED
        busy.cancel()
        await asyncio.wait([busy])
    await router.aclose()


# -- the line before the places


@dataclass
class Crowded:
    """A server with one place, taken by a question that goes on until :meth:`release`."""

    server: OpenAIServer
    router: Router
    held: asyncio.Task[list[Part]]

    def release(self) -> None:
        self.held.cancel()


@asynccontextmanager
async def crowded(
    *, max_waiting: int = 100, settings: RoutingSettings = SETTINGS, spare: str = ""
) -> AsyncGenerator[Crowded]:
    others = (Provider("q", spare),) if spare else ()
    models = (M, SPARE) if spare else (M,)
    async with serving(1) as (server,):
        provider = pooled(server, places=1, max_waiting=max_waiting)
        async with routing(provider, *others, models=models, settings=settings) as router:
            server.first_token = 60.0
            held = asking(router, "held")
            await until(lambda: server.active == 1)
            server.first_token = 0.0
            yield Crowded(server, router, held)
            held.cancel()
            await asyncio.wait([held])


async def test_a_line_that_is_full_refuses_at_once_with_a_notice() -> None:
    async with crowded(max_waiting=4) as crowd:
        waiting = [asking(crowd.router, space=space) for space in ("a", "a", "b")]
        await started(waiting[-1])
        # Of four, one space has two: no more of it, while others still find room.
        for space in ("a", "b"):
            parts = await answer(crowd.router, replace(HELLO, space=space))
            assert notices(parts) == [Notice("busy", {"seconds": "30"})]
            assert (finished(parts).ending, finished(parts).usage.calls) == (Ending.FAILED, 0)
        waiting.append(asking(crowd.router, space="c"))
        await started(waiting[-1])
        assert notices(await answer(crowd.router, replace(HELLO, space="d"))) == [Notice("busy", {"seconds": "30"})]
        crowd.release()
        assert [text(parts) for parts in await asyncio.gather(*waiting)] == [ANSWER] * 4
    assert crowd.server.peak == 1


async def test_where_the_line_is_full_another_model_answers() -> None:
    async with OpenAIServer(models=["spare"]) as spare, crowded(max_waiting=1, spare=spare.url) as crowd:
        waits = asking(crowd.router, space="a")
        await started(waits)
        parts = await answer(crowd.router)
        assert (text(parts), notices(parts), finished(parts).usage.model) == (ANSWER, [], "spare")
        crowd.release()
        assert finished(await waits).usage.model == "m"


async def test_a_wait_that_would_be_too_long_is_refused_at_once() -> None:
    settings = SETTINGS.model_copy(update={"max_wait_seconds": 3.0})
    async with crowded(settings=settings) as crowd:
        first = asking(crowd.router)
        await started(first)
        crowd.server.first_token = 0.35
        crowd.release()
        assert text(await first) == ANSWER
        # So an answer takes 0.35 seconds or more, and at most eight of them fit into three seconds.
        waiting = [asking(crowd.router)]
        await until(lambda: crowd.server.active == 1)
        crowd.server.first_token = 0.0
        refused: list[Part] = []
        while not refused:
            waiting.append(asking(crowd.router))
            for _ in range(3):
                await asyncio.sleep(0)
            if waiting[-1].done():
                refused = await waiting.pop()
        assert 2 <= len(waiting) <= 9
        assert [notice.key for notice in notices(refused)] == ["busy"]
        assert [text(parts) for parts in await asyncio.gather(*waiting)] == [ANSWER] * len(waiting)


async def test_a_wait_that_gets_too_long_ends_with_a_notice() -> None:
    settings = SETTINGS.model_copy(update={"max_wait_seconds": 0.1})
    async with crowded(settings=settings) as crowd:
        parts = await answer(crowd.router)
    assert notices(parts) == [Notice("busy", {"seconds": "30"})]
    assert asked(crowd.server) == ["held"]


async def test_spaces_are_served_in_turn() -> None:
    async with crowded() as crowd:
        flood = [asking(crowd.router, f"a{number}", "a") for number in range(8)]
        await started(flood[-1])
        others = [asking(crowd.router, words, words[0]) for words in ("b0", "c0", "b1")]
        await started(others[-1])
        crowd.release()
        await asyncio.gather(*flood, *others)
    assert asked(crowd.server)[1:8] == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


@pytest.mark.parametrize(
    ("seconds", "notice"),
    [
        (0.2, Notice("busy", {"seconds": "10"})),
        (61, Notice("busy", {"seconds": "70"})),
        (90, Notice("busy", {"seconds": "90"})),
        (91, Notice("busy_minutes", {"minutes": "2"})),
        (600, Notice("busy_minutes", {"minutes": "10"})),
    ],
)
def test_when_to_come_back_is_told_in_round_figures(seconds: float, notice: Notice) -> None:
    assert Busy(seconds).notice() == notice


async def test_a_place_given_to_who_just_left_is_not_lost() -> None:
    pool = Pool(Breaker(5, 20), OpenAIApi, max_waiting=10, max_wait_seconds=60)
    pool.update((Endpoint("p", "http://127.0.0.1:9/v1", max_concurrent=1, circuit="p"),))
    deadline = asyncio.get_running_loop().time() + 60

    def take(space: str) -> asyncio.Task[pools.Seat]:
        return asyncio.create_task(pool.take(space, frozenset(), deadline))

    first = await pool.take("a", frozenset(), deadline)
    second, third = take("a"), take("a")
    await asyncio.sleep(0)
    pool.withdrawn(first)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    pool.withdrawn(await third)
    # And one who leaves while it waits takes nothing along.
    held, leaver = await pool.take("a", frozenset(), deadline), take("a")
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    pool.withdrawn(held)
    pool.withdrawn(await pool.take("a", frozenset(), deadline))
    await pool.aclose()


async def test_who_waits_is_told_when_the_last_server_goes_out_of_service() -> None:
    breaker = Breaker(1, 20)
    pool = Pool(breaker, OpenAIApi, max_waiting=10, max_wait_seconds=60)
    pool.update((Endpoint("p", "http://127.0.0.1:9/v1", max_concurrent=1, circuit="p"),))
    deadline = asyncio.get_running_loop().time() + 60
    seat = await pool.take("", frozenset(), deadline)
    waits = asyncio.create_task(pool.take("", frozenset(), deadline))
    await asyncio.sleep(0)
    pool.failed(seat, pools.ModelFault.SERVER)
    with pytest.raises(ModelError, match="out of service"):
        await waits
    with pytest.raises(ModelError, match="out of service"):
        await pool.take("", frozenset(), deadline)
    await pool.aclose()


async def test_places_count_by_server_and_the_fuller_one_is_avoided() -> None:
    pool = Pool(Breaker(5, 20), OpenAIApi, max_waiting=1, max_wait_seconds=60)
    big = Endpoint("p", "http://127.0.0.1:9/v1", max_concurrent=4, circuit="p@1")
    little = Endpoint("p", "http://127.0.0.1:10/v1", max_concurrent=2, circuit="p@2")
    pool.update((big, little))
    deadline = asyncio.get_running_loop().time() + 60
    seats = [await pool.take("", frozenset(), deadline) for _ in range(6)]
    taken = [seat.server.endpoint for seat in seats]
    assert (taken.count(big), taken.count(little)) == (4, 2)
    assert taken[:3].count(little) == 1
    waits = asyncio.create_task(pool.take("", frozenset(), deadline))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await pool.take("", frozenset(), deadline)
    waits.cancel()
    await asyncio.wait([waits])
    await pool.aclose()


def test_a_pool_has_a_circuit_for_each_server() -> None:
    one = Provider("p", "http://a:1/v1", "k")
    assert [endpoint.circuit for endpoint in one.endpoints] == ["p"]
    two = replace(one, more_urls=("https://user:secret@b/v1", "http://a:1/v1"))
    assert [endpoint.circuit for endpoint in two.endpoints] == ["p@a:1", "p@b"]
    assert LOCAL not in two.endpoints[0].circuit
