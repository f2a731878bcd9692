"""The built-in model for real: SmolLM2 on llama.cpp's server, started, killed, orphaned and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from openai import AsyncOpenAI, AuthenticationError

from core.errors import SettingsError
from core.models import local_orphans, local_server
from core.models.local_models import SMOLLM2
from core.models.local_server import LocalModel, LocalServer, LocalServerError
from core.models.settings import LocalSettings

PARENT = """
import asyncio, sys
from pathlib import Path
from core.models.local_server import LocalServer
from core.settings import LocalSettings
async def main():
    server = LocalServer(LocalSettings(model="smollm2-135m"), Path(sys.argv[1]), lambda _: None)
    if sys.argv[2] == "loaded":
        await server.start()
    else:
        asyncio.create_task(server.start())
        while not server.pid:
            await asyncio.sleep(0.01)
    print(server.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def silence(_: str) -> None:
    pass


async def gone(pid: int) -> None:
    """Returns when the process is gone, or only waits to be reaped by whoever adopted it."""
    stat = Path(f"/proc/{pid}/stat")
    async with asyncio.timeout(30):
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            await asyncio.sleep(0.02)


async def streamed(model: LocalModel, question: str) -> list[str]:
    async with AsyncOpenAI(base_url=model.base_url, api_key=model.api_key, max_retries=0) as client:
        stream = await client.chat.completions.create(
            model=model.id, max_tokens=16, messages=[{"role": "user", "content": question}], stream=True
        )
        return [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]


async def test_an_answer_streams_and_a_killed_server_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "FIRST_PAUSE_SECONDS", 0.05)
    changes: asyncio.Queue[LocalModel | None] = asyncio.Queue()
    server = LocalServer(LocalSettings(model=SMOLLM2, window=1024), tmp_path, silence, changes.put_nowait)
    model = await server.start()
    try:
        assert model is not None
        assert (model.name, model.window, model.small, model.slots) == (SMOLLM2, 1024, True, 4)
        pieces = await streamed(model, "My name is Ada. Say hello to me.")
        assert len([piece for piece in pieces if piece]) > 3

        os.kill(server.pid, signal.SIGKILL)
        assert await asyncio.wait_for(changes.get(), 30) is None
        again = await asyncio.wait_for(changes.get(), 60)
        assert again is not None
        assert again.api_key != model.api_key
        assert any(await streamed(again, "Hello!"))
        pid = server.pid
    finally:
        await server.stop()
    await gone(pid)
    assert changes.empty()
    assert list((tmp_path / "run").glob("*.pid")) == []


async def test_a_server_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("HEALTH", 0.05), ("HEALTH_TIMEOUT", 0.5), ("STOP", 0.1), ("FIRST_PAUSE", 0.05)):
        monkeypatch.setattr(local_server, f"{name}_SECONDS", seconds)
    changes: asyncio.Queue[LocalModel | None] = asyncio.Queue()
    server = LocalServer(LocalSettings(model=SMOLLM2, window=512), tmp_path, silence, changes.put_nowait)
    await server.start()
    try:
        os.kill(server.pid, signal.SIGSTOP)
        assert await asyncio.wait_for(changes.get(), 30) is None
        again = await asyncio.wait_for(changes.get(), 60)
        assert again is not None
        assert any(await streamed(again, "Hello!"))
    finally:
        await server.stop()


async def test_the_server_is_closed_to_others_and_its_key_is_hidden(tmp_path: Path) -> None:
    os.environ["DISCORD_TOKEN"] = "must-not-be-inherited"
    server = LocalServer(LocalSettings(model=SMOLLM2), tmp_path, silence)
    try:
        model = await server.start()
        assert model is not None
        assert model.base_url.startswith("http://127.0.0.1:")
        stranger = LocalModel(model.base_url, "wrong", "", "", 0, False, 0, "")
        with pytest.raises(AuthenticationError):
            await streamed(stranger, "Hello?")
        assert model.api_key not in Path(f"/proc/{server.pid}/cmdline").read_text()
        environ = Path(f"/proc/{server.pid}/environ").read_text()
        assert model.api_key not in environ
        assert "must-not-be-inherited" not in environ
        assert model.api_key not in (tmp_path / "run" / "local-server.log").read_text()
    finally:
        del os.environ["DISCORD_TOKEN"]
        await server.stop()


async def test_more_conversations_than_slots_are_all_answered(tmp_path: Path) -> None:
    server = LocalServer(LocalSettings(model=SMOLLM2, window=512, slots=2), tmp_path, silence)
    try:
        model = await server.start()
        assert model is not None
        answers = [asyncio.create_task(streamed(model, f"Count from {number}.")) for number in range(8)]
        async with httpx2.AsyncClient() as client:
            health = await client.get(model.base_url.removesuffix("/v1") + "/health", timeout=20)
        assert health.status_code == 200
        assert all(any(pieces) for pieces in await asyncio.gather(*answers))
    finally:
        await server.stop()


@pytest.mark.parametrize("moment", ["loaded", "loading"])
async def test_a_server_ends_with_its_killed_parent(tmp_path: Path, moment: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), moment, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 60))
    parent.kill()
    await parent.wait()
    await gone(pid)


async def test_an_orphan_is_ended_and_a_stranger_is_not(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    orphan = await asyncio.create_subprocess_exec(*sleep, "core.models.local_xllamacpp", str(tmp_path))
    stranger = await asyncio.create_subprocess_exec(*sleep)
    try:
        (tmp_path / "run" / "local-server-of-999999991.pid").write_text(str(orphan.pid))
        (tmp_path / "run" / "local-server-of-999999992.pid").write_text(str(stranger.pid))
        (tmp_path / "run" / f"local-server-of-{os.getppid()}.pid").write_text("999999993")
        local_orphans.end(tmp_path)
        assert await asyncio.wait_for(orphan.wait(), 10) == -signal.SIGKILL
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_model_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 100)
    server = LocalServer(LocalSettings(model=str(broken)), tmp_path, silence)
    with pytest.raises(LocalServerError, match="broken cannot be served"):
        await server.start()
    assert server.pid == 0


async def test_a_broken_download_does_not_hinder_the_packaged_model(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "broken.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    server = LocalServer(LocalSettings(window=512), tmp_path, silence)
    try:
        model = await server.start()
        assert model is not None
        assert model.name == SMOLLM2
    finally:
        await server.stop()


async def test_a_start_can_be_cancelled(tmp_path: Path) -> None:
    server = LocalServer(LocalSettings(model=SMOLLM2), tmp_path, silence)
    task = asyncio.create_task(server.start())
    async with asyncio.timeout(30):
        while not server.pid:
            await asyncio.sleep(0.01)
    pid = server.pid
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.stop()
    await gone(pid)


async def test_none_starts_nothing(tmp_path: Path) -> None:
    server = LocalServer(LocalSettings(model="none"), tmp_path, silence)
    assert await server.start() is None
    await server.stop()


async def test_a_missing_engine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_server, "CHECKOUT", tmp_path)
    monkeypatch.setattr(local_server, "find_spec", _finds_nothing)
    for engine, advice in (("transformers", "make local"), ("xllamacpp", "make up")):
        with pytest.raises(SettingsError, match=advice):
            local_server.interpreter_for(engine)


def _finds_nothing(_: str) -> None:
    return None
