"""What failed for good, from the refusal in one chat to the owner's retry in another."""

from __future__ import annotations

from pathlib import Path

from core.storage.client import Store
from tests.end_to_end.conftest import village
from tests.end_to_end.running import until
from tests.platforms.openai_server import Fault


async def test_the_owner_sees_what_failed_and_has_it_answered_after_all(
    store: Store, valkey_url: str, tmp_path: Path
) -> None:
    async with village(store, valkey_url, tmp_path, PARLEY_OWNERS="telegram:77") as place:
        owner, member, stranger = place.telegram_chat(77), place.telegram_chat(78), place.telegram_chat(79)
        place.models.reply = lambda body: f"<{str(body['messages'][-1]['content']).rpartition('UTC)')[2].strip()}>"
        place.models.fail(Fault.SERVER_ERROR, times=3)
        member.say("How tall is it?")
        await until(lambda: any("No model can answer" in text for text in member.shown), "the refusal")
        stranger.say("/admin failed")
        await until(lambda: len(stranger.shown) == 1, "an answer to the stranger")
        assert "How tall" not in stranger.shown[0]
        owner.say("/admin failed")
        await until(lambda: any("How tall is it?" in text for text in owner.shown), "the list")
        assert "model" in owner.shown[0]
        owner.say("/admin retry all")
        await until(lambda: "<How tall is it?>" in member.shown, "the answer after all")
        owner.say("/admin failed")
        await until(lambda: "Nothing has failed: there are no dead letters." in owner.shown, "an empty list")
