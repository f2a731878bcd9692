"""The queue of calls: what is taken, given up and refused, and that everyone hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from bots.discord_bot import waiting
from bots.discord_bot.interactions import Deferrals
from bots.discord_bot.rest import Rest
from bots.discord_bot.waiting import Ticket, Waiting
from core.errors import StorageError
from core.message import CommandCall, Incoming
from core.tasks import end
from tests.bots.discord_bot.running import settings_for, until
from tests.builders import call
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_world import Interaction


@dataclass(slots=True)
class Inbox:
    """Does with each batch what ``does`` says."""

    does: Callable[[int], Exception | None]
    batches: list[list[str]] = field(default_factory=list[list[str]])
    tries: int = 0

    async def accept(self, incoming: Sequence[Incoming]) -> Sequence[Incoming] | None:
        self.tries += 1
        if error := self.does(self.tries):
            raise error
        self.batches.append([value.update for value in incoming if isinstance(value, CommandCall)])


@dataclass(slots=True)
class Stage:
    discord: FakeDiscord
    queue: Waiting

    def ask(self) -> tuple[Interaction, Ticket]:
        made = self.discord.slash("help")
        return made, Ticket.of(
            {"application_id": self.discord.world.application_id, "id": made.id, "token": made.token}, ephemeral=True
        )

    def told(self, made: Interaction) -> bool:
        return bool(made.original) and "try again" in self.discord.world.find(made.original).text


@pytest.fixture
async def stage(discord: FakeDiscord) -> AsyncGenerator[Stage]:
    rest = Rest(settings_for(discord).api_base, TOKEN)
    yield Stage(discord, Waiting(rest, Deferrals(rest)))
    await rest.close()


async def test_calls_go_in_their_order_and_are_deferred_then(stage: Stage) -> None:
    inbox = Inbox(lambda tries: StorageError("away") if tries == 1 else None)
    asked = [stage.ask() for _ in range(3)]
    updates = [call("help") for _ in asked]
    for value, (_, ticket) in zip(updates, asked, strict=True):
        stage.queue.put(value, ticket=ticket)
    draining = asyncio.create_task(stage.queue.drain(inbox))
    await until(lambda: all(made.answered for made, _ in asked))
    assert inbox.batches == [[value.update for value in updates]]
    await end([draining])


async def test_a_damaged_batch_holds_up_nothing_and_is_told(stage: Stage) -> None:
    inbox = Inbox(lambda tries: ValueError("damaged") if tries == 1 else None)
    (first, ticket), done = stage.ask(), asyncio.Event()
    stage.queue.put(call("help"), ticket=ticket)
    draining = asyncio.create_task(stage.queue.drain(inbox))
    await until(lambda: stage.told(first))
    stage.queue.put(call("help"), done.set)
    await asyncio.wait_for(done.wait(), 5)
    await end([draining])


async def test_a_try_that_hangs_is_made_again_with_what_came_meanwhile(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "TRY_SECONDS", 0.05)

    class Hanging(Inbox):
        async def accept(self, incoming: Sequence[Incoming]) -> Sequence[Incoming] | None:
            if not self.tries:
                self.tries = 1
                await asyncio.Event().wait()
            return await Inbox.accept(self, incoming)

    inbox = Hanging(lambda _: None)
    first, second = call("help"), call("new")
    stage.queue.put(first)
    draining = asyncio.create_task(stage.queue.drain(inbox))
    await until(lambda: inbox.tries == 1)
    stage.queue.put(second)
    await until(lambda: bool(inbox.batches))
    assert inbox.batches == [[first.update, second.update]]
    await end([draining])


async def test_calls_that_the_inbox_has_no_room_for_are_told(stage: Stage) -> None:
    class Full(Inbox):
        async def accept(self, incoming: Sequence[Incoming]) -> Sequence[Incoming]:
            return incoming[1:]

    asked = [stage.ask() for _ in range(2)]
    for _, ticket in asked:
        stage.queue.put(call("help"), ticket=ticket)
    draining = asyncio.create_task(stage.queue.drain(Full(lambda _: None)))
    await until(lambda: stage.told(asked[1][0]))
    assert asked[0][0].answered
    assert not stage.told(asked[0][0])
    await end([draining])


@pytest.mark.parametrize("fault", ["500", "reset before", "429"])
async def test_a_refusal_that_discord_does_not_take_is_told_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(waiting, "TELL_PAUSES", (0.05, 0.05))
    made, ticket = stage.ask()
    stage.discord.fail(fault, "@original", seconds=0.01)
    stage.queue.refuse(ticket)
    await until(lambda: stage.told(made))


async def test_too_many_are_refused_with_a_word(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_WAITING", 1)
    stage.queue.put(call("help"))
    made, ticket = stage.ask()
    stage.queue.put(call("help"), ticket=ticket)
    await until(lambda: stage.told(made))
