"""What every request has to pass, and every answer carries, before any route sees it."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bots.web_chat.labels import choose
from core.texts import say

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
SAFE = ("GET", "HEAD")
FORM_BYTES = 1_000_000
"""Largest form. Texts over chat.max_message_chars get a notice, so they have to come through."""


class Guard:
    """ASGI middleware: hosts, origins, sizes, headers."""

    def __init__(self, app: ASGIApp, *, origins: Collection[str], upload_path: str, max_upload: int) -> None:
        """``origins`` are the addresses under which the chat is shown, like ``http://127.0.0.1:8080``."""
        self._app = app
        self._origins = frozenset(origins)
        self._hosts = frozenset(origin.partition("://")[2] for origin in origins)
        self._upload_path = upload_path
        self._max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        limit = self._max_upload if scope["path"] == self._upload_path else FORM_BYTES
        refusal = self._refusal(scope, limit)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, _limited(receive, limit), send_with_headers)

    def _refusal(self, scope: Scope, limit: int) -> PlainTextResponse | None:
        headers = Headers(scope=scope)

        def refuse(status: int, key: str, **more: str) -> PlainTextResponse:
            return PlainTextResponse(say(key, choose(headers.get("accept-language", ""))), status, more)

        # A page of another site whose name was made to point here must not be able to talk to us (DNS rebinding).
        if headers.get("host", "").lower() not in self._hosts:
            return refuse(421, "web.wrong_address")
        if not self._is_own(scope["method"], headers):
            return refuse(403, "web.foreign")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            return refuse(413, "web.too_large", Connection="close")
        return None

    def _is_own(self, method: str, headers: Headers) -> bool:
        """Whether our own page sent it. Browsers set these headers, pages cannot."""
        site = headers.get("sec-fetch-site", "")
        origin = headers.get("origin")
        if method in SAFE:
            # Another site may link here, but not read or embed anything.
            return site in ("", "same-origin", "none") or headers.get("sec-fetch-mode") == "navigate"
        if origin is not None:
            return origin in self._origins and site in ("", "same-origin")
        return site == "same-origin"


def _limited(receive: Receive, limit: int) -> Receive:
    """Ends the reading of a body that is longer than it said, or did not say."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, "too_large")
        return message

    return limited
