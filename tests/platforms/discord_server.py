"""A fake Discord on loopback: REST, gateway and CDN in one server, and the people who talk to the bot.

Tests start it inside their event loop; benchmarks as a process of its own, played through a control API:
``python -m tests.platforms.discord_server --port 8003``, then ``POST /control/say {"text": "hello"}`` (any method
of :attr:`FakeDiscord.CONTROLS` with its arguments) and ``GET /control/state``.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self
from urllib.parse import unquote

from aiohttp import web

from tests.platforms import discord_threads
from tests.platforms.discord_files import has_expired, signed
from tests.platforms.discord_gateway import Gateway
from tests.platforms.discord_plays import File, Given, Plays
from tests.platforms.discord_rest import Rest
from tests.platforms.discord_schema import check_message
from tests.platforms.discord_wire import Call, Fault, Limits, Wire
from tests.platforms.discord_world import (
    FORUM,
    MENTION,
    THREAD,
    VOICE,
    Interaction,
    Json,
    Posted,
    World,
    stamp,
)

TOKEN = "TEST.TOKEN"


class FakeDiscord:
    """``async with FakeDiscord() as discord:`` runs it on a free port."""

    CONTROLS: ClassVar[frozenset[str]] = frozenset(
        {"say", "edit", "delete", "slash", "press", "choose", "fail", "drop", "invalidate", "set_limits", "set_latency"}
    )

    def __init__(self, token: str = TOKEN) -> None:
        self.world = World()
        self.gateway = Gateway(self.world, token)
        self.rest = Rest(self.world, self.gateway.dispatch)
        self.plays = Plays(self.world, self.gateway.dispatch)
        self.wire = Wire(token, self.rest.answer, violations=self.rest.violations)
        self.root = ""
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/gateway/", self.gateway.handle)
        app.router.add_get("/resume/", self.gateway.handle)
        app.router.add_get("/attachments/{path:.*}", self._attachment)
        app.router.add_get("/stickers/{path:.*}", self._sticker)
        app.router.add_get("/redirect/{path:.*}", self._redirect)
        app.router.add_route("*", "/control/{what}", self._control)
        app.router.add_route("*", "/api/v10/{path:.*}", self.wire.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        bound = self._runner.addresses[0][1]
        self.root = f"http://127.0.0.1:{bound}"
        self.rest.cdn = self.plays.cdn = self.root
        self.rest.gateway_url = self.gateway.url = f"ws://127.0.0.1:{bound}/gateway/"
        self.gateway.resume_url = f"ws://127.0.0.1:{bound}/resume/"

    async def close(self) -> None:
        self.gateway.drop()
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.close()
        if kind is None and self.violations:
            raise AssertionError("Discord was called wrongly: " + "; ".join(self.violations[:5]))

    @property
    def api_base(self) -> str:
        return f"{self.root}/api/v10"

    @property
    def gateway_url(self) -> str:
        return self.gateway.url

    @property
    def cdn(self) -> str:
        return self.root

    @property
    def calls(self) -> list[Call]:
        return self.wire.calls

    @property
    def violations(self) -> list[str]:
        """Calls that are wrong whatever the channel is like. With any unpardoned, leaving the server raises."""
        return self.rest.violations

    def pardon(self) -> list[str]:
        """The violations so far, taken back: for tests that mean them."""
        pardoned = [*self.violations]
        self.violations.clear()
        return pardoned

    # ------------------------------------------------------------------ what people do
    def say(
        self,
        text: str,
        channel: str = "",
        *,
        user: str = "",
        mention: bool = False,
        reply_to: str = "",
        ping: bool = False,
        files: Sequence[File] = (),
        **fields: Any,
    ) -> Posted:
        """Somebody writes; without a channel in direct messages. ``fields`` go into the message object as they are."""
        world = self.world
        author = user or world.alice
        room = channel or world.direct(author)
        content = f"<@{world.bot}> {text}" if mention else text
        kept = [world.store_file(room, f.name, f.mime, f.data, self.cdn) for f in files]
        posted = world.post(room, author, content, reply_to=reply_to, attachments=kept, **fields)
        replied = posted.data.get("referenced_message")
        if ping and replied:
            posted.data["mentions"].append(replied["author"])
        self._tell(posted, "MESSAGE_CREATE")
        return posted

    def voice_message(
        self, data: bytes, seconds: float = 2.0, channel: str = "", *, reply_to: str = "", expired: bool = False
    ) -> Posted:
        """Somebody speaks; without a channel in direct messages. ``expired``: the file's address holds no more."""
        world = self.world
        room = channel or world.direct(world.alice)
        file = world.store_file(room, "voice-message.ogg", "audio/ogg", data, self.cdn)
        file |= {"duration_secs": seconds, "waveform": "AAAA"}
        if expired:
            file["url"] = signed(file["url"].partition("?")[0], -1)
        posted = world.post(room, world.alice, "", reply_to=reply_to, attachments=[file], flags=VOICE)
        self._tell(posted, "MESSAGE_CREATE")
        return posted

    def sticker(self, name: str = "Wave", data: bytes = b"PNG") -> Posted:
        id = self.world.snowflake()
        self.world.files[f"/stickers/{id}.png"] = (data, "image/png")
        return self.say("", sticker_items=[{"id": id, "name": name, "format_type": 1}])

    def poll(self, question: str) -> Posted:
        return self.say("", poll={"question": {"text": question}, "answers": []})

    def forward(self, text: str, files: Sequence[File] = ()) -> Posted:
        """A forwarded message: its text stands in a snapshot."""
        room = self.world.direct(self.world.alice)
        kept = [self.world.store_file(room, f.name, f.mime, f.data, self.cdn) for f in files]
        snapshot = {"type": 0, "content": text, "attachments": kept, "embeds": [], "flags": 0, "mentions": []}
        source = {"type": 1, "channel_id": self.world.general, "message_id": self.world.snowflake()}
        return self.say("", message_reference=source, message_snapshots=[{"message": snapshot}])

    def by_webhook(self, text: str) -> Posted:
        return self.say(text, self.world.general, mention=True, webhook_id=self.world.snowflake())

    def edit(self, message: str, text: str) -> Posted:
        posted = self.world.find(message)
        users = [self.world.users[u] for u in MENTION.findall(text) if u in self.world.users]
        self.world.change(posted, {"content": text, "mentions": users})
        self._tell(posted, "MESSAGE_UPDATE")
        return posted

    def unfurl(self, message: str) -> Posted:
        """Discord adds a preview of a link: an update that is no edit."""
        posted = self.world.find(message)
        posted.data = {**posted.data, "embeds": [{"type": "link", "url": "https://example.org"}]}
        self._tell(posted, "MESSAGE_UPDATE")
        return posted

    def delete(self, message: str) -> None:
        self.rest.delete(self.world.find(message))

    def delete_many(self, messages: Sequence[str]) -> None:
        found = [self.world.find(message) for message in messages]
        for posted in found:
            posted.deleted = time.time()
        guild = found[0].guild
        gone = {"ids": list(messages), "channel_id": found[0].data["channel_id"], "guild_id": guild}
        self.gateway.dispatch("MESSAGE_DELETE_BULK", gone, guild)

    def invite(self, name: str = "New Club", *, locale: str = "en-US") -> Json:
        """Somebody adds the bot to a new guild with one channel."""
        guild = self.world.add_guild(name)
        guild |= {"joined_at": stamp(), "preferred_locale": locale}
        self.world.add_channel(guild["id"], "welcome")
        self.gateway.dispatch("GUILD_CREATE", self.world.guild_create(guild["id"]), guild["id"])
        return guild

    def open_thread(self, name: str, owner: str = "", parent: str = "") -> str:
        """A thread by the bot, or by ``owner``."""
        thread = self.world.add_thread(parent or self.world.general, name, owner or self.world.bot)
        self.gateway.dispatch("THREAD_CREATE", {**thread, "newly_created": True}, thread["guild_id"])
        return thread["id"]

    def forum_post(self, title: str, text: str) -> Posted:
        """A new post in a forum, by a person who mentions the bot."""
        return discord_threads.post(self, discord_threads.add_forum(self, "help"), title, text, mention=True)

    def slash(
        self,
        name: str,
        options: Mapping[str, Given] | None = None,
        channel: str = "",
        *,
        user: str = "",
        locale: str = "en-US",
        own_install: bool = False,
    ) -> Interaction:
        """Somebody uses a slash command; without a channel in direct messages. ``own_install``: from the person's own
        installation of the app."""
        room = channel or self.world.direct(user or self.world.alice)
        return self.plays.slash(name, options or {}, room, user, locale, own_install=own_install)

    def suggest(
        self,
        name: str,
        focused: str,
        options: Mapping[str, Given],
        channel: str = "",
        *,
        user: str = "",
        locale: str = "en-US",
    ) -> Interaction:
        """Somebody is typing one of a command's options."""
        room = channel or self.world.direct(user or self.world.alice)
        return self.plays.suggest(name, focused, options, room, user, locale)

    def choose_in_menu(
        self,
        name: str,
        target: str,
        channel: str = "",
        *,
        user: str = "",
        locale: str = "en-US",
        own_install: bool = False,
    ) -> Interaction:
        """Somebody uses a command in the menu of a message or a person, whose id is ``target``."""
        where = "" if target in self.world.users else self.world.find(target).data["channel_id"]
        room = channel or where or self.world.general
        return self.plays.choose_in_menu(name, target, room, user, locale, own_install=own_install)

    def press(self, message: str, custom_id: str, *, user: str = "", locale: str = "en-US") -> Interaction:
        """Somebody presses a button; LookupError when the message has no such button."""
        return self.plays.press(self.world.find(message), custom_id, user, locale)

    def choose(
        self, message: str, *values: str, custom_id: str = "", user: str = "", locale: str = "en-US"
    ) -> Interaction:
        """Somebody chooses from a list; LookupError when the message has no such list."""
        return self.plays.choose(self.world.find(message), values, custom_id, user, locale)

    def submit(self, asked: Interaction, given: Mapping[str, str | Sequence[str] | Sequence[File]]) -> Interaction:
        """Somebody fills in the modal that an interaction was answered with."""
        return self.plays.submit(asked, given)

    def _tell(self, posted: Posted, event: str) -> None:
        data = posted.data
        self.violations.extend(check_message(data))
        if posted.guild:
            member = self.world.member(data["author"]["id"], posted.guild)
            data = {**data, "guild_id": posted.guild, "member": member}
        self.gateway.dispatch(event, data, posted.guild)

    # ------------------------------------------------------------------ what tests ask
    def by_bot(self, channel: str | None = None) -> list[Posted]:
        return self.world.by_bot(channel)

    def fail(self, fault: str, match: str = "", times: int = 1, seconds: float = 0.05) -> None:
        self.wire.fail(Fault(fault), match, times=times, seconds=seconds)

    def drop(self) -> None:
        self.gateway.drop()

    def invalidate(self) -> None:
        self.gateway.invalidate()

    def set_limits(self, **limits: float) -> None:
        self.wire.limits = dataclasses.replace(self.wire.limits, **limits)

    def set_latency(self, seconds: float) -> None:
        self.wire.latency = seconds

    def state(self) -> Json:
        """Everything a benchmark counts: all messages with their histories, all calls with their times."""
        world = self.world
        return {
            "now": time.time(),
            "bot": world.bot,
            "guild": world.guild["id"],
            "channels": [c["id"] for c in world.channels.values() if c["type"] not in (THREAD, FORUM)],
            "messages": [m.report() for room in world.messages.values() for m in room.values()],
            "calls": [[c.method, c.path, c.at, c.status] for c in self.calls],
            "gateway": self.gateway.log,
            "commands": [c["name"] for c in world.commands],
            "violations": self.violations,
        }

    async def _control(self, request: web.Request) -> web.Response:
        what = request.match_info["what"]
        if what == "state":
            result: Any = self.state()
        elif what in self.CONTROLS:
            result = getattr(self, what)(**json.loads(await request.read() or b"{}"))
        else:
            raise web.HTTPNotFound
        if isinstance(result, Posted):
            result = result.report()
        elif isinstance(result, Interaction):
            result = dataclasses.asdict(result)
        return web.json_response(result)

    async def _attachment(self, request: web.Request) -> web.Response:
        found = self.world.files.get(unquote(request.path))
        if found is None or has_expired(str(request.url)):
            raise web.HTTPNotFound
        return web.Response(body=found[0], headers={"Content-Type": found[1] or "application/octet-stream"})

    async def _sticker(self, request: web.Request) -> web.Response:
        """Their addresses are not signed."""
        if request.path not in self.world.files:
            raise web.HTTPNotFound
        data, mime = self.world.files[request.path]
        return web.Response(body=data, headers={"Content-Type": mime})

    async def _redirect(self, request: web.Request) -> web.Response:
        """An open redirect, as an attacker would like the CDN to have."""
        raise web.HTTPFound(f"/{request.match_info['path']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--channels", type=int, default=1, help="text channels in the guild")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to every call")
    parser.add_argument("--no-limits", action="store_true", help="switch the rate limits off")
    given = parser.parse_args()

    async def serve() -> None:
        discord = FakeDiscord(given.token)
        for number in range(1, given.channels):
            discord.world.add_channel(discord.world.guild["id"], f"general-{number}")
        discord.wire.latency = given.latency
        if given.no_limits:
            discord.wire.limits = Limits(0, 0, 5.0, 0, others=False, refused=0)
        await discord.start(given.port)
        print(
            json.dumps({"api_base": discord.api_base, "gateway": discord.gateway_url, "cdn": discord.cdn}),
            flush=True,
        )
        try:
            await asyncio.Event().wait()
        finally:
            await discord.close()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
