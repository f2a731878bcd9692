"""The catalog: which models there are, who hosts them, what they can and what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from core.models.model import FILM_SIZES, LOCAL, Endpoint, LocalModel, Model, Provider
from core.models.settings import SIZES, ModelKind, ModelSettings, ProviderSettings, Shape
from core.settings import Settings


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
