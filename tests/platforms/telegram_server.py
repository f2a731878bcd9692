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
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import web

from tests.platforms.telegram_methods import FIELDS, NAMES, Methods, Upload, checked, flooded
from tests.platforms.telegram_text import Json, Refusal, bad
from tests.platforms.telegram_world import World

TOKEN = "4242:AAtest-token"
USERNAME = "parley_bot"
PLAYS = ("text", "edit", "photo", "voice", "sticker", "press", "topic")
MAX_POLL_SECONDS = 50.0
MAX_BODY = 60_000_000
AGAIN_SECONDS = 0.5
MAX_PUSHES = 40
PUSH_SECONDS = 10.0


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


class _Poll:
    """A getUpdates that waits."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.why = ""

    def end(self, why: str) -> None:
        self.why = why
        self.ended.set()


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
        self.repeat_seconds = 0.0
        """How long a poll with the same offset as the one just before is held at least; 3 at the real server."""
        self.webhook: Json = {"url": ""}
        self.url = ""
        self._runner: web.ServerRunner | None = None
        self.behind: list[str] = []
        """Receivers that a proxy at the webhook's address hands its calls to, in turn."""
        self._secret = ""
        self._poll: _Poll | None = None
        self._pushing: asyncio.Task[None] | None = None
        self.reset()

    def reset(self) -> None:
        """Forgets everything that happened."""
        self.world = World(self.me)
        self.methods = Methods(self.world)
        self.calls: list[Call] = []
        self.polls = 0
        self.pushes = 0
        self.conflicts = 0
        """Polls that began while another one was open."""
        self._offset, self._polled_at, self._answered_at = -1, 0.0, 0.0
        self._faults: list[_Queued] = []

    def fail(self, method: str, fault: Fault, *, times: int = 1, retry_after: int = 1, description: str = "") -> None:
        """The next ``times`` calls of ``method`` (``*`` for any but getUpdates) go wrong."""
        self._faults.append(_Queued(method, fault, times, retry_after, description))

    def forgive(self) -> None:
        """Takes back every fault that has not happened yet."""
        self._faults.clear()

    @property
    def polled(self) -> bool:
        """Whether a poll is open."""
        return self._poll is not None

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
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> TelegramServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

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
        if method is None:
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
            match method:
                case "getUpdates":
                    return await self._get_updates(fields)
                case "setWebhook" | "deleteWebhook":
                    return self._set_webhook(fields)
                case "getWebhookInfo":
                    return self._webhook_info()
                case _:
                    return self.methods.by_name[method](fields)
        except Refusal as refusal:
            return refusal

    def _file(self, head: str, path: str) -> web.Response:
        if head == f"bot{self.token}":
            for known, data in self.world.files.values():
                if known == path:
                    return web.Response(body=data)
        return web.Response(status=404)

    # ---- updates

    async def _get_updates(self, fields: Json) -> list[Json]:
        """The older of two polls ends with 409. What is not confirmed comes again."""
        if self.webhook["url"]:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        if self._poll is not None:
            self.conflicts += 1
            self._poll.end("other getUpdates request; make sure that only one bot instance is running")
        mine = self._poll = _Poll()
        self.polls += 1
        world = self.world
        world.allowed = fields.get("allowed_updates", world.allowed)
        offset, limit, seconds = fields.get("offset", 0), fields.get("limit", 100), fields.get("timeout", 0)
        for number in [n for n in world.pending if n < offset]:
            del world.pending[number]
        if offset == self._offset and time.monotonic() < self._polled_at + self.repeat_seconds:
            seconds = max(seconds, self.repeat_seconds)
        if offset == self._offset and time.monotonic() < self._answered_at + AGAIN_SECONDS:
            limit = 1
        self._offset, self._polled_at = offset, time.monotonic()
        end = self._polled_at + min(seconds, MAX_POLL_SECONDS)
        try:
            while not world.pending and time.monotonic() < end:
                world.arrived.clear()
                await _first(world.arrived, mine.ended, end - time.monotonic())
                if mine.ended.is_set():
                    raise Refusal(409, f"Conflict: terminated by {mine.why}")
        finally:
            if self._poll is mine:
                self._poll = None
        self._answered_at = time.monotonic()
        return list(world.pending.values())[:limit]

    def _set_webhook(self, fields: Json) -> bool:
        secret = fields.get("secret_token", "")
        if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise bad("secret token contains unallowed characters")
        self.webhook = {"url": fields.get("url", "")}
        self._secret = secret
        self.world.allowed = fields.get("allowed_updates", self.world.allowed)
        if self._poll is not None:
            self._poll.end("setWebhook request")
        if self.webhook["url"] and (self._pushing is None or self._pushing.done()):
            self._pushing = asyncio.create_task(self._push())
        return True

    def _webhook_info(self) -> Json:
        """The real one tells no secret either, and the kinds of updates only where they were chosen."""
        info = {**self.webhook, "has_custom_certificate": False, "pending_update_count": len(self.world.pending)}
        if self.world.allowed is not None:
            info["allowed_updates"] = self.world.allowed
        return info

    async def _push(self) -> None:
        """To the webhook: those of one chat one after another, each until it is taken; many chats at once."""
        busy: dict[int, asyncio.Task[None]] = {}

        def done(chat: int, world: World) -> None:
            del busy[chat]
            world.arrived.set()

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PUSH_SECONDS)) as session:
            try:
                while self.webhook["url"]:
                    world = self.world
                    world.arrived.clear()
                    for number, update in world.pending.items():
                        chat = _chat_of(update)
                        if chat not in busy and len(busy) < MAX_PUSHES:
                            busy[chat] = asyncio.create_task(self._hand_over(session, world, number, update))
                            busy[chat].add_done_callback(lambda _, c=chat, w=world: done(c, w))
                    await world.arrived.wait()
            finally:
                for task in busy.values():
                    task.cancel()
                await asyncio.gather(*busy.values(), return_exceptions=True)

    async def _hand_over(self, session: aiohttp.ClientSession, world: World, number: int, update: Json) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self._secret}
        self.pushes += 1
        url = self.behind[self.pushes % len(self.behind)] if self.behind else self.webhook["url"]
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.post(url, json=update, headers=headers) as answer:
                if answer.status == 200:
                    world.pending.pop(number, None)
                    return
        await asyncio.sleep(0.05)

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
            "polls": self.polls,
            "conflicts": self.conflicts,
            "pending": len(self.world.pending),
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


def _chat_of(update: Json) -> int:
    kind = next(name for name in update if name != "update_id")
    return int((update[kind].get("message") or update[kind])["chat"]["id"])


async def _first(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _fields(method: str, request: web.BaseRequest) -> Json | Refusal:
    """From a JSON body, a form or a form with files; values in forms are JSON unless they are strings."""
    try:
        if request.content_type == "application/json":
            body: Json = json.loads(await request.read())
            return body
        words = FIELDS[method].split()
        strings = {word.replace("!", ":").partition(":")[0] for word in words if word.endswith("str")}
        fields: Json = {}
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                fields[name] = Upload(value.filename, value.content_type, value.file.read())
            else:
                fields[name] = value if name in strings else json.loads(str(value))
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
