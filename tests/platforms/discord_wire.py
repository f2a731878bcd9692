"""One request to the fake Discord: its body, faults, limits, record. What it means is in ``discord_rest``."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from tests.platforms.discord_refusals import Json, Refusal, form_error
from tests.platforms.discord_schema import UNKNOWN_ROUTE, wrong_with

INTERACTION = "aW50ZXJhY3Rpb246"
"""The beginning of interactions' tokens."""
AGENT = re.compile(r"DiscordBot \(https?://[^\s,]+,? [^)]+\)")


class Fault(StrEnum):
    """What the next matching call meets instead of an answer."""

    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    LIMITED = "429"
    LIMITED_GLOBALLY = "429 global"
    LIMITED_SHARED = "429 shared"
    BANNED = "429 cloudflare"
    """An HTML page without a Via header, from the proxy in front of Discord."""
    BLOCKED = "403 cloudflare"
    """An HTML page, too: the proxy does not like the address."""
    RESET_BEFORE = "reset before"
    RESET_AFTER = "reset after"
    """Done, but the answer is lost."""
    SLOW = "slow"
    HTML = "html"
    """A page with status 200."""


@dataclass(slots=True)
class Planned:
    """A fault that waits for its call."""

    fault: Fault
    match: str
    seconds: float


@dataclass(slots=True)
class Call:
    """One request, as tests look at it. ``status`` 0: the connection was cut."""

    method: str
    path: str
    body: Json
    query: Mapping[str, str]
    at: float
    status: int = 0
    reason: str = ""
    """For the guild's audit log."""


@dataclass(slots=True)
class Limits:
    """Requests allowed; 0 switches a limit off."""

    creates: int = 5
    edits: int = 5
    window_seconds: float = 5.0
    everything: int = 50
    """In one second, interaction callbacks and webhooks apart."""
    others: bool = True
    """:data:`OTHERS` hold."""
    refused: int = 10_000
    """Answers of 401, 403 and 429 in :data:`BAN_SECONDS`; then the address is shut out."""


OTHERS: Mapping[str, tuple[int, float]] = {
    "delete": (5, 1.0),
    "typing": (5, 5.0),
    "react": (1, 0.25),
    "thread": (50, 300.0),
}
"""What else Discord's headers have shown: calls in seconds, for each channel."""
BAN_SECONDS = 600.0
MAX_REASON = 512
COUNTED = (401, 403, 429)


@dataclass(slots=True)
class Window:
    """A fixed window: it begins with its first request."""

    started: float = 0.0
    used: int = 0

    def take(self, limit: int, seconds: float, now: float) -> bool:
        if now - self.started >= seconds:
            self.started, self.used = now, 0
        if self.used >= limit:
            return False
        self.used += 1
        return True


@dataclass(slots=True)
class Upload:
    name: str
    mime: str
    data: bytes


Answer = Callable[[Call, list[Upload]], tuple[int, Any]]
"""What a call means: its status and JSON; raises Refusal."""


@dataclass(slots=True, eq=False)
class Wire:
    """All calls of the bot, answered by ``answer`` unless a limit or a fault comes first."""

    token: str
    answer: Answer
    ahead: float = 0.0
    """Seconds by which Discord's clock, as its answers tell it, differs from this machine's."""
    latency: float = 0.0
    """Seconds added to every call."""
    limits: Limits = field(default_factory=Limits)
    calls: list[Call] = field(default_factory=list[Call])
    violations: list[str] = field(default_factory=list[str])
    """What Discord would let pass or block silently, but no client of ours may do."""
    faults: deque[Planned] = field(default_factory=deque[Planned])
    refused: deque[float] = field(default_factory=deque[float])
    """When calls got one of :data:`COUNTED`, limits that the bot shares with others apart."""
    _windows: dict[str, Window] = field(default_factory=dict[str, Window])

    def fail(self, fault: Fault, match: str = "", *, times: int = 1, seconds: float = 0.05) -> None:
        """The next ``times`` calls whose ``METHOD /path`` contains ``match`` meet the fault."""
        self.faults.extend(Planned(fault, match, seconds) for _ in range(times))

    def made(self, match: str) -> list[Call]:
        """The calls whose ``METHOD /path`` contains ``match``."""
        return [call for call in self.calls if match in f"{call.method} {call.path}"]

    # ------------------------------------------------------------------ one request
    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/api/v10")
        body, uploads = await self._read(request)
        call = Call(request.method, path, body, request.query, time.time())
        call.reason = self._reason(request)
        self.calls.append(call)
        if self.latency:
            await asyncio.sleep(self.latency)
        if self._is_banned():
            return self._ban(call)
        fault = self._next_fault(call)
        if fault:
            early = await self._misbehave(fault, request, call)
            if early:
                return early
        now = datetime.fromtimestamp(time.time() + self.ahead, UTC)
        headers = {"Via": "1.1 google", "Date": format_datetime(now, usegmt=True)}
        try:
            self._check_client(request, path)
            self._check_limits(call, headers)
            self._check_call(call)
            status, result = self.answer(call, uploads)
        except Refusal as refusal:
            status, result = refusal.status, refusal.body
            if refusal.status == 429:
                retry_after = float(headers["Retry-After"])
                everywhere = headers.get("X-RateLimit-Global") == "true"
                result = {
                    "message": refusal.message,
                    "retry_after": retry_after,
                    "global": everywhere,
                }
        if fault and fault.fault is Fault.RESET_AFTER:
            return self._cut(request)
        call.status = status
        self._count(status)
        if status == 204:
            return web.Response(status=204, headers=headers)
        # Exactly this type: discord.py takes a body with a charset for text.
        headers["Content-Type"] = "application/json"
        return web.Response(status=status, body=json.dumps(result).encode(), headers=headers)

    async def _read(self, request: web.Request) -> tuple[Json, list[Upload]]:
        if request.content_type != "multipart/form-data":
            raw = await request.read()
            return (json.loads(raw) if raw else {}), []
        body: Json = {}
        uploads: list[Upload] = []
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            data = bytes(await part.read())
            if part.name == "payload_json":
                body = json.loads(data)
            else:
                uploads.append(Upload(part.filename or "", part.headers.get("Content-Type", ""), data))
        return body, uploads

    def _reason(self, request: web.Request) -> str:
        """Of the audit log: up to 512 characters, as they are in an address."""
        given = request.headers.get("X-Audit-Log-Reason", "")
        if len(given) > MAX_REASON or not given.isascii():
            self.violations.append(f"the reason for the audit log is {len(given)} characters long")
        return unquote(given)

    def _next_fault(self, call: Call) -> Planned | None:
        for planned in self.faults:
            if planned.match in f"{call.method} {call.path}":
                self.faults.remove(planned)
                return planned
        return None

    async def _misbehave(self, planned: Planned, request: web.Request, call: Call) -> web.StreamResponse | None:
        match planned.fault:
            case Fault.SERVER_ERROR | Fault.BAD_GATEWAY:
                call.status = int(planned.fault)
                return web.Response(
                    status=call.status,
                    text="upstream error",
                    headers={"Via": "1.1 google"},
                )
            case Fault.LIMITED | Fault.LIMITED_GLOBALLY | Fault.LIMITED_SHARED:
                call.status = 429
                everywhere = planned.fault is Fault.LIMITED_GLOBALLY
                scope = "global" if everywhere else "shared" if planned.fault is Fault.LIMITED_SHARED else "user"
                headers = self._limited(planned.seconds, scope)
                self._count(429, scope)
                body = {
                    "message": "You are being rate limited.",
                    "retry_after": planned.seconds,
                    "global": everywhere,
                }
                headers |= {"Via": "1.1 google", "Content-Type": "application/json"}
                return web.Response(status=429, body=json.dumps(body).encode(), headers=headers)
            case Fault.BANNED:
                return self._ban(call)
            case Fault.BLOCKED:
                call.status = 403
                self._count(403)
                return web.Response(status=403, text="<html>Access denied</html>", content_type="text/html")
            case Fault.HTML:
                call.status = 200
                return web.Response(text="<html>Sign in to the network</html>", content_type="text/html")
            case Fault.RESET_BEFORE:
                return self._cut(request)
            case Fault.SLOW:
                await asyncio.sleep(planned.seconds)
            case Fault.RESET_AFTER:
                pass
        return None

    def _cut(self, request: web.Request) -> web.StreamResponse:
        if request.transport:
            request.transport.abort()
        return web.Response()

    def _check_client(self, request: web.Request, path: str) -> None:
        if not AGENT.match(request.headers.get("User-Agent", "")):
            self.violations.append(f"user agent {request.headers.get('User-Agent')}")
        by_token = path.startswith(("/interactions/", "/webhooks/"))
        if not by_token and request.headers.get("Authorization") != f"Bot {self.token}":
            raise Refusal(401, 0, "401: Unauthorized")

    def _check_call(self, call: Call) -> None:
        """Against Discord's description of its API. Much of what is wrong it would ignore: all of it is recorded."""
        found = wrong_with(call.method, call.path, call.query, call.body)
        self.violations.extend(str(wrong) for wrong in found)
        for wrong in found:
            if wrong.is_refused:
                raise form_error(wrong.path, wrong.what)
            if wrong.what == UNKNOWN_ROUTE:
                raise Refusal(404, 0, "404: Not Found")

    # ------------------------------------------------------------------ limits
    def _count(self, status: int, scope: str = "") -> None:
        if status in COUNTED and scope != "shared":
            self.refused.append(time.monotonic())

    def _is_banned(self) -> bool:
        while self.refused and time.monotonic() - self.refused[0] >= BAN_SECONDS:
            self.refused.popleft()
        return bool(self.limits.refused) and len(self.refused) >= self.limits.refused

    def _ban(self, call: Call) -> web.Response:
        """By the proxy in front of Discord."""
        call.status = 429
        text = "<html>error code: 1015</html>"
        return web.Response(status=429, text=text, content_type="text/html", headers={"Retry-After": "7"})

    def _limited(self, seconds: float, scope: str) -> dict[str, str]:
        more = {"X-RateLimit-Global": "true"} if scope == "global" else {}
        return {"Retry-After": str(seconds), "X-RateLimit-Scope": scope, **more}

    def _check_limits(self, call: Call, headers: dict[str, str]) -> None:
        now = time.monotonic()
        bucket, limit, seconds = self._bucket(call)
        by_token = call.path.startswith(("/interactions/", "/webhooks/"))
        if self.limits.everything and not by_token:
            window = self._windows.setdefault("", Window())
            if not window.take(self.limits.everything, 1.0, now):
                headers |= self._limited(round(window.started + 1.0 - now, 3), "global")
                raise Refusal(429, 0, "You are being rate limited.")
        if not limit:
            return
        window = self._windows.setdefault(bucket, Window())
        taken = window.take(limit, seconds, now)
        left = max(0.001, round(window.started + seconds - now, 3))
        headers |= {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - window.used)),
            "X-RateLimit-Reset": str(time.time() + left),
            "X-RateLimit-Reset-After": str(left),
            "X-RateLimit-Bucket": bucket.partition(" ")[0],
        }
        if not taken:
            headers |= self._limited(left, "user")
            raise Refusal(429, 0, "You are being rate limited.")

    def _bucket(self, call: Call) -> tuple[str, int, float]:
        """What is counted together, how many of it in how many seconds; 0 for no limit but that of everything."""
        limits, seconds = self.limits, self.limits.window_seconds
        parts = call.path.strip("/").split("/")
        match (call.method, parts):
            case ("POST", ["channels", channel, "messages"]):
                return f"create {channel}", limits.creates, seconds
            case ("PATCH", ["channels", channel, "messages", _]):
                return f"edit {channel}", limits.edits, seconds
            case (_, ["webhooks", _, token, *_]) if not token.startswith(INTERACTION):
                return f"webhook {token}", 5 if limits.others else 0, 2.0
            case (_, ["webhooks", _, token, *_]):
                return f"webhook {token}", limits.edits, seconds
            case ("DELETE", ["channels", _, "messages", _]):
                kind = "delete"
            case ("PUT" | "DELETE", ["channels", _, "messages", _, "reactions", *_]):
                kind = "react"
            case ("POST", ["channels", _, "typing"]):
                kind = "typing"
            case ("POST", ["channels", _, *_, "threads"]):
                kind = "thread"
            case _:
                return "", 0, 0.0
        count, seconds = OTHERS[kind]
        return f"{kind} {parts[1]}", count if limits.others else 0, seconds
