"""A real MCP server, as a process of its own: its tools are used, it is told no secrets, and it may die."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvicorn
from pydantic import SecretStr, ValidationError

from core.errors import SettingsError
from core.settings import Settings
from core.tools import mcp_child, mcp_servers
from core.tools.mcp_servers import McpServers
from core.tools.settings import McpSettings
from core.tools.tool import Caller, Output, Tool, ToolError
from tests.core.tools.loops import asks, everything, loops, outputs, text, turn

pytest.importorskip("mcp")
from tests.core.tools.mcp_server import server

SERVER = str(Path(__file__).with_name("mcp_server.py"))
CALLER = Caller(turn(), everything)


@pytest.fixture
async def shop(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[McpServers]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    monkeypatch.setattr(mcp_servers, "AGAIN_SECONDS", (0.05, 0.1))
    row = McpSettings(name="shop", command=sys.executable, args=(SERVER,), env={"SHOP": SecretStr("here")}, timeout=10)
    # One that is not there takes nothing from the others.
    servers = McpServers([McpSettings(name="gone", command="/nonexistent/program"), row])
    yield servers
    await servers.aclose()


async def given(tool: Tool, **arguments: str) -> str:
    parts = [part async for part in tool.run(arguments, CALLER)]
    return "\n".join(part.text for part in parts if isinstance(part, Output))


async def test_its_tools_are_used_and_it_is_told_no_secrets(shop: McpServers) -> None:
    async with loops([], more=shop) as here:
        here.server.reply = lambda body: outputs(body)[0] if outputs(body) else asks("shop_price", item="tea")
        assert text(await here.ask()) == "tea: 5 euros"
        forms = {tool["function"]["name"]: tool["function"] for tool in here.server.requests[0].body["tools"]}
        assert forms["shop_price"]["description"] == "Tells what something costs."
        assert forms["shop_price"]["parameters"]["required"] == ["item"]
        here.turn.space = here.turn.space.model_copy(update={"tools": ("calculator",)})
        assert await here.toolbox.offered(here.turn, here.catalog.default, everything) == ()
    price, environment, _ = await shop.tools()
    with pytest.raises(ToolError, match="price"):
        await given(price, item="nothing")
    names = (await given(environment)).split()
    assert "SHOP" in names
    assert not {"OPENAI_API_KEY", "DISCORD_TOKEN"} & set(names)


async def test_a_server_that_dies_is_started_again(shop: McpServers) -> None:
    *_, die = await shop.tools()
    with pytest.raises(ToolError):
        await given(die)
    async with asyncio.timeout(10):
        while not (tools := await shop.tools()) or tools[-1] is die:
            await asyncio.sleep(0.02)
    assert await given(tools[0], item="tea") == "tea: 5 euros"


async def test_a_server_that_takes_its_time_to_end_is_not_left_behind() -> None:
    row = McpSettings(name="shop", command=sys.executable, args=(SERVER,), env={"LINGERS": SecretStr("0.8")})
    servers = McpServers([row])
    before = set(psutil.Process().children(recursive=True))
    assert len(await servers.tools()) == 3
    started = set(psutil.Process().children(recursive=True)) - before
    await servers.aclose()
    assert len(started) == 2
    assert not any(process.is_running() for process in started)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to end it")
def test_a_server_does_not_outlive_a_killed_parley() -> None:
    started = f"[sys.executable, '-I', '-S', {mcp_child.__file__!r}, 'sleep', '60']"
    parley = f"import subprocess, sys; child = subprocess.Popen({started}); print(child.pid, flush=True); child.wait()"
    with subprocess.Popen([sys.executable, "-c", parley], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        between = psutil.Process(int(parent.stdout.readline()))
        until = time.monotonic() + 10
        while not (found := [child for child in between.children() if child.name() == "sleep"]):
            assert time.monotonic() < until
            time.sleep(0.01)
        parent.kill()
        _, alive = psutil.wait_procs([between, *found], 10)
        assert alive == []


def test_a_server_that_says_too_much_at_once_is_ended() -> None:
    says = f"import sys, time; print('fine'); print('x' * {2 * mcp_child.LONGEST_LINE}); time.sleep(60)"
    command = [sys.executable, "-I", "-S", mcp_child.__file__, sys.executable, "-c", says]
    out = subprocess.run(command, check=False, stdout=subprocess.PIPE, timeout=30).stdout
    assert out.startswith(b"fine\n")
    assert len(out) <= mcp_child.LONGEST_LINE + 10


def test_settings_that_cannot_be_meant() -> None:
    for wrong in ({"name": "x"}, {"name": "x", "command": "a", "url": "http://b"}, {"name": "X y", "command": "a"}):
        with pytest.raises(ValidationError):
            McpSettings.model_validate(wrong)
    assert Settings(mcp=(McpSettings(name="shop", command="x"),)).tool_names[-1] == "shop"


def test_without_the_sdk_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr(mcp_servers, "find_spec", nothing)
    with pytest.raises(SettingsError, match="tools"):
        McpServers([McpSettings(name="shop", command="x")])


async def test_a_server_that_speaks_http_is_shown_its_token() -> None:
    seen: list[str] = []
    inner = server.streamable_http_app()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(value.decode() for name, value in scope.get("headers", ()) if name == b"authorization")
        await inner(scope, receive, send)

    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="on"))
    serving = asyncio.create_task(running.serve())
    async with asyncio.timeout(10):
        while not running.started:
            await asyncio.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    row = McpSettings(name="shop", url=f"http://127.0.0.1:{port}/mcp", token=SecretStr("t0ken"), tools=("price",))
    servers = McpServers([row])
    try:
        (price,) = await servers.tools()
        assert await given(price, item="tea") == "tea: 5 euros"
    finally:
        await servers.aclose()
        running.should_exit = True
        await serving
    assert set(seen) == {"Bearer t0ken"}
