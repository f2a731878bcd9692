"""What a chat model is asked, in neutral values: no wire format, no provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.models.paying import NOBODY, Payer

Role = Literal["system", "user", "assistant"]
IMAGE_TOKENS = 1000
"""What one picture of at most 1024 pixels a side is taken to cost: providers charge 250 to 1,600 tokens."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt. ``images`` are whole JPEG or PNG files, made by :mod:`core.models.vision`."""

    role: Role
    text: str
    images: tuple[bytes, ...] = ()


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


def estimate_tokens(text: str) -> int:
    """Tokens in ``text``, roughly: four UTF-8 bytes each, for English and, nearly, for Chinese."""
    return -(-len(text.encode("utf-8", "replace")) // 4)


def estimate_prompt(messages: tuple[ChatMessage, ...]) -> int:
    """Tokens in a prompt, roughly, with four for each message's frame."""
    return sum(estimate_tokens(m.text) + IMAGE_TOKENS * len(m.images) + 4 for m in messages)
