"""Puts together what answers and commands make things with."""

from __future__ import annotations

from bots.platforms import Shared
from core.conversation.history import History
from core.creations.creations import Creations
from core.models.images import Painter
from core.models.router import Router
from core.models.speech import Speaker
from core.painting import Painting
from core.speaking import Speaking
from core.workshop import Workshop


def open_workshop(shared: Shared, router: Router, history: History) -> Workshop:
    """Everything that is made besides a model's own words. Each kind of things has its maker here."""
    return Workshop(
        Speaking(Speaker(shared.catalog, router), history),
        Painting(Painter(shared.catalog, router)),
        Creations([]),
    )
