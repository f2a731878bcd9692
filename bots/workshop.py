"""Puts together what answers and commands make things with."""

from __future__ import annotations

from collections.abc import Sequence

from bots.platforms import Shared
from core.conversation.history import History
from core.conversation.whereabouts import Whereabouts
from core.creations.creations import Creations, Enqueue
from core.creations.doing import Post
from core.creations.films import Films
from core.creations.payers import payers
from core.creations.pictures import Pictures
from core.creations.sound import Sounds
from core.knowledge.learning import Learning
from core.knowledge.passages import Passages
from core.labels.labels import Labels
from core.models.embedding import Embedder
from core.models.films import Filmer
from core.models.images import Painter
from core.models.reading import Reader
from core.models.router import Router
from core.models.speech import Speaker
from core.moderation.invitations import OwnInvites
from core.moderation.own_words import OwnWords
from core.safety.holding import checked
from core.safety.safety import Safety
from core.speaking import Speaking
from core.summaries.summaries import Summaries
from core.summaries.translations import Translations
from core.tools.kit import open_toolbox
from core.tools.tool import Tool
from core.workshop import Workshop
from core.writing import Writer


def open_workshop(
    shared: Shared,
    router: Router,
    history: History,
    enqueue: Enqueue,
    post: Post,
    own_invites: OwnInvites,
    tools: Sequence[Tool] = (),
) -> Workshop:
    """Everything that is made besides a model's own words. Each kind of things has its maker here; ``tools`` are those
    that make nothing."""
    own_words = OwnWords(shared.community.policy, shared.community.spaces, own_invites)
    safety = Safety(shared.settings.safety, shared.catalog, router, shared.community.spaces, own_words)
    labels = Labels(shared.settings.labels, shared.community.spaces)
    pictures = Pictures(Painter(shared.catalog, router), safety, labels)
    speaker = Speaker(shared.catalog, router)
    sounds = Sounds(speaker, labels, safety)
    embedder, libraries = Embedder(shared.catalog, router), shared.community.libraries
    passages = Passages(shared.store, shared.settings.knowledge, embedder, libraries)
    learning = Learning(passages, shared.settings.knowledge, Whereabouts(shared.store))
    writer = Writer(shared.catalog, router)
    summaries = Summaries(writer)
    translations = Translations(writer)
    films = Films(Filmer(shared.catalog, router), labels, safety)
    creations = Creations(
        [
            pictures.maker,
            *sounds.makers,
            films.maker,
            *learning.makers,
            checked(safety, summaries.maker),
            checked(safety, translations.maker),
        ],
        shared.store,
        enqueue,
        post,
        payers(shared.community),
        keep_days=shared.settings.storage.keep_days,
        follow_seconds=shared.settings.jobs.follow_seconds,
        is_paused=shared.community.houses.is_paused,
    )
    return Workshop(
        Speaking(speaker, history, labels),
        pictures,
        Reader(shared.catalog, router),
        creations,
        safety,
        labels,
        passages,
        open_toolbox(shared.settings, router, shared.catalog, creations, passages, more=tools),
        writer,
        summaries,
        translations,
        films,
    )
