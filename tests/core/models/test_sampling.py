"""A persona's sampling stands above the model's, and what a server does not take is left out."""

from __future__ import annotations

import pytest

from core.errors import ModelError
from core.models.chat import Sampling
from core.models.model import Model
from core.models.sampling import Refusals, values_of
from core.models.wire import ModelCall
from tests.core.models.test_openai_api import HELLO, collect, connected

ROW = Model("m", "p", "stub", temperature=0.2, top_p=0.9, stop=("END",))


def test_what_is_asked_for_stands_above_the_row() -> None:
    asked = Sampling(temperature=0.0, seed=7, stop=("§",))
    assert values_of(ROW, asked) == {"temperature": 0.0, "top_p": 0.9, "seed": 7, "stop": ["§"]}
    assert values_of(ROW, Sampling()) == {"temperature": 0.2, "top_p": 0.9, "stop": ["END"]}


def test_only_the_value_that_was_refused_is_left_out() -> None:
    refusals = Refusals()
    assert refusals.learn("stub", {"temperature": 2.0, "top_p": 0.9}, "'temperature' does not support 2.0")
    assert refusals.allowed("stub", {"temperature": 2.0, "top_p": 0.9}) == {"top_p": 0.9}
    assert refusals.allowed("stub", {"temperature": 0.7}) == {"temperature": 0.7}
    assert refusals.allowed("other", {"temperature": 2.0}) == {"temperature": 2.0}
    assert not refusals.learn("stub", {"top_p": 0.9}, "the request cannot be stopped: top_pick")


async def test_a_server_that_refuses_a_value_is_asked_again_without_it() -> None:
    async with connected() as (server, api):
        call = ModelCall(Model("m", "p", "stub"), HELLO, 50, sampling=Sampling(temperature=3.0, top_p=0.5))
        assert (await collect(api.stream(call)))[0]
        assert (await collect(api.stream(call)))[0]
    asked = [(request.body.get("temperature"), request.body.get("top_p")) for request in server.requests]
    assert asked == [(3.0, 0.5), (None, 0.5), (None, 0.5)]


async def test_another_refusal_is_told_as_ever() -> None:
    async with connected() as (server, api):
        with pytest.raises(ModelError):
            await collect(api.stream(ModelCall(Model("m", "p", ""), HELLO, 50, sampling=Sampling(seed=1))))
    assert len(server.requests) == 1


async def test_what_a_model_lacks_is_not_sent_and_told() -> None:
    row = Model("m", "p", "stub", lacks=("num_beams", "top_k"))
    async with connected() as (server, api):
        call = ModelCall(row, HELLO, 50, sampling=Sampling(temperature=3.0, top_k=5, num_beams=4, seed=7))
        first, second = [(await collect(api.stream(call)))[-1] for _ in range(2)]
    assert first.left_out == second.left_out == {"temperature", "top_k", "num_beams"}
    assert [sorted({"seed", "top_k", "num_beams"} & set(one.body)) for one in server.requests] == [["seed"]] * 3


async def test_a_schema_is_asked_for_until_the_server_refuses_it() -> None:
    asked = ModelCall(Model("m", "p", "stub"), HELLO, 50, schema={"type": "object"})
    async with connected() as (server, api):
        assert (await collect(api.stream(asked)))[-1].left_out == frozenset()
    assert server.requests[0].body["response_format"]["json_schema"]["schema"] == {"type": "object"}
