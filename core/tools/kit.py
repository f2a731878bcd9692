"""All tools of Parley's own, as far as settings allow them."""

from __future__ import annotations

from collections.abc import Sequence

from core.creations.creations import Creations
from core.fetching import Fetcher
from core.knowledge.passages import Passages
from core.models.catalog import Catalog
from core.models.router import Router
from core.settings import Settings
from core.tools.calculator import CALCULATOR
from core.tools.clock import clock
from core.tools.drawing import drawing
from core.tools.library import library
from core.tools.mcp_servers import McpServers
from core.tools.tool import Tool
from core.tools.toolbox import Toolbox
from core.tools.web import WebFetch


def open_toolbox(
    settings: Settings,
    router: Router,
    catalog: Catalog,
    creations: Creations,
    passages: Passages,
    fetcher: Fetcher | None = None,
    *,
    more: Sequence[Tool] = (),
) -> Toolbox:
    """``more`` are further tools, allowed in the same way. Raises SettingsError where a server is configured and its
    SDK is not installed."""
    tools = (
        CALCULATOR,
        clock(settings.chat.time_zone),
        drawing(creations.made, catalog),
        library(passages),
        WebFetch(fetcher or Fetcher(), settings.tools.any_link).tool,
        *more,
    )
    allowed = [tool for tool in tools if tool.allowed_as in settings.tools.use]
    return Toolbox(router, catalog, allowed, McpServers(settings.mcp) if settings.mcp else None)
