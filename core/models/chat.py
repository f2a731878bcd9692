"""What a chat model is asked, in neutral values: no wire format, no provider."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.models.paying import NOBODY, Payer
from core.parts import ToolCall

Role = Literal["system", "user", "assistant", "tool"]
IMAGE_TOKENS = 1000
"""What one picture of at most 1024 pixels a side is taken to cost: providers charge 250 to 1,600 tokens."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt. ``images`` are whole JPEG or PNG files, made by :mod:`core.models.vision`."""

    role: Role
    text: str
    images: tuple[bytes, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    """Of an assistant: what it wanted done."""
    call_id: str = ""
    """Of a tool: the call that this is the output of."""


@dataclass(frozen=True, slots=True)
class ToolForm:
    """What a model is told of a tool."""

    name: str
    description: str
    schema: Mapping[str, Any]
    """JSON Schema of its arguments, an object."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next word is picked. None, and no stop words: as the model's row says, else as its server likes it."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    num_beams: int | None = None
    """Texts followed at once, of which the likeliest is kept."""


AS_USUAL = Sampling()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A prompt and what its answer needs.

    ``model`` is a name of the catalog, or empty for the default. ``needs_vision`` says that the question
    itself holds pictures; pictures further back are shown only to a model that happens to see.
    ``max_answer`` is in tokens, None for the model's own limit. ``sender`` is a hashed id, for providers
    that ask for one. ``space`` says in whose name it stands in line for a free place: a community, or a private chat.
    ``sampling`` stands above the model's own.
    """

    messages: tuple[ChatMessage, ...]
    model: str = ""
    needs_vision: bool = False
    max_answer: int | None = None
    sender: str = ""
    space: str = ""
    sampling: Sampling = AS_USUAL
    models: frozenset[str] = frozenset()
    """The only ones that may answer; empty: all of the catalog."""
    payer: Payer = NOBODY
    """In whose name it is paid for."""
    asked_for: frozenset[str] = frozenset()
    """Names of those values of ``sampling`` that the asker gave with this very question: where the model does not take
    one, that is said."""
    schema: Mapping[str, Any] | None = None
    """The JSON schema that the answer is to follow, where the model can be held to one."""
    tools: tuple[ToolForm, ...] = ()
    """What it may ask for; a model that cannot is asked without."""


def estimate_tokens(text: str) -> int:
    """Tokens in ``text``, roughly: four UTF-8 bytes each, for English and, nearly, for Chinese."""
    return -(-len(text.encode("utf-8", "replace")) // 4)


def estimate_prompt(messages: tuple[ChatMessage, ...], tools: tuple[ToolForm, ...] = ()) -> int:
    """Tokens in a prompt, roughly, with four for each message's frame."""
    said = sum(estimate_tokens(m.text) + IMAGE_TOKENS * len(m.images) + 4 for m in messages)
    called = sum(estimate_tokens(c.name + c.arguments) + 4 for m in messages for c in m.calls)
    return said + called + sum(_tokens_of(tool) for tool in tools)


def _tokens_of(tool: ToolForm) -> int:
    return estimate_tokens(tool.name + tool.description + json.dumps(tool.schema, ensure_ascii=False)) + 8


def without_tools(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """The same for a model that knows no tools: their output is told by the user."""
    if not any(message.calls or message.call_id for message in messages):
        return messages
    plain: list[ChatMessage] = []
    for message in messages:
        if message.call_id:
            plain.append(ChatMessage("user", message.text))
        elif message.text or not message.calls:
            plain.append(replace(message, calls=()))
    return tuple(plain)
