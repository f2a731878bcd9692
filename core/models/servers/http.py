"""The HTTP of a small model's server: OpenAI's API as far as its engine goes. Runs in the child process."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import logging
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

from aiohttp import BodyPartReader, web

from core.models.servers import parsing
from core.models.servers.work import Answer, EngineError, Judged, Pictures, Request, Sound, Vectors, Words, refused
from core.models.servers.workbench import Done, Event, Workbench

SHORTEST_SECONDS = 0.05
MAX_BODY = 80_000_000
"""Bytes: eight pictures as base64, or an hour of speech."""
log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """One engine's routes."""

    def __init__(self, workbench: Workbench, key: str) -> None:
        self._workbench = workbench
        self._expected = f"Bearer {key}".encode()
        self._under_way = 0
        self._last_used = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """For how long nobody has asked anything. An open connection alone is no question."""
        is_used = self._under_way or self._workbench.waiting
        return 0.0 if is_used else time.monotonic() - self._last_used

    async def unused(self, seconds: float) -> None:
        """Returns when nobody has asked anything for so long."""
        left = seconds
        while left > 0:
            await asyncio.sleep(max(left, SHORTEST_SECONDS))
            left = seconds - self.idle_seconds

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/v1/models", self._models),
                web.post("/v1/images/generations", self._generations),
                web.post("/v1/images/edits", self._edits),
                web.post("/v1/embeddings", self._embeddings),
                web.post("/v1/audio/speech", self._speech),
                web.post("/v1/audio/generations", self._sound),
                web.post("/v1/audio/transcriptions", self._transcriptions),
                web.post("/v1/chat/completions", self._completions),
                web.post("/v1/moderations", self._moderations),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._under_way += 1
        try:
            given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if request.path != "/health" and not hmac.compare_digest(given, self._expected):
                raise EngineError("The key is wrong.", "invalid_api_key", status=401)
            return await handler(request)
        except EngineError as error:
            if error.status >= 500:
                log.warning("%s", error, exc_info=error.__cause__)
            return web.json_response({"error": complaint(error)}, status=error.status)
        finally:
            self._under_way -= 1
            self._last_used = time.monotonic()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, _: web.Request) -> web.Response:
        rows = [{"id": name, "object": "model"} for name in await self._workbench.models()]
        return web.json_response({"object": "list", "data": rows})

    async def _generations(self, request: web.Request) -> web.StreamResponse:
        fields = await _json(request)
        return await self._pictures(request, "image_generation", fields, parsing.drawing(fields))

    async def _edits(self, request: web.Request) -> web.StreamResponse:
        fields, files = await _form(request)
        inputs = tuple(data for name, data in files if name in ("image", "image[]"))
        if not 0 < len(inputs) <= parsing.MAX_INPUTS:
            raise refused(f"Between 1 and {parsing.MAX_INPUTS} pictures are needed.", "picture_needed", param="image")
        mask = next((data for name, data in files if name == "mask"), None)
        return await self._pictures(request, "image_edit", fields, parsing.drawing(fields, inputs, mask))

    async def _pictures(
        self, request: web.Request, kind: str, fields: parsing.Fields, work: Request
    ) -> web.StreamResponse:
        if not parsing.is_set(fields, "stream"):
            made = await self._answer(work)
            assert isinstance(made, Pictures)
            data = [{"b64_json": base64.b64encode(file).decode()} for file in made.files]
            return web.json_response({"created": int(time.time()), "data": data, "usage": _usage()})
        async with aclosing(self._workbench.work(work)) as events:
            # What is wrong with a request is told by a status, so the stream begins with the first event.
            first = await anext(events)
            stream = await _stream(request)
            try:
                await self._follow(stream, kind, first, events)
            except EngineError as error:
                log.warning("%s", error, exc_info=error.__cause__)
                await _send(stream, {"type": "error", "error": complaint(error)})
            await stream.write_eof()
            return stream

    async def _follow(self, stream: web.StreamResponse, kind: str, first: Event, events: AsyncGenerator[Event]) -> None:
        event: Event | None = first
        shown = 0
        while event is not None:
            match event:
                case Done(step, steps):
                    await _send(stream, {"type": f"{kind}.progress", "step": step, "steps": steps})
                case bytes():
                    picture = base64.b64encode(event).decode()
                    values = {"b64_json": picture, "partial_image_index": shown}
                    await _send(stream, {"type": f"{kind}.partial_image", **values})
                    shown += 1
                case Pictures(files):
                    for file in files:
                        picture = base64.b64encode(file).decode()
                        await _send(stream, {"type": f"{kind}.completed", "b64_json": picture, "usage": _usage()})
                case _:
                    raise AssertionError("an engine of pictures answered with something else")
            event = await anext(events, None)

    async def _embeddings(self, request: web.Request) -> web.Response:
        fields = await _json(request)
        made = await self._answer(parsing.embedding(fields))
        assert isinstance(made, Vectors)
        is_text = fields.get("encoding_format") == "base64"
        rows = [
            {
                "object": "embedding",
                "index": number,
                "embedding": base64.b64encode(row).decode() if is_text else struct.unpack(f"<{len(row) // 4}f", row),
            }
            for number, row in enumerate(made.rows)
        ]
        usage = {"prompt_tokens": made.tokens, "total_tokens": made.tokens}
        return web.json_response({"object": "list", "data": rows, "model": fields.get("model"), "usage": usage})

    async def _speech(self, request: web.Request) -> web.Response:
        return await self._sounding(parsing.speech(await _json(request)))

    async def _sound(self, request: web.Request) -> web.Response:
        return await self._sounding(parsing.sound(await _json(request)))

    async def _sounding(self, work: Request) -> web.Response:
        made = await self._answer(work)
        assert isinstance(made, Sound)
        return web.Response(body=made.data, content_type=made.mime)

    async def _transcriptions(self, request: web.Request) -> web.Response:
        fields, files = await _form(request)
        data = next((data for name, data in files if name == "file"), b"")
        made = await self._answer(parsing.recording(fields, data))
        assert isinstance(made, Words)
        usage = {"type": "duration", "seconds": made.seconds}
        values = {"text": made.text, "language": made.language, "duration": made.seconds, "usage": usage}
        return web.json_response(values)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        fields = await _json(request)
        made = await self._answer(parsing.reading(fields))
        assert isinstance(made, Words)
        about = {"id": "ocr", "created": int(time.time()), "model": fields.get("model")}
        # An answer without text is none to a client: a picture without text is a line break.
        text = made.text or "\n"
        if not parsing.is_set(fields, "stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response({**about, "object": "chat.completion", "choices": [choice], "usage": _usage()})
        stream = await _stream(request)
        delta = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        await _send(stream, {**about, "object": "chat.completion.chunk", "choices": [delta], "usage": _usage()})
        await stream.write(b"data: [DONE]\n\n")
        await stream.write_eof()
        return stream

    async def _moderations(self, request: web.Request) -> web.Response:
        fields = await _json(request)
        made = await self._answer(parsing.judging(fields))
        assert isinstance(made, Judged)
        results: list[dict[str, Any]] = []
        for scores in made.scores:
            found = {name: score >= made.least for name, score in scores.items()}
            results.append({"flagged": any(found.values()), "categories": found, "category_scores": scores})
        return web.json_response({"id": "judged", "model": fields.get("model"), "results": results})

    async def _answer(self, work: Request) -> Answer:
        async with aclosing(self._workbench.work(work)) as events:
            async for event in events:
                if not isinstance(event, Done | bytes):
                    return event
        raise AssertionError("work ends in an answer or an error")


def complaint(error: EngineError) -> dict[str, Any]:
    """An error as OpenAI's API has it."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"message": str(error), "type": kind, "code": error.code, "param": error.param or None}


def _usage() -> dict[str, int]:
    return {"input_tokens": 0, "output_tokens": 0, "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        found: object = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise refused("The body is no JSON.") from None
    if not isinstance(found, dict):
        raise refused("The body is no JSON object.")
    return cast("dict[str, Any]", found)


async def _form(request: web.Request) -> tuple[dict[str, Any], list[tuple[str, bytes]]]:
    """The fields and the files of a form, in memory: nothing is written to disk."""
    fields: dict[str, Any] = {}
    files: list[tuple[str, bytes]] = []
    left = MAX_BODY
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise refused("The form is nested.")
            data = bytearray()
            while chunk := await part.read_chunk(1 << 18):
                data += chunk
                left -= len(chunk)
                if left < 0:
                    raise EngineError(f"More than {MAX_BODY} bytes.", "too_large", status=413)
            if part.filename is not None:
                files.append((part.name, bytes(data)))
            else:
                fields[part.name] = data.decode("utf-8")
    except (ValueError, AssertionError):
        raise refused("The body is no form.") from None
    return fields, files


async def _stream(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await stream.prepare(request)
    return stream


async def _send(stream: web.StreamResponse, event: dict[str, Any]) -> None:
    # Who has gone is noticed by the handler's end.
    with contextlib.suppress(ConnectionResetError):
        await stream.write(b"data: " + json.dumps(event).encode() + b"\n\n")
