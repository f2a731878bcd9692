"""What a process says to the person at the terminal while it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from bots.platforms import Receiver
from bots.roles import Role
from bots.terminal import tell
from core.errors import StorageError
from core.message import Platform
from core.models.catalog import Catalog
from core.tasks import end

log = structlog.get_logger()

CONNECT_SECONDS = 8.0
"""After so long the web chat's link is shown, though another platform is not connected yet."""
RETRY_SECONDS = 1.0


async def greet(
    role: Role,
    receivers: Mapping[Platform, Receiver],
    known: Sequence[asyncio.Task[None]],
    catalog: Catalog,
    local: Awaitable[str],
    ready: asyncio.Event,
) -> None:
    """One line when every platform is connected and every bot known, and at the end where to go."""
    connecting = {asyncio.create_task(r.adapter.ready()): platform for platform, r in receivers.items()}
    try:
        late = set[asyncio.Task[None]]()
        if connecting:
            _, late = await asyncio.wait(connecting, timeout=CONNECT_SECONDS)
        if late:
            names = _names(connecting[task] for task in late)
            tell(f"Still connecting to {names}.")
            there = {connecting[task]: receivers[connecting[task]] for task in connecting if task not in late}
            await _tell_where(there, "Meanwhile")
            await asyncio.wait(late)
        if known:
            await asyncio.wait(known)
        ready.set()
        log.info("ready", platforms=[str(platform) for platform in receivers], works=role.works)
    finally:
        await end(connecting)
    if source := await local:
        tell(source)
    if role.starts_model:
        _tell_of_models(catalog)
    await _tell_where(receivers, "Parley is ready:")
    if not any(receiver.address for receiver in receivers.values()):
        tell(_readiness(role, receivers))


def _tell_of_models(catalog: Catalog) -> None:
    if not catalog.models:
        tell("There is no model to answer: set OPENAI_API_KEY and OPENAI_MODEL, or PARLEY_LOCAL_MODEL=auto.")
    elif (wanted := catalog.wanted_default) and catalog.find(wanted) is None:
        there = ", ".join(model.name for model in catalog.models)
        tell(f"chat.model is {wanted!r}, which is not there. There are: {there}.")


def _readiness(role: Role, receivers: Mapping[Platform, Receiver]) -> str:
    if role.queues is not None:
        return f"Parley is ready for jobs: {', '.join(role.queues)}."
    names = _names(receivers)
    if role.works:
        if not role.receives:
            return "Parley is ready to answer."
        return f"Parley is ready on {names}." if names else "Parley is ready, but no platform is switched on."
    return f"Parley is ready and receives from {names}."


async def _tell_where(receivers: Mapping[Platform, Receiver], begin: str) -> None:
    for receiver in receivers.values():
        if receiver.address is not None:
            tell(f"{begin} open {await _there(receiver.address)}")


async def _there(address: Callable[[], Awaitable[str]]) -> str:
    while True:
        try:
            return await address()
        except StorageError as error:
            log.warning("the web chat's link waits for the storage", cause=str(error))
        await asyncio.sleep(RETRY_SECONDS)


def _names(platforms: Iterable[Platform]) -> str:
    return " and ".join(sorted(platform.capitalize() for platform in platforms))
