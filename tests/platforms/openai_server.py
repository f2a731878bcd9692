"""An OpenAI-compatible server on loopback: real speed on demand, every known fault, the real one's checks.

A fault is queued (``server.fail(Fault.RESET)``) or asked for in the last user text: ``[fault:reset]``,
``[fault:reset=5]`` (its number: tokens before it, or seconds), ``[fault:reset@stub]`` (one model only).
Run by hand or for a benchmark: ``python -m tests.platforms.openai_server --port 8001 --first-token 0.2``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.platforms.openai_audio import Audio
from tests.platforms.openai_checks import Refusal, check_chat, last_user_text
from tests.platforms.openai_embeddings import Vectors
from tests.platforms.openai_faults import BEFORE_ANSWER, Fault, Strike, early_answer, error_answer
from tests.platforms.openai_images import Images
from tests.platforms.openai_moderations import Moderations
from tests.platforms.openai_videos import Videos

MARKER = re.compile(r"\[fault:([a-z_]+)(?:=([0-9.]+))?(?:@([^\]]+))?\]")
TOKEN = re.compile(r"\s*\S+|\s+")
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asks:
    """An answer that asks for tools: their names and arguments, behind some text."""

    calls: tuple[tuple[str, str], ...]
    text: str = ""


Reply = str | Asks | Callable[[Body], str | Asks]


FINISH: dict[Fault | None, str] = {Fault.LENGTH: "length", Fault.CONTENT_FILTER: "content_filter"}
DEFAULT_TOKENS_BEFORE = 3
DEFAULT_SLOW_SECONDS = 30.0


@dataclass(slots=True)
class Recorded:
    """One chat request as it came, and how it went: open, done, refused, cut (by us) or left (by the client)."""

    body: Body
    headers: dict[str, str]
    outcome: str = "open"
    tokens: int = 0
    calls: tuple[tuple[str, str], ...] = ()
    """What the answer asked to have done."""

    @property
    def model(self) -> str:
        return self.body["model"]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body["messages"]


def echo(body: Body) -> str:
    """The reply that makes the context visible: how many messages came, and the last user text."""
    return f"[{len(body['messages'])}] {last_user_text(body)}"


@dataclass
class OpenAIServer:
    """Start it with ``async with``. ``first_token`` and ``tick`` are seconds; ``tokens_per_second`` 0: at once.

    ``tokens`` makes every answer that long, by cutting or filling up; ``tick`` is the shortest time
    between two writes: the tokens due meanwhile go out in one.
    """

    models: Sequence[str] = ("stub",)
    reply: Reply = echo
    first_token: float = 0.0
    tokens_per_second: float = 0.0
    tokens: int | None = None
    tick: float = 0.0
    api_key: str = ""
    more_keys: Sequence[str] = ()
    """Keys of other accounts. Where there are any, the list of models asks for a key as well, as OpenAI's does."""
    blind: Sequence[str] = ()
    """Models that refuse images."""
    reports_usage: bool = True
    hangs_up: bool = False
    """Closes the connection after a stream without having announced it, as llama.cpp does."""
    records: bool = True
    port: int = 0
    requests: list[Recorded] = field(default_factory=list[Recorded])
    strikes: deque[Strike] = field(default_factory=deque[Strike])
    audio: Audio = field(default_factory=Audio)
    """What hears and speaks."""
    images: Images = field(default_factory=Images)
    videos: Videos = field(default_factory=Videos)
    """What draws."""
    moderation: Moderations = field(default_factory=Moderations)
    """What judges."""
    vectors: Vectors = field(default_factory=Vectors)
    """What makes embeddings."""
    toolless: Sequence[str] = ()
    """Models that refuse tools."""
    toolless_status: int = 400
    """How they do."""
    active: int = 0
    """Chat requests being answered: the slots in use."""
    peak: int = 0

    async def __aenter__(self) -> OpenAIServer:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/audio/transcriptions", self.audio.transcriptions)
        app.router.add_post("/v1/audio/speech", self.audio.speech)
        app.router.add_post("/v1/audio/generations", self.audio.generations)
        app.router.add_post("/v1/images/generations", self.images.generations)
        app.router.add_post("/v1/moderations", self.moderation.moderations)
        app.router.add_post("/v1/images/edits", self.images.edits)
        self.videos.add_routes(app)
        app.router.add_post("/v1/embeddings", self.vectors.embeddings)
        # Cancelled handlers are how a slot comes free when the client goes away.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def fail(self, fault: Fault, number: float | None = None, *, model: str = "", times: int = 1) -> None:
        """Queues a fault for the next ``times`` requests (to ``model``)."""
        self.strikes.extend([Strike(fault, number, model)] * times)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, request: web.Request) -> web.Response:
        if self.more_keys and not self._knows(request):
            return error_answer(Refusal(401, "Incorrect API key provided.", code="invalid_api_key"))
        rows = [{"id": name, "object": "model", "created": 0, "owned_by": "tests"} for name in self.models]
        return web.json_response({"object": "list", "data": rows})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        try:
            body: Body = await request.json()
        except (ValueError, UnicodeDecodeError):
            return error_answer(Refusal(400, "We could not parse the JSON body of your request."))
        record = Recorded(body, dict(request.headers))
        if self.records:
            self.requests.append(record)
        if self.api_key and not self._knows(request):
            record.outcome = "refused"
            return error_answer(Refusal(401, "Incorrect API key provided.", code="invalid_api_key"))
        if refusal := check_chat(body, self.models, self.blind):
            record.outcome = "refused"
            return error_answer(refusal)
        if body["model"] in self.toolless and "tools" in body:
            record.outcome = "refused"
            return error_answer(Refusal(self.toolless_status, "This model does not support tools."))
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            response = await self._answer(request, record, self._strike(body))
        except (asyncio.CancelledError, ConnectionError):
            record.outcome = "left"
            raise
        finally:
            self.active -= 1
        if record.outcome == "open":
            record.outcome = "done"
        return response

    def _knows(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") in {f"Bearer {key}" for key in (self.api_key, *self.more_keys)}

    def _strike(self, body: Body) -> Strike | None:
        for strike in self.strikes:
            if strike.model in ("", body["model"]):
                self.strikes.remove(strike)
                return strike
        if found := MARKER.search(last_user_text(body)):
            name, number, model = found.groups()
            if model in (None, body["model"]):
                return Strike(Fault(name), float(number) if number else None)
        return None

    async def _answer(self, request: web.Request, record: Recorded, strike: Strike | None) -> web.StreamResponse:
        fault = strike.fault if strike else None
        number = strike.number if strike else None
        if fault in BEFORE_ANSWER:
            record.outcome = "cut"
            return early_answer(fault, number)
        tokens = self._tokens(record, fault, number)
        started = time.monotonic()
        if fault is Fault.SLOW:
            started += DEFAULT_SLOW_SECONDS if number is None else number
        if not record.body.get("stream"):
            await asyncio.sleep(started + self._due(len(tokens)) - time.monotonic())
            record.tokens = len(tokens)
            return web.json_response(self._whole(record.body, tokens, fault))
        return await self._stream(request, record, tokens, started, fault)

    def _tokens(self, record: Recorded, fault: Fault | None, number: float | None) -> list[str]:
        body = record.body
        if fault in (Fault.EMPTY, Fault.NO_CHOICES):
            return []
        if fault is Fault.BLANK:
            return ["\n", " ", "\n"]
        said = self.reply(body) if callable(self.reply) else self.reply
        text = said.text if isinstance(said, Asks) else said
        record.calls = said.calls if isinstance(said, Asks) else ()
        tokens: list[str] = TOKEN.findall(text)
        if self.tokens is not None:
            tokens = (tokens + [f" word{n}" for n in range(self.tokens - len(tokens))])[: self.tokens]
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        if fault is not None and fault is not Fault.SLOW:
            before = DEFAULT_TOKENS_BEFORE if number is None else int(number)
            limit = min(before, limit or before) if fault is not Fault.NO_END else limit
        return tokens[:limit]

    def _due(self, sent: int) -> float:
        """Seconds after the start at which token number ``sent`` (from 0) is due."""
        return self.first_token + (sent / self.tokens_per_second if self.tokens_per_second else 0.0)

    async def _stream(
        self, request: web.Request, record: Recorded, tokens: list[str], started: float, fault: Fault | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        chunk = _chunks(record.body["model"])
        pending = [chunk('{"role":"assistant","content":""}')]
        total = len(tokens)
        while record.tokens < total:
            now = time.monotonic() - started
            while record.tokens < total and self._due(record.tokens) <= now:
                pending.append(chunk(f'{{"content":{json.dumps(tokens[record.tokens])}}}'))
                record.tokens += 1
            if pending:
                await response.write(b"".join(pending))
                pending.clear()
            if record.tokens < total:
                pause = started + self._due(record.tokens) - time.monotonic()
                await asyncio.sleep(max(pause, self.tick if record.tokens else 0.0))
        if fault is not None and await self._break_off(request, response, chunk, fault):
            record.outcome = "cut"
            return response
        pending.extend(map(chunk, _call_deltas(record.calls)))
        reason = "tool_calls" if record.calls else self._reason(record.body, total, fault)
        pending.append(chunk("{}", json.dumps(reason)))
        options: Body = record.body.get("stream_options") or {}
        if self.reports_usage and options.get("include_usage"):
            usage = json.dumps(_usage(record.body, total))
            pending.append(chunk("", usage=usage))
        if fault is Fault.NO_END:
            await response.write(b"".join(pending))
            await asyncio.Event().wait()
        pending.append(b"data: [DONE]\n\n")
        await response.write(b"".join(pending))
        await response.write_eof()
        if self.hangs_up and request.transport is not None:
            request.transport.close()
        return response

    def _reason(self, body: Body, total: int, fault: Fault | None) -> str:
        if fault in FINISH:
            return FINISH[fault]
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        return "length" if limit is not None and total >= limit else "stop"

    async def _break_off(
        self, request: web.Request, response: web.StreamResponse, chunk: Callable[..., bytes], fault: Fault
    ) -> bool:
        """Carries a fault in mid-stream out; True where the stream ends by it."""
        match fault:
            case Fault.STALL:
                await asyncio.Event().wait()
            case Fault.PINGS:
                while True:
                    await response.write(b": still thinking\n\n")
                    await asyncio.sleep(0.1)
            case Fault.RESET:
                # What was written is to arrive before the reset does.
                await asyncio.sleep(0.02)
                if request.transport is not None:
                    request.transport.abort()
            case Fault.NO_FINISH:
                await response.write_eof()
            case Fault.BROKEN_JSON:
                await response.write(b'data: {"id": "chatcmpl-1", "choices": [{"delta"\n\n')
                await response.write_eof()
            case Fault.ERROR_EVENT:
                error = {"message": "The server had an error.", "type": "server_error", "code": None}
                await response.write(f"data: {json.dumps({'error': error})}\n\n".encode())
                await response.write_eof()
            case Fault.NO_CHOICES:
                await response.write(chunk("") * 3 + b"data: [DONE]\n\n")
                await response.write_eof()
            case _:
                return False
        return True

    def _whole(self, body: Body, tokens: list[str], fault: Fault | None) -> Body:
        reason = self._reason(body, len(tokens), fault)
        message = {"role": "assistant", "content": "".join(tokens), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return {
            "id": "chatcmpl-stub",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": [] if fault is Fault.NO_CHOICES else [choice],
            "usage": _usage(body, len(tokens)),
        }


def _call_deltas(calls: Sequence[tuple[str, str]]) -> list[str]:
    """In pieces, as they come: first the names, then the arguments bit by bit, those of all calls mixed."""
    heads = [
        {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        for index, (name, _) in enumerate(calls)
    ]
    longest = max((len(arguments) for _, arguments in calls), default=0)
    pieces = [
        {"index": index, "function": {"arguments": arguments[at : at + 7]}}
        for at in range(0, longest, 7)
        for index, (_, arguments) in enumerate(calls)
    ]
    return [json.dumps({"tool_calls": [piece]}) for piece in (*heads, *pieces)]


def _chunks(model: str) -> Callable[..., bytes]:
    """A maker of stream events, which encodes per token only what differs."""
    head = (
        f'data: {{"id":"chatcmpl-stub","object":"chat.completion.chunk","created":{int(time.time())},'
        f'"model":{json.dumps(model)},"service_tier":"default","system_fingerprint":"fp_stub","choices":['
    )

    def chunk(delta: str, reason: str = "null", *, usage: str = "null") -> bytes:
        choice = f'{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}' if delta else ""
        return f'{head}{choice}],"usage":{usage}}}\n\n'.encode()

    return chunk


def _usage(body: Body, answer: int) -> dict[str, int]:
    prompt = len(json.dumps(body["messages"])) // 4
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


async def _serve(options: argparse.Namespace) -> None:
    server = OpenAIServer(
        models=options.model or ("stub",),
        reply=options.reply if options.reply is not None else echo,
        first_token=options.first_token,
        tokens_per_second=options.tokens_per_second,
        tokens=options.tokens,
        tick=options.tick,
        records=False,
        port=options.port,
    )
    async with server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serves until interrupted; the first line printed is the base URL."""
    parser = argparse.ArgumentParser(description="An OpenAI-compatible stub on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", action="append", help="repeatable; stub by default")
    parser.add_argument("--reply", help="text of every answer; by default the last user text comes back")
    parser.add_argument("--first-token", type=float, default=0.2, help="seconds")
    parser.add_argument("--tokens-per-second", type=float, default=50.0, help="0: at once")
    parser.add_argument("--tokens", type=int, default=40, help="length of every answer")
    parser.add_argument("--tick", type=float, default=0.0, help="shortest time between two writes, in seconds")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
