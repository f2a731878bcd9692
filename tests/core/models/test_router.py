from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.chat import ChatMessage, ChatRequest, estimate_prompt, estimate_tokens
from core.models.model import Endpoint, LocalModel, Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import MAX_CALLS, Router, choose
from core.models.settings import RoutingSettings
from core.parts import Ending, Finished, Notice, Part, TextDelta, Usage
from tests.core.models.pictures import PNG
from tests.core.models.routing import ANSWER, HELLO, answer, finished, notices, text
from tests.platforms.openai_server import Fault, OpenAIServer, Strike

CALM = RoutingSettings(total_seconds=60)
QUICK = CALM.model_copy(update={"first_token_seconds": 0.5, "stall_seconds": 0.5})
"""For faults that are only told by waiting."""
SILENT = (Fault.SLOW, Fault.STALL, Fault.PINGS)
ONE, TWO = Model("one", "p", "one"), Model("two", "q", "two")


@asynccontextmanager
async def routed(
    *models: Model,
    settings: RoutingSettings = CALM,
    places: int = 100,
    clock: Callable[[], float] = time.time,
    **options: Any,
) -> AsyncGenerator[tuple[OpenAIServer, Router]]:
    """A router over ``models``, each provider a client of its own to one server."""
    rows = models or (ONE, TWO)
    async with OpenAIServer(models=[m.id for m in rows], **options) as server:
        providers = [Provider(name, server.url, "sk", places) for name in {m.provider for m in rows}]
        breaker = Breaker(settings.breaker_failures, settings.breaker_seconds, clock)
        router = Router(Catalog(providers, rows), settings, breaker, OpenAIApi)
        try:
            yield server, router
        finally:
            await router.aclose()


def patience(fault: Fault) -> RoutingSettings:
    return QUICK if fault in SILENT else CALM


def tiny(server: OpenAIServer) -> LocalModel:
    return LocalModel(server.url, "key", "tiny", "tiny", 4096, small=True, slots=4)


def asked(server: OpenAIServer) -> list[str]:
    return [request.model for request in server.requests]


async def test_a_whole_answer() -> None:
    priced = replace(ONE, price_prompt=2_000_000, price_answer=10_000_000)
    async with routed(priced) as (_, router):
        parts = await answer(router)
    usage = finished(parts).usage
    assert (text(parts), finished(parts).ending, notices(parts)) == (ANSWER, Ending.COMPLETE, [])
    assert (usage.model, usage.answer_tokens, usage.calls) == ("one", 4, 1)
    assert usage.cost == usage.prompt_tokens * 2 + 4 * 10


async def test_no_model_at_all() -> None:
    router = Router(Catalog((), ()), CALM, Breaker(5, 20), OpenAIApi)
    assert await answer(router) == [Notice("no_models"), Finished(Ending.FAILED)]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.SLOW,
        Fault.RATE_LIMIT,
        Fault.SERVER_ERROR,
        Fault.UNAUTHORISED,
        Fault.HTML,
        Fault.NO_CHOICES,
        Fault.EMPTY,
        Fault.BLANK,
    ],
)
async def test_a_failure_before_the_first_token_falls_back_silently(fault: Fault) -> None:
    async with routed(settings=patience(fault)) as (server, router):
        server.fail(fault, model="one")
        parts = await answer(router)
    assert (text(parts), notices(parts), finished(parts).ending) == (ANSWER, [], Ending.COMPLETE)
    assert asked(server) == ["one", "two"]
    assert finished(parts).usage.model == "two"
    assert finished(parts).usage.calls == 2


async def test_a_server_that_is_not_there_falls_back_silently() -> None:
    async with OpenAIServer(models=["two"]) as server:
        gone = Provider("p", "http://127.0.0.1:9/v1")
        router = Router(Catalog([gone, Provider("q", server.url)], [ONE, TWO]), CALM, Breaker(5, 20), OpenAIApi)
        parts = await answer(router)
        await router.aclose()
    assert (text(parts), notices(parts)) == (ANSWER, [])


MID_ANSWER = [Fault.STALL, Fault.PINGS, Fault.RESET, Fault.NO_FINISH, Fault.BROKEN_JSON, Fault.ERROR_EVENT]


@pytest.mark.parametrize("fault", MID_ANSWER)
async def test_a_failure_in_mid_answer_is_taken_over_by_the_next_model(fault: Fault) -> None:
    async with routed(settings=patience(fault)) as (server, router):
        server.fail(fault, 2, model="one")
        server.reply = lambda body: "alpha beta" if body["model"] == "one" else " gamma delta"
        parts = await answer(router)
    assert text(parts) == "alpha beta gamma delta"
    assert notices(parts) == [Notice("fallback", {"model": "two"})]
    assert finished(parts).ending is Ending.COMPLETE
    handed_over = server.requests[1].messages
    assert [message["role"] for message in handed_over] == ["user", "assistant", "user"]
    assert handed_over[1]["content"] == "alpha beta"
    assert parts.index(notices(parts)[0]) == 1


@pytest.mark.parametrize("fault", MID_ANSWER)
async def test_the_only_model_goes_on_with_its_own_answer(fault: Fault) -> None:
    async with routed(ONE, settings=patience(fault)) as (server, router):
        server.fail(fault, 1)
        server.reply = lambda body: "alpha" if len(body["messages"]) == 1 else " beta"
        parts = await answer(router)
    assert (text(parts), finished(parts).ending) == ("alpha beta", Ending.COMPLETE)
    assert finished(parts).usage.calls == 2


@pytest.mark.parametrize("fault", MID_ANSWER)
async def test_at_most_three_calls_and_one_notice_whatever_breaks(fault: Fault) -> None:
    models = [Model(f"m{n}", f"p{n}", f"m{n}") for n in range(5)]
    async with routed(*models, settings=patience(fault), reply="a b c d") as (server, router):
        server.fail(fault, 2, times=10)
        parts = await answer(router)
    assert len(server.requests) == MAX_CALLS == finished(parts).usage.calls
    assert text(parts) == "a b" * 3
    assert notices(parts) == [Notice("fallback", {"model": "m1"})]
    assert finished(parts).ending is Ending.BROKEN
    assert finished(parts).usage.answer_tokens > 0


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML, Fault.UNAUTHORISED, Fault.EMPTY, Fault.BLANK])
async def test_at_most_three_calls_when_nothing_comes(fault: Fault, count: int) -> None:
    models = [Model(f"m{n}", f"p{n}", f"m{n}") for n in range(count)]
    async with routed(*models) as (server, router):
        server.fail(fault, times=20)
        parts = await answer(router)
    assert len(server.requests) <= MAX_CALLS
    assert text(parts) == ""
    assert notices(parts) == []
    ending = Ending.EMPTY if fault in (Fault.EMPTY, Fault.BLANK) else Ending.FAILED
    assert finished(parts).ending is ending


async def test_a_stall_before_the_first_token_of_all_models_fails_in_time() -> None:
    async with routed(settings=CALM.model_copy(update={"total_seconds": 0.4})) as (server, router):
        server.fail(Fault.SLOW, times=9)
        parts = await answer(router)
    assert finished(parts).ending is Ending.FAILED


async def test_an_answer_without_end_is_cut_by_the_total_deadline() -> None:
    settings = CALM.model_copy(update={"total_seconds": 0.4})
    async with routed(ONE, settings=settings, tokens=5000, tokens_per_second=100) as (server, router):
        parts = await answer(router)
        assert finished(parts).ending is Ending.BROKEN
        assert len(server.requests) == 1
        assert await finally_free(server)


@pytest.mark.parametrize(("fault", "ending"), [(Fault.LENGTH, Ending.LENGTH), (Fault.CONTENT_FILTER, Ending.FILTERED)])
async def test_length_and_filter_are_endings_and_no_failures(fault: Fault, ending: Ending) -> None:
    async with routed() as (server, router):
        server.fail(fault, 2)
        parts = await answer(router)
    assert (text(parts), finished(parts).ending) == ("[1] hello", ending)
    assert asked(server) == ["one"]


async def test_a_filter_before_any_text_is_not_asked_around() -> None:
    async with routed() as (server, router):
        server.fail(Fault.CONTENT_FILTER, 0)
        parts = await answer(router)
    assert (text(parts), finished(parts).ending, asked(server)) == ("", Ending.FILTERED, ["one"])


async def test_a_length_limit_before_any_text_counts_as_empty() -> None:
    async with routed(ONE) as (server, router):
        server.fail(Fault.LENGTH, 0)
        assert finished(await answer(router)).ending is Ending.EMPTY


async def test_a_short_retry_after_is_waited_for() -> None:
    async with routed() as (server, router):
        server.fail(Fault.RATE_LIMIT, 0.1, model="one")
        parts = await answer(router)
    assert asked(server) == ["one", "one"]
    assert finished(parts).usage.calls == 2


async def test_a_long_retry_after_is_not() -> None:
    async with routed() as (server, router):
        server.fail(Fault.RATE_LIMIT, 30, model="one")
        await answer(router)
    assert asked(server) == ["one", "two"]


async def test_a_provider_that_keeps_failing_is_left_alone_and_tried_again() -> None:
    settings = CALM.model_copy(update={"breaker_failures": 2, "breaker_seconds": 20})
    now = 1_000_000.0
    async with routed(settings=settings, clock=lambda: now) as (server, router):
        server.strikes.extend([Strike(Fault.UNAUTHORISED, None, "one")] * 2)
        for _ in range(4):
            assert text(await answer(router)) == ANSWER
        assert asked(server) == ["one", "two", "one", "two", "two", "two"]
        now += 20
        server.requests.clear()
        await answer(router)
        await answer(router)
        assert asked(server) == ["one", "one"]


async def test_providers_all_out_of_service_cost_no_call() -> None:
    async with routed(ONE, settings=CALM.model_copy(update={"breaker_failures": 1})) as (server, router):
        server.fail(Fault.UNAUTHORISED)
        await answer(router)
        parts = await answer(router)
    assert finished(parts) == Finished(Ending.FAILED, Usage())
    assert len(server.requests) == 1


async def test_a_refused_request_says_nothing_about_the_provider() -> None:
    """One model refuses what another at the same provider takes."""
    blind, seeing = Model("one", "p", "one", accepts_images=True), Model("two", "p", "two", accepts_images=True)
    look = ChatRequest((ChatMessage("user", "hello wide world", (PNG,)),), model="one", needs_vision=True)
    async with routed(blind, seeing, settings=CALM.model_copy(update={"breaker_failures": 1})) as (server, router):
        server.blind = ["one"]
        for _ in range(3):
            assert text(await answer(router, look)) == ANSWER
        assert asked(server) == ["one", "two"] * 3


async def test_a_model_that_is_gone_is_told_of_and_asked_last_for_a_while() -> None:
    now = 1000.0
    wish = replace(HELLO, model="one")
    async with routed(settings=CALM.model_copy(update={"breaker_failures": 1}), clock=lambda: now) as (server, router):
        server.models = ["two"]
        parts = await answer(router, wish)
        assert (text(parts), notices(parts)) == (ANSWER, [Notice("model_gone", {"model": "one"})])
        # It is nobody's fault, but everybody's knowledge.
        assert notices(await answer(router, wish)) == [Notice("model_gone", {"model": "one"})]
        assert notices(await answer(router)) == []
        assert (asked(server), router.is_gone(ONE)) == (["one", "two", "two", "two"], True)
        now += 20
        server.models = ["one", "two"]
        assert notices(await answer(router, wish)) == []
        assert (asked(server)[-1], router.is_gone(ONE)) == ("one", False)


async def test_a_gone_model_leaves_its_provider_in_service() -> None:
    other = Model("other", "p", "other")
    async with routed(ONE, other, settings=CALM.model_copy(update={"breaker_failures": 1})) as (server, router):
        server.models = ["other"]
        for _ in range(2):
            assert finished(await answer(router)).usage.model == "other"


async def test_no_more_calls_at_once_than_the_provider_has_places() -> None:
    async with routed(ONE, places=2, first_token=0.05) as (server, router):
        await asyncio.gather(*(answer(router) for _ in range(8)))
    assert server.peak == 2
    assert len(server.requests) == 8


async def test_a_client_that_cannot_be_made_keeps_no_place() -> None:
    opened = 0

    def open_wire(endpoint: Endpoint) -> OpenAIApi:
        nonlocal opened
        opened += 1
        if opened == 1:
            raise ValueError("no such address")
        return OpenAIApi(endpoint)

    async with OpenAIServer(models=["one"]) as server:
        settings = CALM.model_copy(update={"max_wait_seconds": 0.5})
        router = Router(Catalog([Provider("p", server.url, "sk", 1)], [ONE]), settings, Breaker(5, 20), open_wire)
        assert finished(await answer(router)).ending is Ending.FAILED
        assert text(await answer(router)) == ANSWER
        await router.aclose()


async def test_stopping_frees_the_connection_and_the_place() -> None:
    async with routed(ONE, places=1, tokens=5000, tokens_per_second=200) as (server, router):
        async with aclosing(router.answer(HELLO)) as parts:
            assert isinstance(await anext(parts), TextDelta)
            assert server.active == 1
        assert await finally_free(server)
        server.tokens = 3
        assert finished(await answer(router)).ending is Ending.COMPLETE


async def test_cancelling_the_reader_frees_the_connection() -> None:
    async with routed(ONE, tokens=5000, tokens_per_second=200) as (server, router):
        task = asyncio.create_task(answer(router))
        async with asyncio.timeout(5):
            while not server.active:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await finally_free(server)
        assert server.requests[0].outcome == "left"


async def finally_free(server: OpenAIServer) -> bool:
    async with asyncio.timeout(5):
        while server.active:
            await asyncio.sleep(0.01)
    return True


async def test_the_deadlines_do_not_run_while_the_reader_is_busy() -> None:
    async with routed(ONE, settings=QUICK, tokens=30, tokens_per_second=300) as (_, router):
        got: list[Part] = []
        async with aclosing(router.answer(HELLO)) as parts:
            async for part in parts:
                got.append(part)
                if len(got) == 1:
                    await asyncio.sleep(0.7)
    assert finished(got).ending is Ending.COMPLETE


async def test_thoughts_are_neither_shown_nor_taken_for_silence() -> None:
    reply = "<think> " + "well " * 30 + "</think>\n\nForty-two."
    async with routed(ONE, settings=QUICK, reply=reply, tokens_per_second=30) as (_, router):
        parts = await answer(router)
    assert (text(parts), finished(parts).ending) == ("Forty-two.", Ending.COMPLETE)


async def test_usage_is_estimated_where_nobody_reports_it() -> None:
    async with routed(replace(ONE, price_answer=1_000_000), reports_usage=False) as (_, router):
        usage = finished(await answer(router)).usage
    assert usage.prompt_tokens == estimate_prompt(HELLO.messages)
    assert usage.answer_tokens == estimate_tokens(ANSWER) == usage.cost


async def test_a_stopped_answer_can_be_estimated() -> None:
    async with routed(replace(ONE, price_prompt=1_000_000)) as (_, router):
        usage = router.estimate(HELLO, "so far")
    assert usage == Usage("one", estimate_prompt(HELLO.messages), 2, estimate_prompt(HELLO.messages), 1)


PICTURE = ChatRequest((ChatMessage("user", "what is this?", (PNG,)),), needs_vision=True)


def images(server: OpenAIServer) -> int:
    return str(server.requests[-1].messages).count("image_url'")


async def test_a_picture_goes_to_a_model_that_sees() -> None:
    async with routed(ONE, replace(TWO, accepts_images=True), blind=["one"]) as (server, router):
        parts = await answer(router, PICTURE)
    assert (asked(server), notices(parts), finished(parts).ending) == (["two"], [], Ending.COMPLETE)
    assert "data:image/png" in str(server.requests[0].messages)


async def test_without_a_model_that_sees_the_text_alone_is_answered() -> None:
    async with routed(ONE, blind=["one"]) as (server, router):
        parts = await answer(router, PICTURE)
        wordless = ChatRequest((ChatMessage("user", "", (PNG,)),), needs_vision=True)
        assert finished(await answer(router, wordless)).ending is Ending.COMPLETE
    assert notices(parts) == [Notice("no_vision")]
    assert text(parts) == "[1] what is this?"
    assert "image" not in str(server.requests[0].messages)


async def test_earlier_pictures_are_dropped_in_silence_for_a_blind_model() -> None:
    past = (*PICTURE.messages, ChatMessage("assistant", "A square."), ChatMessage("user", "thanks"))
    async with routed(ONE, blind=["one"]) as (_, router):
        parts = await answer(router, ChatRequest(past))
    assert (notices(parts), text(parts)) == ([], "[3] thanks")


def names(models: tuple[Model, ...]) -> list[str]:
    return [model.name for model in models]


def test_candidates_are_the_chosen_its_fallbacks_and_the_rest() -> None:
    rows = [Model(name, "p", name) for name in "abcd"]
    rows[1] = replace(rows[1], fallbacks=("d", "missing"))
    catalog = Catalog([Provider("p", "http://x")], rows)
    assert names(choose(catalog, ChatRequest((), "b"))) == ["b", "d", "a", "c"]
    assert names(choose(catalog, ChatRequest((), "unknown"))) == ["a", "b", "c", "d"]


def test_models_that_cannot_hold_the_prompt_are_left_out() -> None:
    catalog = Catalog(
        [Provider("p", "http://x")], [Model("small", "p", "s", window=1000), Model("wide", "p", "w", window=9000)]
    )
    assert names(choose(catalog, ChatRequest((ChatMessage("user", "x" * 8000),), "small"))) == ["wide"]
    assert names(choose(catalog, ChatRequest((ChatMessage("user", "x" * 80_000),), "small"))) == ["wide"]
    assert names(choose(catalog, HELLO)) == ["small", "wide"]


async def test_the_answer_limit_leaves_room_for_the_prompt() -> None:
    async with routed(Model("one", "p", "one", window=1000, max_answer=900)) as (server, router):
        await answer(router, ChatRequest((ChatMessage("user", "x" * 2400),)))
        await answer(router, replace(HELLO, max_answer=50))
    long, short = (request.body["max_tokens"] for request in server.requests)
    assert 64 <= long <= 1000 - 600
    assert short == 50


async def test_a_local_server_that_came_back_elsewhere_is_reached() -> None:
    catalog = Catalog((), ())
    router = Router(catalog, CALM, Breaker(5, 20), OpenAIApi)
    for _ in range(2):
        async with OpenAIServer(models=["tiny"]) as server:
            catalog.add_local(tiny(server))
            assert text(await answer(router)) == ANSWER
            assert server.requests[0].headers["Authorization"] == "Bearer key"
    await router.aclose()


async def test_a_local_server_on_its_way_is_waited_for() -> None:
    catalog = Catalog((), ())
    router = Router(catalog, CALM, Breaker(5, 20), OpenAIApi)
    catalog.expect_local()
    async with OpenAIServer(models=["tiny"]) as server:
        task = asyncio.create_task(answer(router))
        await asyncio.sleep(0.05)
        assert not task.done()
        catalog.add_local(tiny(server))
        assert text(await task) == ANSWER
    await router.aclose()


@pytest.mark.parametrize("waits", [True, False])
async def test_a_local_server_that_never_comes_is_not_waited_for_without_end(waits: bool) -> None:
    catalog = Catalog((), ())
    catalog.expect_local()
    catalog.expect_local(waits)
    parts = await answer(Router(catalog, QUICK, Breaker(5, 20), OpenAIApi))
    assert finished(parts).ending is Ending.FAILED
    assert notices(parts) == ([] if waits else [Notice("no_models")])


async def test_an_answer_goes_on_after_the_local_server_came_back() -> None:
    catalog = Catalog((), ())
    router = Router(catalog, CALM.model_copy(update={"stall_seconds": 0.3}), Breaker(1, 60), OpenAIApi)
    async with (
        OpenAIServer(models=["tiny"], reply="alpha") as first,
        OpenAIServer(models=["tiny"], reply=" beta") as second,
    ):
        catalog.add_local(tiny(first))
        first.fail(Fault.STALL, 1)
        got: list[Part] = []
        async with aclosing(router.answer(HELLO)) as parts:
            async for part in parts:
                got.append(part)
                if len(got) == 1:
                    catalog.remove_local()
                    asyncio.get_running_loop().call_later(1.0, catalog.add_local, tiny(second))
    await router.aclose()
    assert (text(got), notices(got), finished(got).ending) == ("alpha beta", [], Ending.COMPLETE)
