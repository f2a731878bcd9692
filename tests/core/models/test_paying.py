"""Calls that are paid for: what is reserved and settled for every single one, and who answers when little is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from core.labels.pictures import shown
from core.models import costs
from core.models.breaker import Breaker
from core.models.budget import Amounts, Span
from core.models.catalog import Catalog
from core.models.chat import ChatMessage, ChatRequest, estimate_prompt
from core.models.images import Painted, Painter
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.paying import OverBudget, Payer
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.models.speech import Speaker
from core.models.transcription import Transcriber
from core.models.wire import ImageRequest
from core.parts import Ending, Finished, Notice, TextDelta, Usage
from core.people.budgets import Budgets
from core.people.identity import People
from core.people.spaces import Spaces
from core.settings import BudgetSettings
from core.storage.client import Store
from tests.core.models.routing import answer, finished, notices, text
from tests.platforms.openai_server import Fault, OpenAIServer

PAYER = Payer("telegram:1", "telegram:9:5", "Anna")
HELLO = ChatRequest((ChatMessage("user", "hello wide world"),), payer=PAYER)
DEAR = Model("dear", "p", "dear", price_prompt=10_000_000, price_answer=40_000_000)
FAIR = Model("fair", "p", "fair", price_prompt=1_000_000, price_answer=4_000_000)
FREE = Model("free", "p", "free")
PROMPT = estimate_prompt(HELLO.messages)
WORST = costs.of_chat(DEAR, PROMPT, DEAR.max_answer)[0].money
EAR = Model("ear", "p", "whisper", kind="transcription", price_minute=6000)
VOICE = Model("voice", "p", "voice", kind="speech", price_characters=15_000_000, voice="alloy")
PAINTER = Model("painter", "p", "painter", kind="image", price_image=40_000)


@dataclass
class Till:
    server: OpenAIServer
    catalog: Catalog
    router: Router
    budgets: Budgets

    async def spent(self, whose: str = "all") -> Amounts:
        await self.budgets.flush()
        return (await self.budgets.used(whose))[Span.DAY]


@asynccontextmanager
async def till(store: Store, *models: Model, money: float | None = None, **all: float) -> AsyncGenerator[Till]:
    """``money`` in millionths."""
    budget = {**all, **({} if money is None else {"day_money": money / 1_000_000})}
    settings = BudgetSettings.model_validate({"all": budget})
    budgets = Budgets(store, settings, People(store), Spaces(store))
    async with OpenAIServer(models=[model.id for model in models]) as server:
        catalog = Catalog([Provider("p", server.url)], models)
        router = Router(catalog, RoutingSettings(first_token_seconds=1.0), Breaker(5, 60), OpenAIApi, budgets)
        try:
            yield Till(server, catalog, router, budgets)
        finally:
            await router.aclose()
            await budgets.close()


async def painted(at: Till, count: int = 1) -> Painted:
    painter, request = Painter(at.catalog, at.router), ImageRequest("a fox", count=count)
    models = painter.choose(request)
    assert not isinstance(models, Notice)
    return await painter.paint(request, models, lambda data, _: shown(data), space="s", payer=PAYER)


async def held(store: Store) -> int:
    return sum(map(int, await store.redis.hvals("parley:{budget}:held")))


async def test_an_answer_costs_what_its_provider_reports(store: Store) -> None:
    async with till(store, DEAR, money=1_000_000) as at:
        usage = finished(await answer(at.router, HELLO)).usage
        assert usage.cost == usage.prompt_tokens * 10 + usage.answer_tokens * 40
        assert await at.spent() == Amounts(usage.cost)
        assert await at.spent(f"person:{PAYER.person}") == await at.spent(f"space:{PAYER.space}") == Amounts(usage.cost)
        assert await held(store) == 0


async def test_the_worst_case_is_set_aside_before_a_call(store: Store) -> None:
    async with till(store, DEAR, money=1_000_000) as at:
        seen: list[int] = []
        async with aclosing(at.router.answer(HELLO)) as parts:
            async for part in parts:
                if isinstance(part, TextDelta) and not seen:
                    seen.append(await held(store))
        assert seen == [WORST]


async def test_an_answer_is_no_longer_than_what_is_left_pays_for(store: Store) -> None:
    async with till(store, DEAR, money=20_000) as at:
        assert finished(await answer(at.router, HELLO)).ending is Ending.COMPLETE
        limit = at.server.requests[0].body["max_tokens"]
        assert costs.MIN_ANSWER <= limit < DEAR.max_answer
        assert DEAR.cost(PROMPT * costs.SAFETY, limit) <= 20_000 < DEAR.cost(PROMPT * costs.SAFETY, limit + 1)


async def test_nothing_is_asked_when_nothing_is_left(store: Store) -> None:
    async with till(store, DEAR, FAIR, money=100) as at:
        parts = await answer(at.router, HELLO)
        (notice,) = notices(parts)
        assert notice.key == "budget_spent.all"
        assert finished(parts) == Finished(Ending.FAILED)
        assert at.server.requests == []


async def test_little_left_is_for_cheaper_models_and_nothing_for_free_ones(store: Store) -> None:
    async with till(store, DEAR, FAIR, FREE, money=400_000) as at:
        assert finished(await answer(at.router, HELLO)).usage.model == "dear"
        for money in (330_000, 69_500):
            reservation = await at.budgets.reserve(PAYER, DEAR, Amounts(money), Amounts(money), seconds=9)
            await at.budgets.settle(reservation, Amounts(money), Usage("dear", 1, 1, money, 1))
            parts = await answer(at.router, HELLO)
            expected = "fair" if money == 330_000 else "free"
            assert finished(parts).usage.model == expected
            assert [n for n in notices(parts) if n.key == "budget_low"] == [Notice("budget_low", {"model": expected})]
        assert text(parts)


async def test_a_fallback_pays_for_itself(store: Store) -> None:
    async with till(store, DEAR, FAIR, money=1_000_000) as at:
        at.server.fail(Fault.RESET, 2, model="dear")
        usage = finished(await answer(at.router, HELLO)).usage
        assert usage.calls == 2
        assert await at.spent() == Amounts(usage.cost)
        rows = {row.model: row.amounts async for row in at.budgets.ledger.rows([(await at.budgets.period()).day])}
        assert rows["dear"]["calls"] == rows["fair"]["calls"] == 1
        assert rows["dear"]["money"] + rows["fair"]["money"] == usage.cost


@pytest.mark.parametrize(("fault", "is_free"), [(Fault.UNAUTHORISED, True), (Fault.SLOW, False)])
async def test_a_call_that_fails_costs_nothing_unless_nobody_knows(store: Store, fault: Fault, is_free: bool) -> None:
    async with till(store, DEAR, money=1_000_000) as at:
        at.server.fail(fault, times=3)
        await answer(at.router, HELLO)
        calls = (await at.spent()).money / DEAR.cost(PROMPT, 0)
        assert (calls == 0) is is_free
        assert await held(store) == 0


async def test_who_stops_pays_for_what_was_said(store: Store) -> None:
    async with till(store, DEAR, money=1_000_000) as at:
        at.server.tokens, at.server.tokens_per_second = 1000, 100
        async with aclosing(at.router.answer(HELLO)) as parts:
            async for part in parts:
                if isinstance(part, TextDelta):
                    break
        spent = (await at.spent()).money
        assert DEAR.cost(PROMPT, 1) <= spent < DEAR.cost(PROMPT, 100)
        assert await held(store) == 0
        # Cancelled in the middle of a piece it is the same.
        task = asyncio.create_task(answer(at.router, HELLO))
        while at.server.active == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        assert (await at.spent()).money > spent
        assert await held(store) == 0


async def test_sound_and_pictures_are_paid_by_what_they_were(store: Store) -> None:
    async with till(store, EAR, VOICE, PAINTER, money=1_000_000, day_images=2, day_seconds=100) as at:
        at.server.audio.usage = {"type": "duration", "seconds": 61.2}
        ear = Transcriber(at.catalog, at.router)
        heard = await ear.hear(b"OggS", name="", mime="audio/ogg", seconds=70, space="s", payer=PAYER)
        assert await at.spent() == Amounts(heard.usage.cost, seconds=62) == Amounts(6200, seconds=62)
        with pytest.raises(OverBudget) as caught:
            await ear.hear(b"x" * 90_000, name="a.mp3", mime="audio/mpeg", seconds=0, space="s", payer=PAYER)
        assert caught.value.budget.thing == "seconds"
        await painted(at, 2)
        assert await at.spent() == Amounts(86_200, images=2, seconds=62)
        with pytest.raises(OverBudget):
            await painted(at)
        spoken = await Speaker(at.catalog, at.router).speak("Hello there", space="s", payer=PAYER)
        assert spoken is not None
        assert (await at.spent()).money == 86_200 + spoken.usage.cost
        assert await held(store) == 0
        assert len(at.server.audio.heard) == 1


async def test_a_picture_that_is_none_was_paid_all_the_same(store: Store) -> None:
    async with till(store, PAINTER, money=1_000_000) as at:
        at.server.images.picture = b"no picture"
        with pytest.raises(Exception, match="malformed"):
            await painted(at)
        assert (await at.spent()).money == 2 * PAINTER.price_image


async def test_a_key_of_ones_own_needs_no_budget(store: Store) -> None:
    async with till(store, DEAR, money=0) as at:
        own = replace(HELLO, payer=replace(PAYER, own={"p": "sk-own"}))
        assert finished(await answer(at.router, own)).ending is Ending.COMPLETE
        assert await at.spent() == Amounts()


@pytest.mark.parametrize("told", [-5, 10**30, "12", None, True, float("nan"), float("inf")])
async def test_nonsense_that_a_server_reports_is_not_counted(store: Store, told: object) -> None:
    assert costs.told(told) is None
    async with till(store, EAR, money=1_000_000) as at:
        at.server.audio.usage = {"type": "tokens", "input_tokens": told, "output_tokens": told}
        ear = Transcriber(at.catalog, at.router)
        await ear.hear(b"OggS", name="", mime="audio/ogg", seconds=10, space="s", payer=PAYER)
        assert await at.spent() == Amounts(EAR.cost_of_sound(10), seconds=10)


def test_estimates_are_never_under_what_is_paid_for() -> None:
    assert costs.recorded_seconds(0, 90_000) == 45
    assert costs.recorded_seconds(7, 90_000) == 7
    assert costs.spoken_seconds("一二三") == 1
    assert costs.spoken_seconds("a" * 11) == 2
    assert costs.sounding_seconds(b"RIFF") is None
    for money in range(0, 3000, 7):
        limit = costs.affordable(DEAR, 5, 4000, money)
        assert limit == 1 or DEAR.cost(10, limit) <= money


async def test_what_is_to_be_said_of_a_budget_comes_with_whatever_was_made(store: Store) -> None:
    async with till(store, DEAR, EAR, VOICE, PAINTER) as at:
        at.budgets.update(BudgetSettings(person={"day_images": 2, "day_seconds": 100, "day_money": 1}, told_percent=50))
        (notice,) = (await painted(at)).notices
        assert notice.key == "budget_near"
        ear = Transcriber(at.catalog, at.router)
        # Nobody reads what is said of work in the background: it is told with the next.
        for listens in (False, True):
            payer = replace(PAYER, listens=listens)
            heard = await ear.hear(
                b"OggS", name="", mime="audio/ogg", seconds=45 + 10 * listens, space="s", payer=payer
            )
            assert bool(heard.notices) is listens
        reservation = await at.budgets.reserve(PAYER, DEAR, Amounts(600_000), Amounts(1), seconds=9)
        await at.budgets.settle(
            replace(reservation, payer=replace(PAYER, listens=False)), Amounts(600_000), Usage("dear", 1, 1, 600_000, 1)
        )
        assert [found.key for found in notices(await answer(at.router, HELLO))] == ["budget_near"]


async def test_many_answers_at_once_spend_what_there_is_and_no_more(store: Store) -> None:
    limit = 12_000
    async with till(store, replace(DEAR, max_answer=64), money=limit) as at:
        at.server.first_token = 0.02
        parts = await asyncio.gather(*(answer(at.router, HELLO) for _ in range(60)))
        spent = (await at.spent()).money
        assert spent == sum(finished(part).usage.cost for part in parts) <= limit
        assert 0 < len(at.server.requests) < 60
        while not any(notice.key == "budget_spent.all" for notice in notices(await answer(at.router, HELLO))):
            pass
        spent = (await at.spent()).money
        assert limit - costs.of_chat(DEAR, PROMPT, 64)[1].money < spent <= limit
        assert await held(store) == 0
