"""The wire that hosted and local model servers share: OpenAI's chat completions, streamed.

What the SDK lets pass is an error here: HTML with status 200, broken JSON, a stream without a finish reason
or without choices, an error event. Everything raised is :class:`core.errors.ModelError`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import email.utils
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import openai

from core.errors import ModelError, ModelFault
from core.models.catalog import Endpoint, Model
from core.models.chat import ChatMessage
from core.models.completion_events import CompletionEvents
from core.models.sampling import Refusals, values_of
from core.models.wire import Done, Drawing, ImageRequest, ModelCall, Recording, Transcript

CONNECT_SECONDS = 5.0
WRITE_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 30.0
USAGE_SECONDS = 2.0
"""How long the usage report is waited for once the finish reason is there."""
MAX_TRANSCRIPT_BYTES = 4_000_000
MAX_SPEECH_BYTES = 40_000_000
"""Longest answers read of calls that are not streamed: half an hour of speech has some 10 MB in Opus, 100 in WAV."""
MAX_DRAWING_BYTES = 60_000_000
"""The same of pictures, which come as text: four of 1.5 megapixels have some 16 MB."""
POLICY_CODES = frozenset({"moderation_blocked", "content_policy_violation", "content_filter", "contentFilter"})
"""Codes by which OpenAI and Azure say that their rules do not allow a picture."""
END_SECONDS = 0.1
"""How long the body's end is waited for after [DONE]: only a body read to its end frees its connection."""


class OpenAIApi:
    """One client for one server, kept for the process's life: making one costs 30 ms and its connections.

    Deadlines are the caller's: it bounds each step of :meth:`stream`, and cancelling a step, or closing the
    generator, closes the HTTP stream, so that the server frees its slot.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        timeout = httpx2.Timeout(connect=CONNECT_SECONDS, read=None, write=WRITE_SECONDS, pool=None)
        limits = httpx2.Limits(
            max_connections=endpoint.max_concurrent,
            max_keepalive_connections=endpoint.max_concurrent,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
        )
        self._secret = endpoint.api_key
        # OpenAI's own models refuse max_tokens; most other servers know nothing else, and some refuse fields
        # that they do not know.
        self._hosted_by_openai = (urlsplit(endpoint.base_url).hostname or "").endswith(".openai.com")
        self._refused = Refusals()
        self._names_base64 = not self._hosted_by_openai
        """Pictures are asked for as text: else many servers answer with an address, and nothing is fetched from an
        address that a server names."""
        # Measured for 40 single-token chunks, processor time: 12.3 ms with create(stream=True) and httpcore,
        # 10.1 ms with the SDK's aiohttp transport, 4.1 ms reading the bytes of with_streaming_response,
        # 2.3 ms posting a plain body (no walk over the messages' types) and reading the bytes.
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key or "none",
            default_headers=cast("dict[str, str]", _headers(endpoint.base_url)),
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultAioHttpClient(timeout=timeout, limits=limits),
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def model_ids(self) -> tuple[str, ...]:
        """The provider's own names of its models."""
        with self._model_errors():
            page = await self._client.get("/models", cast_to=httpx2.Response)
            rows = page.json()["data"]
            return tuple(row["id"] for row in rows)

    async def stream(self, call: ModelCall) -> AsyncGenerator[str | Done, None]:
        """Pieces of visible text, then one Done. An empty piece is a sign of life: the model thinks."""
        with self._model_errors():
            response = await self._opened(call)
            try:
                events = CompletionEvents()
                reads = response.aiter_bytes()
                data: bytes | None = b""
                while data is not None:
                    data = await _read(reads, events)
                    piece = events.feed(data) if data is not None else events.end()
                    if piece is not None:
                        yield piece
                    events.check()
                yield events.done()
            finally:
                with contextlib.suppress(Exception):
                    await response.aclose()

    async def transcribe(self, model: Model, recording: Recording) -> Transcript:
        with self._model_errors():
            answer = await self._whole(
                "/audio/transcriptions",
                {"model": model.id, "response_format": "json"},
                MAX_TRANSCRIPT_BYTES,
                files=[("file", (recording.name, recording.data, recording.mime))],
            )
            values: dict[str, Any] = json.loads(answer)
            text: object = values["text"]
            if not isinstance(text, str):
                raise ModelError(ModelFault.MALFORMED, "the transcript is no text", retryable=True)
            usage: dict[str, Any] = values.get("usage") or {}
            seconds = usage.get("seconds", values.get("duration"))
            return Transcript(
                text,
                usage.get("input_tokens"),
                usage.get("output_tokens"),
                None if seconds is None else float(seconds),
            )

    async def speak(self, model: Model, text: str) -> bytes:
        with self._model_errors():
            body = {"model": model.id, "input": text, "voice": model.voice, "response_format": "opus"}
            return await self._whole("/audio/speech", body, MAX_SPEECH_BYTES)

    async def draw(self, model: Model, request: ImageRequest) -> Drawing:
        body: dict[str, Any] = {
            "model": model.id,
            "prompt": request.prompt,
            "n": request.count,
            "size": model.size(request.shape),
        }
        if model.quality:
            body["quality"] = model.quality
        if model.output_format:
            body["output_format"] = model.output_format
        if self._names_base64:
            body["response_format"] = "b64_json"
        if self._hosted_by_openai and request.sender:
            body["safety_identifier"] = request.sender
        with self._model_errors():
            try:
                answer = await self._drawn(body)
            except openai.BadRequestError as error:
                # OpenAI's newer models always answer so and do not know the field, whoever passes the call on.
                if "response_format" not in str(error) or body.pop("response_format", None) is None:
                    raise
                self._names_base64 = False
                answer = await self._drawn(body)
            return _drawing(answer, request.count)

    async def _drawn(self, body: dict[str, Any]) -> bytes:
        try:
            return await self._whole("/images/generations", body, MAX_DRAWING_BYTES)
        except openai.BadRequestError as error:
            if error.code in POLICY_CODES:
                raise ModelError(ModelFault.FILTERED, self._plain(error)) from None
            raise

    async def _whole(self, path: str, body: dict[str, Any], most: int, files: Any = None) -> bytes:
        """A call that is answered in one piece, of at most ``most`` bytes."""
        response = cast(
            "httpx2.Response",
            await self._client.post(
                path,
                cast_to=httpx2.Response,
                body=body,
                files=files,
                options={"headers": {"Content-Type": "multipart/form-data"}} if files else {},
                stream=True,
                stream_cls=openai.AsyncStream[Any],
            ),
        )
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

    async def _opened(self, call: ModelCall) -> httpx2.Response:
        """The stream. What the model does not want to be sampled by is left out, and it is asked again at once: such a
        refusal costs nothing."""
        wanted = values_of(call.model, call.sampling)
        while True:
            values = self._refused.allowed(call.model.id, wanted)
            try:
                return await self._post({**self._body(call), **values})
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not self._refused.learn(call.model.id, values, error.param or str(error)):
                    raise

    async def _post(self, body: dict[str, Any]) -> httpx2.Response:
        # For httpx2.Response the SDK hands the response over unread; the stream's class is never made.
        response: object = await self._client.post(
            "/chat/completions",
            cast_to=httpx2.Response,
            body=body,
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        )
        return cast("httpx2.Response", response)

    def _body(self, call: ModelCall) -> dict[str, Any]:
        model = call.model
        body: dict[str, Any] = {
            "model": model.id,
            "messages": [_message(message) for message in call.messages if message.text or message.images],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens" if self._hosted_by_openai else "max_tokens": call.max_answer,
        }
        if self._hosted_by_openai and call.sender:
            body["safety_identifier"] = call.sender
        return body

    @contextlib.contextmanager
    def _model_errors(self) -> Generator[None, None, None]:
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
            raise ModelError(ModelFault.UNREACHABLE, self._plain(cause), retryable=True) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(ModelFault.MALFORMED, self._plain(error), retryable=True) from None
        except Exception as error:
            # The transport lets some of aiohttp's errors through unmapped.
            raise ModelError(ModelFault.UNREACHABLE, self._plain(error), retryable=True) from None

    def _status_error(self, error: openai.APIStatusError) -> ModelError:
        after = _retry_after(error.response.headers)
        fault = fault_of_status(error.status_code)
        retryable = fault in (ModelFault.SERVER, ModelFault.TIMEOUT)
        return ModelError(fault, self._plain(error), retryable=retryable, retry_after=after)

    def _plain(self, error: BaseException) -> str:
        text = f"{type(error).__name__}: {error}"
        return (text.replace(self._secret, "***") if self._secret else text)[:300]


def _headers(base_url: str) -> dict[str, str | openai.Omit]:
    # The SDK would take these from the environment and tell them to any provider. It takes Omit here, although
    # its signature does not say so.
    headers: dict[str, str | openai.Omit] = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
    if not base_url.startswith("https:"):
        # llama.cpp closes a connection after each stream without a word, and the next call would run into that.
        # Without TLS, on this machine or next to it, a new connection costs nothing to speak of.
        headers["Connection"] = "close"
    return headers


async def _read(reads: AsyncIterator[bytes], events: CompletionEvents) -> bytes | None:
    """The next bytes; None at the end, or when only formalities are missing and do not come."""
    if not events.is_finished and not events.is_over:
        return await anext(reads, None)
    try:
        async with asyncio.timeout(END_SECONDS if events.is_over else USAGE_SECONDS):
            return await anext(reads, None)
    except Exception:
        # Whatever happens to the connection now, the answer is here.
        return None


def _drawing(answer: bytes, count: int) -> Drawing:
    """At most ``count`` pictures. Raises ValueError, KeyError or TypeError for what is no answer with pictures."""
    values: dict[str, Any] = json.loads(answer)
    pictures = tuple(base64.b64decode(picture["b64_json"]) for picture in values["data"][:count])
    if not pictures:
        raise ValueError("no picture")
    usage: dict[str, Any] = values.get("usage") or {}
    return Drawing(pictures, usage.get("input_tokens"), usage.get("output_tokens"))


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


def _message(message: ChatMessage) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.text}
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text else []
    for image in message.images:
        kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
        url = f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return {"role": message.role, "content": parts}
