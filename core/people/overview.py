"""How Parley is, for whoever runs it: its processes, what waits, its store, its models and what they cost today."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.models.breaker import gone_circuit
from core.models.budget import Span
from core.models.catalog import Catalog
from core.models.measured import Figures, joined
from core.people.community import Community
from core.people.house import Pause
from core.settings import QUEUES
from core.storage import keys
from core.storage.processes import Process
from core.storage.shared import SharedBreakers


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it at one moment."""

    processes: tuple[Process, ...]
    waiting: int
    """Messages in mailboxes that nobody has taken up."""
    jobs: Mapping[str, int]
    """Queue -> jobs in it, those under way included; empty ones left out."""
    server: str
    """Name and version of the store's server."""
    memory: int
    """Bytes that it uses; on a cluster those of one node."""
    most_memory: int
    """Bytes that it may use; 0: no limit, or not known."""
    spent: int
    """Today, by all, in millionths of a currency unit."""
    spaces: int
    pause: Pause | None


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model."""

    name: str
    runs: bool
    """There is a server that has it."""
    out: tuple[str, ...]
    """Its servers that are out of service."""
    servers: int
    figures: Figures
    """Of the last hour, over all processes."""
    cost: int
    """Today, in millionths of a currency unit."""
    calls: int
    """Today."""
    is_gone: bool = False
    """Its provider says that it has no such model."""


@dataclass(slots=True)
class _Spent:
    money: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class _Info:
    server: str = ""
    memory: int = 0
    most: int = 0


async def overview(community: Community) -> Overview:
    """Raises StorageError."""
    store = community.store

    async def count() -> list[Any]:
        pipe = store.redis.pipeline(transaction=False)
        for partition in range(keys.PARTITIONS):
            pipe.hget(keys.load(partition), "")
        for queue in QUEUES:
            waiting, delayed = keys.job_queue(queue)
            pipe.xlen(waiting)
            pipe.zcard(delayed)
        return await pipe.execute()

    counts = [int(value or 0) for value in await store.attempt(count)]
    in_queues = counts[keys.PARTITIONS :]
    jobs = {queue: sum(in_queues[2 * number : 2 * number + 2]) for number, queue in enumerate(QUEUES)}
    info = _info(await store.attempt(store.redis.info))
    spent = await community.budgets.used("all")
    return Overview(
        tuple(await community.processes.alive()),
        sum(counts[: keys.PARTITIONS]),
        {queue: number for queue, number in jobs.items() if number},
        info.server,
        info.memory,
        info.most,
        spent[Span.DAY].money,
        len(await community.seen.all()),
        await community.houses.pause(),
    )


async def models(community: Community, catalog: Catalog) -> list[ModelState]:
    """All models of the settings, and those that were asked of late. Raises StorageError."""
    processes = await community.processes.alive()
    figures = joined(process.models for process in processes)
    now = time.time()
    breakers = await SharedBreakers(community.store).load()
    spent: dict[str, _Spent] = {}
    period = await community.budgets.period()
    async for row in community.budgets.ledger.rows([period.date_of(Span.DAY)]):
        one = spent.setdefault(row.model, _Spent())
        one.money += row.amounts.get("money", 0) + row.amounts.get("own", 0)
        one.calls += row.amounts.get("calls", 0)
    found: list[ModelState] = []
    for model in catalog.all:
        circuits = [endpoint.circuit for endpoint in catalog.endpoints(model.provider, model.name)]
        cost = spent.get(model.name, _Spent())
        out = tuple(circuit for circuit in circuits if breakers.get(circuit, 0.0) > now)
        took = figures.get(model.name, Figures())
        gone = breakers.get(gone_circuit(model.name), 0.0) > now
        found.append(ModelState(model.name, bool(circuits), out, len(circuits), took, cost.money, cost.calls, gone))
    # Those of model servers that other processes know.
    known = {model.name for model in catalog.all}
    for name in sorted({*figures, *spent} - known):
        cost, took = spent.get(name, _Spent()), figures.get(name, Figures())
        found.append(ModelState(name, name in figures, (), 0, took, cost.money, cost.calls))
    return found


def _info(raw: Mapping[str, Any]) -> _Info:
    name = "Valkey" if "valkey_version" in raw else "Redis"
    version = str(raw.get("valkey_version") or raw.get("redis_version") or "?")
    return _Info(f"{name} {version}", int(raw.get("used_memory") or 0), int(raw.get("maxmemory") or 0))
