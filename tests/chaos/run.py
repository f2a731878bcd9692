"""One chaos run: starts everything, plays the plan, waits for quiet, ends everything, judges."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from redis.asyncio import Redis

from core.message import Platform
from core.storage import keys
from tests.chaos import leftovers, speech
from tests.chaos.checks import Question, Verdict, Violation, check
from tests.chaos.fleet import Member, clock_library, configuration, preload
from tests.chaos.journal import TROUBLE, Journal
from tests.chaos.people import Chat, DiscordRoom, TelegramRoom
from tests.chaos.plan import ROOMS, Act, Kind, Room, Say, plan
from tests.chaos.proxy import Proxy
from tests.chaos.store import StoreServer
from tests.chaos.troubles import Troubles
from tests.chaos.web_room import Door, WebRoom
from tests.end_to_end.running import free_port
from tests.platforms.discord_server import TOKEN as DISCORD_TOKEN
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN as TELEGRAM_TOKEN
from tests.platforms.telegram_server import TelegramServer

ROUND_SECONDS = 60.0
"""How long one question in every room may take, with nothing going wrong."""
QUIET_SECONDS = 150.0
"""How long it may take until all work is done, after the faults have ended."""
STILL_SECONDS = 6.0
"""Quiet is when nothing waits for so long: a new gateway session takes five seconds."""
SURE_SECONDS = (20.0, 25.0)
"""Before and after an edit on Discord: with no trouble in this time it arrived. Discord sends nothing twice."""
FIRST_TOKEN_SECONDS = 0.3
TOKENS_PER_SECOND = 60.0
"""So slow that there is always an answer for a fault to meet."""

FLEET: dict[str, tuple[tuple[str, ...], ...]] = {
    "split": (
        ("receive", "telegram"),
        ("receive", "telegram"),
        ("receive", "discord"),
        ("receive", "discord"),
        ("receive", "web"),
        ("receive", "web"),
        ("work",),
        ("work",),
        ("work",),
    ),
    "up": (("up",), ("up",), ("up",)),
}
"""Layout -> the command of each process."""


@dataclass(frozen=True, slots=True)
class Options:
    seed: int
    seconds: float
    layout: str = "split"
    kinds: frozenset[Kind] = frozenset(Kind)
    platforms: frozenset[Platform] = frozenset(Platform)
    storm: float = 1.0
    talks: bool = False
    journal: Path | None = None
    """A file for everything that happens."""


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


@dataclass
class Scene:
    """Everything that is there during a run."""

    options: Options
    folder: Path
    journal: Journal
    store: StoreServer
    telegram: TelegramServer
    discord: FakeDiscord
    models: list[OpenAIServer]
    members: list[Member]
    troubles: Troubles
    chats: list[Chat | None]
    """By the numbers of the rooms; None where a platform is left out."""
    home: dict[str, str] = field(default_factory=dict[str, str])
    """Tag -> the room where it was asked."""
    leaks: list[Violation] = field(default_factory=list[Violation])
    rounds: int = 0

    @property
    def web(self) -> list[WebRoom]:
        return [chat for chat in self.chats if isinstance(chat, WebRoom)]

    # ---- talking

    async def say(self, say: Say) -> None:
        """Does what a person does."""
        chat = self.chats[say.room]
        if chat is None:
            return
        earlier = chat.records.back(say.back)
        if say.act is Act.COMMAND:
            name, _, argument = say.command.partition(" ")
            await chat.command(name, argument)
            self.journal.note(chat.name, f"/{say.command}")
        elif say.act is Act.REDELIVER and earlier is not None:
            await chat.redeliver(earlier)
        else:
            self.home[say.tag] = chat.name
            text = speech.question(say.tag, say.words, code=say.code)
            if say.act is Act.EDIT and earlier is not None:
                await chat.edit(earlier, say.tag, say.words, text)
            else:
                await chat.ask(say.tag, say.words, text, earlier if say.act is Act.REPLY else None)

    async def round(self) -> list[tuple[str, str]]:
        """One question in every room, and the time to answer it; room and tag of those that were not."""
        self.rounds += 1
        tags: list[tuple[Chat, str]] = []
        for number, chat in enumerate(self.chats):
            if chat is not None:
                say = Say(0.0, number, Act.ASK, (self.rounds - 1) * 1_000_000 + number, 5)
                await self.say(say)
                tags.append((chat, say.tag))
        deadline = time.monotonic() + ROUND_SECONDS
        while time.monotonic() < deadline:
            if all(chat.answered_at(tag) for chat, tag in tags):
                return []
            await asyncio.sleep(0.1)
        late = [(chat.name, tag) for chat, tag in tags if not chat.answered_at(tag)]
        self.journal.note("driver", f"round {self.rounds} was not over in time: {late}")
        return late

    def reply(self, body: dict[str, Any]) -> str:
        """The stub's answer; what it was shown is looked at here."""
        tag, held = speech.asked_in(body), speech.tags_in(body)
        self.journal.note(f"model {body['model']}", f"asked about {tag}")
        rooms = {self.home.get(found, "nobody") for found in held}
        if len(rooms) > 1:
            found = f"a prompt about {tag} held words of {sorted(rooms)}"
            self.leaks.append(Violation("leaked", self.home.get(tag, ""), tag, found))
        return speech.reply(body)

    # ---- waiting

    async def ready(self) -> None:
        for member in self.members:
            try:
                await member.ready()
            except TimeoutError:
                self.journal.note("driver", f"{member.name} is not ready")

    async def quiet(self) -> bool:
        """Whether all work came to an end in time."""
        redis: Any = Redis(port=self.store.port, socket_timeout=5, decode_responses=True)
        deadline = time.monotonic() + QUIET_SECONDS
        still = time.monotonic()
        try:
            while time.monotonic() < deadline:
                pipe = redis.pipeline(transaction=False)
                for partition in range(keys.PARTITIONS):
                    pipe.zcard(keys.ready(partition))
                untaken = self.telegram.world.pending or any(room.waiting for room in self.web)
                work = sum(await pipe.execute()) or await leftovers.jobs_left(redis)
                if work or untaken or not self._is_connected():
                    still = time.monotonic()
                if time.monotonic() - still > STILL_SECONDS:
                    return True
                await asyncio.sleep(0.2)
            return False
        finally:
            await redis.aclose()

    def _is_connected(self) -> bool:
        wanted = Platform.DISCORD in self.options.platforms
        return not wanted or any(session.connection for session in self.discord.gateway.sessions.values())

    # ---- judging

    def questions(self) -> tuple[list[Question], dict[str, Counter[str]]]:
        """What was accepted: everything, for the platforms keep it until it is taken; edits on Discord apart."""
        harm = [entry.at for entry in self.journal.by(TROUBLE)]
        questions: list[Question] = []
        commands: dict[str, Counter[str]] = {}
        for chat in self.chats:
            if chat is None:
                continue
            for asked in chat.records.asked:
                if isinstance(chat, DiscordRoom) and len(asked.at) > 1:
                    before, after = SURE_SECONDS
                    asked.is_sure = not any(asked.at[-1] - before < at < asked.at[-1] + after for at in harm)
                questions.append(asked.question(chat.name, chat.records.stops))
            commands[chat.name] = chat.records.commands
        return questions, commands


async def run(options: Options) -> Outcome:
    """Plays the plan of the seed and judges what came of it."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="parley-chaos-"))
    try:
        async with _scene(options, folder) as scene:
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
    happenings: list[Say | Any] = sorted((*played.says, *played.troubles), key=lambda happening: happening.at)
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
    verdict = check(questions, commands, [shown for chat in chats.values() for shown in chat.shown()])
    verdict.violations += [*scene.leaks, *violations]
    rooms = [chat for chat in chats.values() if isinstance(chat, DiscordRoom)]
    for chat in rooms:
        for made in chat.unfilled():
            what = f"command {made.id} was taken and never answered"
            verdict.violations.append(Violation("lost", chat.name, "", what, made.original))
    verdict.violations += [Violation("refused", "discord", "", what) for what in scene.discord.violations]
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


# ---- building it


@asynccontextmanager
async def _scene(options: Options, folder: Path) -> AsyncGenerator[Scene]:
    (folder / "tmp").mkdir()
    async with AsyncExitStack() as stack:
        journal = Journal(talks=options.talks)
        if options.journal is not None:
            journal.file = stack.enter_context(options.journal.open("w", buffering=1))
        telegram = await stack.enter_async_context(TelegramServer())
        discord = await stack.enter_async_context(FakeDiscord())
        models = [await stack.enter_async_context(_model(name)) for name in ("one", "two")]
        store = StoreServer(folder / "store", free_port(), journal)
        await store.start()
        stack.push_async_callback(store.kill)
        gateway = await stack.enter_async_context(Proxy(_port_of(discord.root)))
        discord.gateway.url = discord.rest.gateway_url = f"ws://127.0.0.1:{gateway.port}/gateway/"
        library = clock_library() if Kind.CLOCK in options.kinds else None
        around = _Around(folder, journal, store, telegram, discord, models, gateway, library, options.platforms, stack)
        members = [await around.member(number, command) for number, command in enumerate(_commands(options))]
        door = Door([m.port for m in members if m.arguments[:2] in (("receive", "web"), ("up",))], journal)
        chats = [
            _chat(room, telegram, discord, door, journal) if room.platform in options.platforms else None
            for room in ROOMS
        ]
        model_links = [link for member in members for name, link in member.links.items() if name.startswith("model")]
        troubles = Troubles(
            journal,
            store,
            members,
            telegram,
            discord,
            models,
            model_links,
            [("gateway", gateway)],
            [member for member in members if "LD_PRELOAD" in member.environment],
        )
        if Kind.CLOCK in options.kinds and not troubles.jumpers:
            journal.note("driver", "clocks cannot be set here: libfaketime is missing or does not work")
        scene = Scene(options, folder, journal, store, telegram, discord, models, members, troubles, chats)
        for model in models:
            model.reply = scene.reply
        try:
            yield scene
        finally:
            for room in scene.web:
                await room.close()
            for member in members:
                await member.stop()


def _chat(room: Room, telegram: TelegramServer, discord: FakeDiscord, door: Door, journal: Journal) -> Chat:
    match room.platform:
        case Platform.TELEGRAM:
            return TelegramRoom(telegram, room)
        case Platform.DISCORD:
            return DiscordRoom(discord, room)
        case Platform.WEB:
            return WebRoom(room, door, journal)


def _commands(options: Options) -> list[tuple[str, ...]]:
    return [c for c in FLEET[options.layout] if c[0] != "receive" or Platform(c[1]) in options.platforms]


def _model(name: str) -> OpenAIServer:
    return OpenAIServer((name,), first_token=FIRST_TOKEN_SECONDS, tokens_per_second=TOKENS_PER_SECOND, tick=0.03)


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


@dataclass
class _Around:
    """What a new member is connected with."""

    folder: Path
    journal: Journal
    store: StoreServer
    telegram: TelegramServer
    discord: FakeDiscord
    models: Sequence[OpenAIServer]
    gateway: Proxy
    library: Path | None
    platforms: frozenset[Platform]
    stack: AsyncExitStack

    async def member(self, number: int, command: tuple[str, ...]) -> Member:
        """With links of its own, so that it can be cut off alone."""
        name = f"{'-'.join(command)}-{number}"
        folder = self.folder / name
        (folder / "data").mkdir(parents=True)
        targets = {
            "redis": self.store.port,
            "telegram": _port_of(self.telegram.url),
            "discord": _port_of(self.discord.root),
            "model one": self.models[0].port,
            "model two": self.models[1].port,
        }
        links = {what: await self.stack.enter_async_context(Proxy(port)) for what, port in targets.items()}
        urls = {what: f"127.0.0.1:{link.port}" for what, link in links.items()}
        (folder / "parley.toml").write_text(
            configuration(f"http://{urls['model one']}/v1", f"http://{urls['model two']}/v1")
        )
        web_port = free_port() if Platform.WEB in self.platforms else 0
        environment = {
            "REDIS_URL": f"redis://{urls['redis']}",
            "TELEGRAM_TOKEN": TELEGRAM_TOKEN,
            "TELEGRAM_API_BASE": f"http://{urls['telegram']}",
            "DISCORD_TOKEN": DISCORD_TOKEN,
            "DISCORD_API_BASE": f"http://{urls['discord']}/api/v10",
            "DISCORD_GATEWAY": self.discord.gateway.url,
            "DISCORD_CDN": self.discord.cdn,
            "PARLEY_DATA": str(folder / "data"),
            "PARLEY_WEB_PORT": str(web_port),
            "PARLEY_LOCAL_MODEL": "none",
            "TMPDIR": str(self.folder / "tmp"),
        }
        if self.library is not None and number % 2 == 0:
            environment |= {**preload(self.library), "FAKETIME_TIMESTAMP_FILE": str(folder / "clock")}
        member = Member(name, command, folder, environment, self.journal, links, port=web_port)
        member.jump(0)
        return member
