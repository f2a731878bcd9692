"""Who is asking: signed cookies, form tokens, one-time codes. Pure but for randomness and the clock."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

COOKIE_SECONDS = 400 * 24 * 3600
"""Browsers cut a longer life down to this."""
CODE_SECONDS = 24 * 3600


class Signer:
    """Signs with a key that never leaves the server."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def cookie(self, user: str) -> str:
        issued = str(int(time.time()))
        return f"{user}.{issued}.{self._sign('cookie', user, issued)}"

    def user(self, cookie: str) -> str:
        """The user of a cookie that we signed and that is not too old; empty for anything else."""
        user, _, rest = cookie.partition(".")
        issued, _, signature = rest.partition(".")
        if not issued.isdecimal() or len(issued) > 12 or int(issued) + COOKIE_SECONDS < time.time():
            return ""
        return user if _same(signature, self._sign("cookie", user, issued)) else ""

    def token(self, user: str) -> str:
        """What a page of ours must send with everything that changes something."""
        return self._sign("token", user)

    def is_token(self, user: str, token: str) -> bool:
        return _same(token, self.token(user))

    def _sign(self, *parts: str) -> str:
        return hmac.new(self._key, "\0".join(parts).encode(), hashlib.sha256).hexdigest()


def _same(found: str, wanted: str) -> bool:
    return hmac.compare_digest(found.encode("utf-8", "surrogatepass"), wanted.encode())


def new_code() -> str:
    return secrets.token_urlsafe(24)


def digest(code: str) -> str:
    """The form in which a code is kept: who reads the database learns no code."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
