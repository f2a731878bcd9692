"""Local model servers: started, watched and stopped as child processes, on 127.0.0.1 unless asked otherwise.

They speak the same wire as any other provider, so nothing else knows that they are ours, and no gateway
imports a model library.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import structlog

from core.errors import ParleyError, SettingsError
from core.models import local_orphans
from core.models.local_models import Choice, choices
from core.models.model import LocalModel
from core.models.servers.environments import CHECKOUT, child_environ
from core.models.settings import LocalSettings
from core.tasks import end, end_child

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"
START_SECONDS = 900.0
"""From the start to the first token; loading a large GGUF file with transformers takes minutes."""
HEALTH_SECONDS = 10.0
"""Between two health checks."""
HEALTH_TIMEOUT_SECONDS = 20.0
HEALTH_FAILURES = 3
"""Checks missed in a row that make a server sick: a machine under load may be slow without being sick."""
STOP_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 60.0
"""A server that lived this long starts again without delay."""
SMALL_PARAMETERS = 300_000_000
"""Below this, instructions beside the conversation make the answers worse."""
SMALL_WINDOW = 2048
BUSY = re.compile(r"^llamacpp:requests_(?:processing|deferred) (\d+)", re.MULTILINE)


class LocalServer:
    """One model server and its watch.

    ``on_change`` is called, in the event loop, with None when the server is lost and with the new address
    when it is back. ``progress`` gets a line for whatever takes longer than two seconds. ``listen`` is the
    host and port of the server, which asks every caller for its key.
    """

    def __init__(
        self,
        settings: LocalSettings,
        data: Path,
        progress: Callable[[str], None],
        on_change: Callable[[LocalModel | None], None] = lambda _: None,
        listen: tuple[str, int] = (LOOPBACK, 0),
    ) -> None:
        self._settings = settings
        self._data = data.absolute()
        self._progress = progress
        self._on_change = on_change
        self._host, self._port = listen
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._served: LocalModel | None = None

    @property
    def pid(self) -> int:
        """Process id of the server; 0 when none runs."""
        return self._process.pid if self._process is not None else 0

    async def start(self) -> LocalModel | None:
        """Serves the best model that can be had; None when ``local.model`` is ``none``.

        May take minutes (a download, a large model): run it beside everything else. Raises
        SettingsError or :class:`LocalServerError` when no model can be served.
        """
        if self._settings.model == "none":
            return None
        local_orphans.end(self._data)
        found = await choices(self._settings, self._data, self._progress)
        for number, choice in enumerate(found, 1):
            try:
                model = await self._launch(choice)
            except LocalServerError as error:
                if number == len(found):
                    raise
                log.warning("built-in model not served", model=choice.name, reason=str(error))
                continue
            self._watcher = asyncio.create_task(self._watch(choice, model), name="local-server")
            return model
        raise AssertionError("choices() gave none and did not raise")

    async def rest(self, seconds: float) -> None:
        """Returns when no answer is under way, at the latest after so many seconds."""
        served = self._served
        if served is None:
            return
        async with _http(served.api_key) as http:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    is_busy = True
                    while is_busy:
                        is_busy = await _is_busy(http, served.base_url.removesuffix("/v1"))
                        await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Ends the server. May be called twice; a :meth:`start` under way is to be cancelled first."""
        if self._watcher is not None:
            await end([self._watcher])
            self._watcher = None
        await self._end()

    async def _launch(self, choice: Choice) -> LocalModel:
        began = time.monotonic()
        with self._telling(f"Loading {choice.name}"):
            try:
                async with asyncio.timeout(START_SECONDS):
                    return await self._serve(choice)
            except TimeoutError:
                await self._end()
                raise LocalServerError(f"{choice.name} was not ready after {START_SECONDS:.0f} seconds.") from None
            except (OSError, ValueError, httpx2.HTTPError) as error:
                code = await self._end()
                took = time.monotonic() - began
                log.warning("local_server_failed", model=choice.name, code=code, seconds=round(took, 1))
                raise LocalServerError(f"{choice.name} cannot be served: {self._complaint() or error}") from None
            except BaseException:
                await self._end()
                raise

    async def _serve(self, choice: Choice) -> LocalModel:
        key = secrets.token_urlsafe(24)
        order = {
            "model": choice.model,
            "name": choice.name,
            "window": self._settings.window,
            "slots": self._settings.slots,
            "api_key": key,
            "host": self._host,
            "port": self._port,
        }
        self._process = process = await self._spawn(choice.engine)
        local_orphans.note(self._data, process.pid)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        await process.stdin.drain()
        answer: dict[str, Any] = json.loads(await process.stdout.readline())
        address = str(answer["address"])
        async with _http(key) as http:
            await self._until_healthy(http, address)
            facts = await _facts(http, address)
            identity = choice.model if choice.engine == "transformers" else choice.name
            await _first_token(http, address, identity)
        # A server knows best what it gives a conversation; transformers tells what the model was made for.
        window = min(self._settings.window, facts.get("n_ctx") or answer.get("window") or self._settings.window)
        small = facts.get("n_params", SMALL_PARAMETERS) < SMALL_PARAMETERS or window < SMALL_WINDOW
        self._served = LocalModel(
            base_url=f"{address}/v1",
            api_key=key,
            name=choice.name,
            id=identity,
            window=window,
            small=small,
            slots=self._settings.slots,
            source=choice.source,
        )
        return self._served

    async def _spawn(self, engine: str) -> asyncio.subprocess.Process:
        run = self._data / "run"
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        interpreter = interpreter_for(engine)
        with (run / "local-server.log").open("wb") as output:
            # Its own session: Ctrl-C must not end it before the answers in flight are done.
            return await asyncio.create_subprocess_exec(
                interpreter,
                "-m",
                f"core.models.local_{engine}",
                str(self._data),
                cwd=run,
                env=child_environ(self._data, self._settings.hub_url),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )

    async def _until_healthy(self, http: httpx2.AsyncClient, address: str) -> None:
        while not await _is_healthy(http, address):
            if self._process is None or self._process.returncode is not None:
                raise ValueError("it ended while it loaded")
            await asyncio.sleep(0.05)

    async def _watch(self, choice: Choice, model: LocalModel) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            reason = await self._until_lost(model)
            self._on_change(None)
            code = await self._end()
            log.error("local_server_lost", model=model.name, reason=reason, code=code)
            if time.monotonic() - began >= STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            while True:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_PAUSE_SECONDS)
                try:
                    model = await self._launch(choice)
                    break
                except ParleyError as error:
                    log.error("local_server_not_restarted", model=choice.name, reason=str(error))
            log.info("local_server_restarted", model=model.name)
            self._on_change(model)

    async def _until_lost(self, model: LocalModel) -> str:
        """Returns why, once the server has ended or does not answer any more."""
        process = self._process
        assert process is not None
        missed = 0
        async with _http(model.api_key) as http:
            while missed < HEALTH_FAILURES:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), HEALTH_SECONDS)
                    return "it ended"
                missed = 0 if await _is_healthy(http, model.base_url.removesuffix("/v1")) else missed + 1
        return "it does not answer"

    async def _end(self) -> int | None:
        """Ends the process, if there is one; its exit code."""
        self._served = None
        process, self._process = self._process, None
        if process is None:
            return None
        await end_child(process, STOP_SECONDS)
        local_orphans.forget(self._data)
        return process.returncode

    def _complaint(self) -> str:
        """The last line that the server wrote, which is where libraries say what was wrong."""
        with contextlib.suppress(OSError):
            text = (self._data / "run" / "local-server.log").read_text("utf-8", "replace")
            last = text[-4000:].strip().rpartition("\n")[2][:300]
            is_library = "cannot open shared object file" in last
            return last + (" (on Debian and Ubuntu: apt-get install libgomp1 libstdc++6)" if is_library else "")
        return ""

    @contextlib.contextmanager
    def _telling(self, what: str) -> Generator[None]:
        """Tells the progress every two seconds while the body runs."""
        began = time.monotonic()
        loop = asyncio.get_running_loop()

        def tell() -> None:
            nonlocal timer
            self._progress(f"{what} ({time.monotonic() - began:.0f} s)")
            timer = loop.call_later(2, tell)

        timer = loop.call_later(2, tell)
        try:
            yield
        finally:
            timer.cancel()


class LocalServerError(ParleyError):
    """A model could not be served. The text says which and why."""


def interpreter_for(engine: str) -> str:
    """The Python that has the engine's libraries: torch may live in an environment of its own, .venv-local."""
    if engine == "transformers":
        beside = CHECKOUT / ".venv-local" / "bin" / "python"
        if beside.is_file():
            return str(beside)
        if not (find_spec("transformers") and find_spec("torch")):
            raise SettingsError(
                "local.model needs the engine transformers, which is not installed. Run `make local` once,"
                " or choose a GGUF file."
            )
    elif not find_spec("xllamacpp"):
        raise SettingsError(
            "local.model needs the engine xllamacpp, which is not installed here. Run `make up` again,"
            " or set PARLEY_LOCAL_MODEL=none."
        )
    return sys.executable


@asynccontextmanager
async def _http(key: str) -> AsyncGenerator[httpx2.AsyncClient]:
    # A proxy from the environment is for the world outside, never for a server on loopback.
    async with httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {key}"}, timeout=HEALTH_TIMEOUT_SECONDS, trust_env=False
    ) as client:
        yield client


async def _is_healthy(http: httpx2.AsyncClient, address: str) -> bool:
    try:
        return (await http.get(f"{address}/health")).status_code == 200
    except httpx2.HTTPError:
        return False


async def _is_busy(http: httpx2.AsyncClient, address: str) -> bool:
    """Whether answers are under way or waiting, as llama.cpp's server tells it."""
    try:
        text = (await http.get(f"{address}/metrics")).text
    except httpx2.HTTPError:
        return False
    return any(int(number) for number in BUSY.findall(text))


async def _facts(http: httpx2.AsyncClient, address: str) -> dict[str, Any]:
    """What llama.cpp's list of models says about the one it serves; other servers say nothing."""
    listed: dict[str, Any] = (await http.get(f"{address}/v1/models")).json()
    rows: list[dict[str, Any]] = listed.get("data") or [{}]
    return rows[0].get("meta") or {}


async def _first_token(http: httpx2.AsyncClient, address: str, model: str) -> None:
    """Lets the model say one token: only then is it known to work, and the first person need not wait for
    what is set up at the first request."""
    body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
    answer = await http.post(f"{address}/v1/chat/completions", json=body, timeout=START_SECONDS)
    answer.raise_for_status()
