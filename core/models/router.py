"""The router: which model answers, for how long it is waited for, and who goes on when it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import structlog

from core.errors import ModelError, ModelFault, StorageError
from core.models import costs
from core.models.answering import MIN_ANSWER, Answer, Call, Fresh, answer_limit, has_cheaper_than, thrifty_order, total
from core.models.breaker import Breaker, gone_circuit
from core.models.budget import Amounts
from core.models.catalog import Catalog
from core.models.chat import ChatMessage, ChatRequest, estimate_prompt, estimate_tokens
from core.models.measured import Measured
from core.models.model import LOCAL, Endpoint, Model
from core.models.own_wires import OwnKeyError, OwnWires
from core.models.paying import NOBODY, LowBudget, OverBudget, Payer, Purse, billed
from core.models.pool import Busy, Pool, Seat, Seats
from core.models.settings import MAX_WAITING, RoutingSettings
from core.models.wire import Done, ModelCall, Wire
from core.parts import Ending, Finished, InLine, Notice, Part, TextDelta, Usage

log = structlog.get_logger()

MAX_CALLS = 3
"""Model calls in one turn, in all: a retry never multiplies them."""
PATIENCE_SECONDS = 2.0
"""Longest Retry-After that is waited for; over it the next model is asked."""
RETRY_SECONDS = 0.5
"""Pause before the same model is asked again."""
THEIRS = frozenset((ModelFault.REFUSED, ModelFault.GONE))
"""Faults of what was asked, or of the catalog's row: another server of the same model would say the same, and the one
that said it is well."""
MAX_ANSWER_CHARS = 400_000
"""A server that ignores its token limit is cut off here, so that an answer's memory is bounded."""


def choose(catalog: Catalog, request: ChatRequest) -> tuple[Model, ...]:
    """The models to ask, best first: the one chosen, its fallbacks, then the rest of those that fit.

    Where the question needs eyes and no model has them, blind ones are taken.
    """
    chosen = catalog.choose(request.model)
    if chosen is None:
        return ()
    named = (catalog.find(name) for name in chosen.fallbacks)
    ordered = list(dict.fromkeys([chosen, *(m for m in named if m is not None), *catalog.models]))
    if request.models:
        ordered = [model for model in ordered if model.name in request.models]
    if not ordered:
        return ()
    if request.needs_vision:
        ordered = [model for model in ordered if model.accepts_images] or ordered
    prompt = estimate_prompt(request.messages, request.tools)
    # The prompt was cut for the chosen model's window; should the rough count disagree, the widest is taken.
    return tuple(m for m in ordered if prompt + MIN_ANSWER <= m.window) or (max(ordered, key=lambda m: m.window),)


class Router:
    """Asks models for one answer at a time per call of :meth:`answer`; safe for many at once."""

    def __init__(
        self,
        catalog: Catalog,
        settings: RoutingSettings,
        breaker: Breaker,
        open_wire: Callable[[Endpoint], Wire],
        purse: Purse | None = None,
        seats: Seats | None = None,
    ) -> None:
        """Without a ``purse`` nobody pays. ``seats`` counts the places at local models' servers over all processes."""
        self._seats = seats
        self.purse = purse
        self._catalog = catalog
        self._settings = settings
        self._breaker = breaker
        self._open_wire = open_wire
        self._own = OwnWires(open_wire)
        self.measured = Measured()
        """How the models did of late, seen from here."""
        self._pools: dict[tuple[str, str], Pool] = {}
        catalog.watch(self._update)

    async def aclose(self) -> None:
        """Closes every provider's connections, and looks at none any more."""
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()
        await self._own.aclose()

    @property
    def answer_seconds(self) -> float:
        """The longest that one call of :meth:`answer` takes."""
        return self._settings.total_seconds

    def is_gone(self, model: Model) -> bool:
        """Whether its provider said of late that it has no such model: asked again when that is some time ago."""
        return self._breaker.is_open(gone_circuit(model.name))

    async def try_key(self, provider: str, key: str) -> None:
        """Asks a provider of the settings whether it takes somebody's own key. Raises OwnKeyError where it does not,
        ModelError where it cannot be asked. Has no deadline of its own."""
        found = self._catalog.provider(provider)
        if found is None:
            raise ModelError(ModelFault.REFUSED, f"there is no provider {provider}")
        await self._own.check(found.endpoints[0], key)

    def estimate(self, request: ChatRequest, text: str) -> Usage:
        """What an answer that was stopped at ``text`` took, roughly: a closed generator cannot report it."""
        model = next(iter(choose(self._catalog, request)), None)
        if model is None:
            return Usage()
        prompt, answer = estimate_prompt(request.messages, request.tools), estimate_tokens(text)
        return Usage(model.name, prompt, answer, model.cost(prompt, answer), 1)

    @contextlib.asynccontextmanager
    async def place(
        self, model: Model, space: str, tried: set[str], deadline: float, payer: Payer = NOBODY
    ) -> AsyncGenerator[tuple[Wire, Model], None]:
        """A place at a server of the model, for work that is no chat; ``tried`` grows by the server's name.

        What goes wrong there does not count against the server: its chat models may well be in order, and somebody's
        file must not be able to take them out of service. ``deadline`` is on the loop's clock. Raises ModelError, Busy.
        """
        pool = self._pool(model)
        seat = await pool.take(space, tried, deadline, payer.person)
        endpoint = seat.server.endpoint
        tried.add(endpoint.circuit)
        timed = self.measured.begin(model.name)
        try:
            async with self._wire(seat, payer) as wire:
                yield wire, replace(model, id=endpoint.id) if endpoint.id else model
            timed.done()
        except ModelError:
            timed.failed()
            raise
        finally:
            pool.withdrawn(seat)
            timed.end()

    @contextlib.asynccontextmanager
    async def _wire(self, seat: Seat, payer: Payer) -> AsyncGenerator[Wire, None]:
        """The client for a call: the server's, or one with the person's own key."""
        endpoint = seat.server.endpoint
        key = payer.own.get(endpoint.provider)
        if key is None:
            yield seat.server.wire
            return
        async with self._own.use(endpoint, key) as wire:
            yield wire

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Part, None]:
        """Text, at most one notice that another model answers, and exactly one Finished at the end.

        Raises nothing but StorageError, where a budget cannot be asked, and CancelledError. Cancelling it, or closing
        the generator, ends the model call.
        """
        answer = Answer(request, asyncio.get_running_loop().time() + self._settings.total_seconds)
        ending = Ending.FAILED
        try:
            candidates = self._candidates(request)
            if not candidates:
                await self._wait_for_local()
                candidates = self._candidates(request)
            if candidates and request.model and self._is_named_gone(request.model):
                yield Notice("model_gone", {"model": request.model})
            if not candidates and not self._catalog.expects_local:
                yield Notice("no_allowed_models" if request.models and self._catalog.models else "no_models")
            elif candidates and request.needs_vision and not candidates[0].accepts_images:
                yield Notice("no_vision")
            async with aclosing(self._ask_in_turn(answer, candidates)) as parts:
                async for part in parts:
                    if isinstance(part, Ending):
                        ending = part
                    else:
                        yield part
            for bill in answer.bills:
                for notice in bill.notices:
                    yield notice
        except StorageError:
            raise
        except Exception:
            # The last line of defence: whatever is wrong in here, the person gets an ending.
            log.exception("router failed")
            ending = answer.broken_ending()
        yield Finished(ending, answer.usage, tuple(answer.causes), answer.calls)

    def _candidates(self, request: ChatRequest) -> tuple[Model, ...]:
        """Whom to ask, best first. Models that are said to be gone come last: the mark may be wrong."""
        found = request.payer.among(choose(self._catalog, request))
        return tuple(sorted(found, key=self.is_gone))

    def _is_named_gone(self, name: str) -> bool:
        model = self._catalog.find(name)
        return model is not None and self.is_gone(model)

    async def _ask_in_turn(self, answer: Answer, candidates: tuple[Model, ...]) -> AsyncGenerator[Part | Ending, None]:
        loop = asyncio.get_running_loop()
        queue = deque(candidates)
        last, pause = "", RETRY_SECONDS
        while queue and answer.usage.calls < MAX_CALLS and loop.time() < answer.deadline:
            model = queue.popleft()
            if model.name == last:
                await asyncio.sleep(pause)
            sparing = not answer.passed_over and has_cheaper_than(answer, model, tuple(queue))
            try:
                async with aclosing(self._ask(answer, model, sparing=sparing)) as pieces:
                    async for piece in pieces:
                        yield piece
                        if isinstance(piece, Ending):
                            return
                answer.was_empty = True
            except Busy as busy:
                log.info("provider_busy", model=model.name, seconds=round(busy.seconds))
                answer.busy = min(busy, answer.busy or busy, key=lambda found: found.seconds)
            except (LowBudget, OverBudget) as short:
                queue = deque(_without_money(answer, model, short, tuple(queue)))
                continue
            except ModelError as error:
                if isinstance(error, OwnKeyError):
                    yield error.notice(answer.request.payer.shares)
                elif error.fault is ModelFault.GONE and model.name == answer.request.model:
                    yield Notice("model_gone", {"model": model.name})
                last, pause = self._after(answer, model, error, queue, last)
                continue
            last = model.name
        ending = answer.broken_ending()
        cause = answer.over or answer.busy
        if ending is Ending.FAILED and cause is not None:
            yield cause.notice()
        yield ending

    def _after(
        self, answer: Answer, model: Model, error: ModelError, queue: deque[Model], last: str
    ) -> tuple[str, float]:
        """Puts a model that failed back where asking again may help. Which one is taken as asked last, and the pause
        before it may be asked again."""
        answer.causes.append(f"{model.name}: {error}")
        if isinstance(error, OwnKeyError):
            if answer.request.payer.shares:
                answer.request = replace(answer.request, payer=answer.request.payer.without(model.provider))
                queue.appendleft(model)
            return "", RETRY_SECONDS
        if error.fault not in THEIRS and self._pool(model).has_other(answer.tried):
            # Another server of the same pool, at once; but the last call is for another model, if there is one.
            (queue.append if answer.usage.calls == MAX_CALLS - 1 else queue.appendleft)(model)
            return "", RETRY_SECONDS
        if model.name != last and 0 <= (error.retry_after or -1) <= PATIENCE_SECONDS:
            queue.appendleft(model)
            return model.name, max(RETRY_SECONDS, error.retry_after or 0)
        if error.retryable:
            queue.append(model)
        return model.name, RETRY_SECONDS

    async def _ask(self, answer: Answer, model: Model, *, sparing: bool) -> AsyncGenerator[Part | Ending, None]:
        """One call: its text, and its ending unless the model had nothing to say. Raises ModelError, Busy, OverBudget,
        LowBudget (where ``sparing``), StorageError."""
        fresh = Fresh(is_first=not answer.texts)
        has_answered = False
        done: Done | None = None
        async with aclosing(self._call(answer, model, answer.messages(model), sparing=sparing)) as pieces:
            async for piece in pieces:
                if isinstance(piece, InLine):
                    yield piece
                    continue
                if isinstance(piece, Done):
                    done = piece
                    continue
                if not (text := fresh.admit(piece)):
                    continue
                if (notice := answer.notice_of(model)) is not None:
                    yield notice
                answer.model = model.name
                answer.texts.append(text)
                has_answered = True
                answer.chars += len(text)
                yield TextDelta(text)
                if answer.chars > MAX_ANSWER_CHARS:
                    done = Done(Ending.LENGTH)
                    break
        if done is not None and (has_answered or done.calls or done.ending is Ending.FILTERED):
            answer.calls = done.calls
            if lacking := done.left_out & answer.request.asked_for:
                yield Notice("model_takes_no", {"model": model.name, "names": ", ".join(sorted(lacking))})
            yield done.ending

    async def _wait_for_local(self) -> None:
        """A model server that is starting or coming back is waited for like a first token."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(self._settings.first_token_seconds, self._settings.total_seconds)):
                await self._catalog.settled()

    async def _call(
        self, answer: Answer, model: Model, messages: tuple[ChatMessage, ...], *, sparing: bool
    ) -> AsyncGenerator[str | Done | InLine, None]:
        """One call within its place, budget, deadlines and breaker. Raises as :meth:`_ask` does."""
        if self._catalog.find(model.name) is None:
            await self._wait_for_local()
        pool = self._pool(model)
        seat: Seat | None = None
        who = answer.request.payer.person or answer.request.sender
        async with aclosing(pool.queue(answer.request.space, answer.tried, answer.deadline, who)) as steps:
            async for step in steps:
                if isinstance(step, InLine):
                    yield step
                else:
                    seat = step
        assert seat is not None
        report, timed = pool.withdrawn, self.measured.begin(model.name)
        endpoint = seat.server.endpoint
        try:
            async with (
                self._paid(answer, model, messages, sparing=sparing) as call,
                self._wire(seat, answer.request.payer) as wire,
            ):
                answer.tried.add(endpoint.circuit)
                named = replace(model, id=endpoint.id) if endpoint.id else model
                request = answer.request
                tools = answer.tools(model)
                asked = ModelCall(named, messages, call.limit, request.sender, request.sampling, tools, request.schema)
                async with aclosing(wire.stream(asked)) as stream:
                    piece: str | Done | None = None
                    while not isinstance(piece, Done):
                        piece = await self._next(stream, answer.deadline, is_first=piece is None)
                        seat.is_alive = True
                        timed.alive()
                        call.add(piece)
                        if isinstance(piece, Done):
                            timed.done()
                            report = pool.succeeded
                            self._breaker.recovered(gone_circuit(model.name))
                        yield piece
        except ModelError as error:
            timed.failed()
            log.warning("model_failed", model=model.name, server=endpoint.circuit, error=str(error))
            # A refusal is the request's fault, running out of time may be the calls' before this one, and somebody's
            # own key tells nothing of the server.
            is_theirs = error.fault in THEIRS or isinstance(error, OwnKeyError)
            if error.fault is ModelFault.GONE and endpoint.provider not in answer.request.payer.own:
                log.error("model_gone", model=model.name, server=endpoint.circuit, cause=error.detail)
                self._breaker.failed(gone_circuit(model.name), at_once=True)
            if not is_theirs and asyncio.get_running_loop().time() < answer.deadline:
                report = partial(pool.failed, fault=error.fault)
            raise
        finally:
            report(seat)
            timed.end()

    @contextlib.asynccontextmanager
    async def _paid(
        self, answer: Answer, model: Model, messages: tuple[ChatMessage, ...], *, sparing: bool
    ) -> AsyncGenerator[Call, None]:
        """A call within the budget: reserved at the beginning, settled at the end by what was added to it."""
        prompt = estimate_prompt(messages, answer.tools(model))
        limit = answer_limit(model, answer.request, messages)
        most, least = costs.of_chat(model, prompt, limit)
        left = max(0.0, answer.deadline - asyncio.get_running_loop().time())
        async with billed(self.purse, answer.request.payer, model, most, least, seconds=left, sparing=sparing) as bill:
            answer.bills.append(bill)
            answer.usage = replace(answer.usage, calls=answer.usage.calls + 1)
            call = Call(model, prompt, costs.affordable(model, prompt, limit, bill.granted.money))
            is_free = False
            try:
                yield call
            except ModelError as error:
                # Of a question that nothing was heard of, nobody knows how far the server had come with it.
                is_free = not call.is_alive and error.fault is not ModelFault.TIMEOUT
                raise
            finally:
                took = call.usage()
                if call.is_alive:
                    answer.usage = total(answer.usage, took)
                if not is_free:
                    bill.took, bill.usage = Amounts(took.cost), took

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
                seats=self._seats,
            )
            pool.update(self._catalog.endpoints(*key))
            self._pools[key] = pool
        return pool

    def _update(self) -> None:
        for key, pool in self._pools.items():
            pool.update(self._catalog.endpoints(*key))


def _without_money(
    answer: Answer, model: Model, short: LowBudget | OverBudget, others: tuple[Model, ...]
) -> tuple[Model, ...]:
    """Whom to ask now: the cheapest, or, where there is not enough for this one, whoever comes next."""
    log.info("over_budget", model=model.name, cause=str(short))
    answer.passed_over = answer.passed_over or model.name
    if isinstance(short, LowBudget):
        return thrifty_order(answer, (model, *others))
    answer.over = answer.over or short
    return others
