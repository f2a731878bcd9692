"""What ``parley doctor`` finds, and how it asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``ok`` is None where it is not set up, or cannot be told."""

    name: str
    ok: bool | None
    what: str
    remedy: str = ""


async def asked(http: httpx2.AsyncClient, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any] | str:
    """A JSON object, or in a few words why there is none. The words never contain the address."""
    try:
        answer = await http.get(url, headers=headers)
        if answer.status_code != 200:
            return f"status {answer.status_code}"
        content = answer.json()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return type(error).__name__
    except ValueError:
        return "no JSON"
    return cast("dict[str, Any]", content) if isinstance(content, dict) else "no JSON object"
