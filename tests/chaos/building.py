"""Starts what a run needs: fakes, store, links, and how each of Parley's processes is connected with them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.message import Platform
from tests.chaos.fleet import Member, clock_library, configuration, preload
from tests.chaos.journal import Journal
from tests.chaos.people import Chat, DiscordRoom, TelegramRoom
from tests.chaos.plan import ROOMS, Kind, Room
from tests.chaos.proxy import Proxy
from tests.chaos.scene import Options, Scene
from tests.chaos.store import StoreServer
from tests.chaos.troubles import Troubles
from tests.chaos.web_room import Door, WebRoom
from tests.platforms.discord_server import TOKEN as DISCORD_TOKEN
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN as TELEGRAM_TOKEN
from tests.platforms.telegram_server import TelegramServer
from tests.ports import free_port

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


@asynccontextmanager
async def build(options: Options, folder: Path) -> AsyncGenerator[Scene]:
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
            "PARLEY__ENGINES__ON": "false",
            "TMPDIR": str(self.folder / "tmp"),
        }
        if self.library is not None and number % 2 == 0:
            environment |= {**preload(self.library), "FAKETIME_TIMESTAMP_FILE": str(folder / "clock")}
        member = Member(name, command, folder, environment, self.journal, links, port=web_port)
        member.jump(0)
        return member
