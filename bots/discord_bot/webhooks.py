"""Personas that speak under their own names: messages by a webhook, of which there is one in a channel.

It is found again by our application's id, and somebody else's is never used. Its token is a secret that Discord tells
us whenever we ask: it is kept in this process's memory only, and not for long. What has been sent by it is changed and
deleted by it, too. Such a message can be no reply, and knows no nonce.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from bots.adapter import Speaker
from bots.discord_bot.permissions import THREADS
from bots.discord_bot.refusals import MISSING_ACCESS, MISSING_PERMISSIONS
from bots.discord_bot.rest import CallFailed, Rest, Upload
from core.errors import OutboundError, OutboundFault

NAME = "Parley"
"""What it is called in a channel's settings; each message has the persona's name."""
INCOMING = 1
"""The kind of webhook that messages can be sent by."""
KNOWN_SECONDS = 3600.0
"""How long a webhook, or that there can be none, is believed; what Discord says of a call tells sooner."""
REFUSED_SECONDS = 300.0
MAX_CHANNELS = 2000
RATE, RATE_SECONDS = 5, 2.0
"""Calls of one webhook that Discord takes in such a time, over all threads of its channel."""
UNKNOWN_WEBHOOK = 10015
LONGEST_NAME = 80

log = structlog.get_logger()
Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a webhook's messages go."""

    channel: str
    thread: str = ""


@dataclass(slots=True)
class Webhook:
    """Ours in a channel."""

    id: str
    token: str = field(repr=False)
    calls: deque[float] = field(default_factory=lambda: deque[float](maxlen=RATE))
    """When the last ones were made."""

    def take(self) -> None:
        """A call is to be made now. Raises OutboundError where it would be one too many."""
        now = time.monotonic()
        if len(self.calls) == RATE and (wait := self.calls[0] + RATE_SECONDS - now) > 0:
            raise OutboundError(OutboundFault.RATE_LIMITED, "known limit of a webhook", retry_after=wait)
        self.calls.append(now)


@dataclass(frozen=True, slots=True)
class _Known:
    webhook: Webhook | None
    """None: there can be none."""
    until: float


class Webhooks:
    """Those of one bot, as one process knows them. Raises OutboundError."""

    def __init__(self, rest: Rest, forbidden: Callable[[str], None] | None = None) -> None:
        """``forbidden`` is told of channels in which the bot has no right to manage webhooks."""
        self._rest = rest
        self._forbidden = forbidden
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._application = ""

    async def send(self, chat: str, speaker: Speaker, body: Raw, uploads: tuple[Upload, ...]) -> str | None:
        """Creates a message; its id. None where no webhook can be used: then the bot speaks itself."""

        async def create(webhook: Webhook, query: dict[str, str]) -> str:
            fields = {**body, "username": speaker.name[:LONGEST_NAME]}
            if speaker.avatar:
                fields["avatar_url"] = speaker.avatar
            path, query = f"/webhooks/{webhook.id}/{webhook.token}", {"wait": "true", **query}
            made: Raw = await self._rest.call("POST", path, fields, uploads=uploads, query=query)
            if made.get("channel_id", chat) != chat:
                # An administrator moved it: what was said here is for nobody there.
                await self._rest.call("DELETE", f"/webhooks/{webhook.id}/{webhook.token}/messages/{made['id']}")
                raise CallFailed(OutboundFault.GONE, "the webhook is of another channel now", 404, UNKNOWN_WEBHOOK)
            return made["id"]

        try:
            return await self._by_webhook(chat, create, may_make=True)
        except CallFailed as error:
            if error.fault is not OutboundFault.REFUSED:
                raise
            # The name or the picture, perhaps: if it is the message itself, the bot is told so, too.
            log.info("a persona's message was refused", chat=chat, cause=error.detail)
            return None

    async def edit(self, chat: str, message: str, body: Raw, uploads: tuple[Upload, ...]) -> bool:
        """Changes a message that was sent by the webhook; False where there is none."""

        async def change(webhook: Webhook, query: dict[str, str]) -> bool:
            path = f"/webhooks/{webhook.id}/{webhook.token}/messages/{message}"
            await self._rest.call("PATCH", path, body, uploads=uploads, query=query)
            return True

        return bool(await self._by_webhook(chat, change))

    async def delete(self, chat: str, message: str) -> bool:
        """Deletes a message that was sent by the webhook; False where there is none."""

        async def delete(webhook: Webhook, query: dict[str, str]) -> bool:
            query.pop("with_components")
            path = f"/webhooks/{webhook.id}/{webhook.token}/messages/{message}"
            await self._rest.call("DELETE", path, query=query)
            return True

        return bool(await self._by_webhook(chat, delete))

    async def is_ours(self, message: Raw) -> bool:
        """Whether a message was sent by a webhook of our application, which tells nobody else its token."""
        if not message.get("webhook_id") or message.get("interaction_metadata"):
            return False
        return message.get("application_id") == await self._own_application()

    async def _by_webhook(
        self,
        chat: str,
        call: Callable[[Webhook, dict[str, str]], Awaitable[Any]],
        *,
        may_make: bool = False,
    ) -> Any:
        """What the call gives; None without a webhook. One that somebody deleted or moved is made anew, once."""
        try:
            place = await self._place(chat)
        except CallFailed:
            return None
        query = {"with_components": "true"} | ({"thread_id": place.thread} if place.thread else {})
        for is_again in (False, True):
            webhook = await self._of(place.channel, may_make=may_make)
            if webhook is None:
                return None
            webhook.take()
            try:
                return await call(webhook, dict(query))
            except CallFailed as error:
                if error.code != UNKNOWN_WEBHOOK or is_again:
                    raise
                self._known.pop(place.channel, None)
        return None

    async def _of(self, channel: str, *, may_make: bool) -> Webhook | None:
        known = self._known.get(channel)
        if known is not None and time.monotonic() < known.until:
            return known.webhook
        try:
            found = await self._found(channel)
            if found is None and may_make:
                found = await self._made(channel)
        except CallFailed as error:
            # No right, too many of them, or a kind of channel that has none.
            log.info("no persona can speak by itself", channel=channel, cause=error.detail)
            if error.code in (MISSING_ACCESS, MISSING_PERMISSIONS) and self._forbidden is not None:
                self._forbidden(channel)
            self._remember(channel, None, REFUSED_SECONDS)
            return None
        if found is not None:
            self._remember(channel, found, KNOWN_SECONDS)
        return found

    def _remember(self, channel: str, webhook: Webhook | None, seconds: float) -> None:
        self._known[channel] = _Known(webhook, time.monotonic() + seconds)
        self._known.move_to_end(channel)
        if len(self._known) > MAX_CHANNELS:
            self._known.popitem(last=False)

    async def _found(self, channel: str) -> Webhook | None:
        """The oldest of ours: so all processes use the same one."""
        application = await self._own_application()
        there: list[Raw] = await self._rest.call("GET", f"/channels/{channel}/webhooks")
        ours = [
            one
            for one in there
            if one.get("type") == INCOMING and one.get("application_id") == application and one.get("token")
        ]
        oldest = min(ours, key=lambda one: int(one["id"]), default=None)
        return None if oldest is None else Webhook(oldest["id"], oldest["token"])

    async def _made(self, channel: str) -> Webhook | None:
        """A new one. Where another process made one at the same moment, the older of the two stays."""
        made: Raw = await self._rest.call("POST", f"/channels/{channel}/webhooks", {"name": NAME})
        found = await self._found(channel)
        if found is not None and found.id != made["id"]:
            await self._rest.call("DELETE", f"/webhooks/{made['id']}/{made['token']}")
        return found

    async def _place(self, chat: str) -> Place:
        """A thread has its channel's webhook."""
        place = self._places.get(chat)
        if place is None:
            found: Raw = await self._rest.call("GET", f"/channels/{chat}")
            in_thread = found.get("type") in THREADS
            place = Place(str(found["parent_id"]), chat) if in_thread else Place(chat)
            self._places[chat] = place
            if len(self._places) > MAX_CHANNELS:
                self._places.popitem(last=False)
        return place

    async def _own_application(self) -> str:
        if not self._application:
            self._application = str((await self._rest.call("GET", "/applications/@me"))["id"])
        return self._application
