"""In quiet hours a group's administrators are answered: whether somebody is one is asked then, and only then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bots.pacing import TELEGRAM, Pacer
from bots.telegram_bot.api import Api
from bots.telegram_bot.keyboard import PRESS
from bots.telegram_bot.pressing import Pressing
from core.conversation.history import History
from core.errors import RightsUnknownError
from core.message import Author, Message
from core.models.catalog import Catalog
from core.people.access import Asker
from core.people.community import Community
from core.settings import Settings
from core.storage import keys
from core.storage.client import Store
from core.texts import say
from tests.builders import call, message

ADMIN, MEMBER, UNKNOWN = "1", "2", "3"


class Group:
    """Presses and messages of one group, and who was asked about."""

    def __init__(self, api: Api, store: Store) -> None:
        self.asked: list[str] = []
        self.community = Community.of(Settings(), store)
        history = History(store, keep_days=1, max_messages=100)
        self.pressing = Pressing(
            api, history, Catalog((), ()), self.community, self._is_admin, Pacer(TELEGRAM), buttons=True
        )

    async def quiet(self, hours: str) -> None:
        await self.community.spaces.change("telegram:1:5", lambda space: space.model_copy(update={"quiet": hours}))

    async def by_admin(self, author: str, *, overheard: bool = False) -> bool:
        said = message(private=False, space="5", author=Author(author, "Ann"), overheard=overheard)
        (value,) = (await self.pressing.decide([said])).incoming
        assert isinstance(value, Message)
        return value.by_admin

    async def _is_admin(self, asker: Asker) -> bool:
        self.asked.append(asker.author.id)
        if asker.author.id == UNKNOWN:
            raise RightsUnknownError("Telegram does not tell")
        return asker.author.id == ADMIN


@pytest.fixture
def group(api: Api, store: Store) -> Group:
    return Group(api, store)


async def test_administrators_are_known_in_quiet_hours(group: Group) -> None:
    now = datetime.now(UTC)
    await group.quiet(f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}")
    assert [await group.by_admin(author) for author in (ADMIN, MEMBER, UNKNOWN)] == [True, False, False]
    assert not await group.by_admin(ADMIN, overheard=True)
    assert group.asked == [ADMIN, MEMBER, UNKNOWN]


async def test_where_nobody_tells_what_came_beside_it_is_taken_in_all_the_same(group: Group) -> None:
    unknown: dict[str, Any] = {"private": False, "space": "5", "author": Author(UNKNOWN, "Ann")}
    pressed = call(".set", **unknown, options={"buttons": "0"})
    pressed = replace(pressed, id=f"{PRESS}1")
    stop, said = call("stop", **unknown), message(private=False, space="5")
    decided = await group.pressing.decide([pressed, stop, said])
    assert decided.incoming == [stop, said]
    assert decided.toasts == {"1": say("rights_unknown")}


async def test_at_other_hours_nobody_is_asked_about(group: Group) -> None:
    now = datetime.now(UTC)
    await group.quiet(f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=4):%H:%M}")
    assert not await group.by_admin(ADMIN)
    await group.quiet("")
    assert not await group.by_admin(ADMIN)
    assert group.asked == []


async def test_what_one_space_has_damaged_holds_up_nothing_beside_it(group: Group) -> None:
    damaged = {"v": 1, "json": '{"quiet":7}', "by": "x"}
    await group.community.store.redis.hset(keys.record("spaces", "telegram:1:5"), mapping=damaged)
    there: dict[str, Any] = {"private": False, "space": "5", "author": Author(MEMBER, "Ann")}
    pressed = replace(call(".set", **there, options={"buttons": "0"}), id=f"{PRESS}1")
    said, elsewhere = message(**there), message()
    decided = await group.pressing.decide([pressed, said, elsewhere])
    assert decided.incoming == [said, elsewhere]
    assert decided.toasts == {"1": say("toast.old")}
