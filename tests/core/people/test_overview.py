"""What whoever runs Parley sees of its models."""

from __future__ import annotations

import time

from core.commands.owner import model_lines
from core.models.breaker import gone_circuit
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.people.community import Community
from core.people.overview import models
from core.settings import Settings
from core.storage.client import Store
from core.storage.shared import SharedBreakers
from core.texts import say


async def test_a_model_that_another_process_found_gone_is_shown_as_that(store: Store) -> None:
    catalog = Catalog([Provider("p", "http://127.0.0.1:9/v1")], [Model("old", "p", "old"), Model("new", "p", "new")])
    await SharedBreakers(store).store(gone_circuit("old"), time.time() + 20)
    states = await models(Community.of(Settings(), store), catalog)
    assert [(state.name, state.is_gone) for state in states] == [("old", True), ("new", False)]
    lines = model_lines(states, "USD", "")
    assert [say("models_gone") in line for line in lines] == [True, False]
