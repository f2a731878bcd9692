"""The wire that hosted and local model servers share: OpenAI's chat completions, streamed.

What the SDK lets pass is an error here: HTML with status 200, broken JSON, a stream without a finish reason
or without choices, an error event. Everything raised is :class:`core.errors.ModelError`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx2
import openai
import structlog

from core.models.chat import ChatMessage, ToolForm, without_tools
from core.models.completion_events import CompletionEvents
from core.models.model import Endpoint, Model
from core.models.openai_client import Client
from core.models.openai_embeddings import Embeddings
from core.models.openai_images import Images
from core.models.openai_moderation import Moderation
from core.models.openai_sound import Sound
from core.models.openai_video import Videos
from core.models.sampling import Refusals, values_of
from core.models.text_calls import TextCalls
from core.models.wire import (
    Done,
    Drawing,
    Embedding,
    Film,
    FilmJob,
    FilmRequest,
    ImageRequest,
    Judgement,
    ModelCall,
    Partial,
    Recording,
    Step,
    Transcript,
    Utterance,
)

log = structlog.get_logger()

USAGE_SECONDS = 2.0
"""How long the usage report is waited for once the finish reason is there."""
END_SECONDS = 0.1
"""How long the body's end is waited for after [DONE]: only a body read to its end frees its connection."""


class OpenAIApi:
    """One server.

    Deadlines are the caller's: it bounds each step of :meth:`stream`, and cancelling a step, or closing the
    generator, closes the HTTP stream, so that the server frees its slot.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._client = Client(endpoint)
        self._images = Images(self._client)
        self._sound = Sound(self._client)
        self._videos = Videos(self._client)
        self._moderation = Moderation(self._client)
        self._embeddings = Embeddings(self._client)
        self._refused = Refusals()
        self._toolless: set[str] = set()
        self._refused_tools: set[tuple[str, str]] = set()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def model_ids(self) -> tuple[str, ...]:
        """The provider's own names of its models."""
        with self._client.errors():
            page = await self._client.get("/models")
            rows = page.json()["data"]
            return tuple(row["id"] for row in rows)

    async def stream(self, call: ModelCall) -> AsyncGenerator[str | Done, None]:
        """Pieces of visible text, then one Done. An empty piece is a sign of life: the model thinks."""
        with self._client.errors():
            response, left_out = await self._opened(call)
            try:
                events = CompletionEvents()
                written = TextCalls([tool.name for tool in call.tools]) if call.model.tools_in_text else None
                reads = response.aiter_bytes()
                data: bytes | None = b""
                while data is not None:
                    data = await _read(reads, events)
                    piece = events.feed(data) if data is not None else events.end()
                    if piece is not None:
                        yield written.feed(piece) if written else piece
                    events.check()
                done = events.done()
                if written is not None:
                    rest, calls = written.finish()
                    if rest:
                        yield rest
                    done = replace(done, calls=done.calls or calls)
                yield replace(done, left_out=left_out)
            finally:
                with contextlib.suppress(Exception):
                    await response.aclose()

    async def transcribe(self, model: Model, recording: Recording) -> Transcript:
        return await self._sound.transcribe(model, recording)

    async def speak(self, model: Model, utterance: Utterance) -> bytes:
        return await self._sound.speak(model, utterance)

    async def compose(self, model: Model, prompt: str, seconds: int, *, once: str = "") -> bytes:
        return await self._sound.compose(model, prompt, seconds, once=once)

    def draw(self, model: Model, request: ImageRequest) -> AsyncGenerator[Step | Partial | Drawing, None]:
        return self._images.draw(model, request)

    def film(self, model: Model, request: FilmRequest) -> AsyncGenerator[FilmJob | Step | Film, None]:
        return self._videos.film(model, request)

    async def forget_film(self, job: str) -> None:
        await self._videos.forget_film(job)

    async def judge(self, model: Model, text: str, pictures: Sequence[tuple[str, bytes]] = ()) -> Judgement:
        return await self._moderation.judge(model, text, pictures)

    async def embed(self, model: Model, texts: Sequence[str], *, is_query: bool) -> Embedding:
        return await self._embeddings.embed(model, texts, is_query=is_query)

    async def _opened(self, call: ModelCall) -> tuple[httpx2.Response, frozenset[str]]:
        """The stream, and what was left out since the model does not want to be sampled by it: then it is asked again
        at once, such a refusal costs nothing."""
        asked = values_of(call.model, call.sampling)
        wanted = {name: value for name, value in asked.items() if name not in call.model.lacks} | _form(call.schema)
        while True:
            values = self._refused.allowed(call.model.id, wanted)
            try:
                response = await self._client.post("/chat/completions", {**self._body(call), **values})
                return response, frozenset(asked) - frozenset(values)
            except openai.APIStatusError as error:
                is_wrong = isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError)
                is_learned = is_wrong and self._refused.learn(call.model.id, values, error.param or str(error))
                if is_learned or (is_wrong and self._learns_of_tool(call, error.param or "", str(error))):
                    continue
                if not self._learns_no_tools(call, error.status_code, str(error)):
                    raise

    def _learns_of_tool(self, call: ModelCall, param: str, said: str) -> bool:
        """Whether a refusal was about the form of one tool, as an MCP server may give it: then it can be asked again
        without that one, and is until the form is another."""
        tools = self._tools(call)
        numbered = re.match(r"tools(?:\[|\.)(\d{1,3})\b", param)
        if numbered and int(numbered[1]) < len(tools):
            found = [tools[int(numbered[1])]]
        elif re.search(r"schema|parameters", said, re.IGNORECASE):
            found = [tool for tool in tools if re.search(rf"['\"`]{re.escape(tool.name)}['\"`]", said)]
        else:
            found = []
        for tool in found:
            log.warning("a model refuses a tool", model=call.model.name, tool=tool.name, cause=said[:200])
            self._refused_tools.add((call.model.id, json.dumps(_tool(tool))))
        return bool(found)

    def _learns_no_tools(self, call: ModelCall, status: int, said: str) -> bool:
        """Whether a refusal was about tools: then it can be asked again without, and is from then on.

        llama.cpp says it with 500 where it runs without templates, OpenRouter with 404.
        """
        is_about_tools = status in (400, 404, 422, 500, 501) and re.search(r"\btool|\bfunction", said, re.IGNORECASE)
        # What is too long is told with how many tokens the tools took.
        if not self._takes_tools(call) or not is_about_tools or re.search(r"\bcontext\b|\btokens\b", said):
            return False
        log.info("a model takes no tools", model=call.model.name, cause=said[:200])
        self._toolless.add(call.model.id)
        return True

    def _takes_tools(self, call: ModelCall) -> bool:
        return bool(self._tools(call))

    def _tools(self, call: ModelCall) -> Sequence[ToolForm]:
        """Those that the model is told of."""
        if call.model.id in self._toolless:
            return ()
        if not self._refused_tools:
            return call.tools
        return [tool for tool in call.tools if (call.model.id, json.dumps(_tool(tool))) not in self._refused_tools]

    def _body(self, call: ModelCall) -> dict[str, Any]:
        model, takes_tools = call.model, self._takes_tools(call)
        messages = call.messages if takes_tools else without_tools(call.messages)
        body: dict[str, Any] = {
            "model": model.id,
            "messages": [_message(message) for message in messages if message.text or message.images or message.calls],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_completion_tokens" if self._client.hosted_by_openai else "max_tokens": call.max_answer,
        }
        if self._client.hosted_by_openai and call.sender:
            body["safety_identifier"] = call.sender
        if takes_tools:
            body["tools"] = [_tool(form) for form in self._tools(call)]
        return body


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


def _tool(form: ToolForm) -> dict[str, Any]:
    function = {"name": form.name, "description": form.description, "parameters": form.schema}
    return {"type": "function", "function": function}


def _form(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What holds an answer to a schema. A server that does not know it refuses it by this name."""
    if schema is None:
        return {}
    named = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _message(message: ChatMessage) -> dict[str, Any]:
    if message.call_id:
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if message.calls:
        functions = [{"name": call.name, "arguments": call.arguments} for call in message.calls]
        calls = [
            {"id": call.id, "type": "function", "function": function}
            for call, function in zip(message.calls, functions, strict=True)
        ]
        return {"role": message.role, "content": message.text or None, "tool_calls": calls}
    if not message.images:
        return {"role": message.role, "content": message.text}
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text else []
    for image in message.images:
        kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
        url = f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return {"role": message.role, "content": parts}
