"""The ASGI application: routes, errors, and the guard in front of them."""

from __future__ import annotations

from collections.abc import Collection

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from bots.web_chat import labels, uploads
from bots.web_chat.chat import Chat
from bots.web_chat.console import Console
from bots.web_chat.entry import Entry
from bots.web_chat.guard import Guard
from bots.web_chat.house import House
from bots.web_chat.pressing import Pressing
from bots.web_chat.render import STATIC
from bots.web_chat.site import Site
from bots.web_chat.uploads import Uploads
from core.errors import StorageError
from core.texts import ENGLISH

log = structlog.get_logger()

_SENTENCES = {401: "locked_lead", 403: "reload", 404: "not_found", 405: "not_found", 413: "too_large"}


class _Static(StaticFiles):
    """Files whose address carries their version: browsers keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def build(site: Site, origins: Collection[str]) -> ASGIApp:
    """The application for one site, reachable under ``origins`` only."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        key = (
            error.detail if error.detail in labels.table(ENGLISH) else _SENTENCES.get(error.status_code, "bad_request")
        )
        return site.error(request, error.status_code, key)

    async def away(request: Request, error: Exception) -> Response:
        log.error("web request failed", path=request.url.path, cause=str(error))
        return site.error(request, 503, "gone")

    async def broken(request: Request, error: Exception) -> Response:
        log.error("web request failed", path=request.url.path, cause=repr(error), exc_info=error)
        return site.error(request, 500, "bad_request")

    app = Starlette(
        routes=[
            *Chat(site).routes(),
            *Pressing(site).routes(),
            *Console(site).routes(),
            *House(site).routes(),
            *Entry(site).routes(),
            *Uploads(site).routes(),
            Mount("/static", _Static(directory=STATIC)),
        ],
        exception_handlers={HTTPException: refused, StorageError: away, Exception: broken},
    )
    # Outside of everything, so that an error's page carries the headers too.
    return Guard(app, origins=origins, upload_path=uploads.PATH, max_upload=site.max_upload)
