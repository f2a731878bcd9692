"""The catalog: which models there are, who hosts them, what they can and what they cost."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from core.settings import (
    MAX_CONCURRENT,
    MAX_WAITING,
    SIZES,
    ModelKind,
    ModelSettings,
    PictureControl,
    PictureWork,
    ProviderSettings,
    SamplingValue,
    Settings,
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


class Catalog:
    """The rows in their order; the first is the default unless settings name another.

    Rows whose provider does not run (yet) are left out everywhere. Local models come and go: their rows are those
    that settings give, else made from what their servers tell.
    """

    def __init__(self, providers: Iterable[Provider], models: Iterable[Model], default: str = "") -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._endpoints = {provider.name: provider.endpoints for provider in self._providers.values()}
        self._given = {model.name: model for model in models}
        self._models = dict(self._given)
        self._default = default
        self._own: LocalModel | None = None
        self._announced: tuple[LocalModel, ...] = ()
        self._kept: tuple[tuple[Model, Endpoint], ...] = ()
        self._serves = False
        """Whether there is a local server for chat."""
        self._expects_own = False
        self._expects_announced = False
        self._settled = asyncio.Event()
        self._settled.set()
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def of(cls, settings: Settings) -> Catalog:
        """The catalog that the settings describe."""
        return cls(map(_provider, settings.providers), map(_model, settings.models), settings.chat.model)

    def replace(self, settings: Settings) -> None:
        """Takes over what other settings describe. Calls under way go on to their end where they are."""
        other = Catalog.of(settings)
        local = self._endpoints.get(LOCAL, ())
        self._providers, self._given, self._default = other._providers, other._given, other._default
        self._endpoints = {**other._endpoints, **({LOCAL: local} if local else {})}
        self._refresh()
        for listener in self._listeners:
            listener()

    @property
    def models(self) -> tuple[Model, ...]:
        """All chat models that can be chosen now."""
        return self.of_kind("chat")

    @property
    def all(self) -> tuple[Model, ...]:
        """Every row, of whatever kind, whether it runs or not."""
        return tuple(self._models.values())

    def of_kind(self, kind: ModelKind) -> tuple[Model, ...]:
        """The models of a kind that can be used now, in the settings' order."""
        return tuple(model for model in self._models.values() if model.kind == kind and self._runs(model))

    def has(self, kind: ModelKind) -> bool:
        """Whether there is a model of a kind now."""
        return any(model.kind == kind and self._runs(model) for model in self._models.values())

    @property
    def voices(self) -> tuple[str, ...]:
        """All voices that people can choose, by either of their names."""
        names = [
            name
            for model in self.of_kind("speech")
            for name in (*dict(model.voices), model.voice, *dict(model.voices).values())
        ]
        return tuple(dict.fromkeys(filter(None, names)))

    @property
    def default(self) -> Model | None:
        """The model where nobody chose one; None when there is none at all."""
        return self.find(self._default) or next(iter(self.models), None)

    @property
    def wanted_default(self) -> str:
        """The name in settings; empty when none is given. It may come later, or never."""
        return self._default

    def find(self, name: str) -> Model | None:
        """The chat model of that name, if it can be chosen now."""
        model = self._models.get(name)
        return model if model is not None and model.kind == "chat" and self._runs(model) else None

    def choose(self, name: str) -> Model | None:
        """The row of that name, else the default: a choice may outlive its model."""
        return self.find(name) or self.default

    @property
    def taking_keys(self) -> tuple[str, ...]:
        """The providers of the settings that people may have keys of their own for: those that ask for one. A server
        that takes everybody would take any key, and who had one there would pass the budgets by."""
        return tuple(provider.name for provider in self._providers.values() if provider.api_key)

    def provider(self, name: str) -> Provider | None:
        """A provider of the settings."""
        return self._providers.get(name)

    def endpoints(self, provider: str, model: str) -> tuple[Endpoint, ...]:
        """The servers that have a provider's model of that name; none while it does not run."""
        endpoints = self._endpoints.get(provider, ())
        if provider == LOCAL:
            return tuple(endpoint for endpoint in endpoints if endpoint.model == model)
        return endpoints

    def watch(self, listener: Callable[[], None]) -> None:
        """Has ``listener`` called, in the event loop, whenever servers came or went."""
        self._listeners.append(listener)

    def expect_local(self, expected: bool = True) -> None:
        """Says that this process's own server is on its way, or no more: without any other, answers wait for it."""
        self._expects_own = expected
        self._settle()

    @property
    def expects_local(self) -> bool:
        """Whether a local server is on its way, and none is there."""
        return not self._settled.is_set()

    async def settled(self) -> None:
        """Returns once a local server is there, or none is on its way."""
        await self._settled.wait()

    def add_local(self, model: LocalModel) -> None:
        """Adds, or replaces after a restart, the model of the server that this process started."""
        self._own = model
        self._refresh()

    def remove_local(self) -> None:
        """Takes this process's own server out of the choice, and expects it back."""
        self._own = None
        self._expects_own = True
        self._refresh()

    def announce(self, servers: Iterable[LocalModel], *, expected: bool) -> None:
        """Takes over which model servers others run; ``expected``: where there are none, some are on their way.

        Servers of one model are a pool; each model is a row of its own.
        """
        self._announced, self._expects_announced = tuple(servers), expected
        self._refresh()

    def keep(self, rows: Iterable[tuple[Model, Endpoint]]) -> None:
        """Takes over which small models this machine has besides (:mod:`core.models.servers`). They stand behind those
        of the settings, and their servers are started by who asks them first."""
        self._kept = tuple(rows)
        self._refresh()

    def _runs(self, model: Model) -> bool:
        return bool(self.endpoints(model.provider, model.name))

    def _refresh(self) -> None:
        own = () if self._own is None else (self._own,)
        servers = {(server.base_url, server.name): server for server in (*self._announced, *own)}
        self._serves = bool(servers)
        rows: dict[str, Model] = {}
        for server in servers.values():
            rows[server.name] = _weaker(rows.get(server.name), server.row())
        self._models = dict(self._given)
        for name, row in rows.items():
            self._models[name] = _fitted(self._given.get(name, row), row)
        kept: dict[str, Endpoint] = {}
        for row, endpoint in self._kept:
            # A name has one meaning, the first: another server must not get calls that are not for it.
            known = self._models.setdefault(row.name, row)
            if (known.provider, known.kind) == (LOCAL, row.kind):
                kept.setdefault(row.name, endpoint)
        endpoints = (*(server.endpoint() for server in servers.values()), *kept.values())
        if endpoints != self._endpoints.get(LOCAL, ()):
            self._endpoints[LOCAL] = endpoints
            for listener in self._listeners:
                listener()
        self._settle()

    def _settle(self) -> None:
        if (self._expects_own or self._expects_announced) and not self._serves:
            self._settled.clear()
        else:
            self._settled.set()


def _weaker(row: Model | None, other: Model) -> Model:
    """One row for servers of the same model, whose windows may differ: what fits each of them."""
    return other if row is None else min(row, other, key=lambda model: model.window)


def _fitted(row: Model, served: Model) -> Model:
    """A row of the settings keeps sampling, price and fallbacks, and cannot promise more than the server has."""
    if row.provider != LOCAL or row is served:
        return row
    window = min(row.window, served.window)
    return replace(
        row, window=window, max_answer=min(row.max_answer, max(window // 2, 16)), small=row.small or served.small
    )


def is_loopback(base_url: str) -> bool:
    """Whether an address means the machine that it is used on."""
    host = urlsplit(base_url).hostname or ""
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _provider(row: ProviderSettings) -> Provider:
    first, *more = row.addresses
    key = row.api_key.get_secret_value()
    return Provider(row.name, first, key, row.max_concurrent, tuple(more), row.max_waiting)


def _model(row: ModelSettings) -> Model:
    sizes: dict[Shape, str] = {**(FILM_SIZES if row.kind == "video" else SIZES), **row.sizes}
    return Model(
        name=row.name,
        provider=row.provider,
        id=row.id or row.name,
        window=row.window,
        max_answer=row.max_answer,
        accepts_images=row.accepts_images,
        price_prompt=round(row.price_prompt * 1_000_000),
        price_answer=round(row.price_answer * 1_000_000),
        temperature=row.temperature,
        top_p=row.top_p,
        top_k=row.top_k,
        stop=row.stop,
        fallbacks=row.fallbacks,
        dimensions=row.dimensions,
        query_prefix=row.query_prefix,
        passage_prefix=row.passage_prefix,
        near=row.near,
        small=row.small,
        lacks=row.lacks,
        kind=row.kind,
        price_minute=round(row.price_minute * 1_000_000),
        price_characters=round(row.price_characters * 1_000_000),
        voice=row.voice,
        price_image=round(row.price_image * 1_000_000),
        sizes=tuple(sizes.items()),
        quality=row.quality,
        output_format=row.output_format,
        tools=row.tools,
        tools_in_text=row.tools_in_text,
        voices=tuple(row.voices.items()),
        has_speed=row.has_speed,
        max_seconds=row.max_seconds,
        film_seconds=tuple(sorted(set(row.film_seconds))),
        does=row.does,
        takes=row.takes,
        partial_images=row.partial_images,
    )
