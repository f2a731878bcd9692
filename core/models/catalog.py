"""The catalog: which models there are, who hosts them, what they can and what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.settings import ModelSettings, ProviderSettings, Settings

LOCAL = "local"
"""The provider of the model servers that Parley starts itself."""
SMALL_ANSWER = 512
"""Tokens in one answer of a small model: it easily repeats itself without end, for over a minute on two cores."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Who hosts models. Two equal values are the same server."""

    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    max_concurrent: int = 1000
    """Calls at once; more wait."""


@dataclass(frozen=True, slots=True)
class Model:
    """One chat model: what it can, how it is sampled, what it costs.

    Prices are in millionths of a currency unit for a million tokens, so that costs are integers.
    """

    name: str
    provider: str
    id: str
    """The provider's name for it."""
    window: int = 32_768
    """Context window in tokens."""
    max_answer: int = 4096
    """Longest answer in tokens."""
    accepts_images: bool = False
    tools: bool = False
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

    def cost(self, prompt_tokens: int, answer_tokens: int) -> int:
        """What a call costs, in millionths of a currency unit, rounded up."""
        return -(-(prompt_tokens * self.price_prompt + answer_tokens * self.price_answer) // 1_000_000)


class Catalog:
    """The rows in their order; the first is the default unless settings name another.

    Rows whose provider does not run (yet) are left out everywhere.
    """

    def __init__(self, providers: Iterable[Provider], models: Iterable[Model], default: str = "") -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._models = {model.name: model for model in models}
        self._default = default
        self._settled = asyncio.Event()
        self._settled.set()

    @classmethod
    def of(cls, settings: Settings) -> Catalog:
        """The catalog that the settings describe."""
        return cls(map(_provider, settings.providers), map(_model, settings.models), settings.chat.model)

    @property
    def models(self) -> tuple[Model, ...]:
        """All that can be chosen now."""
        return tuple(model for model in self._models.values() if model.provider in self._providers)

    @property
    def default(self) -> Model | None:
        """The model where nobody chose one; None when there is none at all."""
        return self.find(self._default) or next(iter(self.models), None)

    @property
    def wanted_default(self) -> str:
        """The name in settings; empty when none is given. It may come later, or never."""
        return self._default

    def find(self, name: str) -> Model | None:
        """The row of that name, if it can be chosen now."""
        model = self._models.get(name)
        return model if model is not None and model.provider in self._providers else None

    def choose(self, name: str) -> Model | None:
        """The row of that name, else the default: a choice may outlive its model."""
        return self.find(name) or self.default

    def provider(self, name: str) -> Provider:
        """Raises KeyError for a provider that does not run."""
        return self._providers[name]

    def expect_local(self, expected: bool = True) -> None:
        """Says that a local server is on its way, or no more: without any other model, answers wait for it."""
        if expected:
            self._settled.clear()
        else:
            self._settled.set()

    @property
    def expects_local(self) -> bool:
        """Whether a local server is on its way."""
        return not self._settled.is_set()

    async def settled(self) -> None:
        """Returns once no local server is on its way."""
        await self._settled.wait()

    def add_local(
        self,
        base_url: str,
        api_key: str,
        name: str,
        window: int,
        *,
        small: bool = True,
        accepts_images: bool = False,
        max_answer: int | None = None,
        max_concurrent: int = 1000,
        id: str = "",
    ) -> None:
        """Adds, or replaces after a restart, the model of a server that Parley started.

        Settings of the same name and provider keep their sampling, price and fallbacks. ``max_concurrent``
        is the server's number of slots; ``max_answer`` is half the window unless given, and short for small models.
        """
        self._providers[LOCAL] = Provider(LOCAL, base_url, api_key, max_concurrent)
        self._settled.set()
        row = self._models.get(name)
        if row is not None and row.provider == LOCAL:
            return
        longest = SMALL_ANSWER if small else 4096
        limit = min(longest, window // 2) if max_answer is None else max_answer
        self._models[name] = Model(name, LOCAL, id or name, window, limit, accepts_images=accepts_images, small=small)

    def remove_local(self) -> None:
        """Takes the local server's models out of the choice, and expects it back."""
        self._providers.pop(LOCAL, None)
        self._settled.clear()


def _provider(row: ProviderSettings) -> Provider:
    return Provider(row.name, row.base_url, row.api_key.get_secret_value(), row.max_concurrent)


def _model(row: ModelSettings) -> Model:
    return Model(
        name=row.name,
        provider=row.provider,
        id=row.id or row.name,
        window=row.window,
        max_answer=row.max_answer,
        accepts_images=row.accepts_images,
        tools=row.tools,
        price_prompt=round(row.price_prompt * 1_000_000),
        price_answer=round(row.price_answer * 1_000_000),
        temperature=row.temperature,
        top_p=row.top_p,
        top_k=row.top_k,
        stop=row.stop,
        fallbacks=row.fallbacks,
        small=row.small,
    )
