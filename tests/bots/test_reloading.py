"""Settings that are read anew while Parley runs."""

from __future__ import annotations

import asyncio

import pytest

from bots.reloading import RESTART, Reloaded, Reloading, take_over
from core.errors import SettingsError
from core.models.catalog import Catalog
from core.models.model import LOCAL, LocalModel
from core.models.settings import ModelSettings, ProviderSettings
from core.people.house import Houses
from core.settings import Owners, Settings
from core.storage.client import Store
from core.tasks import end


def changed(**sections: dict[str, object]) -> Settings:
    return Settings.model_validate(sections)


def test_what_can_be_taken_over_holds_for_whoever_has_the_section() -> None:
    settings = Settings()
    chat, owners = settings.chat, Owners(settings)
    assert "telegram:1" not in owners
    fresh = changed(chat={"max_message_chars": 500, "max_pages": 3}, telegram={"token": "1:x"}).model_copy(
        update={"owners": ("telegram:1",)}
    )
    assert take_over(settings, fresh) == ("telegram.token", "chat.max_pages")
    assert chat is settings.chat
    assert chat.max_message_chars == 500
    assert chat.max_pages == 8
    assert settings.telegram.token.get_secret_value() == ""
    assert "telegram:1" in owners
    assert list(owners) == ["telegram:1"]
    # It is said again as long as it is so.
    assert take_over(settings, fresh) == ("telegram.token", "chat.max_pages")


def test_the_names_that_need_a_restart_are_those_of_settings() -> None:
    for section, names in RESTART.items():
        assert names <= set(getattr(Settings(), section).model_dump())


def test_what_one_takes_over_is_no_others_default() -> None:
    take_over(Settings(), changed(chat={"max_document_pages": 7}))
    assert Settings().chat.max_document_pages == 200


async def test_a_catalog_takes_models_over_and_keeps_the_local_one() -> None:
    def settings(*names: str) -> Settings:
        provider = ProviderSettings(name="p", base_url="http://127.0.0.1:1/v1")
        models = tuple(ModelSettings(name=name, provider="p") for name in names)
        return Settings(providers=(provider,), models=models)

    catalog = Catalog.of(settings("a", "b"))
    catalog.add_local(LocalModel("http://127.0.0.1:2/v1", "k", "tiny", "tiny", 2048, True, 1))
    heard: list[str] = []
    catalog.watch(lambda: heard.append("changed"))
    catalog.replace(settings("b", "c"))
    assert [model.name for model in catalog.models] == ["b", "c", "tiny"]
    assert catalog.choose("a") == catalog.find("b")
    assert catalog.endpoints(LOCAL, "tiny")
    assert heard


async def test_every_process_hears_of_it_and_a_broken_file_changes_nothing(store: Store) -> None:
    taken: list[str] = []
    broken = False

    def read() -> Settings:
        if broken:
            raise SettingsError("parley.toml is not valid TOML.")
        return changed(chat={"max_document_pages": 7})

    def process(name: str) -> Reloading:
        return Reloading(Settings(), read, Houses(store), lambda: taken.append(name))

    one, two = process("one"), process("two")
    tasks = [asyncio.create_task(p.run()) for p in (one, two)]
    tasks += [asyncio.create_task(p.houses.records.follow()) for p in (one, two)]
    await asyncio.sleep(0.1)
    one.asked.set()
    while sorted(taken) != ["one", "two"]:
        await asyncio.sleep(0.02)
    assert one.settings.chat.max_document_pages == two.settings.chat.max_document_pages == 7
    assert two.last == Reloaded(number=1)
    broken = True
    assert await one.houses.reload() == 2
    while two.last.number < 2 or one.last.number < 2:
        await asyncio.sleep(0.02)
    assert "not valid TOML" in one.last.problem
    assert len(taken) == 2
    assert one.settings.chat.max_document_pages == 7
    await end(tasks)


async def test_without_the_store_a_signal_is_about_this_process_alone() -> None:
    away = Store("redis://127.0.0.1:1")
    taken: list[int] = []
    reloading = Reloading(Settings(), Settings, Houses(away), lambda: taken.append(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.storage.client.PATIENCE_SECONDS", 0.05)
        patch.setattr(Store.attempt, "__defaults__", (0.05,))
        task = asyncio.create_task(reloading.run())
        reloading.asked.set()
        while not taken:
            await asyncio.sleep(0.02)
        await end([task])
    await away.close()
