"""The whole default: a real Valkey, a real small model, and a question whose answer needs the message before."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.running import TelegramChat, town, until

GREEDY = """
[[models]]
name = "smollm2-135m"
provider = "local"
window = 4096
temperature = 0.0
small = true
"""


async def test_a_real_model_answers_from_what_was_said_before(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text(GREEDY)
    none = dict.fromkeys(("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "DISCORD_TOKEN"), "")
    # The hub is a closed port: the packaged model it is, without waiting for a name to resolve.
    hub = {"PARLEY__LOCAL__HUB_URL": "http://127.0.0.1:9"}
    async with town(tmp_path, **none, **hub, PARLEY_LOCAL_MODEL="auto") as place:
        await place.parley.start()
        chat = TelegramChat(place, 7)
        chat.say("The secret word is banana.")
        await until(lambda: len(chat.shown) == 1, "the first answer")
        chat.say("Repeat the secret word.")
        await until(lambda: len(chat.shown) == 2, "the second answer")
        assert "banana" in chat.shown[1].lower()
        assert any("Built-in model: smollm2" in line and "parley models get" in line for line in place.parley.lines)
        assert await place.parley.stop() == 0
