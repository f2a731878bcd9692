"""Announcements on their way, on a real server."""

from __future__ import annotations

from bots.broadcasting import Broadcasting
from core.message import Platform
from core.people.broadcasts import Broadcast, lines_of
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.leases import Leases


async def test_spaces_of_a_platform_that_is_not_set_up_any_more_are_told_of(store: Store) -> None:
    community = Community.of(Settings(), store)
    community.seen.saw(Platform.DISCORD, "2", "900", "Home")
    await community.seen.flush()
    id, spaces = await community.broadcasts.ask(Broadcast(text="hello", by="telegram:1", language="en"))
    assert len(spaces) == 1
    await community.broadcasts.confirm(id, "telegram:1")
    leases = Leases(store, "one")
    await Broadcasting(community.broadcasts, community.spaces, community.seen, leases, {}).look()
    result = await community.broadcasts.result(id)
    assert (result.broadcast.state, result.sent, result.failed) == ("done", 0, {"no_connection": 1})
    assert lines_of(result)[-1] == "1 community could not be told: its platform is not set up."
