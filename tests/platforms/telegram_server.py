"""A Telegram Bot API server on loopback: the real rules and refusals, people to play, faults on demand.

In tests::

    async with TelegramServer() as server:
        server.world.text(1001, "hello")          # a person writes
        server.fail("sendMessage", Fault.RESET_AFTER)
        server.world.texts(1001)                  # what the bot shows there

For benchmarks ``python -m tests.platforms.telegram_server --port 8082``; then, as JSON over HTTP,
``POST /control/text {"chat": 1001, "text": "hi"}`` (any method of ``World`` that plays a person),
``POST /control/config {"flood": true, "latency": 0.03}``, ``GET /control/state``, ``POST /control/reset``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any

from aiohttp import web

from tests.platforms import telegram_limits
from tests.platforms.telegram_methods import Methods, flooded
from tests.platforms.telegram_schema import NAMES, Upload, checked, is_text
from tests.platforms.telegram_text import Json, Refusal, wrong
from tests.platforms.telegram_updates import Updates
from tests.platforms.telegram_world import World

TOKEN = "4242:AAtest-token"
USERNAME = "parley_bot"
PLAYS = ("text", "edit", "photo", "voice", "sticker", "press", "topic")
MAX_BODY = 60_000_000


class Fault(StrEnum):
    """What can go wrong with a call."""

    FLOOD = "429"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    HTML = "html"
    """A page of some proxy, with status 200."""
    RESET_BEFORE = "reset_before"
    """The connection is cut, nothing was done."""
    RESET_AFTER = "reset_after"
    """The connection is cut after it was done."""
    STALL = "stall"
    """No answer, and nothing is done."""
    REFUSE = "refuse"
    """400 with the description given."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it came in, and the status it was answered with."""

    time: float
    method: str
    fields: Json
    status: int


@dataclass(slots=True)
class _Queued:
    method: str
    fault: Fault
    times: int
    retry_after: int
    description: str


class TelegramServer:
    """One bot's Bot API server."""

    def __init__(self, token: str = TOKEN, username: str = USERNAME) -> None:
        self.token = token
        self.me: Json = {
            "id": int(token.partition(":")[0]),
            "is_bot": True,
            "first_name": "Parley",
            "username": username,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }
        self.latency = 0.0
        self.absent: set[str] = set()
        """Methods that this server is too old for."""
        self.url = ""
        self._runner: web.ServerRunner | None = None
        self.updates = Updates()
        self.reset()

    def reset(self) -> None:
        """Forgets everything that happened."""
        self.world = World(self.me)
        self.methods = Methods(self.world)
        self.calls: list[Call] = []
        self.updates.reset(self.world)
        self.violations: list[str] = []
        """Calls that are wrong whatever the chat is like. With any that nobody pardons, leaving the server raises."""
        self._faults: list[_Queued] = []

    def fail(self, method: str, fault: Fault, *, times: int = 1, retry_after: int = 1, description: str = "") -> None:
        """The next ``times`` calls of ``method`` (``*`` for any but getUpdates) go wrong."""
        self._faults.append(_Queued(method, fault, times, retry_after, description))

    def forgive(self) -> None:
        """Takes back every fault that has not happened yet."""
        self._faults.clear()

    def pardon(self) -> list[str]:
        """The violations so far, taken back: for tests that mean them."""
        pardoned, self.violations = self.violations, []
        return pardoned

    def named(self, method: str) -> list[Call]:
        """The calls of one method."""
        return [call for call in self.calls if call.method == method]

    async def start(self, port: int = 0) -> None:
        server = web.Server(self._handle, access_log=None, handler_cancellation=True, request_factory=_request)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self.updates.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> TelegramServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if kind is None and self.violations:
            raise AssertionError("Telegram was called wrongly: " + "; ".join(self.violations[:5]))

    # ---- HTTP

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        head, _, rest = request.path.lstrip("/").partition("/")
        if head == "control":
            return await self._control(request, rest)
        if head == "file":
            return self._file(*rest.partition("/")[::2])
        if head != f"bot{self.token}":
            return _answer(Refusal(401, "Unauthorized"))
        method = NAMES.get(rest.lower())
        if method is None or method in self.absent:
            self.violations += [] if method else [f"there is no method {rest}"]
            return _answer(Refusal(404, "Not Found"))
        fields = await _fields(method, request)
        if self.latency and method != "getUpdates":
            await asyncio.sleep(self.latency)
        fault = self._fault(method)
        if fault and fault.fault in (Fault.RESET_BEFORE, Fault.STALL):
            self._log(method, fields, 0)
            if fault.fault is Fault.STALL:
                await asyncio.sleep(3600)
            return _cut(request)
        result = _refusal(fault) if fault else None
        if result is None:
            result = await self._call(method, fields)
        status = result.code if isinstance(result, Refusal) else 200
        self._log(method, fields, 0 if fault and fault.fault is Fault.RESET_AFTER else status)
        if fault and fault.fault is Fault.HTML:
            return web.Response(text="<html>Sign in to the network</html>", content_type="text/html")
        return _cut(request) if fault and fault.fault is Fault.RESET_AFTER else _answer(result)

    def _log(self, method: str, fields: Json | Refusal, status: int) -> None:
        if method != "getUpdates":
            self.calls.append(Call(time.time(), method, {} if isinstance(fields, Refusal) else fields, status))

    def _fault(self, method: str) -> _Queued | None:
        for fault in self._faults:
            if fault.method == method or (fault.method == "*" and method != "getUpdates"):
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
                return fault
        return None

    async def _call(self, method: str, fields: Json | Refusal) -> Any:
        if isinstance(fields, Refusal):
            return fields
        try:
            fields = checked(method, fields)
            telegram_limits.check(method, fields)
            match method:
                case "getUpdates":
                    return await self.updates.get(fields)
                case "setWebhook" | "deleteWebhook":
                    return self.updates.set_webhook(fields)
                case "getWebhookInfo":
                    return self.updates.webhook_info()
                case _ if method in self.methods.by_name:
                    return self.methods.by_name[method](fields)
                case _:
                    raise wrong("this fake cannot do that yet")
        except Refusal as refusal:
            if refusal.violation:
                self.violations.append(f"{method}: {refusal.description}")
            return refusal

    def _file(self, head: str, path: str) -> web.Response:
        if head == f"bot{self.token}":
            for known, data in self.world.files.values():
                if known == path:
                    return web.Response(body=data)
        return web.Response(status=404)

    # ---- for a benchmark in another process

    async def _control(self, request: web.BaseRequest, what: str) -> web.Response:
        body: Json = json.loads(await request.read() or b"{}")
        if what in PLAYS:
            return web.json_response({"id": getattr(self.world, what)(**body)})
        match what:
            case "group":
                self.world.group(**body)
            case "config":
                self.latency = body.get("latency", self.latency)
                self.methods.flood.on = body.get("flood", self.methods.flood.on)
            case "throttle":
                self.methods.flood.throttle(**body)
            case "fail":
                self.fail(body.pop("method"), Fault(body.pop("fault")), **body)
            case "reset":
                self.reset()
            case "state":
                return web.json_response(self.state())
            case _:
                return web.Response(status=404)
        return web.json_response({})

    def state(self) -> Json:
        """Everything visible, with times: for each chat its messages and drafts, and the calls by method."""
        return {
            "polls": self.updates.polls,
            "conflicts": self.updates.conflicts,
            "pending": len(self.world.pending),
            "violations": self.violations,
            "calls": Counter(call.method for call in self.calls),
            "refused": Counter(f"{c.method} {c.status}" for c in self.calls if c.status != 200),
            "chats": {
                str(chat.id): {
                    "drafts": [[draft.time, draft.text] for draft in chat.drafts],
                    "messages": [
                        {
                            "id": post.id,
                            "by_bot": post.by_bot,
                            "text": post.text,
                            "deleted": post.deleted,
                            "reply_to": post.reply_to,
                            "history": post.history,
                        }
                        for post in chat.posts.values()
                    ],
                }
                for chat in self.world.chats.values()
            },
        }


async def _fields(method: str, request: web.BaseRequest) -> Json | Refusal:
    """From a JSON body, a form or a form with files; values in forms are JSON unless they are strings."""
    try:
        if request.content_type == "application/json":
            body: Json = json.loads(await request.read())
            return body
        fields: Json = {}
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                fields[name] = Upload(value.filename, value.content_type, value.file.read())
            else:
                fields[name] = value if is_text(method, name) else json.loads(str(value))
        return fields
    except ValueError:
        return Refusal(400, "Bad Request: can't parse the request")


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)


def _refusal(fault: _Queued) -> Refusal | None:
    match fault.fault:
        case Fault.FLOOD:
            return flooded(fault.retry_after)
        case Fault.SERVER_ERROR:
            return Refusal(500, "Internal Server Error")
        case Fault.BAD_GATEWAY:
            return Refusal(502, "Bad Gateway")
        case Fault.REFUSE:
            return Refusal(400, f"Bad Request: {fault.description}")
        case _:
            return None


def _answer(result: Any) -> web.Response:
    if not isinstance(result, Refusal):
        return web.json_response({"ok": True, "result": result})
    body: Json = {"ok": False, "error_code": result.code, "description": result.description}
    if result.parameters:
        body["parameters"] = result.parameters
    return web.json_response(body, status=result.code)


def _cut(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _serve(port: int, token: str) -> None:
    server = TelegramServer(token)
    await server.start(port)
    print(f"{server.url} {token}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=TOKEN)
    options = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.port, options.token))


if __name__ == "__main__":
    main()
