"""What the catalog holds, as values: models, who hosts them, and the servers that answer for them."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from core.models.settings import (
    MAX_CONCURRENT,
    MAX_WAITING,
    SIZES,
    ModelKind,
    PictureControl,
    PictureWork,
    SamplingValue,
    Shape,
)

LOCAL = "local"
"""The provider of the model servers that Parley starts itself, here or by ``parley models serve`` elsewhere."""
LONG_ANSWER = 4096
"""Tokens in one answer, unless settings say otherwise."""
NEAR = 0.35
"""As OpenAI's embedding models have it."""
SMALL_ANSWER = 512
"""Tokens in one answer of a small model: it easily repeats itself without end, for over a minute on two cores."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server of a provider. Two equal values are the same server."""

    provider: str
    base_url: str
    api_key: str = field(default="", repr=False)
    max_concurrent: int = MAX_CONCURRENT
    """Calls at once; more wait."""
    circuit: str = ""
    """What the circuit breaker, shared by all processes, knows it by."""
    model: str = ""
    """The only row of the catalog that it serves; empty: all of its provider's."""
    id: str = ""
    """What it calls that model; empty: what the row says."""
    is_shared: bool = True
    """Of a server that Parley started: other processes ask it too."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Who hosts models, on one server or on several with the same models."""

    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    max_concurrent: int = MAX_CONCURRENT
    """Calls to one server at once; more wait."""
    more_urls: tuple[str, ...] = ()
    """Base URLs of further servers."""
    max_waiting: int = MAX_WAITING
    """Calls that may wait for a free place."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Its servers. One alone has the provider's name in the breaker."""
        urls = tuple(dict.fromkeys((self.base_url, *self.more_urls)))
        names = [f"{self.name}@{urlsplit(url).netloc.rpartition('@')[2]}" for url in urls]
        if len(urls) == 1:
            names = [self.name]
        return tuple(
            Endpoint(self.name, url, self.api_key, self.max_concurrent, name)
            for url, name in zip(urls, names, strict=True)
        )


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model and the server that Parley started for it, in this process or another."""

    base_url: str
    api_key: str = field(repr=False)
    name: str
    """What people choose by."""
    id: str
    """What the server calls it."""
    window: int
    """Context window of one conversation in tokens."""
    small: bool
    """Too weak for extra instructions."""
    slots: int
    """Answers made at the same time; more wait."""
    source: str = ""
    """One sentence for the start."""

    def endpoint(self) -> Endpoint:
        """Its server. Every machine has a loopback of its own, so there the machine's name tells servers apart."""
        address = urlsplit(self.base_url)
        host = platform.node() if is_loopback(self.base_url) else address.hostname
        circuit = f"{LOCAL}@{host}:{address.port}"
        return Endpoint(LOCAL, self.base_url, self.api_key, self.slots, circuit, self.name, self.id)

    def row(self) -> Model:
        """What the catalog says about it."""
        limit = min(SMALL_ANSWER if self.small else LONG_ANSWER, self.window // 2)
        return Model(self.name, LOCAL, self.id, self.window, limit, small=self.small)


FILM_SIZES: dict[Shape, str] = {"wide": "1280x720", "tall": "720x1280"}
"""Of a video model's films, unless its row says otherwise."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model: what it can, how it is sampled, what it costs.

    Prices are in millionths of a currency unit for a million tokens, so that costs are integers.
    """

    name: str
    provider: str
    id: str
    """The provider's name for it."""
    window: int = 32_768
    """Context window in tokens."""
    max_answer: int = LONG_ANSWER
    """Longest answer in tokens."""
    accepts_images: bool = False
    accepts_texts: bool = True
    """A moderation model that does not judges pictures alone."""
    price_prompt: int = 0
    price_answer: int = 0
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    """Names of models to go on with, best first."""
    small: bool = False
    """Too weak for extra instructions."""
    lacks: tuple[SamplingValue, ...] = ("num_beams",)
    """Values to sample by that it does not take."""
    kind: ModelKind = "chat"
    price_minute: int = 0
    """For a minute of sound that is transcribed, in millionths of a currency unit."""
    price_characters: int = 0
    """For a million characters that are spoken."""
    voice: str = ""
    """Of a speech model."""
    voices: tuple[tuple[str, str], ...] = ()
    """A speech model's other voices, by language or by the name that people choose them by."""
    has_speed: bool = True
    """A speech model can be asked to speak faster or slower."""
    max_seconds: int = 30
    """The longest that a sound model makes at once."""
    film_seconds: tuple[int, ...] = ()
    """Lengths that a video model makes."""
    price_image: int = 0
    """For a picture that is drawn, in millionths of a currency unit, besides its tokens."""
    sizes: tuple[tuple[Shape, str], ...] = tuple(SIZES.items())
    """Of an image model's pictures, in pixels."""
    quality: str = ""
    """Of an image model's pictures, in its server's words; empty: what that thinks best."""
    output_format: str = ""
    """Of an image model's pictures, in the same way."""
    tools: bool = False
    """It can ask for tools."""
    tools_in_text: bool = False
    """It asks for them by bare JSON in its answer."""
    does: tuple[PictureWork, ...] = ("draw", "edit")
    """Of an image model."""
    takes: tuple[PictureControl, ...] = ("quality", "mask")
    """Of an image model, besides words, a shape and how many."""
    partial_images: int = 0
    """Unfinished pictures that an image model shows while it draws."""
    dimensions: int = 0
    """Of an embedding model's vectors, where its server can be asked for fewer; 0: as many as it has."""
    query_prefix: str = ""
    """What an embedding model wants to stand before a question, and before a passage."""
    passage_prefix: str = ""
    near: float = NEAR
    """Cosine of a question with a passage that just answers it, as an embedding model has it."""

    @property
    def is_free(self) -> bool:
        """Nothing that it does has a price."""
        prices = (self.price_prompt, self.price_answer, self.price_minute, self.price_characters, self.price_image)
        return not any(prices)

    def cost(self, prompt_tokens: int, answer_tokens: int) -> int:
        """What a call costs, in millionths of a currency unit, rounded up."""
        return -(-(prompt_tokens * self.price_prompt + answer_tokens * self.price_answer) // 1_000_000)

    def can(self, work: PictureWork) -> bool:
        """Whether an image model does it: one that edits is asked in words for another picture."""
        return self.kind == "image" and (work in self.does or (work == "vary" and "edit" in self.does))

    def size(self, shape: str) -> str:
        """Pixels of a picture, as ``WIDTHxHEIGHT``: of a shape, or as they are given."""
        return {str(name): size for name, size in self.sizes}.get(shape, shape)

    def voice_of(self, name: str, language: str) -> str:
        """The voice that was asked for, by either of its names; else the one for a language, else the usual one."""
        voices = dict(self.voices)
        if name and (name in voices or name in {self.voice, *voices.values()}):
            return voices.get(name, name)
        return voices.get(language) or voices.get(language.partition("-")[0]) or self.voice

    def cost_of_sound(self, seconds: int) -> int:
        """What sound costs that is charged by time, heard or made."""
        return -(-seconds * self.price_minute // 60)

    def cost_of_speech(self, characters: int) -> int:
        """What speaking costs that is charged by length."""
        return -(-characters * self.price_characters // 1_000_000)


def is_loopback(base_url: str) -> bool:
    """Whether an address means the machine that it is used on."""
    host = urlsplit(base_url).hostname or ""
    return host == "localhost" or host.startswith("127.") or host == "::1"
