"""Films by OpenAI's videos API: a job of the server's is begun, looked at, and what it made is fetched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, cast

import openai

from core.errors import ModelError, ModelFault
from core.models.drawing_events import POLICY_CODES
from core.models.model import Model
from core.models.openai_client import Client
from core.models.wire import Film, FilmJob, FilmRequest, Step

POLL_SECONDS = 2.0
"""Between two looks at a job; a film takes minutes."""
MAX_POLL_SECONDS = 15.0
MOST_FAILURES = 5
"""Looks in a row that may fail: what is being made goes on meanwhile, and is paid."""
MAX_FILM_BYTES = 200_000_000
MAX_ANSWER_BYTES = 1_000_000
FORGET_SECONDS = 3.0
_BAD_INPUTS = frozenset((*POLICY_CODES, "input_moderation_failed", "output_moderation_failed"))


class Videos:
    """The films of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def film(self, model: Model, request: FilmRequest) -> AsyncGenerator[FilmJob | Step | Film, None]:
        """As :meth:`core.models.wire.Wire.film`."""
        with self._client.errors():
            job = request.job
            if not job:
                job = _id_of(await self._begin(model, request))
                yield FilmJob(job)
            pause = POLL_SECONDS
            while True:
                told = await self._look(job)
                status = told.get("status")
                if status == "completed":
                    break
                if status == "failed":
                    raise self._failed(told)
                if status not in ("queued", "in_progress"):
                    raise ValueError(f"a film that is {status!r}")
                progress = told.get("progress")
                if isinstance(progress, int | float):
                    yield Step(min(max(progress / 100, 0.0), 1.0))
                await asyncio.sleep(pause)
                pause = min(MAX_POLL_SECONDS, pause * 1.2)
            yield Film(await self._client.read(f"/videos/{job}/content", MAX_FILM_BYTES))

    async def forget_film(self, job: str) -> None:
        """As :meth:`core.models.wire.Wire.forget_film`."""
        try:
            async with asyncio.timeout(FORGET_SECONDS):
                await self._client.delete(f"/videos/{job}")
        except Exception as error:
            # Many servers do not let a job be taken back: then it ends by itself.
            raise ModelError(ModelFault.SERVER, self._client.plain(error)) from None

    async def _begin(self, model: Model, request: FilmRequest) -> dict[str, Any]:
        body = {"model": model.id, "prompt": request.prompt, "seconds": str(request.seconds), "size": request.size}
        kind = "image/png" if request.first.startswith(b"\x89PNG") else "image/jpeg"
        files = [("input_reference", (f"first.{kind.partition('/')[2]}", request.first, kind))]
        try:
            sent = files if request.first else None
            answer = await self._client.whole("/videos", body, MAX_ANSWER_BYTES, sent, request.once)
        except openai.BadRequestError as error:
            if error.code in _BAD_INPUTS:
                raise ModelError(ModelFault.FILTERED, self._client.plain(error)) from None
            raise
        return _object(answer)

    async def _look(self, job: str) -> dict[str, Any]:
        failures = 0
        while True:
            try:
                return _object(await self._client.read(f"/videos/{job}", MAX_ANSWER_BYTES))
            except (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError):
                failures += 1
                if failures == MOST_FAILURES:
                    raise
            await asyncio.sleep(POLL_SECONDS * failures)

    def _failed(self, told: dict[str, Any]) -> ModelError:
        error: Any = told.get("error")
        code = str(error.get("code", "")) if isinstance(error, dict) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        fault = ModelFault.FILTERED if code in _BAD_INPUTS else ModelFault.SERVER
        return ModelError(fault, f"the film failed: {code[:80] or 'nobody says why'}")


def _object(answer: bytes) -> dict[str, Any]:
    values: Any = json.loads(answer)
    if not isinstance(values, dict):
        raise TypeError("no object")
    return cast("dict[str, Any]", values)


def _id_of(told: dict[str, Any]) -> str:
    id = told["id"]
    if not isinstance(id, str) or not id.replace("-", "").replace("_", "").isalnum() or len(id) > 200:
        # It becomes part of an address.
        raise ValueError("a film without an id")
    return id
