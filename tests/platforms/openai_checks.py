"""What the real chat completions endpoint refuses, and with which answer."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

ROLES = frozenset({"developer", "system", "user", "assistant", "tool", "function"})
DATA_URL = re.compile(r"data:(image/(?:jpeg|png|webp|gif));base64,(.+)", re.DOTALL)
SIGNATURES = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n",
    "image/webp": b"RIFF",
    "image/gif": b"GIF8",
}
# top_k is no field of OpenAI's own; llama.cpp, vLLM and transformers take it, and so does this server.
KNOWN = frozenset(
    {
        "messages", "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature",
        "top_p", "top_k", "n", "stop", "seed", "user", "safety_identifier", "presence_penalty",
        "frequency_penalty", "response_format", "reasoning_effort", "store", "metadata",
        "chat_template_kwargs", "tools", "tool_choice",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer in the wire's form."""

    status: int
    message: str
    param: str | None = None
    type: str = "invalid_request_error"
    code: str | None = None


def last_user_text(body: dict[str, Any]) -> str:
    """The text of the last user message, its text parts joined."""
    for message in reversed(body["messages"]):
        if message.get("role") == "user":
            content = message["content"]
            if isinstance(content, str):
                return content
            return " ".join(part["text"] for part in content if part["type"] == "text")
    return ""


def _rows_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in schema.get("properties", {}).values() if isinstance(row, dict)]


def check_chat(body: Any, models: Sequence[str], blind: Sequence[str] = ()) -> Refusal | None:
    """What is wrong with a request, or None. ``blind`` models take no images."""
    if not isinstance(body, dict):
        return Refusal(400, "The body must be an object.")
    request = cast("dict[str, Any]", body)
    if unknown := set(request) - KNOWN:
        return Refusal(400, f"Unrecognized request argument supplied: {min(unknown)}", param=min(unknown))
    for number, tool in enumerate(request.get("tools") or ()):
        function = tool["function"]
        if any(row.get("type") == "array" and "items" not in row for row in _rows_of(function["parameters"])):
            said = f"Invalid schema for function '{function['name']}': array schema missing items."
            return Refusal(400, said, param=f"tools[{number}].function.parameters")
    model = request.get("model")
    if not isinstance(model, str) or not model:
        return Refusal(400, "you must provide a model parameter")
    if model not in models:
        return Refusal(404, f"The model `{model}` does not exist.", code="model_not_found")
    return _check_options(request) or _check_messages(request.get("messages"), model in blind)


def _check_options(body: dict[str, Any]) -> Refusal | None:
    if "stream_options" in body and not body.get("stream"):
        return Refusal(
            400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"
        )
    if "max_tokens" in body and "max_completion_tokens" in body:
        return Refusal(400, "Setting 'max_tokens' and 'max_completion_tokens' together is not supported.", "max_tokens")
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1), ("max_tokens", 1, 10**6), ("n", 1, 8)):
        value = body.get(name)
        if value is not None and (not isinstance(value, int | float) or not low <= value <= high):
            return Refusal(400, f"Invalid '{name}': must lie between {low} and {high}.", name)
    stop = body.get("stop")
    if isinstance(stop, list) and len(cast("list[Any]", stop)) > 4:
        return Refusal(400, "Invalid 'stop': array too long, at most 4.", "stop")
    return None


def _check_messages(messages: Any, is_blind: bool) -> Refusal | None:
    if not isinstance(messages, list) or not messages:
        return Refusal(400, "Invalid 'messages': empty array. Expected at least 1.", "messages")
    open_calls: set[str] = set()
    for number, message in enumerate(cast("list[Any]", messages)):
        place = f"messages[{number}]"
        if not isinstance(message, dict):
            return Refusal(400, f"Invalid '{place}': expected an object.", place)
        if refusal := _check_message(cast("dict[str, Any]", message), place, is_blind):
            return refusal
        if refusal := _check_calls(cast("dict[str, Any]", message), place, open_calls):
            return refusal
    return None


def _check_calls(message: dict[str, Any], place: str, open_calls: set[str]) -> Refusal | None:
    """Every call of an assistant is answered by a message of its tool, before anything else is said."""
    if message["role"] == "tool":
        id = str(message.get("tool_call_id"))
        if id not in open_calls:
            return Refusal(
                400, "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.", place
            )
        open_calls.discard(id)
    elif open_calls:
        return Refusal(400, "An assistant message with 'tool_calls' must be followed by tool messages.", place)
    open_calls.update(str(call["id"]) for call in message.get("tool_calls") or ())
    return None


def _check_message(message: dict[str, Any], place: str, is_blind: bool) -> Refusal | None:
    role = message.get("role")
    if role not in ROLES:
        return Refusal(400, f"Invalid value: '{role}'.", f"{place}.role")
    content = message.get("content")
    if isinstance(content, str) or (content is None and message.get("tool_calls")):
        return None
    if not isinstance(content, list) or not content:
        return Refusal(400, f"Invalid value for 'content' in {place}: expected a string.", f"{place}.content")
    for part in cast("list[dict[str, Any]]", content):
        match part.get("type"):
            case "text" if isinstance(part.get("text"), str):
                continue
            case "image_url" if role == "user":
                if refusal := _check_image(part.get("image_url"), place, is_blind):
                    return refusal
            case kind:
                return Refusal(400, f"Invalid part of type {kind!r} in {place}.", f"{place}.content")
    return None


def _check_image(image: Any, place: str, is_blind: bool) -> Refusal | None:
    if is_blind:
        return Refusal(400, "This model does not support image input.", f"{place}.content")
    url = cast("dict[str, Any]", image).get("url") if isinstance(image, dict) else None
    if isinstance(url, str) and (found := DATA_URL.fullmatch(url)):
        try:
            data = base64.b64decode(found[2], validate=True)
        except binascii.Error:
            return Refusal(400, "Invalid base64 image_url.", f"{place}.content")
        if data.startswith(SIGNATURES[found[1]]):
            return None
    return Refusal(
        400,
        "Failed to load image: not a picture of a supported type.",
        f"{place}.content",
        code="invalid_image",
    )
