"""What calls may cost at most, so that it can be reserved, and what they did cost."""

from __future__ import annotations

import unicodedata
from math import ceil

from core.models.budget import Amounts
from core.models.model import Model

SAFETY = 2
"""A prompt is taken to have twice the tokens of its estimate (four UTF-8 bytes each). English has fewer than estimated;
Chinese, code and long numbers have up to twice as many with the tokenizers of today."""
MIN_ANSWER = 256
"""Tokens: rather than an answer that is cut shorter, a cheaper model is asked."""
DRAWING_TOKENS = 6300
"""For a picture of 1536x1024 at high quality OpenAI's models write 6,208 tokens, the most there is."""
HEARD_PER_SECOND = 20
WRITTEN_PER_SECOND = 10
"""Tokens of sound and of its text: OpenAI's models hear 10 to 17 a second, and nobody says more than 6."""
BYTES_PER_SECOND = 2000
"""Of sound whose length nobody tells: voice messages in Opus have 16 kbit/s or more, music has ten times as much."""
MOST_TOLD = 10**9
"""Tokens or seconds of one call: more is an error of its server's."""
OGG_RATE = 48_000
"""Opus counts its samples in these, whatever was recorded (RFC 7845)."""


def told(amount: object) -> int | None:
    """A number that a server reports, where it is one that can be; what is reported comes from outside."""
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= MOST_TOLD:
        return None
    return ceil(amount)


def of_chat(model: Model, prompt: int, answer: int) -> tuple[Amounts, Amounts]:
    """The most that an answer may cost, and what must be left for asking at all. In estimated tokens."""
    prompt *= SAFETY
    return Amounts(model.cost(prompt, answer)), Amounts(model.cost(prompt, min(answer, MIN_ANSWER)))


def affordable(model: Model, prompt: int, answer: int, money: int) -> int:
    """How long an answer may get for the money, in tokens."""
    if not model.price_answer or model.cost(prompt * SAFETY, answer) <= money:
        return answer
    # A cost is rounded up: so this many tokens cost no more than the money.
    return max(1, (money * 1_000_000 - prompt * SAFETY * model.price_prompt) // model.price_answer)


def of_drawing(model: Model, prompt: int, count: int) -> Amounts:
    """The most that pictures may cost; ``prompt`` in estimated tokens."""
    money = model.price_image * count + model.cost(prompt * SAFETY, DRAWING_TOKENS * count)
    return Amounts(money, images=count)


def of_hearing(model: Model, seconds: int) -> Amounts:
    """The most that a recording may cost."""
    tokens = model.cost(seconds * HEARD_PER_SECOND, seconds * WRITTEN_PER_SECOND)
    return Amounts(model.cost_of_sound(seconds) + tokens, seconds=seconds)


def of_speaking(model: Model, text: str) -> Amounts:
    """The most that speaking may cost, and about how long it takes."""
    return Amounts(model.cost_of_speech(len(text)), seconds=spoken_seconds(text))


def recorded_seconds(told: int, size: int) -> int:
    """How long a recording is: as its platform tells, else by its size in bytes."""
    return told if told > 0 else max(1, ceil(size / BYTES_PER_SECOND))


def spoken_seconds(text: str) -> int:
    """How long a text takes to be said, at most: three Chinese characters or ten letters a second."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return ceil(wide / 3 + (len(text) - wide) / 10)


def sounding_seconds(data: bytes) -> int | None:
    """How long an Ogg file with Opus is, rounded up; None for others."""
    last = data.rfind(b"OggS")
    if not data.startswith(b"OggS") or b"OpusHead" not in data[:100] or len(data) < last + 14:
        return None
    samples = int.from_bytes(data[last + 6 : last + 14], "little")
    return ceil(samples / OGG_RATE) if samples < 2**40 else None
