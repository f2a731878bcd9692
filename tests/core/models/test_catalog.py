from __future__ import annotations

import pytest

from core.models.catalog import LOCAL, Catalog, Model, Provider
from core.settings import ModelSettings, ProviderSettings, Settings

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
    catalog.add_local("http://127.0.0.1:1/v1", "k", "tiny", 2048, max_concurrent=4)
    tiny = catalog.find("tiny")
    assert tiny == Model("tiny", LOCAL, "tiny", 2048, 512, small=True)
    assert [(e.base_url, e.max_concurrent) for e in catalog.endpoints(LOCAL, "tiny")] == [("http://127.0.0.1:1/v1", 4)]
    assert names(catalog) == ["a", "tiny"]
    catalog.remove_local()
    assert names(catalog) == ["a"]
    assert catalog.find("tiny") is None
    catalog.add_local("http://127.0.0.1:2/v1", "k", "tiny", 2048)
    assert [e.base_url for e in catalog.endpoints(LOCAL, "tiny")] == ["http://127.0.0.1:2/v1"]
    assert names(catalog) == ["a", "tiny"]
    catalog.add_local("http://127.0.0.1:2/v1", "k", "big", 8192, small=False)
    big = catalog.find("big")
    assert big is not None
    assert big.max_answer == 4096


def test_settings_of_a_local_model_stay_when_its_server_comes() -> None:
    catalog = Catalog.of(settings(row("tiny", LOCAL, temperature=0.1), default="tiny"))
    assert catalog.default is None
    catalog.add_local("http://127.0.0.1:1/v1", "k", "tiny", 2048)
    assert catalog.default is not None
    assert catalog.default.temperature == 0.1


@pytest.mark.parametrize(
    ("prompt", "answer", "cost"), [(0, 0, 0), (1, 0, 1), (1_000_000, 0, 150_000), (1000, 500, 150 + 300), (1, 1, 1)]
)
def test_cost_is_whole_and_rounded_up(prompt: int, answer: int, cost: int) -> None:
    model = Catalog.of(settings(row("a", price_prompt=0.15, price_answer=0.6))).find("a")
    assert model is not None
    assert model.cost(prompt, answer) == cost
