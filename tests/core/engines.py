"""What tests of the core share: an engine. Without models, unless given some, it has a notice for every question."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager

from core.attachments import Attachments
from core.commands.row import Moderation
from core.conversation.history import History
from core.conversation.mailbox import Mailbox
from core.conversation.readings import Readings
from core.creations.creations import Creations
from core.engine import Engine
from core.message import Attachment, ConversationKey, Platform
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.images import Painter
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.speech import Speaker
from core.models.transcription import Transcriber
from core.painting import Painting
from core.people.access import IsAdmin, May, StandingOf
from core.people.community import Community
from core.settings import Settings
from core.speaking import Speaking
from core.storage.client import Store
from core.storage.failed import DeadLetters
from core.storage.feedback import Feedback
from core.workshop import Workshop

SETTINGS = Settings()


@asynccontextmanager
async def engine(
    store: Store,
    mailbox: Mailbox,
    *,
    owners: Collection[str] = (),
    models: Catalog | None = None,
    is_admin: IsAdmin | None = None,
    may: May | None = None,
    standing: StandingOf | None = None,
    moderation: Mapping[Platform, Moderation] | None = None,
    settings: Settings = SETTINGS,
    fetched: bytes = b"",
) -> AsyncGenerator[Engine]:
    """Has no jobs done. Every file that it fetches is ``fetched``."""
    catalog = models or Catalog.of(SETTINGS)
    router = Router(catalog, SETTINGS.routing, Breaker(5, 1), OpenAIApi)

    async def fetch(conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        return fetched

    async def enqueue(name: str, id: str, argument: str) -> None:
        return None

    history = History(store, keep_days=1, max_messages=100)
    letters = DeadLetters(store, keep_days=1)
    readings = Readings(store)
    attachments = Attachments(
        SETTINGS.chat, history, readings, Transcriber(catalog, router), fetch, dict.fromkeys(Platform, 0)
    )
    speaking = Speaking(Speaker(catalog, router), history)
    yield Engine(
        SETTINGS.chat,
        mailbox,
        history,
        catalog,
        router,
        attachments,
        Workshop(speaking, Painting(Painter(catalog, router)), Creations([])),
        enqueue,
        letters,
        Feedback(store, keep_days=1),
        Community.of(settings, store),
        owners=owners,
        is_admin=is_admin,
        may=may,
        standing=standing,
        moderation=moderation,
    )
    await router.aclose()
