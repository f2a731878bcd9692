"""Inline mode and reactions on many processes: what one is told, another one answers or counts."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from core.storage.feedback import Feedback, Score
from tests.end_to_end.running import until
from tests.platforms.telegram_inline import react
from tests.ports import free_port
from tests.scale.fleet import Fleet, fleet

ALONE = {"DISCORD_TOKEN": ""}
ASKER, FORUM = 501, -100_700


async def receivers(town: Fleet) -> None:
    """Two, behind a proxy that hands each update to the other one of them."""
    ports = [free_port(), free_port()]
    town.telegram.updates.behind = [f"http://127.0.0.1:{port}/" for port in ports]
    for port in ports:
        hook = {
            "PARLEY__TELEGRAM__WEBHOOK_URL": "https://bots.example/telegram",
            "PARLEY__TELEGRAM__WEBHOOK_PORT": str(port),
            "PARLEY__TELEGRAM__WEBHOOK_SECRET": "s3cret",
        }
        await town.start(f"receiver-{port}", "receive", "telegram", **ALONE, **hook)


async def test_an_inline_answer_survives_its_worker(tmp_path: Path) -> None:
    now = tmp_path / "now"
    now.touch()
    async with fleet(tmp_path) as town:
        inline = town.telegram.methods.inline
        town.models.reply, town.models.tokens_per_second = "and so on " * 30 + "END", 150
        await receivers(town)
        doomed = await town.start("doomed", "work", **ALONE, PARLEY_FAULT="noted", PARLEY_FAULT_WHEN=str(now))
        # Offered by one receiver, begun by the button at the other: nobody is told that it was sent.
        inline.feedback = False
        query = inline.type(ASKER, "why?")
        await until(lambda: inline.queries[query].answer is not None, "results")
        message = inline.send(query)
        inline.press(message, inline.buttons(message)[0]["callback_data"], ASKER)
        assert await doomed.ended() == -signal.SIGKILL
        assert inline.posts[message].text.startswith("why?\nand")
        await town.start("other", "work", **ALONE)
        await until(lambda: inline.posts[message].text.endswith("END"), "the whole answer")
        assert inline.posts[message].text == "why?\n" + "and so on " * 30 + "END"


async def test_reactions_in_topics_are_counted(tmp_path: Path) -> None:
    async with fleet(tmp_path) as town:
        world, feedback = town.telegram.world, Feedback(town.store, keep_days=1)
        await receivers(town)
        await town.start("worker", "work", **ALONE)
        world.group(FORUM, forum=True).admins.add(town.telegram.me["id"])
        topics = [world.topic(FORUM, name) for name in ("Openings", "Endgames")]
        for topic in topics:
            world.text(FORUM, "@parley_bot hello", user=5, thread=topic)
        await until(lambda: len(world.shown(FORUM)) == 2, "both answers")
        await until(lambda: not world.pending, "all updates")
        first, second = (post.id for post in world.shown(FORUM))

        async def counted(wanted: Score) -> None:
            async with asyncio.timeout(10):
                while await feedback.scores() != [wanted]:
                    await asyncio.sleep(0.02)

        react(world, FORUM, first, "👍", user=5)
        await counted(Score("stub", 1, 0))
        react(world, FORUM, second, "👎", user=5)
        await counted(Score("stub", 1, 1))
        react(world, FORUM, first, user=5)
        await counted(Score("stub", 0, 1))
