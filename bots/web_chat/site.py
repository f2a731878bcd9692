"""What all routes share: who asks, in which language, and the forms of an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from bots.adapter import Inbox
from bots.pressing import Presses
from bots.web_chat import ids, labels
from bots.web_chat.cookies import COOKIE_SECONDS, Signer
from bots.web_chat.render import Renderer
from bots.web_chat.store import Conversation, User, WebStore
from core.models.catalog import Catalog
from core.people.community import Community
from core.texts import say

TOKEN_HEADER = "X-Parley-Token"  # noqa: S105  a header's name
MAX_STREAMS = 12
"""Open event streams of one user: more tabs than a browser connects at once without HTTP/2."""


@dataclass(frozen=True, slots=True)
class Site:
    """One running web chat."""

    store: WebStore
    inbox: Inbox
    signer: Signer
    renderer: Renderer
    models: Callable[[], Sequence[str]]
    """Names to choose from, the default first."""
    max_upload: int
    """Bytes."""
    cookie: str
    is_https: bool
    address: str
    """Under which people open it, without a slash at the end."""
    community: Community
    catalog: Catalog
    presses: Presses
    """Decides what comes of a pressed button."""
    streams: Counter[str] = field(default_factory=Counter[str])
    """Open event streams by user."""

    async def user(self, request: Request, token: str = "") -> User:
        """Who asks; 401 for nobody we know, 403 for a change that our own page did not send. ``token`` is what a form
        has where there is no script to send the header."""
        name = self.signer.user(request.cookies.get(self.cookie, ""))
        user = await self.store.user(name) if name else None
        if user is None:
            raise HTTPException(401)
        if request.method not in ("GET", "HEAD") and not self.signer.is_token(
            user.id, token or request.headers.get(TOKEN_HEADER, "")
        ):
            raise HTTPException(403, "reload")
        return user

    async def owner(self, request: Request, token: str = "") -> User:
        """The same for what is the owner's; 403 for anybody else."""
        user = await self.user(request, token)
        if not user.is_owner:
            raise HTTPException(403, "owner_only")
        return user

    async def conversation(self, request: Request, user: User) -> Conversation:
        """The conversation in the path, which has to be the user's own: 404 else."""
        name = request.path_params["conversation"]
        found = await self.store.conversation(user.id, name) if ids.is_name(name) else None
        if found is None:
            raise HTTPException(404)
        return found

    def let_in(self, response: Response, user: User) -> None:
        response.set_cookie(
            self.cookie,
            self.signer.cookie(user.id),
            max_age=COOKIE_SECONDS,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self.is_https,
        )

    def error(self, request: Request, status: int, key: str, **values: str) -> Response:
        """A refusal: one sentence for htmx and scripts, a page for a person."""
        is_form = "text/html" in request.headers.get("accept", "")
        if not request.headers.get("hx-request") and (is_form or request.method in ("GET", "HEAD")):
            return self.error_page(request, status, key)
        sentence = say(f"web.{key}", language_of(request), **values)
        return PlainTextResponse(sentence, status)

    def error_page(self, request: Request, status: int, key: str) -> Response:
        language = language_of(request)
        name = "locked.html" if status == 401 else "error.html"
        sentence = say(f"web.{key}", language)
        return HTMLResponse(self.renderer.page(name, language, sentence=sentence, status=status), status)


def language_of(request: Request) -> str:
    return labels.choose(request.headers.get("accept-language", ""))


def message_id_of(request: Request) -> str:
    found = request.path_params["message"]
    if not ids.is_message_id(found):
        raise HTTPException(404)
    return found


def text_of(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""
