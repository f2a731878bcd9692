"""Calls to Discord's REST API: one call, one answer or one error.

discord.py's own client is not used for them: it sleeps inside a call (also after it succeeded, when it was the
last of its bucket), tries five times over 25 seconds, and stays blocked for ever when a call is cancelled while a
global limit is waited for. Here the pacing in front stays in control: a limit comes back at once as an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import aiohttp

from bots.discord_bot.refusals import RETRY_SECONDS, Doors, Refusals, kind_of, need_of
from core import clock
from core.errors import OutboundError, OutboundFault

AGENT = "DiscordBot (https://parley.invalid, 0.1)"
"""The form that Discord asks for; a self-hosted bot has no address of its own to name."""
TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)
UPLOAD_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=5)
TIME_SECONDS = 30.0
"""How long Discord's word about the time holds."""
UNKNOWN_TYPE = "application/octet-stream"
MAX_CLOSED = 1000
"""Used-up buckets remembered before the old ones are thrown out."""
COUNTED = (401, 403, 429)
"""Answers of which an address may get 10,000 in 10 minutes, limits that a bot shares with others apart."""
ME = "/users/@me"
NO_TOKEN = 401
"""Status where Discord does not take the token."""
MAX_REASON = 512
"""Characters of a reason in the audit log, as they are in an address."""
FAULTS = {
    401: OutboundFault.FORBIDDEN,
    403: OutboundFault.FORBIDDEN,
    404: OutboundFault.GONE,
    408: OutboundFault.TRANSIENT,
}


class CallFailed(OutboundError):
    """A call that Discord refused. ``status`` is HTTP's, ``code`` Discord's own (0 when it gave none), ``reasons`` are
    its words for the fields that it did not take."""

    def __init__(
        self, fault: OutboundFault, detail: str, status: int, code: int, reasons: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(fault, detail)
        self.status = status
        self.code = code
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send."""

    name: str
    mime: str
    data: bytes
    description: str = ""
    """What it shows, in words."""


class Rest:
    """One pool of connections to one API root. Use it in one event loop; close it at the end.

    ``refusals`` counts what Discord refuses, and says when to make fewer calls.
    """

    def __init__(self, base: str, token: str, refusals: Refusals | None = None) -> None:
        self._base = base
        self._token = token.strip()
        self._refusals = refusals
        self._doors = Doors()
        self.disowned = asyncio.Event()
        """Set when Discord knows the token no more: from then on no call is made."""
        self._client: aiohttp.ClientSession | None = None
        self._closed_until: dict[str, float] = {}
        self._banned_until = 0.0
        self._limited_until = 0.0
        """The bot's calls are too many in all. Those that carry a token of their own do not count."""
        self._ahead: float | None = None
        """Discord's time less the seconds of :mod:`core.clock`."""
        self._told_until = 0.0

    def now(self) -> float:
        """Unix seconds at Discord, where ids are made: this machine's clock may be wrong."""
        return time.time() if self._ahead is None else clock.seconds() + self._ahead

    @property
    def client(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": AGENT},
                timeout=TIMEOUT,
            )
        return self._client

    async def close(self) -> None:
        if self._refusals is not None:
            await self._refusals.close()
        if self._client is not None:
            await self._client.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | list[Any] | None = None,
        *,
        uploads: Sequence[Upload] = (),
        query: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> Any:
        """The answer's JSON, None where there is none. ``reason``: for the guild's audit log. Raises OutboundError."""
        parts = path.strip("/").split("/")
        bucket = _bucket(method, parts)
        kind = kind_of(method, parts, body, has_files=bool(uploads))
        self._check_open(bucket, method, parts, kind)
        try:
            made = await self._send(method, path, bucket, body, uploads, query, reason)
        except CallFailed as error:
            await self._learn(error, path, kind)
            raise
        self._doors.open(kind)
        return made

    async def _send(
        self,
        method: str,
        path: str,
        bucket: str,
        body: Any,
        uploads: Sequence[Upload],
        query: Mapping[str, str] | None,
        reason: str = "",
    ) -> Any:
        headers = {"Authorization": f"Bot {self._token}"}
        if reason:
            headers["X-Audit-Log-Reason"] = _quoted(reason)
        data: aiohttp.FormData | bytes | None = None
        if uploads:
            data = _form(body, uploads)
        elif body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        try:
            async with self.client.request(
                method,
                self._base + path,
                data=data,
                headers=headers,
                params=query,
                timeout=UPLOAD_TIMEOUT if uploads else TIMEOUT,
                allow_redirects=False,
            ) as response:
                raw = await response.read()
                self._note_bucket(bucket, response.headers)
                self._note_time(response.headers)
                if response.status == 204:
                    return None
                if response.status < 300:
                    return _parse(raw)
                raise self._error(response.status, response.headers, raw)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise OutboundError(OutboundFault.TRANSIENT, f"{method} {type(error).__name__}") from None

    async def _learn(self, error: CallFailed, path: str, kind: tuple[Any, ...]) -> None:
        """What follows from a refusal for the calls to come."""
        if error.status == 403:
            self._doors.close(kind, error.code, error.detail)
        elif error.status == 401 and not by_own_token(path.strip("/").split("/")) and not self.disowned.is_set():
            await self._doubt(path)

    async def _doubt(self, path: str) -> None:
        """A single 401 may be a trouble of Discord's; two in a row are a token that was taken away."""
        try:
            if path != ME:
                await self._send("GET", ME, "", None, (), None)
                return
        except OutboundError as error:
            if not isinstance(error, CallFailed) or error.status != 401:
                return
        self.disowned.set()

    def _check_open(self, bucket: str, method: str, parts: Sequence[str], kind: tuple[Any, ...]) -> None:
        """A call that Discord is known to refuse is not made: refused calls count towards a ban of the address."""
        now = time.monotonic()
        if self.disowned.is_set():
            raise CallFailed(OutboundFault.FORBIDDEN, "the token is not known any more", 401, 0)
        if closed := self._doors.closed(kind):
            code, detail = closed
            raise CallFailed(OutboundFault.FORBIDDEN, detail, 403, code)
        if self._refusals is not None and not self._refusals.allows(need_of(method, parts)):
            detail = "too many calls were refused"
            raise OutboundError(OutboundFault.RATE_LIMITED, detail, retry_after=RETRY_SECONDS, everywhere=True)
        until = self._banned_until if by_own_token(parts) else max(self._banned_until, self._limited_until)
        if now < until:
            wait = until - now
            raise OutboundError(OutboundFault.RATE_LIMITED, "known limit", retry_after=wait, everywhere=True)
        until = self._closed_until.get(bucket, 0.0)
        if now < until:
            raise OutboundError(OutboundFault.RATE_LIMITED, "known limit", retry_after=until - now)

    def _note_bucket(self, bucket: str, headers: Mapping[str, str]) -> None:
        if headers.get("X-RateLimit-Remaining") != "0":
            return
        now = time.monotonic()
        if len(self._closed_until) >= MAX_CLOSED:
            self._closed_until = {key: until for key, until in self._closed_until.items() if until > now}
        self._closed_until[bucket] = now + _seconds(headers.get("X-RateLimit-Reset-After"))

    def _note_time(self, headers: Mapping[str, str]) -> None:
        now = clock.seconds()
        if now >= self._told_until and (told := headers.get("Date")):
            with contextlib.suppress(ValueError):
                self._ahead = email.utils.parsedate_to_datetime(told).timestamp() - now
                self._told_until = now + TIME_SECONDS

    def _error(self, status: int, headers: Mapping[str, str], raw: bytes) -> OutboundError:
        said = _object(raw)
        if self._refusals is not None and status in COUNTED and headers.get("X-RateLimit-Scope") != "shared":
            self._refusals.note()
        if status == 429:
            # Without a Via header it comes from the proxy in front of Discord: the whole address is shut out.
            everywhere = bool(said.get("global")) or "Via" not in headers
            wait = _seconds(said.get("retry_after") or headers.get("Retry-After")) or 1.0
            if "Via" not in headers:
                self._banned_until = max(self._banned_until, time.monotonic() + wait)
            elif everywhere:
                self._limited_until = max(self._limited_until, time.monotonic() + wait)
            detail = headers.get("X-RateLimit-Scope", "unknown scope")
            return OutboundError(OutboundFault.RATE_LIMITED, detail, retry_after=wait, everywhere=everywhere)
        if status >= 500 or (status == 403 and not said):
            # A page in place of Discord's own words comes from the proxy in front: it says nothing of the bot's rights.
            return OutboundError(OutboundFault.TRANSIENT, f"status {status}")
        code = said.get("code")
        fault = FAULTS.get(status, OutboundFault.REFUSED)
        detail = f"status {status}, code {code}: {str(said.get('message', ''))[:200]}"
        reasons = frozenset(_reasons(said.get("errors")))
        return CallFailed(fault, detail, status, code if isinstance(code, int) else 0, reasons)


def _form(body: Any, uploads: Sequence[Upload]) -> aiohttp.FormData:
    # Quoted field names ("files%5B0%5D") are not understood by Discord.
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("payload_json", json.dumps(body), content_type="application/json")
    for number, upload in enumerate(uploads):
        mime = upload.mime or UNKNOWN_TYPE
        form.add_field(f"files[{number}]", io.BytesIO(upload.data), filename=upload.name, content_type=mime)
    return form


def by_own_token(parts: Sequence[str]) -> bool:
    """Whether a call carries a token in its path: a 401 then says nothing about the bot's, and the bot's limit for all
    its calls does not hold."""
    return parts[0] in ("interactions", "webhooks")


def _bucket(method: str, parts: Sequence[str]) -> str:
    """What Discord counts together: the method, the channel or token, and the kind of thing under it."""
    return f"{method} {'/'.join(parts[:3])} {len(parts)}"


def _reasons(errors: Any) -> Iterator[str]:
    """The codes in a tree of fields, each with a list of what is wrong with it."""
    if isinstance(errors, dict):
        for name, below in cast("dict[str, Any]", errors).items():
            if name == "_errors" and isinstance(below, list):
                found = cast("list[Any]", below)
                yield from (str(cast("dict[str, Any]", one).get("code")) for one in found if isinstance(one, dict))
            else:
                yield from _reasons(below)


def _object(raw: bytes) -> dict[str, Any]:
    """The JSON object of an error, empty for anything else."""
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        # A captive portal or a proxy's page with status 200: nothing is known about the call itself.
        raise OutboundError(OutboundFault.TRANSIENT, "the answer is not JSON") from None


def _quoted(reason: str) -> str:
    """As much of it as Discord takes, in characters that a header may have."""
    made = ""
    for letter in " ".join(reason.split()):
        piece = quote(letter, safe=" ", errors="replace")
        if len(made) + len(piece) > MAX_REASON:
            break
        made += piece
    return made.strip()


def _seconds(value: Any) -> float:
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return 0.0
