"""A Bot API server on loopback and Parley's real line to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bots.telegram_bot.adapter import TelegramAdapter
from bots.telegram_bot.api import Api
from bots.telegram_bot.outbound import TelegramOutbound
from bots.telegram_bot.seen import Seen
from core.settings import TelegramSettings
from core.storage.client import Store
from core.storage.leases import SECONDS, Leases
from tests.bots.telegram_bot.receiving import Receivers, adapter_of
from tests.platforms.telegram_server import TelegramServer


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
def settings(server: TelegramServer) -> TelegramSettings:
    return TelegramSettings.model_validate({"token": server.token, "api_base": server.url})


@pytest.fixture
async def api(settings: TelegramSettings) -> AsyncIterator[Api]:
    api = Api(settings)
    yield api
    await api.close()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def outbound(api: Api, seen: Seen) -> TelegramOutbound:
    return TelegramOutbound(api, seen)


@pytest.fixture
def receiver(store: Store, settings: TelegramSettings, api: Api) -> Receivers:
    ours, line = settings, api

    def make(
        owner: str = "one",
        *,
        settings: TelegramSettings | None = None,
        api: Api | None = None,
        seconds: float = SECONDS,
    ) -> TelegramAdapter:
        return adapter_of(settings or ours, api or line, Seen(), store, Leases(store, owner, seconds=seconds))

    return make
