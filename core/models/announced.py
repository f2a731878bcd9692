"""Model servers on other machines: ``parley models serve`` announces its own in Redis, workers follow and use them.

So a machine with a GPU needs nothing but Redis and its folder of models.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import platform
import random
import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import structlog

from core.errors import StorageError
from core.models.catalog import Catalog
from core.models.model import LocalModel, is_loopback
from core.storage.announcements import Announcements

log = structlog.get_logger()

VERSION = 1
"""Of what is announced. A reader leaves out what is newer than itself."""
RENEW_SECONDS = 2.0
FOLLOW_SECONDS = 2.0
FIELDS = ("base_url", "api_key", "name", "id", "window", "small", "slots")
"""What is announced of a :class:`LocalModel`."""


async def announce(announcements: Announcements, served: Callable[[], LocalModel | None]) -> None:
    """Says which model this process serves, until cancelled; while it is None, that one is on its way.

    ``served`` gives the address that others reach it by.
    """
    id = secrets.token_hex(8)
    try:
        while True:
            model = served()
            try:
                await announcements.renew(id, _write(model) if model is not None else "")
            except StorageError as error:
                log.warning("model server not announced", cause=str(error))
            await asyncio.sleep(RENEW_SECONDS)
    finally:
        # Otherwise it expires by itself.
        with contextlib.suppress(StorageError):
            await announcements.withdraw(id)


async def follow(catalog: Catalog, announcements: Announcements) -> None:
    """Keeps the announced servers in the catalog, until cancelled. While Redis is away the last ones known stay."""
    known: list[str] = []
    # Until the first look nobody is to be told that there is no model.
    catalog.announce((), expected=True)
    while True:
        try:
            texts, expected = await announcements.load()
        except StorageError as error:
            log.warning("model servers not read", cause=str(error))
        else:
            models = [model for text in texts if (model := _read(text)) is not None]
            models.sort(key=lambda model: (model.name, model.base_url))
            catalog.announce(models, expected=expected)
            told = [f"{model.name} at {model.base_url}" for model in models]
            if told != known:
                log.info("model servers", servers=told)
            known = told
        await asyncio.sleep(FOLLOW_SECONDS * random.uniform(0.8, 1.2))


def _write(model: LocalModel) -> str:
    fields = asdict(model)
    return json.dumps({"version": VERSION, "node": platform.node(), **{name: fields[name] for name in FIELDS}})


def _read(text: str) -> LocalModel | None:
    """The server, unless it cannot be used here."""
    try:
        fields: dict[str, Any] = json.loads(text)
        if fields["version"] > VERSION:
            return None
        model = LocalModel(
            base_url=str(fields["base_url"]),
            api_key=str(fields["api_key"]),
            name=str(fields["name"]),
            id=str(fields["id"]),
            window=max(512, int(fields["window"])),
            small=bool(fields["small"]),
            slots=max(1, int(fields["slots"])),
        )
        node = str(fields["node"])
    except (ValueError, KeyError, TypeError) as error:
        log.warning("model server not understood", cause=repr(error))
        return None
    if not model.base_url.startswith(("http://", "https://")):
        return None
    # Another machine's loopback is not ours.
    return None if is_loopback(model.base_url) and node != platform.node() else model
