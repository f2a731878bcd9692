"""How much is kept of what communities and people teach."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.section import Section


class KnowledgeSettings(Section):
    """Documents that answers are looked up in."""

    space_documents: Annotated[int, Field(ge=0, le=2000)] = 300
    """Documents that one space may keep."""
    space_passages: Annotated[int, Field(ge=0, le=200_000)] = 20_000
    """Passages that they may have in all; one has some 250 tokens, and takes about 5 KB in Redis."""
    person_documents: Annotated[int, Field(ge=0, le=2000)] = 50
    """Documents that one person may keep for themselves."""
    person_passages: Annotated[int, Field(ge=0, le=200_000)] = 4000
    max_bytes: Annotated[int, Field(ge=10_000, le=500_000_000)] = 20_000_000
    """Largest file or page that is learned."""
    max_pages: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Pages of one document that are learned; of a longer one the beginning, and its owner is told."""
    max_chars: Annotated[int, Field(ge=1000, le=20_000_000)] = 3_000_000
    """Characters of one document that are learned."""
    cache_bytes: Annotated[int, Field(ge=1_000_000)] = 256_000_000
    """Memory that each process may use to have what was searched lately at hand."""
