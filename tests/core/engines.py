"""What tests of the core share: an engine. Without models, unless given some, it has a notice for every question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from functools import partial

from core.attachments import Attachments
from core.commands.row import Moderation
from core.conversation.history import History
from core.conversation.mailbox import Mailbox
from core.conversation.readings import Readings
from core.conversation.whereabouts import Whereabouts
from core.creations.creations import Creations
from core.creations.films import Films
from core.creations.payers import payers
from core.creations.pictures import Pictures
from core.creations.sound import Sounds
from core.engine import Engine
from core.fetching import Fetcher
from core.knowledge.learning import Learning
from core.knowledge.passages import Passages
from core.labels.labels import Labels
from core.message import Attachment, ConversationKey, Platform
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.embedding import Embedder
from core.models.films import Filmer
from core.models.images import Painter
from core.models.openai_api import OpenAIApi
from core.models.reading import Reader
from core.models.router import Router
from core.models.speech import Speaker
from core.models.transcription import Transcriber
from core.moderation.own_words import OwnWords
from core.people.access import IsAdmin, May, StandingOf
from core.people.community import Community
from core.people.spaces import Spaces
from core.safety.holding import checked
from core.safety.safety import Safety
from core.settings import Settings
from core.speaking import Speaking
from core.storage.client import Store
from core.storage.failed import DeadLetters
from core.storage.feedback import Feedback
from core.summaries.summaries import Summaries
from core.summaries.translations import Translations
from core.tasks import end
from core.tools.kit import open_toolbox
from core.workshop import Workshop
from core.writing import Writer

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
    """What is to be made is made at once; no other jobs are done. Every file that it fetches is ``fetched``."""
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
    speaker, labels = Speaker(catalog, router), Labels(settings.labels, Spaces(store))
    speaking = Speaking(speaker, history, labels)
    rules = Community.of(settings, store).policy
    safety = Safety(settings.safety, catalog, router, Spaces(store), OwnWords(rules, Spaces(store)))
    pictures = Pictures(Painter(catalog, router), safety, labels)
    passages = Passages(store, settings.knowledge, Embedder(catalog, router))
    learning = Learning(passages, settings.knowledge, Whereabouts(store))
    community, making = Community.of(settings, store), set[asyncio.Task[None]]()

    async def make(name: str, id: str, argument: str) -> None:
        run = next(job.run for job in creations.jobs if job.name == name)
        assert run is not None
        making.add(asyncio.create_task(run(argument)))

    writer = Writer(catalog, router)
    summaries = Summaries(writer, Fetcher(may_reach=lambda _: True, ports=()))
    translations = Translations(writer)
    films = Films(Filmer(catalog, router), labels, safety)
    creations = Creations(
        [
            pictures.maker,
            films.maker,
            *Sounds(speaker, labels, safety).makers,
            *learning.makers,
            checked(safety, summaries.maker),
            checked(safety, translations.maker),
        ],
        store,
        make,
        partial(mailbox.post, wakes=True),
        payers(community),
        keep_days=1,
    )
    yield Engine(
        SETTINGS.chat,
        mailbox,
        history,
        catalog,
        router,
        attachments,
        Workshop(
            speaking,
            pictures,
            Reader(catalog, router),
            creations,
            safety,
            labels,
            passages,
            open_toolbox(settings, router, catalog, creations, passages),
            writer,
            summaries,
            translations,
            films,
        ),
        enqueue,
        letters,
        Feedback(store, keep_days=1),
        community,
        owners=owners,
        is_admin=is_admin,
        may=may,
        standing=standing,
        moderation=moderation,
    )
    await end(list(making))
    await router.aclose()
