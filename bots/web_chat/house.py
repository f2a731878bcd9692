"""The owner's pages about all of Parley: how it is, and what was used."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from bots.web_chat.site import Site, language_of
from core.commands.owner import model_lines, status_lines
from core.commands.usage import USUAL_DAYS
from core.people import usage_chart
from core.people.budgets import MILLION, SHOWN_DAYS
from core.people.overview import models, overview
from core.people.usage import Report, report, table
from core.storage.budgets import ALL
from core.storage.failed import DeadLetters
from core.texts import Money, say

HOME = "/console"
LISTED = 20
"""Models, and people, in a list."""


@dataclass(frozen=True, slots=True)
class House:
    """Only for who came in by the one-time link."""

    site: Site

    def routes(self) -> list[Route]:
        return [
            Route(f"{HOME}/status", self.status),
            Route(f"{HOME}/usage", self.usage),
            Route(f"{HOME}/usage.png", self.chart),
            Route(f"{HOME}/usage.csv", self.rows),
        ]

    async def status(self, request: Request) -> Response:
        await self.site.owner(request)
        community, language = self.site.community, language_of(request)
        currency = community.settings.chat.currency
        failed, _ = await DeadLetters(community.store, keep_days=1).newest(0)
        lines = status_lines(await overview(community), failed, currency, language)
        states = model_lines(await models(community, self.site.catalog), currency, language)
        return self._page(
            request,
            "console_status.html",
            status=self.site.renderer.markdown("\n".join(lines), language),
            models=self.site.renderer.markdown("\n".join(states), language) if states else "",
        )

    async def usage(self, request: Request) -> Response:
        await self.site.owner(request)
        language = language_of(request)
        found = await self._report(request)
        currency = self.site.community.settings.chat.currency
        is_money = found.measure == "money"

        def shown(rows: list[tuple[str, int]]) -> list[tuple[str, str]]:
            return [
                (
                    name,
                    say("field_money", language, money=Money(amount / MILLION, currency)) if is_money else str(amount),
                )
                for name, amount in rows[:LISTED]
            ]

        people = [(found.called(person), amount) for person, amount in found.by_person()]
        total = say(
            "usage_all",
            language,
            days=len(found.days),
            calls=found.total("calls"),
            money=Money(found.total("money") / MILLION, currency),
            own=Money(found.total("own") / MILLION, currency),
        )
        return self._page(
            request,
            "console_usage.html",
            days=len(found.days),
            spans=(7, USUAL_DAYS, SHOWN_DAYS),
            total=total,
            lists=(
                (say("usage_by_model", language), shown(found.by_model())),
                (say("usage_by_person", language), shown(people)),
            ),
            picture=say("usage_chart", language, days=len(found.days)),
            is_empty=not found.rows,
        )

    async def chart(self, request: Request) -> Response:
        await self.site.owner(request)
        language, currency = language_of(request), self.site.community.settings.chat.currency
        found = await self._report(request)
        by_day = "usage_by_day_money" if found.measure == "money" else "usage_by_day_calls"
        titles = (
            say(by_day, language, currency=currency),
            say("usage_by_model", language),
            say("usage_by_person", language),
        )
        image = await asyncio.to_thread(usage_chart.draw, found, titles, say("usage_others", language))
        return Response(image, media_type="image/png")

    async def rows(self, request: Request) -> Response:
        await self.site.owner(request)
        headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
        return Response(table(await self._report(request)), media_type="text/csv", headers=headers)

    async def _report(self, request: Request) -> Report:
        asked = request.query_params.get("days", "")
        is_number = asked.isascii() and asked.isdecimal() and len(asked) < 4
        days = min(max(int(asked), 1), SHOWN_DAYS) if is_number else USUAL_DAYS
        return await report(self.site.community.budgets, ALL, days)

    def _page(self, request: Request, name: str, **values: Any) -> Response:
        return HTMLResponse(self.site.renderer.page(name, language_of(request), **values))
