"""What tests of documents share: passages with a model for their vectors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from core.knowledge.documents import Draft, Passage
from core.knowledge.passages import Passages
from core.knowledge.settings import KnowledgeSettings
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.embedding import Embedder
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.settings import Settings
from core.storage.client import Store
from tests.platforms.openai_server import OpenAIServer

VECTORS = Model("vectors", "p", "vectors", kind="embedding", query_prefix="query: ", passage_prefix="passage: ")
HOUSE = "space:telegram:1:100"


@asynccontextmanager
async def passages(
    store: Store, server: OpenAIServer | None = None, *models: Model, **limits: Any
) -> AsyncGenerator[Passages]:
    """Without a server there is no model for vectors."""
    catalog = Catalog([Provider("p", server.url)], models or [VECTORS]) if server else Catalog([], [])
    router = Router(catalog, Settings().routing, Breaker(5, 1), OpenAIApi)
    yield Passages(store, KnowledgeSettings(**limits), Embedder(catalog, router))
    await router.aclose()


def draft(name: str, *texts: str, **values: Any) -> Draft:
    pieces = tuple(Passage("", number, text, page=number + 1) for number, text in enumerate(texts))
    return Draft(values.pop("title", name), name, values.pop("kind", "file"), pieces, pages=len(texts), **values)
