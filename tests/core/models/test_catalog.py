from __future__ import annotations

import platform
from dataclasses import replace
from typing import Any

import pytest

from core.models.catalog import Catalog
from core.models.model import LOCAL, Endpoint, LocalModel, Model, Provider
from core.models.settings import ModelKind, ModelSettings, ProviderSettings
from core.settings import Settings

HOST = ProviderSettings.model_validate({"name": "host", "base_url": "http://x/v1", "api_key": "sk-1"})


def settings(*models: ModelSettings, default: str = "") -> Settings:
    return Settings.model_validate({"providers": [HOST], "models": list(models), "chat": {"model": default}})


def row(name: str, provider: str = "host", **values: object) -> ModelSettings:
    return ModelSettings.model_validate({"name": name, "provider": provider, **values})


def names(catalog: Catalog) -> list[str]:
    return [model.name for model in catalog.models]


def test_settings_become_rows() -> None:
    catalog = Catalog.of(settings(row("a", id="vendor/a", temperature=0.3, price_answer=1.5), row("b")))
    model = catalog.find("a")
    assert model is not None
    assert (model.id, model.temperature, model.price_answer) == ("vendor/a", 0.3, 1_500_000)
    assert catalog.provider("host") == Provider("host", "http://x/v1", "sk-1")
    assert names(catalog) == ["a", "b"]
    other = catalog.find("b")
    assert other is not None
    assert other.id == "b"


def test_the_default_is_the_first_row_unless_settings_name_another() -> None:
    rows = (row("a"), row("b"))
    assert Catalog.of(settings(*rows)).default == Catalog.of(settings(*rows)).find("a")
    chosen = Catalog.of(settings(*rows, default="b")).default
    assert chosen is not None
    assert chosen.name == "b"
    assert Catalog((), ()).default is None


def test_a_choice_that_is_gone_becomes_the_default() -> None:
    catalog = Catalog.of(settings(row("a"), row("b")))
    assert catalog.choose("b") == catalog.find("b")
    assert catalog.choose("gone") == catalog.choose("") == catalog.find("a")


def test_keys_do_not_show() -> None:
    assert "sk-1" not in repr(Catalog.of(settings()).provider("host"))


def test_a_local_model_comes_goes_and_comes_back_elsewhere() -> None:
    catalog = Catalog.of(settings(row("a")))
    catalog.add_local(served("tiny", 1))
    tiny = catalog.find("tiny")
    assert tiny == Model("tiny", LOCAL, "tiny", 2048, 512, small=True)
    assert [(e.base_url, e.max_concurrent) for e in catalog.endpoints(LOCAL, "tiny")] == [("http://10.0.0.1:1/v1", 4)]
    assert names(catalog) == ["a", "tiny"]
    catalog.remove_local()
    assert names(catalog) == ["a"]
    assert catalog.find("tiny") is None
    catalog.add_local(served("tiny", 2))
    assert [e.base_url for e in catalog.endpoints(LOCAL, "tiny")] == ["http://10.0.0.1:2/v1"]
    assert names(catalog) == ["a", "tiny"]
    catalog.add_local(served("big", 2, window=8192, small=False))
    big = catalog.find("big")
    assert big is not None
    assert big.max_answer == 4096


def served(name: str, port: int, **values: object) -> LocalModel:
    facts: dict[str, Any] = {"id": name, "window": 2048, "small": True, "slots": 4, **values}
    return LocalModel(f"http://10.0.0.1:{port}/v1", "k", name, **facts)


def test_announced_servers_of_one_model_are_a_pool_and_each_model_is_a_row() -> None:
    catalog = Catalog.of(settings(row("a")))
    changes: list[None] = []
    catalog.watch(lambda: changes.append(None))
    two = [served("tiny", 1), served("tiny", 2, window=1024, slots=8), served("big", 3, small=False)]
    catalog.announce(two, expected=True)
    assert names(catalog) == ["a", "tiny", "big"]
    tiny = catalog.find("tiny")
    assert tiny is not None
    assert tiny.window == 1024
    pool = catalog.endpoints(LOCAL, "tiny")
    assert [(e.base_url[-5:], e.max_concurrent, e.circuit) for e in pool] == [
        (":1/v1", 4, "local@10.0.0.1:1"),
        (":2/v1", 8, "local@10.0.0.1:2"),
    ]
    catalog.announce(two, expected=True)
    assert len(changes) == 1
    catalog.announce(two[:1], expected=True)
    assert names(catalog) == ["a", "tiny"]
    assert len(changes) == 2


def test_an_announced_model_does_not_take_a_hosted_ones_name() -> None:
    catalog = Catalog.of(settings(row("a")))
    catalog.announce([served("a", 1)], expected=True)
    assert [(model.name, model.provider) for model in catalog.models] == [("a", "host")]


def test_small_models_of_a_name_that_is_taken_get_no_calls() -> None:
    catalog = Catalog.of(settings(row("a")))
    catalog.add_local(served("tiny", 1))
    names: list[tuple[str, ModelKind]] = [
        ("tiny", "image"),
        ("twice", "image"),
        ("twice", "image"),
        ("twice", "speech"),
        ("a", "chat"),
    ]
    kept = [
        (Model(name, LOCAL, name, kind=kind), Endpoint(LOCAL, f"http://10.0.0.2:{port}/v1", model=name))
        for port, (name, kind) in enumerate(names)
    ]
    catalog.keep(kept)
    assert [end.base_url for end in catalog.endpoints(LOCAL, "tiny")] == ["http://10.0.0.1:1/v1"]
    assert [end.base_url for end in catalog.endpoints(LOCAL, "twice")] == ["http://10.0.0.2:1/v1"]
    assert [model.kind for model in catalog.all] == ["chat", "chat", "image"]
    assert catalog.endpoints(LOCAL, "a") == ()


async def test_own_and_announced_servers_are_expected_until_there_is_one() -> None:
    catalog = Catalog((), ())
    catalog.announce([], expected=True)
    assert catalog.expects_local
    catalog.announce([], expected=False)
    assert not catalog.expects_local
    catalog.expect_local()
    catalog.announce([], expected=False)
    assert catalog.expects_local
    catalog.announce([served("tiny", 1)], expected=True)
    assert not catalog.expects_local
    catalog.add_local(replace(served("tiny", 1), base_url="http://127.0.0.1:1/v1"))
    assert len(catalog.endpoints(LOCAL, "tiny")) == 2
    catalog.remove_local()
    assert not catalog.expects_local
    catalog.announce([], expected=False)
    assert catalog.expects_local


def test_servers_on_loopback_have_the_machines_name_in_the_breaker_that_all_machines_share() -> None:
    catalog = Catalog((), ())
    catalog.add_local(replace(served("tiny", 7), base_url="http://127.0.0.1:7/v1"))
    assert [e.circuit for e in catalog.endpoints(LOCAL, "tiny")] == [f"local@{platform.node()}:7"]


def test_a_provider_with_several_urls_is_a_pool() -> None:
    many = {"name": "vllm", "base_urls": ["http://a:1/v1", "http://b:2/v1/"], "api_key": "sk", "max_waiting": 7}
    catalog = Catalog.of(Settings.model_validate({"providers": [many], "models": [row("m", "vllm")]}))
    assert [(e.base_url, e.api_key, e.circuit) for e in catalog.endpoints("vllm", "m")] == [
        ("http://a:1/v1", "sk", "vllm@a:1"),
        ("http://b:2/v1", "sk", "vllm@b:2"),
    ]
    provider = catalog.provider("vllm")
    assert provider is not None
    assert provider.max_waiting == 7


def test_settings_of_a_local_model_promise_no_more_than_its_server_has() -> None:
    catalog = Catalog.of(settings(row("tiny", LOCAL, temperature=0.1)))
    catalog.announce([served("tiny", 1)], expected=True)
    tiny = catalog.find("tiny")
    assert tiny is not None
    assert (tiny.temperature, tiny.window, tiny.max_answer, tiny.small) == (0.1, 2048, 1024, True)


def test_settings_of_a_local_model_stay_when_its_server_comes() -> None:
    catalog = Catalog.of(settings(row("tiny", LOCAL, temperature=0.1), default="tiny"))
    assert catalog.default is None
    catalog.add_local(replace(served("tiny", 1), base_url="http://127.0.0.1:1/v1"))
    assert catalog.default is not None
    assert catalog.default.temperature == 0.1


@pytest.mark.parametrize(
    ("prompt", "answer", "cost"), [(0, 0, 0), (1, 0, 1), (1_000_000, 0, 150_000), (1000, 500, 150 + 300), (1, 1, 1)]
)
def test_cost_is_whole_and_rounded_up(prompt: int, answer: int, cost: int) -> None:
    model = Catalog.of(settings(row("a", price_prompt=0.15, price_answer=0.6))).find("a")
    assert model is not None
    assert model.cost(prompt, answer) == cost
