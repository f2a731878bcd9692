"""The owner's pages about all of Parley."""

from __future__ import annotations

import html

from core.models.budget import Amounts
from core.models.model import Model
from core.models.paying import Payer
from core.parts import Usage
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from tests.bots.web_chat.world import Visitor, World, found

PAGES = ("/console/status", "/console/usage", "/console/usage.png", "/console/usage.csv")


async def spend(store: Store, name: str, money: int) -> None:
    budgets = Community.of(Settings(), store).budgets
    reservation = await budgets.reserve(
        Payer("telegram:7", "", name), Model("big", "p", "big"), Amounts(money), Amounts(), seconds=9
    )
    await budgets.settle(reservation, Amounts(money), Usage("big", 5, 6, money, 1))
    await budgets.close()


async def test_only_the_owner_sees_them(world: World, owner: Visitor) -> None:
    link = html.unescape(found(r'value="(http[^"]+)"', (await owner.post("/invitations"))[1]))
    async with world.browser() as guest, world.browser() as stranger:
        await guest.enter(link)
        for path in PAGES:
            assert (await guest.get(path))[0] == 403
            assert (await stranger.get(path))[0] == 401


async def test_how_it_is(owner: Visitor) -> None:
    status, page = await owner.get("/console/status")
    assert status == 200
    assert "No model is set up." in page
    assert 'href="/console/status" aria-current="page"' in page


async def test_what_was_used_as_a_page_a_chart_and_a_table(owner: Visitor, store: Store) -> None:
    assert "Nothing was used" in (await owner.get("/console/usage"))[1]
    await spend(store, "<b>Anna</b>", 1_250_000)
    _, page = await owner.get("/console/usage?days=7")
    assert "&lt;b&gt;Anna&lt;/b&gt;" in page
    assert "$1.25" in page
    async with owner.http.get("/console/usage.png?days=7") as answer:
        assert (await answer.read()).startswith(b"\x89PNG")
    async with owner.http.get("/console/usage.csv") as answer:
        assert "1.250000" in (await answer.read()).decode("utf-8-sig")


async def test_any_number_of_days_is_bounded(owner: Visitor) -> None:
    for days, shown in (("0", 1), ("-1", 30), ("99999", 30), ("999", 90), ("x", 30), ("٣", 30), ("", 30)):
        status, page = await owner.get(f"/console/usage?days={days}")
        assert status == 200
        assert f" in {shown} days" in page
