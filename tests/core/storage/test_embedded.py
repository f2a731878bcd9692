"""The embedded server with the real binary: start, stop, take over, refuse, mend."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.errors import SettingsError, StorageError
from core.storage import embedded
from core.storage.embedded import EmbeddedServer

APP = """
import asyncio, sys
from pathlib import Path
from core.storage.embedded import EmbeddedServer
async def main():
    server = EmbeddedServer(Path(sys.argv[1]))
    await server.start()
    print(server.pid, server.url, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Redis]:
    client = Redis.from_url(url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]
    try:
        yield client
    finally:
        await client.aclose()


async def put(url: str, name: str, value: str) -> None:
    async with connected(url) as client:
        await client.set(name, value)


async def read(url: str, name: str) -> str | None:
    async with connected(url) as client:
        found = await client.get(name)
        return None if found is None else str(found)


async def configured(client: Redis, name: str) -> str:
    found: dict[str | None, str | None] = await client.config_get(name)  # pyright: ignore[reportUnknownMemberType]
    return found[name] or ""


async def dead(pid: int) -> None:
    """Returns when the process is gone, or waits to be reaped by whoever adopted it."""
    stat_file = Path(f"/proc/{pid}/stat")
    async with asyncio.timeout(10):
        while stat_file.exists() and stat_file.read_text().rpartition(")")[2].split()[0] != "Z":
            await asyncio.sleep(0.01)


@asynccontextmanager
async def killed_app(data: Path) -> AsyncGenerator[tuple[int, str]]:
    """Another Parley, for its embedded server: (server's pid, url). It is killed at the end."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", APP, str(data), stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid, _, url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip().partition(" ")
    try:
        yield int(pid), url
    finally:
        process.kill()
        await process.wait()


async def test_data_are_back_after_a_stop(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as url:
        await put(url, "a", "1")
    async with EmbeddedServer(tmp_path) as url:
        assert await read(url, "a") == "1"


async def test_the_socket_is_private_and_nothing_listens_on_tcp(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as url, connected(url) as client:
        path = Path(url.removeprefix("unix://"))
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert len(bytes(path)) <= embedded.MAX_SOCKET_PATH
        assert await configured(client, "port") == "0"
        assert await configured(client, "appendonly") == "yes"
        assert await configured(client, "appendfsync") == "everysec"
        assert await configured(client, "maxmemory-policy") == "noeviction"
        assert int(await configured(client, "maxmemory")) > 0
    assert not path.parent.exists()


async def test_fsync_can_be_set(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, fsync="always") as url, connected(url) as client:
        assert await configured(client, "appendfsync") == "always"


async def test_long_and_odd_folder_names(tmp_path: Path) -> None:
    data = tmp_path / ("long " * 30) / 'it\'s "odd" ü'
    async with EmbeddedServer(data) as url:
        await put(url, "a", "1")
    assert any((data / "valkey" / "appendonlydir").iterdir())


async def test_a_long_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    async with EmbeddedServer(tmp_path / "data") as url:
        assert len(url) < 107
        await put(url, "a", "1")


async def test_an_orphan_is_taken_over(tmp_path: Path) -> None:
    async with killed_app(tmp_path) as (pid, url):
        await put(url, "a", "1")
    server = EmbeddedServer(tmp_path, fsync="always")
    async with server as again:
        assert server.pid == pid
        async with connected(again) as client:
            assert await client.get("a") == "1"
            assert await configured(client, "appendfsync") == "always"
    await dead(pid)


async def test_an_orphan_on_a_machine_that_stands_still_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedServer(tmp_path)
    async with server as url:
        monkeypatch.setattr(embedded, "ANSWER_SECONDS", 0.1)
        os.kill(server.pid, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(0.4, os.kill, server.pid, signal.SIGCONT)
        path = Path(url.removeprefix("unix://"))
        assert await asyncio.to_thread(embedded.adopt, path, tmp_path / "valkey", "everysec") == server.pid


async def test_a_second_parley_on_the_folder_is_refused(tmp_path: Path) -> None:
    async with killed_app(tmp_path) as (pid, url):
        with pytest.raises(SettingsError, match=r"PARLEY_DATA is in use: another Parley \(process \d+\)"):
            EmbeddedServer(tmp_path).spawn()
        await put(url, "still", "there")
    async with EmbeddedServer(tmp_path) as url:
        assert await read(url, "still") == "there"
    await dead(pid)


async def test_the_lock_is_free_again_after_a_stop(tmp_path: Path) -> None:
    first, second = EmbeddedServer(tmp_path), EmbeddedServer(tmp_path)
    await first.start()
    await first.stop()
    await first.stop()
    await second.start()
    await second.stop()


async def test_a_server_that_is_killed_comes_back_with_its_data(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    async with server as url:
        await put(url, "a", "1")
        killed = server.pid
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(20):
            while server.pid == killed or not Path(f"/proc/{server.pid}").exists():
                await asyncio.sleep(0.02)
            while True:
                try:
                    assert await read(url, "a") == "1"
                    break
                except (RedisError, OSError):
                    await asyncio.sleep(0.02)


@pytest.mark.parametrize("rubbish", [b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$5\r\nab", b"\0" * 4096], ids=["cut", "zeros"])
async def test_a_damaged_end_of_the_file_is_mended(tmp_path: Path, rubbish: bytes) -> None:
    async with EmbeddedServer(tmp_path) as url:
        await put(url, "a", "1")
    file = next((tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof"))
    with file.open("ab") as end:
        end.write(rubbish)
    async with EmbeddedServer(tmp_path) as url:
        assert await read(url, "a") == "1"
        assert await read(url, "b") is None


async def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as url:
        await put(url, "a", "1" * 3_000_000)
        await put(url, "b", "2")
    file = next((tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof"))
    content = bytearray(file.read_bytes())
    content[60:70] = b"rubbish..."
    content[20:30] = b"rubbish..."
    file.write_bytes(bytes(content))
    with pytest.raises(StorageError, match="damaged"):
        await EmbeddedServer(tmp_path).start()
    assert file.read_bytes() == bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        await EmbeddedServer(tmp_path).start()


async def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(SettingsError, match=r"PARLEY_DATA is wrong: .* cannot be written to"):
        EmbeddedServer(tmp_path / "data").spawn()


async def test_without_a_binary_redis_url_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(SettingsError, match="REDIS_URL is not set"):
        EmbeddedServer(tmp_path).spawn()


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(SettingsError, match=r"the disk with .* is full"):
        EmbeddedServer(tmp_path).spawn()
    monkeypatch.undo()
    async with EmbeddedServer(tmp_path):
        pass


async def test_a_socket_of_another_folder_is_not_taken_over(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    async with server:
        path = Path(server.url.removeprefix("unix://"))
        answering = await asyncio.start_unix_server(_another_folder, path.with_name("other.sock"))
        async with answering:
            with pytest.raises(SettingsError, match="another folder"):
                await asyncio.to_thread(embedded.adopt, path.with_name("other.sock"), tmp_path, "everysec")
        path.with_name("other.sock").unlink(missing_ok=True)


async def _another_folder(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Closing before all was read would break the connection under the one who still writes.
    await reader.readuntil(b"QUIT\r\n")
    writer.write(b"*2\r\n$3\r\ndir\r\n$5\r\n/else\r\n$12\r\nprocess_id:1\r\n")
    writer.close()


async def test_an_open_run_folder_is_refused(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    async with server:
        run = Path(server.url.removeprefix("unix://")).parent
    run.mkdir(mode=0o755)
    run.chmod(0o755)
    try:
        with pytest.raises(SettingsError, match="open to others"):
            EmbeddedServer(tmp_path).spawn()
    finally:
        run.rmdir()


async def test_a_dead_servers_socket_does_not_hinder(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    async with server:
        path = server.url.removeprefix("unix://")
    Path(path).parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    async with EmbeddedServer(tmp_path) as url:
        await put(url, "a", "1")
