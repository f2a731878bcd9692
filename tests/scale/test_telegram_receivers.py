"""Telegram on many processes: receivers that are restarted, killed and paused while people write."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.faults import Point
from core.storage import keys
from core.storage.leases import SECONDS
from core.texts import say
from tests.end_to_end.running import Parley, until
from tests.platforms.openai_server import Fault
from tests.ports import free_port
from tests.scale.fleet import Fleet, fleet

CHATS = range(71, 83)
EVERY_SECONDS = 0.25
"""A chat's turn comes every 3 seconds: within what Telegram lets a bot write."""
FORUM = -100_600
ALONE = {"DISCORD_TOKEN": ""}


def asked(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"]).rpartition(": ")[2].rpartition("\n")[2]


class People:
    """They write into all chats, one after another."""

    def __init__(self, town: Fleet) -> None:
        self.chats = {chat: town.telegram_chat(chat) for chat in CHATS}
        self.said: dict[int, list[str]] = {chat: [] for chat in CHATS}
        self._telegram = town.telegram
        self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        number = 0
        while True:
            for chat, place in self.chats.items():
                number += 1
                place.say(f"m{number}")
                self.said[chat].append(f"re m{number}.")
                await asyncio.sleep(EVERY_SECONDS)

    async def are_answered(self) -> None:
        """They stop; every message has one answer, in order."""
        self._writing.cancel()
        await until(lambda: all(len(self.chats[c].shown) >= len(said) for c, said in self.said.items()), "all answers")
        await asyncio.sleep(0.7)  # time for a second answer to show itself
        assert {chat: place.shown for chat, place in self.chats.items()} == self.said
        assert self._telegram.world.pending == {}


@asynccontextmanager
async def town_of(folder: Path) -> AsyncGenerator[Fleet]:
    async with fleet(folder) as town:
        town.models.reply = lambda body: f"re {asked(body)}."
        yield town


async def poller(town: Fleet, after: Parley | None = None) -> Parley:
    """Whoever polls now, or as soon as it is another one than ``after``."""
    async with asyncio.timeout(3 * SECONDS):
        while True:
            name = str(await town.store.redis.get(keys.lease("telegram:4242:poller")))
            for parley in town.processes.values():
                identity = Path(parley.environment["PARLEY_DATA"]) / "instance"
                if parley is not after and identity.exists() and identity.read_text() == name.partition("/")[0]:
                    return parley
            await asyncio.sleep(0.02)


def complaints(town: Fleet) -> list[str]:
    rows = [row for parley in town.processes.values() for row in parley.events]
    return [str(row) for row in rows if row.get("level") == "error"]


async def test_pollers_come_and_go(tmp_path: Path) -> None:
    async with town_of(tmp_path) as town:
        for name in ("one", "two"):
            await town.start(name, "receive", "telegram", **ALONE)
        await town.start("worker", "work", **ALONE)
        people = People(town)
        for _ in range(2):
            stopped = await poller(town)
            assert await stopped.stop() == 0
            await stopped.start()
        assert town.telegram.updates.conflicts == 0, "a poll never begins before the one before it has ended"

        killed = await poller(town)
        await killed.stop(signal.SIGKILL)
        await poller(town, after=killed)
        await until(lambda: town.telegram.updates.polled, "another one polls")
        await killed.start()

        paused = await poller(town)
        assert paused.process
        paused.process.send_signal(signal.SIGSTOP)
        await poller(town, after=paused)
        await asyncio.sleep(1.0)
        paused.process.send_signal(signal.SIGCONT)
        await people.are_answered()
        assert await poller(town) is not paused
        assert town.telegram.updates.conflicts <= 2, "only at the takeover from the dead one, and from the paused one"
        assert complaints(town) == []


async def test_webhook_receivers_come_and_go(tmp_path: Path) -> None:
    async with town_of(tmp_path) as town:
        ports = [free_port(), free_port()]
        town.telegram.updates.behind = [f"http://127.0.0.1:{port}/" for port in ports]
        receivers: list[Parley] = []
        for port in ports:
            hook = {
                "PARLEY__TELEGRAM__WEBHOOK_URL": "https://bots.example/telegram",
                "PARLEY__TELEGRAM__WEBHOOK_PORT": str(port),
                "PARLEY__TELEGRAM__WEBHOOK_SECRET": "s3cret",
            }
            receivers.append(await town.start(f"receiver-{port}", "receive", "telegram", **ALONE, **hook))
        await town.start("worker", "work", **ALONE)
        people = People(town)
        for receiver, how in (
            (receivers[0], signal.SIGTERM),
            (receivers[1], signal.SIGTERM),
            (receivers[0], signal.SIGKILL),
        ):
            await asyncio.sleep(0.5)
            assert await receiver.stop(how) == (0 if how is signal.SIGTERM else -how)
            await asyncio.sleep(0.5)
            await receiver.start()
        await people.are_answered()
        assert len(town.telegram.named("setWebhook")) == 1
        assert town.telegram.named("deleteWebhook") == []
        sets = [str(call.fields) for call in town.telegram.named("setMyCommands")]
        assert len(sets) == len(set(sets)) > 0
        assert town.telegram.updates.polls == 0


async def test_a_stop_and_a_button_reach_the_worker_in_another_process(tmp_path: Path) -> None:
    async with town_of(tmp_path) as town:
        await town.start("receiver", "receive", "telegram", **ALONE)
        await town.start("worker", "work", **ALONE)
        chat = town.telegram_chat()
        town.models.fail(Fault.LENGTH)
        chat.say("one")
        await until(lambda: "continue" in chat.buttons(), "a button")
        chat.press(chat.ids[0], "continue")
        await until(lambda: len(chat.shown) == 2, "the rest")
        (query,) = town.telegram.world.queries.values()
        assert query["answered"], "the button does not spin for ever"

        town.models.reply = "word " * 2000
        town.models.tokens_per_second = 20
        chat.say("a long one")
        await until(lambda: bool(town.telegram.world.preview(77)), "it has begun")
        chat.say("/stop")
        await until(lambda: len(chat.shown) >= 3, "it has ended")
        assert len(chat.shown[2]) < 2000

        group = town.telegram_chat(-100_8)
        group.say("another long one")
        await until(lambda: group.buttons() == ["stop"], "the button under the growing answer")
        town.telegram.world.press(group.chat, int(group.ids[0]), "stop", user=5)
        await until(lambda: "regenerate" in group.buttons(), "it has ended")
        assert len(group.shown) == 1


async def test_old_buttons_after_a_restart_of_everything(tmp_path: Path) -> None:
    async with town_of(tmp_path) as town:
        processes = [
            await town.start("receiver", "receive", "telegram", **ALONE),
            await town.start("worker", "work", **ALONE),
        ]
        chat = town.telegram_chat()
        for text in ("one", "two"):
            chat.say(text)
            await until(lambda wanted=text: any(wanted in shown for shown in chat.shown), text)
        chat.reply(chat.ids[0], "/forget")
        await until(lambda: len(chat.shown) == 3, "the first is forgotten")
        for process in processes:
            await process.stop(signal.SIGKILL)
        old = town.telegram.world.press(77, int(chat.ids[0]), "regenerate")
        town.models.reply = "anew"
        town.telegram.world.press(77, int(chat.ids[1]), "regenerate")
        for process in processes:
            await process.start()
        await until(lambda: chat.shown[1] == "anew", "the second answer made anew")
        assert town.telegram.world.queries[old]["text"] == say("toast.unknown")
        assert "one" in chat.shown[0]


@pytest.mark.parametrize("point", ["slotted", "sent", "noted"])
async def test_a_worker_killed_among_others(tmp_path: Path, point: Point) -> None:
    """All private chats share one counter of message ids: others' messages come between mark and send."""
    now = tmp_path / "now"
    async with town_of(tmp_path) as town:
        await town.start("receiver", "receive", "telegram", **ALONE)
        doomed = await town.start("doomed", "work", **ALONE, PARLEY_FAULT=point, PARLEY_FAULT_WHEN=str(now))
        for name in ("one", "two"):
            await town.start(name, "work", **ALONE)
        people = People(town)
        await until(lambda: sum(len(chat.shown) for chat in people.chats.values()) > 5, "first answers")
        now.touch()
        assert await doomed.ended() == -signal.SIGKILL
        await people.are_answered()


@pytest.mark.parametrize("point", ["slotted", "sent", "noted"])
async def test_a_worker_killed_over_a_topic(tmp_path: Path, point: Point) -> None:
    now = tmp_path / "now"
    async with town_of(tmp_path) as town:
        town.models.reply = lambda body: f"re {asked(body)}. " + "and so on " * 20
        world = town.telegram.world
        world.group(FORUM, forum=True)
        topics = [world.topic(FORUM, name) for name in "AB"]
        await town.start("receiver", "receive", "telegram", **ALONE)
        first = await town.start("first", "work", **ALONE, PARLEY_FAULT=point, PARLEY_FAULT_WHEN=str(now))
        world.text(FORUM, "@parley_bot warm", user=5, thread=topics[1])
        await until(lambda: len(world.shown(FORUM)) == 1, "the first answer")
        now.touch()
        world.text(FORUM, "@parley_bot question", user=5, thread=topics[0])
        assert await first.ended() == -signal.SIGKILL
        await town.start("second", "work", **ALONE)
        world.text(FORUM, "@parley_bot meanwhile", user=5, thread=topics[1])
        ends = ("re warm.", "re question.", "re meanwhile.")
        await until(lambda: len(_answers(town)) == 3, "all answers")
        await asyncio.sleep(0.7)
        assert sorted(_answers(town)) == sorted(zip((topics[1], topics[0], topics[1]), ends, strict=True))


def _answers(town: Fleet) -> list[tuple[int, str]]:
    """Topic and beginning of what stands in the forum and is whole."""
    shown = town.telegram.world.shown(FORUM)
    return [(post.thread, post.text.partition(". ")[0] + ".") for post in shown if post.text.endswith("and so on")]
