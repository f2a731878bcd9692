"""Files in the fake Discord: voice messages and what is wrong with them, signed addresses and their ends.

Discord itself believes what it is told of a voice message's length and waveform; here both have to fit the file.
"""

from __future__ import annotations

import base64
import binascii
import struct
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.platforms.discord_refusals import Json, Refusal, form_error

if TYPE_CHECKING:
    from tests.platforms.discord_wire import Upload

ADDRESS_SECONDS = 86_400.0
"""How long an address holds."""
MAX_ADDRESSES = 50
MAX_WAVEFORM = 400
NO_OTHER_CONTENT = Refusal(400, 50159, "Voice messages do not support additional content.")
ONE_SOUND = Refusal(400, 50160, "Voice messages must have a single audio attachment.")
NO_METADATA = Refusal(400, 50161, "Voice messages must have supporting metadata.")
NO_EDITING = Refusal(400, 50162, "Voice messages cannot be edited.")
NOT_HERE = Refusal(403, 50173, "Cannot send voice messages in this channel.")


def signed(address: str, seconds: float = ADDRESS_SECONDS) -> str:
    """With the signature that Discord gives an attachment's address; ``seconds`` from now it ends."""
    now = int(time.time())
    return f"{address}?ex={now + int(seconds):x}&is={now:x}&hm={'0' * 64}&"


def has_expired(address: str) -> bool:
    """Discord then answers with 404. An address without signature has none that could hold."""
    (ends,) = parse_qs(urlsplit(address).query).get("ex", ["0"])
    return int(ends, 16) < time.time()


def refreshed(body: Json, files: dict[str, tuple[bytes, str]]) -> Json:
    """POST /attachments/refresh-urls."""
    asked: list[str] = body["attachment_urls"]
    if not 1 <= len(asked) <= MAX_ADDRESSES:
        raise form_error("attachment_urls", f"Must be between 1 and {MAX_ADDRESSES} in length.")
    answers: list[Json] = []
    for address in asked:
        parts = urlsplit(address)
        known = parts.path in files
        bare = f"{parts.scheme}://{parts.netloc}{parts.path}"
        answers.append({"original": address, "refreshed": signed(bare) if known else address})
    return {"refreshed_urls": answers}


def check_voice(body: Json, uploads: list[Upload]) -> None:
    """Raises Refusal for what is no voice message."""
    if any(body.get(name) for name in ("content", "embeds", "components", "poll", "sticker_ids")):
        raise NO_OTHER_CONTENT
    if len(uploads) != 1 or not uploads[0].mime.startswith("audio/"):
        raise ONE_SOUND
    told: list[Json] = body.get("attachments") or []
    if len(told) != 1 or str(told[0].get("id")) != "0":
        raise NO_METADATA
    seconds: Any = told[0].get("duration_secs")
    waveform: Any = told[0].get("waveform")
    if not isinstance(seconds, int | float) or seconds <= 0 or not isinstance(waveform, str):
        raise NO_METADATA
    if len(waveform) > MAX_WAVEFORM:
        raise form_error("waveform", f"Must be {MAX_WAVEFORM} or fewer in length.")
    try:
        points = base64.b64decode(waveform, validate=True)
    except binascii.Error:
        raise form_error("waveform", "Invalid base64.") from None
    sound = uploads[0].data
    last = sound.rfind(b"OggS")
    if not sound.startswith(b"OggS") or b"OpusHead" not in sound[:64] or not points:
        raise ONE_SOUND
    (position,) = struct.unpack_from("<q", sound, last + 6)
    if abs(position / 48_000 - seconds) > 0.2:
        raise NO_METADATA
