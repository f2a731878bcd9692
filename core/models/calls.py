"""Calls to models that hear, speak or draw: answered in one piece, tried at most twice, each within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from core.errors import ModelError, ModelFault
from core.models.catalog import Catalog, Model
from core.models.pool import Busy
from core.models.router import Router
from core.models.wire import Wire
from core.settings import ModelKind

log = structlog.get_logger()
Value = TypeVar("Value")

MAX_CALLS = 2
"""Calls for one piece of work, in all."""
CALL_SECONDS = 120.0
"""The longest that one call may take: a slow server hears ten minutes of speech in that time."""


async def ask(
    catalog: Catalog,
    router: Router,
    kind: ModelKind,
    space: str,
    work: Callable[[Wire, Model], Awaitable[Value]],
    *,
    seconds: float | None = None,
) -> tuple[Model, Value]:
    """Has a model of the kind do the work; where it fails, another server of the same model, then the next model.

    ``space`` is in whose name it stands in line, ``seconds`` the time of one call, :data:`CALL_SECONDS` unless said.
    What one provider's rules do not allow, no other is asked for. Raises ModelError, Busy.
    """
    models = catalog.of_kind(kind)
    if not models:
        raise ModelError(ModelFault.UNREACHABLE, f"no {kind} model is set up")
    failure: ModelError | Busy | None = None
    tried: set[str] = set()
    for model in (models * MAX_CALLS)[:MAX_CALLS]:
        if failure is not None and model == models[0] and not _may_help(failure):
            break
        try:
            return model, await _call(router, model, space, tried, work, seconds or CALL_SECONDS)
        except Busy as busy:
            failure = failure or busy
        except ModelError as error:
            log.warning("model_failed", model=model.name, error=str(error))
            if error.fault is ModelFault.FILTERED:
                raise
            failure = error
    assert failure is not None
    raise failure


def _may_help(failure: ModelError | Busy) -> bool:
    return isinstance(failure, ModelError) and failure.retryable


async def _call(
    router: Router,
    model: Model,
    space: str,
    tried: set[str],
    work: Callable[[Wire, Model], Awaitable[Value]],
    seconds: float,
) -> Value:
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(deadline), router.place(model, space, tried, deadline) as (wire, named):
            return await work(wire, named)
    except TimeoutError:
        raise ModelError(ModelFault.TIMEOUT, "no answer in time") from None
