"""The engine of small generators: through its server with a model that is made here, and with broken folders."""

from __future__ import annotations

import json
import shutil
from contextlib import aclosing
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from core.errors import ModelError, UnsupportedPrompt
from core.models.catalog import Catalog
from core.models.openai_api import OpenAIApi
from core.models.servers.engines import generators
from core.models.servers.servers import LocalServers
from core.models.servers.work import Draw, EngineError, Pictures, Setup
from core.models.wire import Drawing, ImageRequest
from core.settings import Settings
from tests.core.models.servers.shades import LABELS, make, mean


class Silent:
    def step(self, step: int, steps: int) -> None: ...

    def partial(self, picture: bytes) -> None: ...


async def test_catalog_draws_what_a_generator_knows_and_says_what_it_knows(tmp_path: Path) -> None:
    make(tmp_path / "models" / "shades")
    settings = Settings(data=tmp_path)
    catalog = Catalog.of(settings)
    servers = LocalServers(settings, catalog)
    servers.open()
    model = next(row for row in catalog.of_kind("image") if row.name == "shades")
    api = OpenAIApi(catalog.endpoints("local", "shades")[0])

    async def drawn(request: ImageRequest) -> tuple[bytes, ...]:
        async with aclosing(api.draw(model, request)) as events:
            found = [event async for event in events]
        assert isinstance(found[-1], Drawing)
        return found[-1].pictures

    try:
        nine = await drawn(ImageRequest("a nine", count=2, seed=4))
        zero = await drawn(ImageRequest("零", seed=4))
        assert mean(nine[0]) > mean(zero[0]) + 100
        assert len(nine) == 2
        assert nine == await drawn(ImageRequest("9", count=2, seed=4))
        with Image.open(BytesIO(nine[0])) as picture:
            assert picture.size == (256, 256)
        with pytest.raises(UnsupportedPrompt) as error:
            await drawn(ImageRequest("a castle"))
        assert "7, 8, 9" in str(vars(error.value))
        with pytest.raises(ModelError, match="only draws"):
            await drawn(ImageRequest("7", inputs=(nine[0],), op="edit"))
    finally:
        await api.aclose()
        await servers.aclose()


def test_generator_trained_anew_is_read_anew_and_a_broken_one_is_told(tmp_path: Path) -> None:
    folder = make(tmp_path / "shades")
    engine = generators.open_engine(Setup(tmp_path, {"shades": str(folder)}))
    wish = Draw("shades", "0", seed=1)
    first = engine.work(wish, Silent())
    assert isinstance(first, Pictures)

    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**facts, "labels": LABELS[::-1]}))
    anew = engine.work(wish, Silent())
    assert isinstance(anew, Pictures)
    assert mean(anew.files[0]) > mean(first.files[0]) + 100

    (folder / "model.json").write_text(json.dumps({**facts, "format": 2}))
    with pytest.raises(EngineError, match="update Parley"):
        engine.work(wish, Silent())
    shutil.rmtree(folder)
    with pytest.raises(EngineError, match="cannot be read"):
        engine.work(wish, Silent())
