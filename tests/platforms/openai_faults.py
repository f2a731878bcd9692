"""What can go wrong at an OpenAI-compatible server, and the answers in which it shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

from tests.platforms.openai_checks import Refusal


class Fault(StrEnum):
    """What can go wrong. A fault's number is seconds for SLOW and RATE_LIMIT, else tokens sent before."""

    SLOW = "slow"
    STALL = "stall"
    PINGS = "pings"
    """Stalls, but sends a comment line ten times a second, as some proxies do."""
    RESET = "reset"
    NO_FINISH = "no_finish"
    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    UNAUTHORISED = "unauthorised"
    HTML = "html"
    BROKEN_JSON = "broken_json"
    ERROR_EVENT = "error_event"
    NO_CHOICES = "no_choices"
    EMPTY = "empty"
    BLANK = "blank"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    NO_END = "no_end"
    """A finish reason, then neither [DONE] nor the end of the stream."""


BEFORE_ANSWER = frozenset({Fault.RATE_LIMIT, Fault.SERVER_ERROR, Fault.UNAUTHORISED, Fault.HTML})


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault to come; ``model`` empty: whichever is asked next."""

    fault: Fault
    number: float | None = None
    model: str = ""


def error_answer(refusal: Refusal, headers: dict[str, str] | None = None) -> web.Response:
    error = {"message": refusal.message, "type": refusal.type, "param": refusal.param, "code": refusal.code}
    return web.json_response({"error": error}, status=refusal.status, headers=headers)


def early_answer(fault: Fault | None, number: float | None) -> web.Response:
    if fault is Fault.RATE_LIMIT:
        after = {} if number is None else {"Retry-After": f"{number:g}"}
        return error_answer(Refusal(429, "Rate limit reached.", type="tokens", code="rate_limit_exceeded"), after)
    if fault is Fault.UNAUTHORISED:
        return error_answer(Refusal(401, "Incorrect API key provided.", code="invalid_api_key"))
    if fault is Fault.HTML:
        return web.Response(text="<!DOCTYPE html><html><body>Sign in</body></html>", content_type="text/html")
    return error_answer(Refusal(500, "The server had an error.", type="server_error"))
