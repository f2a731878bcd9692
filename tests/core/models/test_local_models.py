"""Which built-in model is chosen, and what the owner's commands do."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.models import local_models
from core.models.local_models import SMOLLM2, Choice, choices, get_model, join, list_models, wants_local
from core.models.settings import LocalSettings
from core.settings import Settings
from tests.platforms.model_hub import Hub, running

NOBODY = "http://127.0.0.1:9"


def settings(model: str = "auto", hub: str = NOBODY, **more: object) -> LocalSettings:
    row: dict[str, object] = {"model": model, "hub_url": hub, "hub_repo": "a/b", "hub_file": "better.gguf", **more}
    return LocalSettings.model_validate(row)


def silence(_: str) -> None:
    pass


async def only(chosen: LocalSettings, data: Path) -> Choice:
    found = await choices(chosen, data, silence)
    assert len(found) == 1
    return found[0]


async def test_without_a_hub_the_packaged_model_runs(tmp_path: Path) -> None:
    choice = await only(settings(), tmp_path)
    assert (choice.name, choice.engine) == ("smollm2-135m", "xllamacpp")
    assert "parley models get" in choice.source
    assert "OPENAI_API_KEY" in choice.source


async def test_a_hub_that_answers_gives_the_better_model_once(tmp_path: Path) -> None:
    async with running(Hub("a/b", "better.gguf", os.urandom(100_000))) as hub:
        first = await choices(settings(hub=hub.url), tmp_path, silence)
        asked = len(hub.requests)
        again = await choices(settings(hub=hub.url), tmp_path, silence)
        assert len(hub.requests) == asked
    assert [choice.name for choice in first] == ["better", "smollm2-135m"]
    assert [choice.name for choice in again] == ["better", "smollm2-135m"]
    assert hub.url in first[0].source
    assert (tmp_path / "models" / "better.gguf").read_bytes() == hub.content


async def test_a_silent_hub_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_models, "HUB_SECONDS", 0.1)
    async with running(Hub("a/b", "better.gguf", b"x", silent=True)) as hub:
        assert (await only(settings(hub=hub.url), tmp_path)).name == "smollm2-135m"


async def test_a_damaged_download_leaves_the_packaged_model(tmp_path: Path) -> None:
    async with running(Hub("a/b", "better.gguf", b"x" * 5000, says_sha256="1" * 64)) as hub:
        assert (await only(settings(hub=hub.url), tmp_path)).name == "smollm2-135m"


async def test_a_damaged_package_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_models, "SMOLLM2_SHA256", "0" * 64)
    with pytest.raises(SettingsError, match="wrong checksum"):
        await choices(settings("smollm2-135m"), tmp_path, silence)
    with pytest.raises(SettingsError, match="no built-in model is installed"):
        await choices(settings(), tmp_path, silence)


async def test_names_files_folders_and_hub_ids(tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    assert (await only(settings(str(file)), tmp_path)).engine == "xllamacpp"
    by_transformers = await only(settings(str(file), engine="transformers"), tmp_path)
    assert (by_transformers.engine, by_transformers.model) == ("transformers", f"{tmp_path}:mine.gguf")
    assert await only(settings(str(folder)), tmp_path) == Choice(
        "folder", str(folder), "transformers", (await only(settings(str(folder)), tmp_path)).source
    )
    assert (await only(settings("gpt2"), tmp_path)).model == "gpt2"
    assert (await only(settings("openai-community/gpt2"), tmp_path)).name == "gpt2"


@pytest.mark.parametrize("wrong", ["/nowhere/model.gguf", "no such thing!", "a/b/c", "nowhere.gguf"])
async def test_what_is_not_there_is_named(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"local.model is wrong: found .* Allowed: auto, none"):
        await choices(settings(wrong), tmp_path, silence)


async def test_llama_cpp_runs_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"local.engine is wrong"):
        await choices(settings(str(tmp_path), engine="xllamacpp"), tmp_path, silence)


async def test_get_and_list(tmp_path: Path) -> None:
    async with running(Hub("a/b", "better.gguf", os.urandom(5000))) as hub:
        chosen = settings(hub=hub.url)
        assert (await list_models(chosen, tmp_path))[0].state == "not downloaded"
        assert await get_model("", chosen, tmp_path, silence) == tmp_path / "models" / "better.gguf"
    assert (await list_models(chosen, tmp_path))[0].state.startswith("downloaded")
    assert [row.name for row in await list_models(chosen, tmp_path)] == [
        "a/b:better.gguf",
        "qwen2.5-coder-0.5b",
        "smollm2-135m",
    ]
    assert (await choices(chosen, tmp_path, silence))[0].name == "better"


async def test_get_any_file_of_the_hub(tmp_path: Path) -> None:
    async with running(Hub("some/other", "deep.gguf", os.urandom(5000))) as hub:
        path = await get_model("some/other:deep.gguf", settings(hub=hub.url), tmp_path, silence)
        assert path.read_bytes() == hub.content
        assert (await only(settings("some/other:deep.gguf", hub.url), tmp_path)).model == str(path)
    with pytest.raises(SettingsError, match="There is no model called 'nonsense'"):
        await get_model("nonsense", settings(), tmp_path, silence)


async def test_parts_of_a_model_are_joined_as_data(tmp_path: Path) -> None:
    wheels = [tmp_path / "one.whl", tmp_path / "two.whl"]
    for wheel, content in zip(wheels, (b"first " * 100, b"second" * 100), strict=True):
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("part/__init__.py", "raise SystemExit")
            archive.writestr("part/data.bin", content)
    join(wheels, tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == b"first " * 100 + b"second" * 100


HOSTED = {"providers": [{"name": "p", "base_url": "http://x"}], "models": [{"name": "m", "provider": "p"}]}


@pytest.mark.parametrize(
    ("model", "hosted", "wanted"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("none", False, False),
        (SMOLLM2, True, True),
        (SMOLLM2, False, True),
    ],
)
def test_with_hosted_models_the_built_in_one_is_started_only_where_it_is_named(
    model: str, hosted: bool, wanted: bool
) -> None:
    values = {"local": {"model": model}, **(HOSTED if hosted else {})}
    assert wants_local(Settings.model_validate(values)) is wanted


def test_a_row_for_the_built_in_model_wants_it() -> None:
    rows = [*HOSTED["models"], {"name": "tiny", "provider": "local"}]
    assert wants_local(Settings.model_validate({**HOSTED, "models": rows}))


def test_models_that_hear_and_speak_do_not_answer() -> None:
    hosted = {"name": "whisper", "provider": "p", "kind": "transcription"}
    settings = {"providers": [{"name": "p", "base_url": "http://127.0.0.1:1"}], "models": [hosted]}
    assert wants_local(Settings.model_validate(settings))
