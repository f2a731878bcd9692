"""Tools of servers that speak the Model Context Protocol.

Each server is connected by a task of its own, at the first question that may use it, and again when it is lost. The
SDK (the extra [tools]) is loaded only where a server is configured: it takes a second and 57 MB.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import structlog

from core.errors import SettingsError
from core.models.chat import ToolForm
from core.parts import Part
from core.tasks import end
from core.tools import mcp_child
from core.tools.settings import McpSettings
from core.tools.tool import Arguments, Caller, Output, Tool, ToolError

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult
    from mcp_types import Tool as Row

log = structlog.get_logger()

PATIENCE_SECONDS = 5.0
"""How long the first question waits for a server."""
CONNECT_SECONDS = 30.0
AGAIN_SECONDS = (1.0, 60.0)
"""Pause before a lost server is connected again: at first, and at most."""
PROBE_SECONDS = 5.0
FAREWELL_SECONDS = 8.0
"""How long a connection may take to end: the SDK waits two seconds for a server's process, two more after SIGTERM, and
kills it."""
MOST_TOOLS = 64
"""Of one server; a model chooses badly among more."""
LONGEST_DESCRIPTION = 1000
LONGEST_SCHEMA = 8000
"""Characters."""


class McpServers:
    """All servers of the settings."""

    def __init__(self, settings: Sequence[McpSettings]) -> None:
        """Raises SettingsError where the SDK is not installed."""
        if settings and find_spec("mcp") is None:
            raise SettingsError("[[mcp]] needs the extra [tools]: pip install 'parley-bot[tools]'.")
        self._servers = [_Server(row) for row in settings]

    async def tools(self) -> Sequence[Tool]:
        """Those of the servers that are there. The first time it waits a little for them."""
        await asyncio.gather(*(server.started() for server in self._servers))
        return [tool for server in self._servers for tool in server.tools]

    async def aclose(self) -> None:
        """Ends all connections and the processes that were started for them."""
        await asyncio.gather(*(server.aclose() for server in self._servers))


class _Server:
    def __init__(self, settings: McpSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        """It is there, or could not be reached."""
        self._lost = asyncio.Event()
        self._is_closing = False
        self.tools: tuple[Tool, ...] = ()

    async def started(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"mcp {self._settings.name}")
        if not self._settled.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), PATIENCE_SECONDS)
            self._settled.set()

    async def aclose(self) -> None:
        if self._task is None:
            return
        self._is_closing = True
        if self._client is not None:
            # A cancellation in the middle of the SDK's farewell would leave the server's process behind.
            self._lost.set()
            await asyncio.wait((self._task,), timeout=FAREWELL_SECONDS)
        await end((self._task,))

    async def _run(self) -> None:
        pause = AGAIN_SECONDS[0]
        while not self._is_closing:
            try:
                async with AsyncExitStack() as stack:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        client = await self._connected(stack)
                        self.tools = tuple(await self._listed(client))
                    self._client = client
                    self._lost.clear()
                    pause = AGAIN_SECONDS[0]
                    log.info("mcp server connected", server=self._settings.name, tools=len(self.tools))
                    self._settled.set()
                    await self._lost.wait()
            except Exception as error:
                # Whatever a server or the SDK does, answers go on without it.
                log.warning("mcp server not there", server=self._settings.name, cause=_cause(error))
            self._client, self.tools = None, ()
            self._settled.set()
            if self._is_closing:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, AGAIN_SECONDS[1])

    async def _connected(self, stack: AsyncExitStack) -> Client:
        from mcp import Client, StdioServerParameters
        from mcp.client.stdio import stdio_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        row = self._settings
        if row.command:
            # The SDK hands on no more of our environment than PATH, HOME and the like.
            env = {name: value.get_secret_value() for name, value in row.env.items()}
            if shutil.which(row.command, path=env.get("PATH")) is None:
                raise FileNotFoundError(f"there is no program {row.command}")
            quiet = stack.enter_context(await asyncio.to_thread(Path(os.devnull).open, "w"))
            started = StdioServerParameters(
                command=sys.executable, args=["-I", "-S", mcp_child.__file__, row.command, *row.args], env=env
            )
            transport = stdio_client(started, errlog=quiet)
        else:
            key = row.token.get_secret_value()
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            web = await stack.enter_async_context(create_mcp_http_client(headers))
            transport = streamable_http_client(row.url, http_client=web)
        return await stack.enter_async_context(Client(transport, read_timeout_seconds=row.timeout))

    async def _listed(self, client: Client) -> Sequence[Tool]:
        rows, cursor = list["Row"](), None
        while len(rows) < MOST_TOOLS:
            page = await client.list_tools(cursor=cursor)
            rows += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        wanted = self._settings.tools
        found: dict[str, Tool] = {}
        for row in rows[:MOST_TOOLS]:
            if wanted and row.name not in wanted:
                continue
            tool = self._tool(row)
            if tool.form.name in found or len(json.dumps(row.input_schema)) > LONGEST_SCHEMA:
                log.warning("a tool is left out", server=self._settings.name, tool=row.name[:60])
                continue
            found[tool.form.name] = tool
        return list(found.values())

    def _tool(self, row: Row) -> Tool:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{self._settings.name}_{row.name}")[:64]
        form = ToolForm(name, (row.description or row.title or row.name)[:LONGEST_DESCRIPTION], row.input_schema)
        run = partial(self._call, row.name)
        return Tool(form, run, allowed_as=self._settings.name, seconds=self._settings.timeout + PROBE_SECONDS + 1)

    async def _call(self, name: str, arguments: Arguments, caller: Caller) -> AsyncGenerator[Part | Output]:
        client = self._client
        if client is None:
            raise ToolError("The tool's server is not there just now.")
        try:
            result = await client.call_tool(name, dict(arguments))
        except Exception as error:
            log.warning("mcp call failed", server=self._settings.name, tool=name, cause=_cause(error))
            await self._probe(client)
            raise ToolError(f"The tool failed: {type(error).__name__}.") from None
        if result.is_error:
            raise ToolError(_text(result) or "The tool failed.")
        yield Output(_text(result))

    async def _probe(self, client: Client) -> None:
        """Has a server that does not answer any more connected again."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await client.list_tools(cache_mode="bypass")
        except Exception:
            self._lost.set()


def _text(result: CallToolResult) -> str:
    texts = [block.text for block in result.content if block.type == "text"]
    if texts:
        return "\n".join(texts)
    structured: Any = result.structured_content
    return "" if structured is None else json.dumps(structured, ensure_ascii=False)


def _cause(error: BaseException) -> str:
    """What a log line may say of it: of a group of errors the first."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]
