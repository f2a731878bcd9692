"""The owner's page that says how Parley is."""

from __future__ import annotations

import html

from core.models.measured import Figures
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.processes import Process
from tests.bots.web_chat.world import Visitor, World, found

PATH = "/console/status"


async def test_the_owner_sees_how_it_is_and_nobody_else_does(world: World, owner: Visitor, store: Store) -> None:
    community = Community.of(Settings(), store)
    await community.processes.say(
        Process("one", "work", "Parley <b>1</b>", 5.0, {"telegram": False}, {"gpt <i>": Figures(3, 1)})
    )
    status, page = await owner.get(PATH)
    assert status == 200
    assert "Valkey" in page
    assert "telegram not connected" in page
    assert "3 calls, 1 failed" in page
    assert "<b>1</b>" not in page
    assert "gpt <i>" not in page
    assert 'href="/console/status"' in (await owner.get("/console"))[1]
    link = html.unescape(found(r'value="(http[^"]+)"', (await owner.post("/invitations"))[1]))
    async with world.browser() as guest, world.browser() as stranger:
        await guest.enter(link)
        assert (await guest.get(PATH))[0] == 403
        assert (await stranger.get(PATH))[0] == 401
