"""Announcements as they are kept: confirmed whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import StorageError
from core.people.broadcasts import RUNNING, Broadcast
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store

OWNER = "telegram:1"


@pytest.mark.parametrize("calls", range(6))
async def test_a_confirmation_is_whole_or_none_and_may_be_made_again(
    store: Store, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    broadcasts = Community.of(Settings(), store).broadcasts
    id, _ = await broadcasts.ask(Broadcast(text="hello", by=OWNER))
    attempt, left = store.attempt, [calls]

    async def cut(work: Any, *patience: float) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise StorageError("the process died")
        return await attempt(work, *patience)

    monkeypatch.setattr(store, "attempt", cut)
    try:
        await broadcasts.confirm(id, OWNER)
    except StorageError:
        assert left[0] < 0
    monkeypatch.undo()
    # A sender ends what is named as under way and is not.
    named = (await broadcasts.records.fresh(RUNNING)).value.current == id
    assert ((await broadcasts.records.fresh(id)).value.state == "running") is named
    # The turn is begun anew.
    await broadcasts.confirm(id, OWNER)
    await broadcasts.confirm(id, OWNER)
    found = await broadcasts.current()
    assert found is not None
    assert (found[0], found[1].state, found[1].text) == (id, "running", "hello")
