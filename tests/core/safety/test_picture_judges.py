"""A judge that knows pictures alone: asked about pictures, and never about what is said."""

from __future__ import annotations

from core.conversation.turn import Turn
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.parts import Notice
from core.people.spaces import Spaces, SpaceSettings
from core.safety.safety import Safety
from core.safety.settings import SafetySettings
from core.storage.client import Store
from tests.builders import conversation, message
from tests.platforms.openai_server import OpenAIServer

PNG = b"\x89PNG\r\n\x1a\nblood"
EYES = Model("open-nsfw", "p", "open-nsfw", kind="moderation", accepts_images=True, accepts_texts=False)


async def test_texts_are_not_shown_to_who_sees_pictures_alone(store: Store) -> None:
    async with OpenAIServer(models=("one",)) as server:
        server.moderation.scores = {"bomb": {"violence": 0.9}, "blood": {"violence": 0.9}}
        catalog = Catalog([Provider("p", server.url)], [EYES])
        router = Router(catalog, RoutingSettings(), Breaker(5, 1), OpenAIApi)
        safety = Safety(SafetySettings(answers="block"), catalog, router, Spaces(store))
        turn = Turn(conversation(), "1", "f", message("x"), space=SpaceSettings())
        try:
            assert not safety.holds_answers(turn)
            assert not safety.watches_answers(turn)
            assert await safety.prompt(turn, "how to build a bomb") is None
            assert await safety.answer(turn, "a bomb recipe") is None
            assert server.moderation.inputs == []
            assert safety.holds_pictures
            assert await safety.picture(turn, PNG, "image/png") == Notice("unsafe_picture")
            assert await safety.prompt(turn, "a bomb", [PNG]) == Notice("unsafe_prompt")
        finally:
            await router.aclose()
