"""The words on the pages, by language: the sentences of the catalogs whose keys begin with ``web.``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from core.texts import ENGLISH, catalog, closest, say

PREFIX = "web."


@cache
def table(language: str) -> Mapping[str, str]:
    """All of them in a language, by their names on the pages; what they are filled with is still open."""
    keys = [key for key in catalog(ENGLISH).sentences if key.startswith(PREFIX)]
    return {key.removeprefix(PREFIX): say(key, language) for key in keys}


def tag(language: str) -> str:
    """What stands in the page's ``lang``."""
    return language.replace("_", "-")


def choose(accepted: str) -> str:
    """The language to show, from an Accept-Language header: the best of those we have, else English."""
    best, weight = ENGLISH, 0.0
    for item in accepted.split(",")[:20]:
        code, _, rest = item.strip().partition(";")
        _, _, value = rest.strip().partition("q=")
        try:
            quality = float(value) if value else 1.0
        except ValueError:
            continue
        if quality > weight and (found := closest(code)):
            best, weight = found, quality
    return best
