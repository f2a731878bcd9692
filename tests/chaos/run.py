"""One chaos run: starts everything, plays the plan, waits for quiet, ends everything, judges."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.chaos import leftovers
from tests.chaos.building import build
from tests.chaos.checks import Verdict, Violation, check, check_orders
from tests.chaos.fleet import Member
from tests.chaos.journal import Journal
from tests.chaos.people import Chat, DiscordRoom
from tests.chaos.plan import Say, Trouble, plan
from tests.chaos.scene import Options, Scene
from tests.chaos.web_room import WebRoom


@dataclass
class Outcome:
    """What a run came to."""

    verdict: Verdict
    journal: Journal
    chats: dict[str, Chat]
    troubles: Counter[str] = field(default_factory=Counter[str])
    messages: int = 0
    kills: int = 0
    untaken: int = 0
    slowest: tuple[float, str] = (0.0, "")
    took: float = 0.0


async def run(options: Options) -> Outcome:
    """Plays the plan of the seed and judges what came of it."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="parley-chaos-"))
    try:
        async with build(options, folder) as scene:
            violations = await _play(scene)
            outcome = _judged(scene, violations)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    outcome.took = time.monotonic() - began
    return outcome


async def _play(scene: Scene) -> list[Violation]:
    for member in scene.members:
        member.begin()
    await scene.ready()
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as http:
        for room in scene.web:
            await room.open(http)
        violations = await _talk(scene)
        for room in scene.web:
            violations += await _reread(room)
    await asyncio.gather(*(member.stop() for member in scene.members))
    remains = await leftovers.read(scene.store.port)
    violations += leftovers.check_keys(remains)
    violations += leftovers.check_usage(remains, scene.journal)
    violations += leftovers.check_processes({session for member in scene.members for session in member.sessions})
    violations += leftovers.check_files(scene.folder / "tmp", [member.folder / "data" for member in scene.members])
    return violations + _bad_ends(scene.members)


async def _talk(scene: Scene) -> list[Violation]:
    """A round in calm, the storm, a round in calm."""
    await scene.round()
    await _perform(scene)
    await scene.troubles.heal()
    await scene.ready()
    scene.journal.note("driver", "waits for quiet")
    violations = await _wait(scene, "work is left long after the faults")
    scene.journal.note("driver", "asks once more in every room")
    # Whatever happened: everybody is answered again, without a restart.
    late = await scene.round()
    violations += [Violation("stuck", room, tag, "not answered in calm") for room, tag in late]
    violations += await _wait(scene, "work is left after a last question in every room")
    return violations


async def _reread(room: WebRoom) -> list[Violation]:
    """A page that was open all the time shows what one shows that is opened now."""
    await room.close()
    followed = room.shown()
    fresh = await room.read_anew()
    if [(shown.id, shown.text.split()) for shown in followed] == [(shown.id, shown.text.split()) for shown in fresh]:
        return []
    odd = {shown.id for shown in (*followed, *fresh) if shown not in followed or shown not in fresh}
    return [Violation("stale", room.name, "", f"an open page shows something else than a new one: {sorted(odd)}")]


async def _wait(scene: Scene, what: str) -> list[Violation]:
    return [] if await scene.quiet() else [Violation("stuck", "", "", what)]


async def _perform(scene: Scene) -> None:
    played = plan(scene.options.seed, scene.options.seconds, scene.options.kinds, scene.options.storm)
    began = time.monotonic()
    happenings: list[Say | Trouble] = sorted((*played.says, *played.troubles), key=lambda happening: happening.at)
    for happening in happenings:
        await asyncio.sleep(max(0.0, began + happening.at - time.monotonic()))
        if isinstance(happening, Say):
            await scene.say(happening)
        else:
            scene.troubles.begin(happening)
    await asyncio.sleep(max(0.0, began + scene.options.seconds - time.monotonic()))


def _bad_ends(members: Sequence[Member]) -> list[Violation]:
    """A process may end when it is told to, and may refuse to start where Redis is away for long (status 2)."""
    found: list[Violation] = []
    for member in members:
        for end in member.ends:
            # SIGTERM ends it in good order, with 0; one that is still starting ends at once.
            allowed = {signal.SIGKILL: (-signal.SIGKILL, 0), signal.SIGTERM: (0,), None: (2,)}[end.asked]
            was_early = end.early and end.status == -signal.SIGTERM
            if end.late or not (end.status in allowed or was_early):
                asked = "SIGTERM, too late" if end.late else end.asked.name if end.asked else "nothing"
                found.append(Violation("ended", member.name, "", f"status {end.status} after {asked}"))
    return found


def _judged(scene: Scene, violations: list[Violation]) -> Outcome:
    questions, commands = scene.questions()
    chats = {chat.name: chat for chat in scene.chats if chat is not None}
    ordered = check_orders(scene.orders(), [shown for chat in chats.values() for shown in chat.shown()])
    verdict = check([*questions, *ordered.open], commands, ordered.left)
    verdict.violations += [*scene.leaks, *ordered.violations, *violations]
    verdict.notices["picture"] += ordered.pictures
    rooms = [chat for chat in chats.values() if isinstance(chat, DiscordRoom)]
    for chat in rooms:
        for made in chat.unfilled():
            what = f"command {made.id} was taken and never answered"
            verdict.violations.append(Violation("lost", chat.name, "", what, made.original))
    verdict.violations += [Violation("refused", "discord", "", what) for what in scene.discord.pardon()]
    waits = [
        (chat.answered_at(asked.tags[-1]) - asked.at[-1], f"{asked.tags[-1]} in {chat.name}")
        for chat in chats.values()
        for asked in chat.records.asked
    ]
    return Outcome(
        verdict,
        scene.journal,
        chats,
        scene.troubles.done,
        sum(len(chat.records.asked) for chat in chats.values()),
        scene.troubles.kills,
        sum(room.untaken for room in rooms),
        max(waits, default=(0.0, "")),
    )
