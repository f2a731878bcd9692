"""What is asked with somebody's own key: theirs to pay, told when it fails, and no fault of the community's server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from core.errors import ModelError, ModelFault
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.model import Endpoint, Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.own_wires import MOST, OwnKeyError, OwnWires, told
from core.models.paying import Payer
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.parts import Ending, Notice
from core.people import own_keys
from core.people.identity import Person
from core.storage.sealing import Sealing, new_key, parse_keys
from tests.core.models.routing import HELLO, answer, finished, notices
from tests.platforms.openai_server import Fault, OpenAIServer

THEIRS = "sk-proj-abcdefghijklmnopqrstuvwx1234"
PAID = Model("one", "p", "one", price_prompt=1_000_000, price_answer=1_000_000)
FREE = Model("two", "q", "two")
DEAR = replace(FREE, price_prompt=9_000_000)


@asynccontextmanager
async def routed(*models: Model) -> AsyncGenerator[tuple[OpenAIServer, Router, Breaker]]:
    async with OpenAIServer(models=[model.id for model in models], api_key="house", more_keys=(THEIRS,)) as server:
        providers = [Provider(name, server.url, "house") for name in {model.provider for model in models}]
        breaker = Breaker(1, 60)
        router = Router(Catalog(providers, models), RoutingSettings(), breaker, OpenAIApi)
        yield server, router, breaker
        await router.aclose()


def keys_used(server: OpenAIServer) -> list[str]:
    return [request.headers["Authorization"].removeprefix("Bearer ") for request in server.requests]


def own(key: str = THEIRS, *, shares: bool = False) -> Payer:
    return Payer("telegram:7", own={"p": key}, shares=shares)


async def test_a_call_goes_with_the_persons_own_key() -> None:
    async with routed(PAID, DEAR) as (server, router, _):
        parts = await answer(router, replace(HELLO, payer=own()))
        assert (finished(parts).ending, keys_used(server)) == (Ending.COMPLETE, [THEIRS])
        await answer(router, HELLO)
        assert keys_used(server) == [THEIRS, "house"]


async def test_a_refused_key_is_told_and_the_communitys_money_stays() -> None:
    async with routed(PAID, DEAR) as (server, router, breaker):
        parts = await answer(router, replace(HELLO, payer=own("sk-wrong")))
        assert notices(parts) == [Notice("own_key_failed", {"provider": "p"})]
        assert (finished(parts).ending, keys_used(server)) == (Ending.FAILED, ["sk-wrong"])
        assert "sk-wrong" not in str(finished(parts).causes)
        # One failure opens this breaker: it was none of the server's.
        assert breaker.is_closed("p")
        assert finished(await answer(router, HELLO)).ending is Ending.COMPLETE


async def test_what_costs_nothing_answers_in_its_place() -> None:
    async with routed(PAID, FREE) as (server, router, _):
        parts = await answer(router, replace(HELLO, payer=own("sk-wrong")))
        assert (finished(parts).ending, keys_used(server)) == (Ending.COMPLETE, ["sk-wrong", "house"])
        assert finished(parts).usage.model == "two"


async def test_who_chose_so_goes_on_with_the_communitys() -> None:
    async with routed(PAID) as (server, router, _):
        parts = await answer(router, replace(HELLO, payer=own("sk-wrong", shares=True)))
        assert notices(parts) == [Notice("own_key_failed_shared", {"provider": "p"})]
        assert (finished(parts).ending, keys_used(server)) == (Ending.COMPLETE, ["sk-wrong", "house"])


async def test_no_credit_is_the_persons_and_a_dead_server_is_the_servers() -> None:
    async with routed(PAID) as (server, router, breaker):
        server.fail(Fault.RATE_LIMIT)
        parts = await answer(router, replace(HELLO, payer=own()))
        assert notices(parts) == [Notice("own_key_failed", {"provider": "p"})]
        assert breaker.is_closed("p")
        server.fail(Fault.SERVER_ERROR, times=3)
        await answer(router, replace(HELLO, payer=own()))
        assert not breaker.is_closed("p")


async def test_a_key_that_cannot_be_opened_asks_nobody() -> None:
    async with routed(PAID, DEAR) as (server, router, _):
        parts = await answer(router, replace(HELLO, payer=own("")))
        assert notices(parts) == [Notice("own_key_failed", {"provider": "p"})]
        assert keys_used(server) == []


def test_what_a_provider_says_of_a_key_is_not_told() -> None:
    error = told("p", ModelError(ModelFault.UNAUTHORISED, f"Incorrect API key provided: {THEIRS}"))
    assert isinstance(error, OwnKeyError)
    assert THEIRS not in str(error)
    assert THEIRS not in str(told("p", ModelError(ModelFault.SERVER, THEIRS)))
    assert THEIRS not in repr(own())


async def test_few_clients_are_kept_and_none_is_closed_in_use() -> None:
    closed: list[str] = []
    async with routed(PAID) as (server, _, _):
        endpoint = Provider("p", server.url, "house").endpoints[0]

        class Recorded(OpenAIApi):
            def __init__(self, endpoint: Endpoint) -> None:
                super().__init__(endpoint)
                self.key = endpoint.api_key

            async def aclose(self) -> None:
                closed.append(self.key)
                await super().aclose()

        wires = OwnWires(Recorded)
        async with wires.use(endpoint, "busy") as wire:
            for number in range(MOST + 2):
                async with wires.use(endpoint, f"key {number}"):
                    pass
            assert closed == ["key 0", "key 1", "key 2"]
            assert wire is not None
        await wires.aclose()
        await asyncio.sleep(0)
    assert len(closed) == MOST + 3


def test_a_key_is_its_owners_also_once_accounts_are_linked() -> None:
    sealing = Sealing(parse_keys(new_key()))
    sealed = sealing.seal(THEIRS, own_keys.purpose("discord:8", "p"))
    assert own_keys.opened(Person(id="discord:8", keys={"p": sealed}), sealing) == {"p": THEIRS}
    assert own_keys.opened(Person(id="telegram:7", keys={"p": sealed}), sealing) == {"p": ""}
    linked = Person(id="telegram:7", accounts=("telegram:7", "discord:8"), keys={"p": sealed})
    assert own_keys.opened(linked, sealing) == {"p": THEIRS}
    alone = own_keys.resealed(linked, sealing).model_copy(update={"accounts": ("telegram:7",)})
    assert own_keys.opened(alone, sealing) == {"p": THEIRS}
    assert own_keys.opened(Person(id="telegram:7", keys={"other": sealed}), sealing) == {"other": ""}


@pytest.mark.parametrize(("key", "shown"), [(THEIRS, "1234"), ("sk-short", ""), ("", "")])
def test_its_owner_sees_no_more_than_the_end(key: str, shown: str) -> None:
    assert own_keys.tail(key) == shown
