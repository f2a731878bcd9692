from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.storage.client import Store
from tests.bots.web_chat.world import Visitor, World, open_world


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    async with open_world(store) as world:
        yield world


@pytest.fixture
async def owner(world: World) -> AsyncIterator[Visitor]:
    """The owner's browser, signed in."""
    async with world.browser() as visitor:
        await visitor.enter()
        yield visitor
