"""The router: which model answers, for how long it is waited for, and who goes on when it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from core.errors import ModelError, ModelFault
from core.models.breaker import Breaker
from core.models.catalog import LOCAL, Catalog, Endpoint, Model
from core.models.chat import ChatMessage, ChatRequest, estimate_prompt, estimate_tokens
from core.models.pool import Busy, Pool
from core.models.wire import Done, ModelCall, Wire
from core.parts import Ending, Finished, Notice, Part, TextDelta, Usage
from core.settings import MAX_WAITING, RoutingSettings

log = structlog.get_logger()

MAX_CALLS = 3
"""Model calls in one turn, in all: a retry never multiplies them."""
PATIENCE_SECONDS = 2.0
"""Longest Retry-After that is waited for; over it the next model is asked."""
RETRY_SECONDS = 0.5
"""Pause before the same model is asked again."""
MIN_ANSWER = 256
"""Tokens that must be left for the answer for a model to fit a prompt."""
MAX_ANSWER_CHARS = 400_000
"""A server that ignores its token limit is cut off here, so that an answer's memory is bounded."""
UNSEEN = "[a picture]"
"""What a model that sees no pictures is told of a message that was nothing else."""
GO_ON = (
    "Your answer above was cut off by a technical fault. Go on exactly where it stops, in the same language "
    "and format. Repeat nothing and say nothing about the break."
)


def choose(catalog: Catalog, request: ChatRequest) -> tuple[Model, ...]:
    """The models to ask, best first: the one chosen, its fallbacks, then the rest of those that fit.

    Where the question needs eyes and no model has them, blind ones are taken.
    """
    chosen = catalog.choose(request.model)
    if chosen is None:
        return ()
    named = (catalog.find(name) for name in chosen.fallbacks)
    ordered = list(dict.fromkeys([chosen, *(m for m in named if m is not None), *catalog.models]))
    if request.needs_vision:
        ordered = [model for model in ordered if model.accepts_images] or ordered
    prompt = estimate_prompt(request.messages)
    # The prompt was cut for the chosen model's window; should the rough count disagree, the widest is taken.
    return tuple(m for m in ordered if prompt + MIN_ANSWER <= m.window) or (max(ordered, key=lambda m: m.window),)


@dataclass(slots=True)
class _Answer:
    """One turn's answer as it grows over its calls."""

    request: ChatRequest
    deadline: float
    """On the loop's clock."""
    texts: list[str] = field(default_factory=list[str])
    chars: int = 0
    model: str = ""
    """Who wrote last; empty before any text."""
    usage: Usage = field(default_factory=Usage)
    causes: list[str] = field(default_factory=list[str])
    """What failed on the way."""
    has_noticed: bool = False
    was_empty: bool = False
    tried: set[str] = field(default_factory=set[str])
    """Servers asked, by their names in the breaker."""
    busy: Busy | None = None
    """Of the lines that were too long, the shortest."""

    def messages(self, model: Model) -> tuple[ChatMessage, ...]:
        """The prompt for the next call, with the text so far to go on from."""
        messages = self.request.messages
        if not model.accepts_images:
            messages = tuple(replace(m, images=(), text=m.text or UNSEEN) if m.images else m for m in messages)
        if self.texts:
            messages += (ChatMessage("assistant", "".join(self.texts)), ChatMessage("user", GO_ON))
        return messages

    def broken_ending(self) -> Ending:
        """What an answer is that no model has ended."""
        if self.texts:
            return Ending.BROKEN
        return Ending.EMPTY if self.was_empty else Ending.FAILED


class Router:
    """Asks models for one answer at a time per call of :meth:`answer`; safe for many at once."""

    def __init__(
        self,
        catalog: Catalog,
        settings: RoutingSettings,
        breaker: Breaker,
        open_wire: Callable[[Endpoint], Wire],
    ) -> None:
        self._catalog = catalog
        self._settings = settings
        self._breaker = breaker
        self._open_wire = open_wire
        self._pools: dict[tuple[str, str], Pool] = {}
        catalog.watch(self._update)

    async def aclose(self) -> None:
        """Closes every provider's connections, and looks at none any more."""
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()

    def estimate(self, request: ChatRequest, text: str) -> Usage:
        """What an answer that was stopped at ``text`` took, roughly: a closed generator cannot report it."""
        model = next(iter(choose(self._catalog, request)), None)
        if model is None:
            return Usage()
        prompt, answer = estimate_prompt(request.messages), estimate_tokens(text)
        return Usage(model.name, prompt, answer, model.cost(prompt, answer), 1)

    @contextlib.asynccontextmanager
    async def place(
        self, model: Model, space: str, tried: set[str], deadline: float
    ) -> AsyncGenerator[tuple[Wire, Model], None]:
        """A place at a server of the model, for work that is no chat; ``tried`` grows by the server's name.

        What goes wrong there does not count against the server: its chat models may well be in order, and somebody's
        file must not be able to take them out of service. ``deadline`` is on the loop's clock. Raises ModelError, Busy.
        """
        pool = self._pool(model)
        seat = await pool.take(space, tried, deadline)
        endpoint = seat.server.endpoint
        tried.add(endpoint.circuit)
        try:
            yield seat.server.wire, replace(model, id=endpoint.id) if endpoint.id else model
        finally:
            pool.withdrawn(seat)

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Part, None]:
        """Text, at most one ``fallback`` notice, and exactly one Finished at the end.

        Raises nothing but CancelledError. Cancelling it, or closing the generator, ends the model call.
        """
        answer = _Answer(request, asyncio.get_running_loop().time() + self._settings.total_seconds)
        ending = Ending.FAILED
        try:
            candidates = choose(self._catalog, request)
            if not candidates:
                await self._wait_for_local()
                candidates = choose(self._catalog, request)
            if not candidates and not self._catalog.expects_local:
                yield Notice("no_models")
            elif candidates and request.needs_vision and not candidates[0].accepts_images:
                yield Notice("no_vision")
            async with aclosing(self._ask_in_turn(answer, candidates)) as parts:
                async for part in parts:
                    if isinstance(part, Ending):
                        ending = part
                    else:
                        yield part
        except Exception:
            # The last line of defence: whatever is wrong in here, the person gets an ending.
            log.exception("router failed")
            ending = answer.broken_ending()
        yield Finished(ending, answer.usage, tuple(answer.causes))

    async def _ask_in_turn(self, answer: _Answer, candidates: tuple[Model, ...]) -> AsyncGenerator[Part | Ending, None]:
        loop = asyncio.get_running_loop()
        queue = deque(candidates)
        last, pause = "", RETRY_SECONDS
        while queue and answer.usage.calls < MAX_CALLS and loop.time() < answer.deadline:
            model = queue.popleft()
            if model.name == last:
                await asyncio.sleep(pause)
            try:
                async with aclosing(self._ask(answer, model)) as pieces:
                    async for piece in pieces:
                        yield piece
                        if isinstance(piece, Ending):
                            return
                answer.was_empty = True
            except Busy as busy:
                log.info("provider_busy", model=model.name, seconds=round(busy.seconds))
                answer.busy = min(busy, answer.busy or busy, key=lambda found: found.seconds)
            except ModelError as error:
                answer.causes.append(f"{model.name}: {error}")
                if error.fault is not ModelFault.REFUSED and self._pool(model).has_other(answer.tried):
                    # Another server of the same pool, at once; but the last call is for another model, if there is one.
                    (queue.append if answer.usage.calls == MAX_CALLS - 1 else queue.appendleft)(model)
                    last = ""
                    continue
                if model.name != last and 0 <= (error.retry_after or -1) <= PATIENCE_SECONDS:
                    pause = max(RETRY_SECONDS, error.retry_after or 0)
                    queue.appendleft(model)
                elif error.retryable:
                    queue.append(model)
            last = model.name
        ending = answer.broken_ending()
        if ending is Ending.FAILED and answer.busy is not None:
            yield answer.busy.notice()
        yield ending

    async def _ask(self, answer: _Answer, model: Model) -> AsyncGenerator[Part | Ending, None]:
        """One call: its text, and its ending unless the model had nothing to say. Raises ModelError."""
        fresh = _Fresh(is_first=not answer.texts)
        answered = ""
        done: Done | None = None
        is_alive = False
        messages = answer.messages(model)
        try:
            async with aclosing(self._call(answer, model, messages)) as pieces:
                async for piece in pieces:
                    is_alive = True
                    if isinstance(piece, Done):
                        done = piece
                        continue
                    if not (text := fresh.admit(piece)):
                        continue
                    if answer.model not in ("", model.name) and not answer.has_noticed:
                        answer.has_noticed = True
                        yield Notice("fallback", {"model": model.name})
                    answer.model = model.name
                    answer.texts.append(text)
                    answered += text
                    answer.chars += len(text)
                    yield TextDelta(text)
                    if answer.chars > MAX_ANSWER_CHARS:
                        done = Done(Ending.LENGTH)
                        break
        finally:
            if is_alive:
                self._tally(answer, model, messages, answered, done)
        if done is not None and (answered or done.ending is Ending.FILTERED):
            yield done.ending

    def _tally(
        self,
        answer: _Answer,
        model: Model,
        messages: tuple[ChatMessage, ...],
        answered: str,
        done: Done | None,
    ) -> None:
        """Adds what a call took, as reported or else estimated."""
        prompt = done.prompt_tokens if done else None
        written = done.answer_tokens if done else None
        prompt = estimate_prompt(messages) if prompt is None else prompt
        written = estimate_tokens(answered) if written is None else written
        usage = answer.usage
        answer.usage = Usage(
            model.name,
            usage.prompt_tokens + prompt,
            usage.answer_tokens + written,
            usage.cost + model.cost(prompt, written),
            usage.calls,
        )

    async def _wait_for_local(self) -> None:
        """A model server that is starting or coming back is waited for like a first token."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(self._settings.first_token_seconds, self._settings.total_seconds)):
                await self._catalog.settled()

    async def _call(
        self, answer: _Answer, model: Model, messages: tuple[ChatMessage, ...]
    ) -> AsyncGenerator[str | Done, None]:
        """One call within its place, deadlines and breaker. Raises ModelError, Busy."""
        if self._catalog.find(model.name) is None:
            await self._wait_for_local()
        pool = self._pool(model)
        seat = await pool.take(answer.request.space, answer.tried, answer.deadline)
        report = pool.withdrawn
        endpoint = seat.server.endpoint
        try:
            wire = seat.server.wire
            answer.tried.add(endpoint.circuit)
            answer.usage = replace(answer.usage, calls=answer.usage.calls + 1)
            limit = _answer_limit(model, answer.request, messages)
            named = replace(model, id=endpoint.id) if endpoint.id else model
            async with aclosing(wire.stream(ModelCall(named, messages, limit, answer.request.sender))) as stream:
                piece: str | Done | None = None
                while not isinstance(piece, Done):
                    piece = await self._next(stream, answer.deadline, is_first=piece is None)
                    seat.is_alive = True
                    if isinstance(piece, Done):
                        report = pool.succeeded
                    yield piece
        except ModelError as error:
            log.warning("model_failed", model=model.name, server=endpoint.circuit, error=str(error))
            # A refusal is the request's fault, and running out of time may be the calls' before this one.
            if error.fault is not ModelFault.REFUSED and asyncio.get_running_loop().time() < answer.deadline:
                report = partial(pool.failed, fault=error.fault)
            raise
        finally:
            report(seat)

    async def _next(self, stream: AsyncGenerator[str | Done, None], deadline: float, *, is_first: bool) -> str | Done:
        """The next piece in time. A model that thinks is alive: its thoughts count as a first token."""
        patience = self._settings.first_token_seconds if is_first else self._settings.stall_seconds
        try:
            async with asyncio.timeout_at(min(asyncio.get_running_loop().time() + patience, deadline)):
                return await anext(stream)
        except TimeoutError:
            what = "no first token in time" if is_first else "the stream stalled"
            raise ModelError(ModelFault.TIMEOUT, what, retryable=not is_first) from None

    def _pool(self, model: Model) -> Pool:
        """The servers of a model: all models of a provider share its servers, but each local model has its own."""
        key = (model.provider, model.name if model.provider == LOCAL else "")
        pool = self._pools.get(key)
        if pool is None:
            provider = self._catalog.provider(model.provider)
            most = MAX_WAITING if provider is None else provider.max_waiting
            pool = Pool(
                self._breaker,
                self._open_wire,
                max_waiting=most,
                max_wait_seconds=self._settings.max_wait_seconds,
            )
            pool.update(self._catalog.endpoints(*key))
            self._pools[key] = pool
        return pool

    def _update(self) -> None:
        for key, pool in self._pools.items():
            pool.update(self._catalog.endpoints(*key))


class _Fresh:
    """Holds a call's beginning back while it is blank, so that a blank answer shows nothing at all."""

    def __init__(self, is_first: bool) -> None:
        self._is_first = is_first
        self._held = ""
        self._is_open = False

    def admit(self, piece: str) -> str:
        """The text to show now. Blank space is kept where a text goes on, and dropped where one begins."""
        if self._is_open:
            return piece
        self._held += piece
        if not self._held.strip():
            return ""
        self._is_open = True
        return self._held.lstrip() if self._is_first else self._held


def _answer_limit(model: Model, request: ChatRequest, messages: tuple[ChatMessage, ...]) -> int:
    """Tokens the answer may take: servers refuse a limit that does not fit beside the prompt."""
    room = model.window - estimate_prompt(messages) * 9 // 8
    return min(model.max_answer, request.max_answer or model.max_answer, max(room, MIN_ANSWER // 4))
