"""How updates get to a bot: by polls and webhooks, with the real server's rules of what comes again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time

import aiohttp

from tests.platforms.telegram_text import Json, Refusal, bad
from tests.platforms.telegram_world import World

MAX_POLL_SECONDS = 50.0
AGAIN_SECONDS = 0.5
"""Whoever asks for the same again so soon is given one update at a time."""
MAX_PUSHES = 40
PUSH_SECONDS = 10.0


class _Poll:
    """A getUpdates that waits."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.why = ""

    def end(self, why: str) -> None:
        self.why = why
        self.ended.set()


class Updates:
    """The updates of one bot on their way out."""

    def __init__(self) -> None:
        self.repeat_seconds = 0.0
        """How long a poll with the same offset as the one just before is held at least; 3 at the real server."""
        self.webhook: Json = {"url": ""}
        self.behind: list[str] = []
        """Receivers that a proxy at the webhook's address hands its calls to, in turn."""
        self._secret = ""
        self._poll: _Poll | None = None
        self._pushing: asyncio.Task[None] | None = None

    def reset(self, world: World) -> None:
        """Begins anew with a world in which nothing has happened."""
        self.world = world
        self.polls = 0
        self.pushes = 0
        self.conflicts = 0
        """Polls that began while another one was open."""
        self._offset, self._polled_at, self._answered_at = -1, 0.0, 0.0

    @property
    def polled(self) -> bool:
        """Whether a poll is open."""
        return self._poll is not None

    async def stop(self) -> None:
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)

    async def get(self, fields: Json) -> list[Json]:
        """The older of two polls ends with 409. What is not confirmed comes again."""
        if self.webhook["url"]:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        if self._poll is not None:
            self.conflicts += 1
            self._poll.end("other getUpdates request; make sure that only one bot instance is running")
        mine = self._poll = _Poll()
        self.polls += 1
        world = self.world
        world.allowed = fields.get("allowed_updates", world.allowed)
        offset, limit, seconds = fields.get("offset", 0), fields.get("limit", 100), fields.get("timeout", 0)
        for number in [n for n in world.pending if n < offset]:
            del world.pending[number]
        if offset == self._offset and time.monotonic() < self._polled_at + self.repeat_seconds:
            seconds = max(seconds, self.repeat_seconds)
        if offset == self._offset and time.monotonic() < self._answered_at + AGAIN_SECONDS:
            limit = 1
        self._offset, self._polled_at = offset, time.monotonic()
        end = self._polled_at + min(seconds, MAX_POLL_SECONDS)
        try:
            while not world.pending and time.monotonic() < end:
                world.arrived.clear()
                await _first(world.arrived, mine.ended, end - time.monotonic())
                if mine.ended.is_set():
                    raise Refusal(409, f"Conflict: terminated by {mine.why}")
        finally:
            if self._poll is mine:
                self._poll = None
        self._answered_at = time.monotonic()
        return list(world.pending.values())[:limit]

    def set_webhook(self, fields: Json) -> bool:
        secret = fields.get("secret_token", "")
        if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise bad("secret token contains unallowed characters")
        self.webhook = {"url": fields.get("url", "")}
        self._secret = secret
        self.world.allowed = fields.get("allowed_updates", self.world.allowed)
        if self._poll is not None:
            self._poll.end("setWebhook request")
        if self.webhook["url"] and (self._pushing is None or self._pushing.done()):
            self._pushing = asyncio.create_task(self._push())
        return True

    def webhook_info(self) -> Json:
        """The real one tells no secret either, and the kinds of updates only where they were chosen."""
        info = {**self.webhook, "has_custom_certificate": False, "pending_update_count": len(self.world.pending)}
        if self.world.allowed is not None:
            info["allowed_updates"] = self.world.allowed
        return info

    async def _push(self) -> None:
        """To the webhook: those of one chat one after another, each until it is taken; many chats at once."""
        busy: dict[int, asyncio.Task[None]] = {}

        def done(chat: int, world: World) -> None:
            del busy[chat]
            world.arrived.set()

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PUSH_SECONDS)) as session:
            try:
                while self.webhook["url"]:
                    world = self.world
                    world.arrived.clear()
                    for number, update in world.pending.items():
                        chat = _chat_of(update)
                        if chat not in busy and len(busy) < MAX_PUSHES:
                            busy[chat] = asyncio.create_task(self._hand_over(session, world, number, update))
                            busy[chat].add_done_callback(lambda _, c=chat, w=world: done(c, w))
                    await world.arrived.wait()
            finally:
                for task in busy.values():
                    task.cancel()
                await asyncio.gather(*busy.values(), return_exceptions=True)

    async def _hand_over(self, session: aiohttp.ClientSession, world: World, number: int, update: Json) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self._secret}
        self.pushes += 1
        url = self.behind[self.pushes % len(self.behind)] if self.behind else self.webhook["url"]
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with session.post(url, json=update, headers=headers) as answer:
                if answer.status == 200:
                    world.pending.pop(number, None)
                    return
        await asyncio.sleep(0.05)


def _chat_of(update: Json) -> int:
    kind = next(name for name in update if name != "update_id")
    value: Json = update[kind]
    # What is typed or sent inline names a person alone.
    return int(((value.get("message") or value).get("chat") or value["from"])["id"])


async def _first(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
