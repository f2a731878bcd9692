"""Settings of models and of who hosts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from core.section import HttpUrl, Port, Section

MAX_CONCURRENT = 1000
"""Calls to one model server at once, unless told otherwise."""
MAX_WAITING = 200
"""Calls that may wait for a free place at a provider, unless told otherwise."""


class ProviderSettings(Section):
    """Who hosts models: any server that speaks OpenAI's HTTP API."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")]
    base_url: HttpUrl = ""
    """Address of its API, with /v1 where it has that."""
    base_urls: tuple[HttpUrl, ...] = ()
    """Instead of base_url: several servers with the same models, such as replicas of vLLM, llama.cpp or Ollama. Each
    question goes to the one with the least to do. They must answer GET /models."""
    api_key: SecretStr = SecretStr("")
    max_concurrent: Annotated[int, Field(ge=1, le=10_000)] = MAX_CONCURRENT
    """Calls to one of its servers at once; more wait."""
    max_waiting: Annotated[int, Field(ge=1, le=100_000)] = MAX_WAITING
    """Questions that may wait for a free place, no more than half of them from one community. Over it another model
    answers, or a notice says to try again later."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """All its base URLs."""
        return self.base_urls or (self.base_url,)


ModelKind = Literal["chat", "transcription", "speech", "image", "sound", "video", "embedding", "moderation", "ocr"]
Price = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]
Shape = Literal["square", "wide", "tall"]
SIZES: Mapping[Shape, str] = {"square": "1024x1024", "wide": "1536x1024", "tall": "1024x1536"}
"""Pixels of pictures, unless told otherwise: what all image models of OpenAI draw."""
PictureWork = Literal["draw", "edit", "vary", "upscale", "cutout"]
"""What an image model does: a picture from words, from a picture and words, another one like it, a larger one, one
without its background."""
SamplingValue = Literal[
    "temperature", "top_p", "top_k", "stop", "seed", "frequency_penalty", "presence_penalty", "num_beams"
]
PictureControl = Literal["negative", "seed", "steps", "strength", "size", "quality", "mask"]
"""What can be said to an image model besides words, a shape and how many."""


class ModelSettings(Section):
    """A row of the catalog: one model and what it can."""

    name: str
    """What people choose by."""
    provider: str
    """Name of a provider."""
    id: str = ""
    """The provider's name for the model; the same as name when empty."""
    kind: ModelKind = "chat"
    """chat; transcription: listens to recordings; speech: reads answers aloud; image: draws pictures; sound: makes
    music and noises; video: makes films; embedding: finds passages of documents; moderation: judges what is said; ocr:
    reads the text in pictures."""
    window: Annotated[int, Field(ge=512)] = 32_768
    """Context window in tokens."""
    max_answer: Annotated[int, Field(ge=16)] = 4096
    """Longest answer in tokens."""
    accepts_images: bool = False
    tools: bool = False
    """The model can ask for tools ([tools]), and its server knows them."""
    tools_in_text: bool = False
    """It asks for them by bare JSON in its answer, as small local models do. Needs tools."""
    price_prompt: Price = 0.0
    """Currency units for a million prompt tokens."""
    price_answer: Price = 0.0
    """Currency units for a million answer tokens."""
    price_minute: Price = 0.0
    """Currency units for a minute of sound that a transcription model hears or a sound model makes, or of film that a
    video model makes."""
    price_characters: Price = 0.0
    """Currency units for a million characters that a speech model says."""
    voice: Annotated[str, Field(pattern=r"^[\w./-]{1,64}$")] = "alloy"
    """Voice of a speech model."""
    voices: Mapping[
        Annotated[str, Field(pattern=r"^[\w.-]{1,32}$")], Annotated[str, Field(pattern=r"^[\w./-]{1,64}$")]
    ] = Field(default_factory=dict[str, str])
    """More voices of a speech model, by the code of the language that they are for, like en or zh, or by a name that
    people can choose: /say voice:narrator."""
    has_speed: bool = True
    """A speech model can be asked to speak faster or slower."""
    max_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """The longest music or noise in seconds that a sound model makes."""
    film_seconds: tuple[Annotated[int, Field(ge=1, le=600)], ...] = (4, 8, 12)
    """Lengths in seconds that a video model makes. What people ask for is rounded up to one of them."""
    price_image: Price = 0.0
    """Currency units for a picture that an image model draws. Prices of tokens count besides, where its server tells
    how many it took."""
    sizes: Mapping[Shape, Annotated[str, Field(pattern=r"^\d{2,4}x\d{2,4}$")]] = Field(default_factory=dict[Shape, str])
    """Sizes of an image model's pictures in pixels: square, wide and tall are 1024x1024, 1536x1024 and 1024x1536 unless
    said here. Of a video model's films: wide and tall are 1280x720 and 720x1280."""
    quality: Annotated[str, Field(pattern=r"^[a-z]{0,16}$")] = ""
    """Quality of an image model's pictures, in its server's words, like low, medium or high. Empty: its own choice."""
    output_format: Literal["", "png", "jpeg"] = ""
    """Format that an image model is asked for. Empty: its own choice; not all servers can be asked."""
    does: tuple[PictureWork, ...] = ("draw", "edit")
    """What an image model does: draw, edit, vary, upscale, cutout."""
    takes: tuple[PictureControl, ...] = ("quality", "mask")
    """What can be said to an image model besides words, a shape and how many: negative, seed, steps, strength, size
    (any in pixels), quality, mask. The first four and sizes are asked for in fields that OpenAI's own models do not
    know."""
    partial_images: Annotated[int, Field(ge=0, le=3)] = 0
    """Unfinished pictures that an image model shows while it draws; each costs a little with OpenAI's."""
    dimensions: Annotated[int, Field(ge=0, le=8192)] = 0
    """Numbers in a vector of an embedding model, where its server can be asked for fewer. 0: as many as it has."""
    query_prefix: Annotated[str, Field(max_length=500)] = ""
    """What an embedding model wants to stand before a question, like `query: ` for the e5 models."""
    passage_prefix: Annotated[str, Field(max_length=500)] = ""
    """What it wants to stand before a passage, like `passage: `."""
    near: Annotated[float, Field(ge=0, lt=1)] = 0.35
    """Cosine of a question with a passage that just answers it, as an embedding model has it: some 0.35 for OpenAI's,
    0.8 for the e5 models. What is farther does not count as found where only documents may answer."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    stop: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    """Names of models to go on with when this one fails, best first."""
    small: bool = False
    """A model too weak for extra instructions: it gets the bare conversation."""
    lacks: tuple[SamplingValue, ...] = ("num_beams",)
    """Values to sample by that the model does not take, for servers that pass over what they do not know: temperature,
    top_p, top_k, stop, seed, frequency_penalty, presence_penalty, num_beams. What a server refuses is found out
    without this. Who asks for such a value is told."""


class RoutingSettings(Section):
    first_token_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Deadline from the call to the first piece of text."""
    stall_seconds: Annotated[float, Field(gt=0, le=600)] = 20.0
    """Longest pause inside an answer."""
    total_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """Longest time one answer may take in all."""
    max_wait_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Longest wait for a free place at a provider. Where it is expected to be longer, another model answers, or a
    notice says at once when to try again."""
    breaker_failures: Annotated[int, Field(ge=1)] = 5
    """Failures in a row that take a provider, or one of its servers, out of service."""
    breaker_seconds: Annotated[float, Field(gt=0)] = 20.0
    """How long it stays out before one call tries it again. A server that could not be reached is back as soon as it
    answers GET /models."""


class LocalSettings(Section):
    model: str = "auto"
    """Built-in chat model: auto, none, smollm2-135m, a hub name, a folder or a GGUF file. auto: the best there is, but
    none where OPENAI_MODEL or other [[models]] are set."""
    engine: Literal["auto", "xllamacpp", "transformers"] = "auto"
    """Server for the built-in model. transformers needs the extra [local]."""
    hub_url: HttpUrl = "https://huggingface.co"
    """Model hub asked for a better model when local.model is auto."""
    hub_repo: str = "unsloth/Qwen3-0.6B-GGUF"
    hub_file: str = "Qwen3-0.6B-Q4_K_M.gguf"
    window: Annotated[int, Field(ge=512)] = 4096
    """Context window in tokens for one conversation."""
    slots: Annotated[int, Field(ge=1, le=64)] = 4
    """Answers made at the same time."""
    host: Annotated[str, Field(pattern=r"^[0-9.]+$")] = "127.0.0.1"
    """Address that `parley models serve` listens on; 0.0.0.0 for all. It asks every caller for a key, but speaks plain
    http: only in a private network, or behind a proxy that speaks https."""
    port: Port = 0
    """Port that `parley models serve` listens on. 0: any that is free."""
    advertise: HttpUrl = ""
    """Base URL with /v1 by which workers reach `parley models serve`, announced to them in Redis. Empty: the address
    by which Redis knows this machine."""
