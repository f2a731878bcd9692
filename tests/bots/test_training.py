"""``parley train``, up to the process that trains."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bots import training
from core.errors import SettingsError
from core.settings import Settings


def run(tmp_path: Path, *words: str) -> Any:
    settings = Settings.model_validate({"data": tmp_path})
    return CliRunner().invoke(training.commands(lambda: settings), list(words))


def nothing_here(_: str, __: tuple[str, ...]) -> str | None:
    return None


def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, Any]:
    """What the process that trains is asked for; it is a small program here."""
    script = "import sys; open('asked', 'w').write(sys.argv[-1]); sys.exit(7)"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{script}" "$@"\n')
    python.chmod(0o755)

    def python_here(_: str, __: tuple[str, ...]) -> str | None:
        return str(python)

    monkeypatch.setattr(training, "python_with", python_here)
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, *words).exit_code == 7
    return json.loads((tmp_path / "asked").read_text())


def test_the_order_reaches_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = trained(tmp_path, monkeypatch, "gan", "--data", "my cats!", "--epochs", "3", "--seed", "5", "--resume")
    assert (asked["kind"], asked["name"], asked["epochs"], asked["seed"]) == ("gan", "my-cats-gan", 3, 5)
    assert (asked["data"], asked["out"], asked["resume"]) == (
        str(tmp_path / "my cats!"),
        str(tmp_path / "models"),
        True,
    )
    assert trained(tmp_path, monkeypatch, "vae", "--name", "own")["data"] == "digits"
    asked = trained(tmp_path, monkeypatch, "lm", "--data", "chat.jsonl", "--base", "owner/model")
    assert (asked["kind"], asked["base"], asked["name"]) == ("lm", "owner/model", "model-chat")


def test_without_torch_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "python_with", nothing_here)
    result = run(tmp_path, "gan")
    assert isinstance(result.exception, SettingsError)
    assert "make local" in str(result.exception)
    assert "--name" in str(run(tmp_path, "gan", "--name", "../up").exception)


def test_the_process_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_TOKEN", "1:secret")
    seen = training.child_environ(tmp_path, "")
    assert "1:secret" not in seen.values()
    assert os.environ["PATH"] == seen["PATH"]
