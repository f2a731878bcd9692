"""Downloads from a hub: looked up, resumed, checked; nothing unchecked is ever used."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from core.models import download
from core.models.download import DownloadError, HubFile, client, fetch, look_up
from tests.platforms.model_hub import Hub, running

REPO, FILE = "someone/some-model", "model.gguf"


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Hub]:
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    async with running(Hub(REPO, FILE, os.urandom(3_000_000))) as hub:
        yield hub


async def bring(hub: Hub, target: Path) -> None:
    async with client() as http:
        await fetch(http, hub.url, await look_up(http, hub.url, REPO, FILE), target, lambda _: None)


async def test_a_file_comes_whole(hub: Hub, tmp_path: Path) -> None:
    await bring(hub, tmp_path / "models" / FILE)
    assert (tmp_path / "models" / FILE).read_bytes() == hub.content
    assert [path.name for path in (tmp_path / "models").iterdir()] == [FILE]


async def test_the_list_of_files_has_the_checksum_too(hub: Hub, tmp_path: Path) -> None:
    hub.has_headers = False
    await bring(hub, tmp_path / FILE)
    assert (tmp_path / FILE).read_bytes() == hub.content


async def test_no_checksum_no_download(hub: Hub, tmp_path: Path) -> None:
    hub.has_headers = hub.has_list = False
    with pytest.raises(DownloadError, match="no size and checksum"):
        await bring(hub, tmp_path / FILE)
    assert all(method == "HEAD" or "tree" in path for method, path, _ in hub.requests)


async def test_a_broken_download_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    hub.breaks_after = 2_000_000
    await bring(hub, tmp_path / FILE)
    assert (tmp_path / FILE).read_bytes() == hub.content
    ranges = [wanted for method, _, wanted in hub.requests if method == "GET"]
    assert ranges[0] == "bytes=0-"
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= 2_000_000


async def test_a_later_start_goes_on_too(hub: Hub, tmp_path: Path) -> None:
    part = tmp_path / f"{FILE}.{hub.sha256[:12]}.part"
    part.write_bytes(hub.content[:1_234_567])
    await bring(hub, tmp_path / FILE)
    assert (tmp_path / FILE).read_bytes() == hub.content
    assert hub.requests[-1][2] == "bytes=1234567-"


async def test_a_wrong_checksum_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.says_sha256 = "0" * 64
    with pytest.raises(DownloadError, match="wrong checksum"):
        await bring(hub, tmp_path / FILE)
    assert list(tmp_path.iterdir()) == []


async def test_more_than_announced_is_refused(hub: Hub, tmp_path: Path) -> None:
    async with client() as http:
        short = HubFile(f"{hub.url}/{REPO}/resolve/main/{FILE}", 1000, hub.sha256)
        with pytest.raises(DownloadError, match="more than it announced"):
            await fetch(http, hub.url, short, tmp_path / FILE, lambda _: None)
    assert not (tmp_path / FILE).exists()


async def test_a_redirect_to_the_hub_itself_is_followed(hub: Hub, tmp_path: Path) -> None:
    hub.redirect = "/elsewhere"
    await bring(hub, tmp_path / FILE)
    assert (tmp_path / FILE).read_bytes() == hub.content


@pytest.mark.parametrize("place", ["http://127.0.0.2:9/x", "ftp://127.0.0.1/x", "file:///etc/passwd"])
async def test_a_redirect_elsewhere_must_be_https(hub: Hub, tmp_path: Path, place: str) -> None:
    hub.redirect = place
    with pytest.raises(DownloadError, match="not https"):
        await bring(hub, tmp_path / FILE)


async def test_endless_redirects_end(hub: Hub, tmp_path: Path) -> None:
    hub.redirect = f"/{REPO}/resolve/main/{FILE}"
    with pytest.raises(DownloadError, match="redirected too often"):
        await bring(hub, tmp_path / FILE)


async def test_what_is_not_there(hub: Hub, tmp_path: Path) -> None:
    hub.status = 404
    with pytest.raises(DownloadError, match="is not there"):
        await bring(hub, tmp_path / FILE)


async def test_a_full_disk_is_seen_before(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FREE_BYTES", 1 << 60)
    with pytest.raises(DownloadError, match="the disk has"):
        await bring(hub, tmp_path / FILE)


async def test_too_large_a_file_is_not_begun(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(DownloadError, match="too large"):
        await bring(hub, tmp_path / FILE)
