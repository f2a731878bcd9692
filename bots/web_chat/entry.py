"""Getting in: one-time links, invitations, signing out."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bots.web_chat import cookies
from bots.web_chat.site import Site, language_of, text_of

_CODE_CHARS = 100


@dataclass(frozen=True, slots=True)
class Entry:
    site: Site

    def routes(self) -> list[Route]:
        return [
            Route("/enter", self.door, methods=["GET"]),
            Route("/enter", self.enter, methods=["POST"]),
            Route("/invitations", self.invite, methods=["POST"]),
            Route("/leave", self.leave, methods=["POST"]),
        ]

    async def door(self, request: Request) -> Response:
        """Uses nothing up: previews of links and prefetching only ever see this page."""
        code = request.query_params.get("code", "")[:_CODE_CHARS]
        return HTMLResponse(self.site.renderer.page("enter.html", language_of(request), code=code))

    async def enter(self, request: Request) -> Response:
        code = text_of(await request.form(), "code")[:_CODE_CHARS]
        found = await self.site.store.take_code(cookies.digest(code))
        if found is None:
            return self.site.error_page(request, 403, "enter_expired")
        user = await self.site.store.user(found) if found else await self.site.store.add_user("Guest")
        if user is None:
            return self.site.error_page(request, 403, "enter_expired")
        response = RedirectResponse("/", 303)
        self.site.let_in(response, user)
        return response

    async def invite(self, request: Request) -> Response:
        await self.site.owner(request)
        code = cookies.new_code()
        await self.site.store.put_code(cookies.digest(code), "", cookies.CODE_SECONDS)
        link = f"{self.site.address}/enter?code={code}"
        return HTMLResponse(self.site.renderer.page("invitation.html", language_of(request), link=link))

    async def leave(self, request: Request) -> Response:
        await self.site.user(request)
        response = Response(status_code=204, headers={"HX-Redirect": "/"})
        response.delete_cookie(self.site.cookie, path="/", httponly=True, samesite="lax", secure=self.site.is_https)
        return response
