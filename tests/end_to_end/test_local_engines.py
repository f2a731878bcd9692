"""A whole Parley with a small model of its own and no hosted one for pictures."""

from __future__ import annotations

from pathlib import Path

from core.storage.client import Store
from tests.core.models.servers.shades import make
from tests.end_to_end.conftest import village
from tests.end_to_end.running import until


async def test_a_small_model_draws_and_says_what_it_can_draw(store: Store, valkey_url: str, tmp_path: Path) -> None:
    make(tmp_path / "data" / "models" / "shades")
    others = {f"PARLEY__ENGINES__{name}": "none" for name in ("IMAGES", "UPSCALING", "CUTOUT", "EMBEDDINGS")}
    async with village(store, valkey_url, tmp_path, **others, PARLEY__ENGINES__ON="true", DISCORD_TOKEN="") as place:
        world = place.telegram.world
        world.text(77, "/imagine model:shades a nine")
        await until(lambda: any("photo" in post.media for post in world.shown(77)), "a picture")
        assert "shades" in world.texts(77)[0]
        world.text(77, "/imagine model:shades a castle")
        await until(lambda: any("7, 8, 9" in text for text in world.texts(77)), "what it can draw")
