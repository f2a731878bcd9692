"""Shows answers on Discord, by ids only. A send carries its turn as an enforced nonce: repeated, it makes no second.

Answers to an interaction go through its token: the first fills the deferred message in, further ones follow it.
Where the token is spent, they go to the channel, unless they were for the asker alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiohttp
import yarl

from bots.adapter import RESENT, Button, Capabilities, Page, Slot, Target
from bots.discord_bot.format import to_page
from bots.discord_bot.interactions import EPHEMERAL, Deferrals, ReplyToken
from bots.discord_bot.rest import CallFailed, Rest, Upload
from bots.discord_bot.snowflake import at, moment
from core.errors import OutboundError, OutboundFault
from core.message import Attachment, ConversationKey, Platform
from core.parts import Activity
from core.settings import DiscordSettings

MAX_TEXT = 2000
MAX_FILE = 10 * 1024 * 1024
"""What Discord takes from a bot where nobody has paid for more."""
EDIT_INTERVAL = 1.2
"""Seconds: a channel takes about 5 edits in 5 seconds, and the last edit must find room."""
TYPING_LIFETIME = 10.0
MEDIA_HOSTS = ("https://cdn.discordapp.com", "https://media.discordapp.net")
NO_MENTIONS: dict[str, Any] = {"parse": [], "replied_user": False}
UNKNOWN_WEBHOOK, INVALID_TOKEN = 10015, 50027
TOKEN_SPENT = (UNKNOWN_WEBHOOK, INVALID_TOKEN)
"""Discord's codes for a token that is over 15 minutes old, or whose interaction was never answered."""
NO_REPLY_RIGHT = 160002
"""Discord's code where the bot may write but not read the history."""
SECONDARY, ACTION_ROW, BUTTON = 2, 1, 2
MAX_IN_ROW = 5
DEFERRAL_SECONDS = 4.0
"""How long the first answer to an interaction may still be under way in another process."""
DEFERRAL_PAUSE = 0.15
"""Seconds to the second try; each further pause is twice as long, since Discord counts the calls."""
CLOCK_SLACK = 60.0
"""Seconds that this machine's clock may differ from Discord's."""
MAX_HISTORY = 100
"""The most messages that Discord lists in one call."""
SEARCH_PAGES = 3
"""Such lists read in a search for a lost message."""
MAX_DOUBTFUL = 200
FETCH_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=5)


class DiscordOutbound:
    """Implements ``bots.adapter.Outbound``. Keeps nothing but connections: any process can deliver."""

    platform = Platform.DISCORD
    capabilities = Capabilities(
        max_text=MAX_TEXT,
        edit_interval=EDIT_INTERVAL,
        group_edit_interval=EDIT_INTERVAL,
        typing_lifetime=TYPING_LIFETIME,
        buttons=True,
        max_file=MAX_FILE,
        # For a few minutes only: later, find() tells.
        idempotent_sends=True,
    )

    def __init__(self, settings: DiscordSettings, rest: Rest, deferrals: Deferrals) -> None:
        self._rest = rest
        self._deferrals = deferrals
        self._doubtful: deque[str] = deque(maxlen=MAX_DOUBTFUL)
        """Nonces of sends whose outcome is unknown."""
        self._media_hosts = frozenset(yarl.URL(host).origin() for host in (*MEDIA_HOSTS, settings.cdn))

    def format(self, markdown: str, *, simple: bool = False) -> Page:
        return to_page(markdown)

    def mark(self, target: Target) -> str:
        """A moment before the send, as an id."""
        return at(self._rest.now() - CLOCK_SLACK)

    async def send(self, target: Target, page: Page, slot: Slot) -> str:
        return await self._create(target, page, slot, None)

    async def send_file(self, target: Target, name: str, mime: str, data: bytes, caption: Page, slot: Slot) -> str:
        if len(data) > MAX_FILE:
            raise OutboundError(OutboundFault.REFUSED, f"a file of {len(data)} bytes, at most {MAX_FILE}")
        return await self._create(target, caption, slot, Upload(name, mime, data))

    async def find(self, target: Target, page: Page, slot: Slot, known: Sequence[str]) -> str | None:
        """Looks through the channel's history; where nothing tells for certain, the repeated send's nonce does.

        A command's first answer is not looked for: filling the deferred message in again is harmless.
        """
        token = _token(target)
        if token and (target.ephemeral or slot.number == 0):
            return None
        own = [m for m in await self._since(target, slot) if m["author"]["id"] == target.conversation.bot]
        others = set(known)
        newest_known = max((int(other) for other in known if other.isdigit()), default=0)
        for message in own:
            if message["id"] in others:
                continue
            if message.get("nonce") == _nonce(slot) or _has_text(message, page):
                return message["id"]
            reference: dict[str, Any] = message.get("message_reference") or {}
            replies_to: str = reference.get("message_id", "")
            if _replies(slot):
                found = bool(target.question) and replies_to == target.question
            else:
                found = not replies_to and 0 < newest_known < int(message["id"])
            if found:
                return message["id"]
        return None

    async def edit(self, target: Target, message_id: str, page: Page) -> None:
        body = _body(page)
        token = _token(target)
        if token:
            try:
                await self._rest.call("PATCH", f"{_webhook(token)}/messages/{message_id}", body)
            except CallFailed as error:
                if target.ephemeral or error.code not in TOKEN_SPENT:
                    raise
            else:
                return
        await self._rest.call("PATCH", f"{_channel(target)}/messages/{message_id}", body)

    async def draft(self, target: Target, slot: Slot, page: Page, *, stoppable: bool = True) -> None:
        """Discord has no previews."""

    async def typing(self, target: Target, activity: Activity = Activity.TEXT) -> None:
        """A deferred command shows by itself that an answer is being made."""
        if not target.reply_token:
            await self._rest.call("POST", f"{_channel(target)}/typing")

    async def delete(self, target: Target, message_id: str) -> None:
        token = _token(target)
        path = f"{_webhook(token)}/messages/{message_id}" if token and target.ephemeral else ""
        try:
            await self._rest.call("DELETE", path or f"{_channel(target)}/messages/{message_id}")
        except OutboundError as error:
            if error.fault is not OutboundFault.GONE:
                raise

    async def fetch(self, conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        """Only from Discord's own media servers: the address comes from outside."""
        url = self._media_url(attachment.ref)
        if url is None:
            raise OutboundError(OutboundFault.REFUSED, "the address is not one of Discord's media servers")
        if attachment.size > limit:
            raise OutboundError(OutboundFault.REFUSED, f"{attachment.size} bytes, at most {limit}")
        try:
            async with self._rest.client.get(url, allow_redirects=False, timeout=FETCH_TIMEOUT) as response:
                if response.status != 200:
                    fault = OutboundFault.TRANSIENT if response.status >= 500 else OutboundFault.GONE
                    raise OutboundError(fault, f"status {response.status}")
                return await _read(response.content, limit)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise OutboundError(OutboundFault.TRANSIENT, type(error).__name__) from None

    def _media_url(self, text: str) -> yarl.URL | None:
        """The address, if it is one of the media servers', with the same scheme and port and without a user name."""
        try:
            url = yarl.URL(text)
            known = url.absolute and url.user is None and url.origin() in self._media_hosts
        except ValueError:
            return None
        return url if known else None

    # ------------------------------------------------------------------ creating
    async def _create(self, target: Target, page: Page, slot: Slot, upload: Upload | None) -> str:
        token = _token(target)
        if token:
            try:
                return await self._answer(target, token, page, slot, upload)
            except CallFailed as error:
                if target.ephemeral or error.code not in TOKEN_SPENT:
                    raise
        body = {**_body(page), "nonce": _nonce(slot), "enforce_nonce": True}
        path = f"{_channel(target)}/messages"
        if target.question and _replies(slot):
            reference = {"message_id": target.question, "fail_if_not_exists": False}
            try:
                made = await self._rest.call("POST", path, {**body, "message_reference": reference}, upload=upload)
                return made["id"]
            except CallFailed as error:
                if error.code != NO_REPLY_RIGHT:
                    raise
        return (await self._rest.call("POST", path, body, upload=upload))["id"]

    async def _answer(self, target: Target, token: ReplyToken, page: Page, slot: Slot, upload: Upload | None) -> str:
        """By the interaction's token. Its first answer may still be under way, here or in another process."""
        await self._deferrals.wait(token.token)
        body, nonce = _body(page), _nonce(slot)
        if token.fills_original and slot.number == 0:
            method, path = "PATCH", f"{_webhook(token)}/messages/@original"
        else:
            method, path = "POST", _webhook(token)
            if target.ephemeral:
                body["flags"] = EPHEMERAL
            elif nonce in self._doubtful:
                # These calls know no nonce: whether the last try came through is to be seen in the channel.
                for message in await self._since(target, slot):
                    if message["author"]["id"] == target.conversation.bot and _has_text(message, page):
                        return message["id"]
        give_up, pause = time.monotonic() + DEFERRAL_SECONDS, DEFERRAL_PAUSE
        while True:
            try:
                made = await self._rest.call(method, path, body, upload=upload)
            except CallFailed as error:
                may_come = self._rest.now() - moment(token.interaction) < DEFERRAL_SECONDS + CLOCK_SLACK
                if error.code != UNKNOWN_WEBHOOK or not may_come or time.monotonic() + pause > give_up:
                    raise
                await asyncio.sleep(pause)
                pause *= 2
            except OutboundError as error:
                if error.fault is OutboundFault.TRANSIENT:
                    self._doubtful.append(nonce)
                raise
            else:
                return made["id"]

    async def _since(self, target: Target, slot: Slot) -> list[dict[str, Any]]:
        """The channel's messages since the send was planned or the question asked, oldest first."""
        after = max(slot.after or at(self._rest.now() - CLOCK_SLACK), target.question or "0", key=int)
        found: list[dict[str, Any]] = []
        for _ in range(SEARCH_PAGES):
            query = {"after": after, "limit": str(MAX_HISTORY)}
            messages = await self._rest.call("GET", f"{_channel(target)}/messages", query=query)
            found += reversed(messages)
            if len(messages) < MAX_HISTORY:
                break
            after = found[-1]["id"]
        return found


def _token(target: Target) -> ReplyToken | None:
    return ReplyToken.parse(target.reply_token) if target.reply_token else None


def _channel(target: Target) -> str:
    return f"/channels/{target.conversation.chat}"


def _webhook(token: ReplyToken) -> str:
    return f"/webhooks/{token.application}/{token.token}"


def _replies(slot: Slot) -> bool:
    """Only an answer's first page shows what it replies to."""
    return slot.number % RESENT == 0


def _nonce(slot: Slot) -> str:
    """At most 25 characters, the same for every try of a slot."""
    return hashlib.blake2b(f"{slot.turn}:{slot.number}".encode(), digest_size=12).hexdigest()


def _has_text(message: dict[str, Any], page: Page) -> bool:
    return bool(page.text.strip()) and message["content"].strip() == page.text.strip()


def _body(page: Page) -> dict[str, Any]:
    """Components are always given: an edit without them would leave old buttons standing."""
    rows = [page.buttons[i : i + MAX_IN_ROW] for i in range(0, len(page.buttons), MAX_IN_ROW)]
    return {
        "content": page.text,
        "allowed_mentions": NO_MENTIONS,
        "components": [{"type": ACTION_ROW, "components": [_button(b) for b in row]} for row in rows],
    }


def _button(button: Button) -> dict[str, Any]:
    return {"type": BUTTON, "style": SECONDARY, "label": button.label[:80], "custom_id": button.command[:100]}


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The body, as long as it is within the limit: the declared size proves nothing."""
    data = bytearray()
    async for chunk in content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > limit:
            raise OutboundError(OutboundFault.REFUSED, f"more than {limit} bytes")
    return bytes(data)
