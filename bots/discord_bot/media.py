"""Files from and to Discord: attachments of messages, fetched from its own media servers only, and voice messages.

The addresses of attachments are signed and hold for about a day: ``ex`` in them is the end, in hexadecimal Unix
seconds. A question that waited longer, or is answered anew, needs a new one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import structlog
import yarl

from bots.discord_bot import voice
from bots.discord_bot.rest import CallFailed, Rest, Upload
from core.errors import OutboundError, OutboundFault
from core.message import Attachment

log = structlog.get_logger()

HOSTS = (
    "https://cdn.discordapp.com",
    "https://media.discordapp.net",
    "https://images-ext-1.discordapp.net",
    "https://images-ext-2.discordapp.net",
)
"""The last two hand on what stands elsewhere: pictures of embeds."""
TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=5)
MARGIN_SECONDS = 30.0
"""An address that ends so soon is not begun with."""
VOICELESS_SECONDS = 600.0
"""How long no voice message is tried in a channel that took none: refused calls count towards a ban."""
MAX_VOICELESS = 1000


class Files:
    """Fetches attachments. Raises OutboundError."""

    def __init__(self, rest: Rest, cdn: str) -> None:
        """``cdn`` is trusted besides :data:`HOSTS`."""
        self._rest = rest
        self._origins = frozenset(yarl.URL(host).origin() for host in (*HOSTS, cdn))

    async def fetch(self, attachment: Attachment, limit: int) -> bytes:
        """At most ``limit`` bytes: the declared size is looked at first, and proves nothing."""
        url = self._trusted(attachment.ref)
        if attachment.size > limit:
            raise OutboundError(OutboundFault.REFUSED, f"{attachment.size} bytes, at most {limit}")
        if _end(url) < self._rest.now() + MARGIN_SECONDS:
            url = await self._refreshed(url)
        try:
            async with self._rest.client.get(url, allow_redirects=False, timeout=TIMEOUT) as response:
                if response.status != 200:
                    fault = OutboundFault.TRANSIENT if response.status >= 500 else OutboundFault.GONE
                    raise OutboundError(fault, f"status {response.status}")
                return await _read(response.content, limit)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise OutboundError(OutboundFault.TRANSIENT, type(error).__name__) from None

    def _trusted(self, text: str) -> yarl.URL:
        """The address: it comes from outside. Scheme, host and port must be a media server's, without a user name."""
        try:
            url = yarl.URL(text)
            if url.absolute and url.user is None and url.origin() in self._origins:
                return url
        except ValueError:
            pass
        raise OutboundError(OutboundFault.REFUSED, "the address is not one of Discord's media servers")

    async def _refreshed(self, url: yarl.URL) -> yarl.URL:
        """The same file's address as it is now. Discord's clients ask so; its reference does not describe the call."""
        try:
            answer: Any = await self._rest.call("POST", "/attachments/refresh-urls", {"attachment_urls": [str(url)]})
            return self._trusted(answer["refreshed_urls"][0]["refreshed"])
        except (CallFailed, KeyError, IndexError, TypeError):
            raise OutboundError(OutboundFault.GONE, "the file's address has expired") from None


class Voices:
    """Sends voice messages, which no interaction's token can, and remembers where they are not taken."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._voiceless: dict[str, float] = {}

    async def send(self, channel: str, fields: Mapping[str, Any], data: bytes) -> str | None:
        """Creates a message in a channel, ``fields`` being more of its body; its id.

        None where it has to go as a plain file: the sound is no Opus, or the bot may send no voice messages there
        (SEND_VOICE_MESSAGES, code 50173). Raises OutboundError.
        """
        if time.monotonic() < self._voiceless.get(channel, 0.0) or (said := voice.voice_of(data)) is None:
            return None
        upload = Upload(voice.FILENAME, voice.MIME, data)
        try:
            made: Any = await self._rest.call(
                "POST", f"/channels/{channel}/messages", {**fields, **said.fields()}, uploads=[upload]
            )
        except CallFailed as error:
            if error.fault not in (OutboundFault.FORBIDDEN, OutboundFault.REFUSED):
                raise
            log.info("discord: no voice message, but a file", cause=error.detail)
            if len(self._voiceless) >= MAX_VOICELESS:
                self._voiceless.clear()
            self._voiceless[channel] = time.monotonic() + VOICELESS_SECONDS
            return None
        return made["id"]


def _end(url: yarl.URL) -> float:
    """Until when an address holds, in Unix seconds; without end where it does not say."""
    try:
        return float(int(url.query.get("ex", ""), 16))
    except (ValueError, OverflowError):
        return float("inf")


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    data = bytearray()
    async for chunk in content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > limit:
            raise OutboundError(OutboundFault.REFUSED, f"more than {limit} bytes")
    return bytes(data)
