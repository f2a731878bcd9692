"""Bodies of OpenAI's HTTP API, and our own few fields beside them, as requests to an engine.

Raises EngineError with status 400 for whatever is wrong in them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, cast

from core.models.servers.work import Compose, Draw, Embed, Hear, Judge, Read, Speak, refused

MAX_PROMPT = 8000
MAX_TEXTS = 2048
MAX_INPUTS = 8
OPERATIONS = ("draw", "edit", "vary", "upscale", "cutout")
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
PICTURE = re.compile(r"data:image/[a-z]+;base64,")

Fields = Mapping[str, Any]


def drawing(fields: Fields, inputs: tuple[bytes, ...] = (), mask: bytes | None = None) -> Draw:
    """Of /images/generations and /images/edits."""
    operation = text(fields, "operation") or ("edit" if inputs else "draw")
    if operation not in OPERATIONS:
        raise refused(f"There is no operation {operation[:40]!r}.", param="operation")
    prompt = text(fields, "prompt")
    if operation == "draw" and not prompt.strip():
        raise refused("The prompt is empty.", param="prompt")
    return Draw(
        text(fields, "model"),
        prompt,
        operation,
        whole(fields, "n", 1, 16) or 1,
        size(fields),
        text(fields, "negative_prompt"),
        whole(fields, "seed", 0, 2**63 - 1),
        whole(fields, "steps", 1, 1000),
        number(fields, "guidance", 0, 100),
        number(fields, "strength", 0, 1),
        inputs,
        mask,
        whole(fields, "partial_images", 0, 3) or 0,
    )


def embedding(fields: Fields) -> Embed:
    given = fields.get("input")
    texts: list[Any] = [given] if isinstance(given, str) else cast("list[Any]", given)
    if not isinstance(given, str | list) or not all(isinstance(text, str) for text in texts):
        raise refused("The input is no text and no list of texts.", param="input")
    if not 0 < len(texts) <= MAX_TEXTS:
        raise refused(f"Between 1 and {MAX_TEXTS} texts are embedded at once.", param="input")
    return Embed(
        tuple(text.encode("utf-8", "replace").decode() for text in texts), text(fields, "input_type") == "query"
    )


def speech(fields: Fields) -> Speak:
    return Speak(
        text(fields, "input", most=20_000),
        text(fields, "voice", most=100),
        text(fields, "language", most=20),
        number(fields, "speed", 0.25, 4) or 1.0,
    )


def sound(fields: Fields) -> Compose:
    prompt = text(fields, "prompt") or text(fields, "input")
    if not prompt.strip():
        raise refused("The prompt is empty.", param="prompt")
    seconds = number(fields, "seconds", 0.1, 600) or number(fields, "duration", 0.1, 600)
    return Compose(prompt, seconds or Compose("").seconds, whole(fields, "seed", 0, 2**63 - 1))


def recording(fields: Fields, data: bytes) -> Hear:
    if not data:
        raise refused("There is no recording.", param="file")
    return Hear(data, text(fields, "language", most=20))


def reading(fields: Fields) -> Read:
    """Of /chat/completions: the last picture in the messages."""
    messages = fields.get("messages")
    found: list[str] = []
    for message in cast("list[Any]", messages) if isinstance(messages, list) else []:
        content = cast("Fields", message).get("content") if isinstance(message, dict) else None
        for part in cast("list[Any]", content) if isinstance(content, list) else []:
            image = cast("Fields", part).get("image_url") if isinstance(part, dict) else None
            url = cast("Fields", image).get("url") if isinstance(image, dict) else image
            if isinstance(url, str):
                found.append(url)
    if not found:
        raise refused("A picture is needed.", "picture_needed", param="messages")
    return Read(_inline(found[-1], "messages"))


def judging(fields: Fields) -> Judge:
    """Of /moderations: the pictures in its input."""
    given = fields.get("input")
    found: list[bytes] = []
    for part in cast("list[Any]", given) if isinstance(given, list) else []:
        image = cast("Fields", part).get("image_url") if isinstance(part, dict) else None
        url = cast("Fields", image).get("url") if isinstance(image, dict) else None
        if isinstance(url, str):
            found.append(_inline(url, "input"))
    if not 0 < len(found) <= MAX_INPUTS:
        raise refused(f"Between 1 and {MAX_INPUTS} pictures are judged, and no text.", "picture_needed", param="input")
    return Judge(tuple(found))


def _inline(url: str, param: str) -> bytes:
    """Nothing is fetched from an address."""
    begin = PICTURE.match(url)
    if begin is None:
        raise refused("A picture is needed, as data: with base64.", "picture_needed", param=param)
    return decoded(url[begin.end() :])


def decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise refused("That is no base64.") from None


def text(fields: Fields, name: str, most: int = MAX_PROMPT) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise refused(f"{name} is no text of at most {most} characters.", param=name)
    # Halves of characters, which JSON can have, are text to no library.
    return value.encode("utf-8", "replace").decode()


def number(fields: Fields, name: str, least: float, most: float) -> float | None:
    """None where it is not given. Forms send numbers as text."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        found = float(value) if not isinstance(value, bool) else float("nan")
    except (TypeError, ValueError):
        found = float("nan")
    if not least <= found <= most:
        raise refused(f"{name} is between {least} and {most}.", param=name)
    return found


def whole(fields: Fields, name: str, least: int, most: int) -> int | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        found = int(value) if not isinstance(value, bool | float) else least - 1
    except (TypeError, ValueError):
        found = least - 1
    if not least <= found <= most:
        raise refused(f"{name} is a whole number between {least} and {most}.", param=name)
    return found


def size(fields: Fields) -> tuple[int, int] | None:
    value = text(fields, "size")
    if value in ("", "auto"):
        return None
    found = SIZE.fullmatch(value)
    if found is None or not all(8 <= int(side) <= 16_384 for side in found.groups()):
        raise refused("size is WIDTHxHEIGHT in pixels.", param="size")
    return int(found[1]), int(found[2])


def is_set(fields: Fields, name: str) -> bool:
    return fields.get(name) in (True, "true")
