"""Calls to models that hear, speak or draw: answered in one piece, tried at most twice, each within its time and
paid for by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from core.errors import ModelError, ModelFault, UnsupportedPrompt
from core.models.budget import Amounts
from core.models.catalog import Catalog
from core.models.model import Model
from core.models.own_wires import OwnKeyError
from core.models.paying import NOBODY, Bill, OverBudget, Payer, billed
from core.models.pool import Busy
from core.models.router import Router
from core.models.settings import ModelKind
from core.models.wire import Wire
from core.parts import Notice, Usage

log = structlog.get_logger()
Value = TypeVar("Value")
Work = Callable[[Wire, Model, Bill], Awaitable[Value]]
"""Asks the model, and writes into the bill what it took as soon as that is known."""

MAX_CALLS = 2
"""Calls for one piece of work, in all."""
CALL_SECONDS = 120.0
"""The longest that one call may take: a slow server hears ten minutes of speech in that time."""


async def ask(
    catalog: Catalog,
    router: Router,
    kind: ModelKind,
    space: str,
    work: Work[Value],
    *,
    most: Callable[[Model], Amounts],
    payer: Payer = NOBODY,
    seconds: float | Callable[[Model], float] | None = None,
    models: Sequence[Model] | None = None,
) -> tuple[Value, tuple[Notice, ...]]:
    """Has a model of the kind do the work; where it fails, another server of the same model, then the next model.

    ``space`` is in whose name it stands in line, ``payer`` who pays, ``most`` what a model may take for it at most.
    ``seconds`` is the time of one call, of any model or of each, :data:`CALL_SECONDS` unless said, ``models`` those
    that may do it, best first: all of the kind unless said. Models that cannot be paid are left out. What one
    provider's rules do not allow, no other is asked for; a small model that cannot do it says so for nothing, and is no
    try. Answers also what is to be said of a
    budget.

    Raises ModelError, Busy, OverBudget, StorageError.
    """
    models = payer.among(tuple(catalog.of_kind(kind) if models is None else models))
    if not models:
        raise ModelError(ModelFault.UNREACHABLE, f"no {kind} model is set up")
    failure: ModelError | Busy | None = None
    over: OverBudget | None = None
    tried: set[str] = set()
    calls = 0
    for number, model in enumerate(models * MAX_CALLS):
        if calls == MAX_CALLS or (number >= len(models) and not _may_help(failure)):
            break
        try:
            limit = seconds(model) if callable(seconds) else seconds or CALL_SECONDS
            return await _call(router, model, space, tried, work, limit, most(model), payer)
        except OverBudget as short:
            log.info("over_budget", model=model.name, cause=str(short))
            over = over or short
            continue
        except Busy as busy:
            failure = failure or busy
        except UnsupportedPrompt as unsupported:
            failure = failure or unsupported
            continue
        except ModelError as error:
            log.warning("model_failed", model=model.name, error=str(error))
            if error.fault is ModelFault.FILTERED:
                raise
            if isinstance(error, OwnKeyError):
                if not payer.shares:
                    raise
                payer = payer.without(model.provider)
            failure = error
        calls += 1
    if over is not None or failure is None:
        raise over or ModelError(ModelFault.UNREACHABLE, f"no {kind} model could be asked")
    raise failure


def _may_help(failure: ModelError | Busy | None) -> bool:
    return isinstance(failure, ModelError) and failure.retryable


async def _call(
    router: Router,
    model: Model,
    space: str,
    tried: set[str],
    work: Work[Value],
    seconds: float,
    most: Amounts,
    payer: Payer,
) -> tuple[Value, tuple[Notice, ...]]:
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with (
            asyncio.timeout_at(deadline),
            router.place(model, space, tried, deadline, payer) as (wire, named),
            billed(router.purse, payer, model, most, seconds=seconds) as bill,
        ):
            try:
                value = await work(wire, named, bill)
            except ModelError:
                raise
            except BaseException:
                # Nobody knows how far the server had come: it will want to be paid.
                if not bill.usage.calls:
                    bill.took, bill.usage = Amounts(most.money), Usage(model.name, 0, 0, most.money, 1)
                raise
        return value, bill.notices
    except TimeoutError:
        raise ModelError(ModelFault.TIMEOUT, "no answer in time") from None
