"""The web chat's receiving side: an HTTP server inside our event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator, Sequence
from urllib.parse import urlsplit

import structlog
import uvicorn

from bots.adapter import Inbox
from bots.pressing import Presses
from bots.web_chat import cookies
from bots.web_chat.app import build
from bots.web_chat.cookies import Signer
from bots.web_chat.redis_store import RedisWebStore
from bots.web_chat.render import Renderer
from bots.web_chat.site import Site
from core.errors import SettingsError
from core.message import Platform
from core.models.catalog import Catalog
from core.people.community import Community
from core.settings import WebSettings
from core.tasks import end, to_the_end

log = structlog.get_logger()

HOST = "127.0.0.1"
STOP_SECONDS = 1
"""How long requests under way may take when the server stops."""
CLOSE_SECONDS = 6.0
"""How long all of its end may take."""
BACKLOG = 512


class _Server(uvicorn.Server):
    """Leaves the process's signal handlers alone: they are the composition root's. Says when it is open."""

    def __init__(self, config: uvicorn.Config, opened: asyncio.Event) -> None:
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._opened.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class WebAdapter:
    """Implements Adapter."""

    platform = Platform.WEB

    def __init__(
        self,
        settings: WebSettings,
        store: RedisWebStore,
        models: Callable[[], Sequence[str]],
        community: Community,
        catalog: Catalog,
        presses: Presses,
        *,
        listener: socket.socket | None = None,
    ) -> None:
        """``models`` gives the names to choose from, the default first; ``listener`` stands in for the port."""
        self._settings = settings
        self._store = store
        self._models = models
        self._community = community
        self._catalog = catalog
        self._presses = presses
        self._listener = listener
        self.port: int = listener.getsockname()[1] if listener else settings.port
        self._ready = asyncio.Event()

    @property
    def address(self) -> str:
        """Where people open it."""
        return self._settings.public_url or f"http://{HOST}:{self.port}"

    async def entry_url(self) -> str:
        """A new one-time link that lets its first user in as the owner. Raises StorageError."""
        owner = await self._store.owner()
        code = cookies.new_code()
        await self._store.put_code(cookies.digest(code), owner.id, cookies.CODE_SECONDS)
        return f"{self.address}/enter?code={code}"

    async def ready(self) -> None:
        await self._ready.wait()

    async def run(self, inbox: Inbox) -> None:
        listener = self._listener or _listen(self._settings.host, self.port)
        site = await self._site(inbox)
        server = _Server(
            uvicorn.Config(
                build(site, self._origins()),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=STOP_SECONDS,
            ),
            self._ready,
        )
        listening = asyncio.create_task(self._store.listen(), name="web-events")
        serving = asyncio.create_task(server.serve([listener]), name="web-server")
        try:
            log.info("web chat is open", address=self.address)
            await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ready.clear()
            await to_the_end(self._close(server, serving, listening), CLOSE_SECONDS)
        for task in (serving, listening):
            if not task.cancelled() and (error := task.exception()):
                raise error

    async def _close(self, server: _Server, serving: asyncio.Task[None], listening: asyncio.Task[None]) -> None:
        # First the event streams, which would never end by themselves.
        self._store.close()
        server.should_exit = True
        await asyncio.wait((serving,), timeout=CLOSE_SECONDS / 2)
        await end([serving, listening])

    async def _site(self, inbox: Inbox) -> Site:
        is_https = self.address.startswith("https://")
        return Site(
            self._store,
            inbox,
            Signer(await self._store.secret()),
            Renderer(),
            self._models,
            self._settings.max_upload,
            # Cookies are shared by all ports of a host: two Parleys on one machine must not sign each other out.
            "__Host-parley" if is_https else f"parley-{self.port}",
            is_https,
            self.address,
            self._community,
            self._catalog,
            self._presses,
        )

    def _origins(self) -> list[str]:
        local = [f"http://{host}:{self.port}" for host in (HOST, "localhost")]
        public = urlsplit(self._settings.public_url.lower())
        return [*local, f"{public.scheme}://{public.netloc}"] if public.netloc else local


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"web.port is wrong: port {port} on {host} cannot be used ({error.strerror})."
            " Set PARLEY_WEB_PORT to another port, or to 0 to switch the web chat off."
        ) from None
    return listener
