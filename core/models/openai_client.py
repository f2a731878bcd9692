"""One server that speaks OpenAI's HTTP API: its connections, and what all calls to it have in common.

What the SDK lets pass is an error here. Everything raised is :class:`core.errors.ModelError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import time
from collections.abc import Generator
from hashlib import sha256
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import openai

from core.errors import ModelError, ModelFault
from core.models.model import LOCAL, Endpoint

CONNECT_SECONDS = 5.0
WRITE_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 30.0
CONFLICT_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""Pauses while a server is still at what it was asked before: two minutes, as long as difficult pictures take."""
GONE_CODES = frozenset(("model_not_found", "model_not_available", "model_deprecated", "model_decommissioned"))
"""Of errors: OpenAI's own, and those of servers that speak its interface (Groq says decommissioned)."""


class Client:
    """Kept for the process's life: making one costs 30 ms and its connections. Deadlines are the caller's."""

    def __init__(self, endpoint: Endpoint) -> None:
        timeout = httpx2.Timeout(connect=CONNECT_SECONDS, read=None, write=WRITE_SECONDS, pool=None)
        limits = httpx2.Limits(
            max_connections=endpoint.max_concurrent,
            max_keepalive_connections=endpoint.max_concurrent,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
        )
        self._secret = endpoint.api_key
        self.is_ours = endpoint.provider == LOCAL
        """A server of Parley's own (``core/models/servers``)."""
        # OpenAI's own models refuse max_tokens; most other servers know nothing else, and some refuse fields
        # that they do not know.
        self.hosted_by_openai = (urlsplit(endpoint.base_url).hostname or "").endswith(".openai.com")
        # Measured for 40 single-token chunks, processor time: 12.3 ms with create(stream=True) and httpcore,
        # 10.1 ms with the SDK's aiohttp transport, 4.1 ms reading the bytes of with_streaming_response,
        # 2.3 ms posting a plain body (no walk over the messages' types) and reading the bytes.
        self._sdk = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key or "none",
            default_headers=cast("dict[str, str]", _headers(endpoint.base_url)),
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultAioHttpClient(timeout=timeout, limits=limits),
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._sdk.close()

    async def get(self, path: str) -> httpx2.Response:
        """Raises what the SDK raises: to be called within :meth:`errors`, like all that follow."""
        return await self._sdk.get(path, cast_to=httpx2.Response)

    async def read(self, path: str, most: int) -> bytes:
        """What is there, of at most ``most`` bytes."""
        response: object = await self._sdk.get(
            path, cast_to=httpx2.Response, stream=True, stream_cls=openai.AsyncStream[Any]
        )
        return await _whole(cast("httpx2.Response", response), most)

    async def delete(self, path: str) -> None:
        """Raises what the SDK raises."""
        await self._sdk.delete(path, cast_to=httpx2.Response)

    async def post(self, path: str, body: dict[str, Any], files: Any = None, once: str = "") -> httpx2.Response:
        """The response, unread: whoever asked closes it. With the name ``once`` (``core/models/once.py``) a server that
        knows such names answers a request that it had before as it did then."""
        if not once:
            return await self._posted(path, body, files, {})
        told = {"Idempotency-Key": sha256(json.dumps([once, path, body], sort_keys=True).encode()).hexdigest()[:40]}
        for pause in CONFLICT_SECONDS:
            try:
                return await self._posted(path, body, files, told)
            except openai.ConflictError:
                await asyncio.sleep(pause)
        return await self._posted(path, body, files, told)

    async def _posted(self, path: str, body: dict[str, Any], files: Any, headers: dict[str, str]) -> httpx2.Response:
        # For httpx2.Response the SDK hands the response over unread; the stream's class is never made.
        response: object = await self._sdk.post(
            path,
            cast_to=httpx2.Response,
            body=body,
            files=files,
            options={"headers": headers | ({"Content-Type": "multipart/form-data"} if files else {})},
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        )
        return cast("httpx2.Response", response)

    async def whole(self, path: str, body: dict[str, Any], most: int, files: Any = None, once: str = "") -> bytes:
        """A call that is answered in one piece, of at most ``most`` bytes."""
        return await _whole(await self.post(path, body, files, once), most)

    @contextlib.contextmanager
    def errors(self) -> Generator[None, None, None]:
        """Whatever SDK and transport raise, as ModelError with what a log line may say."""
        try:
            yield
        except ModelError:
            raise
        except openai.APIStatusError as error:
            raise self._status_error(error) from None
        except openai.APIConnectionError as error:
            # The aiohttp transport calls a closed connection a timeout. Of its own timeouts only the one for
            # connecting is set, so either way the server was not reached.
            cause = error.__cause__ or error
            raise ModelError(ModelFault.UNREACHABLE, self.plain(cause), retryable=True) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(ModelFault.MALFORMED, self.plain(error), retryable=True) from None
        except Exception as error:
            # The transport lets some of aiohttp's errors through unmapped.
            raise ModelError(ModelFault.UNREACHABLE, self.plain(error), retryable=True) from None

    def _status_error(self, error: openai.APIStatusError) -> ModelError:
        after = _retry_after(error.response.headers)
        fault = ModelFault.GONE if _says_gone(error) else fault_of_status(error.status_code)
        retryable = fault in (ModelFault.SERVER, ModelFault.TIMEOUT)
        return ModelError(fault, self.plain(error), retryable=retryable, retry_after=after)

    def plain(self, error: BaseException) -> str:
        """What a log line may say of it."""
        text = f"{type(error).__name__}: {error}"
        return (text.replace(self._secret, "***") if self._secret else text)[:300]


async def _whole(response: httpx2.Response, most: int) -> bytes:
    try:
        answer = bytearray()
        async for piece in response.aiter_bytes():
            answer += piece
            if len(answer) > most:
                raise ModelError(ModelFault.MALFORMED, f"an answer of more than {most} bytes")
        return bytes(answer)
    finally:
        with contextlib.suppress(Exception):
            await response.aclose()


def _headers(base_url: str) -> dict[str, str | openai.Omit]:
    # The SDK would take these from the environment and tell them to any provider. It takes Omit here, although
    # its signature does not say so.
    headers: dict[str, str | openai.Omit] = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
    if not base_url.startswith("https:"):
        # llama.cpp closes a connection after each stream without a word, and the next call would run into that.
        # Without TLS, on this machine or next to it, a new connection costs nothing to speak of.
        headers["Connection"] = "close"
    return headers


def _says_gone(error: openai.APIStatusError) -> bool:
    """Whether the model asked for is there no more. By the code where there is one: OpenAI answers ``model_not_found``
    with 404 and with 403, servers of others a plain 404 or 410 that names the model."""
    if error.code in GONE_CODES:
        return True
    return error.status_code in (404, 410) and "model" in str(error).lower()


def fault_of_status(status: int) -> ModelFault:
    """What an HTTP status of 400 and more means."""
    match status:
        case 401 | 402 | 403:
            return ModelFault.UNAUTHORISED
        case 429:
            return ModelFault.RATE_LIMITED
        case 408:
            return ModelFault.TIMEOUT
        case _:
            return ModelFault.SERVER if status >= 500 else ModelFault.REFUSED


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds, from either form of the header."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
