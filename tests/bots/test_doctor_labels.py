"""What ``parley doctor`` says about the certificate by which what is made is signed."""

from __future__ import annotations

from pathlib import Path

from bots.doctor import diagnose
from core.settings import Settings


async def found(data: Path, **labels: str) -> list[tuple[bool | None, str]]:
    values = {"data": data, "web": {"port": 0}, "local": {"model": "none"}, "engines": {"on": False}, "labels": labels}
    findings = await diagnose(Settings.model_validate(values))
    return [(finding.ok, finding.what) for finding in findings if finding.name == "labels"]


async def test_a_certificate_that_signs_nothing_is_found_out(tmp_path: Path) -> None:
    assert await found(tmp_path) == []
    assert await found(tmp_path, certificate="a.pem") == [(False, "signing wants a certificate and its key")]
    ((ok, what),) = await found(tmp_path, certificate=str(tmp_path / "a.pem"), key=str(tmp_path / "a.key"))
    assert (ok, "No such file" in what) == (False, True)
