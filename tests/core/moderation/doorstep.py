"""A town with doors: arrivals come in, deadlines are worked off, and clocks go on."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from core.message import Arrival, Author, CommandCall, ConversationKey, Movement, Platform
from core.moderation.acts import ActKind
from core.moderation.carrying import Acts
from core.moderation.cases import Case
from core.moderation.doors import Doors
from core.moderation.enforcer import Known
from core.moderation.joining import PRESS, pressed
from core.moderation.members import Rank
from core.moderation.timers import Timers
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.deadlines import Deadlines
from core.storage.joining import Newcomers
from tests.core.moderation.town import PLACE, SPACE, SQUARE, Town, at_work

NEWS = "77"
"""The moderators' channel."""


@dataclass
class Doorstep:
    store: Store
    town: Town = field(default_factory=Town)
    at: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.community = Community.of(Settings(), self.store)
        paused = self.community.policy.books.paused_until
        self.acts = Acts(self.store, {Platform.DISCORD: self.town}, keep_days=1, paused_until=paused)
        self.doors = Doors.of(self.community, self.acts)
        self.timers = Timers(Deadlines(self.store), {**self.acts.handlers, **self.doors.handlers})

    async def choose(self, **values: Any) -> None:
        await self.community.spaces.change(PLACE, lambda now: now.model_copy(update={"moderated": True, **values}))

    async def comes(self, account: str, movement: Movement = Movement.JOINED, **values: Any) -> Arrival:
        """They are a member from then on."""
        if movement is Movement.JOINED:
            self.town.people.setdefault(account, Known(account, f"N{account}", Rank.BELOW))
        update, author = f"{movement}-{account}-{time.time()}", Author(account, f"N{account}")
        given: dict[str, Any] = {"space": SPACE, "update": update, "author": author, "at": time.time(), **values}
        arrival = Arrival(SQUARE, movement=movement, **given)
        await self.tell(arrival)
        return arrival

    async def tell(self, arrival: Arrival) -> None:
        await self.doors.raids.arrived(PLACE, arrival)
        await self.doors.joining.arrived(PLACE, arrival)

    async def work(self) -> None:
        """All that is due by now."""
        async with at_work(self.acts):
            while await self.timers.step():
                pass
            await self.acts.carry(PLACE)
            # Some may be in other hands of the same process.
            numbers = [case.number for case in await self.acts.cases.latest(PLACE)]
            await self.acts.carried(PLACE, numbers, 5)

    async def later(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.at = time.time() + seconds
        monkeypatch.setattr(time, "time", lambda: self.at)
        await self.work()

    async def press(self, label: str, account: str, *, question: int = -1) -> str:
        """A button of a question, by what stands on it."""
        [command] = [c.command for row in self.town.questions[question].rows for c in row if c.label == label]
        return await self.call(command.removeprefix(f"{PRESS} "), account)

    async def call(self, text: str, account: str, where: ConversationKey = SQUARE) -> str:
        call = CommandCall(where, "press-1", "u", Author(account, ""), PRESS, {"text": text})
        return await pressed(Newcomers(self.store), Deadlines(self.store), call)

    async def cases(self) -> list[Case]:
        return list(reversed(await self.acts.cases.latest(PLACE)))

    def did(self, account: str) -> list[ActKind]:
        """What changed for somebody on the platform."""
        return [kind for kind, whom in self.town.log if whom == account]

    def is_silent(self, account: str) -> bool:
        return bool(self.town.state.get((account, "muted")))


@asynccontextmanager
async def doorstep(store: Store, **settings: Any) -> AsyncGenerator[Doorstep]:
    here = Doorstep(store)
    await here.choose(**settings)
    await here.acts.cases.choose_channel(PLACE, NEWS)
    yield here


def elsewhere(bot: str) -> ConversationKey:
    return replace(SQUARE, bot=bot)
