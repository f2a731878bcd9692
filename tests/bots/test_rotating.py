"""`parley keys`: a new key, and everything sealed anew by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bots.__main__ import app
from bots.rotating import rotate_keys
from core.conversation.history import History
from core.errors import SettingsError
from core.loading import load
from core.settings import Settings
from core.storage import key_check, schema
from core.storage.client import Store
from core.storage.sealing import Sealing, new_key, parse_keys
from core.storage.texts import Texts
from tests.builders import conversation


def settings(url: str, keys: str) -> Settings:
    return Settings.model_validate({"keys": keys, "storage": {"redis_url": url, "encrypt": bool(keys)}})


def test_a_new_key_is_one_that_the_settings_take() -> None:
    printed = CliRunner().invoke(app, ["keys", "new"]).output.strip()
    assert len(parse_keys(printed)) == 1


async def test_everything_is_sealed_anew_and_the_old_key_may_go(store: Store, valkey_url: str) -> None:
    old, new = new_key(), new_key()
    await schema.check(store)
    before = Store(valkey_url, Texts.of(settings(valkey_url, old)))
    await key_check.tell(before)
    await History(before, keep_days=1, max_messages=9).put_image(conversation(), "d", "picture")
    await before.close()
    told: list[str] = []
    await rotate_keys(settings(valkey_url, new), told.append)
    assert told[1].startswith("No key of PARLEY_KEYS opens 1 texts")
    told.clear()
    await rotate_keys(settings(valkey_url, f"{new},{old}"), told.append)
    assert told[0] == "Sealed anew: 1 texts, the keys of 0 people."
    assert told[1].startswith("Nothing needs the older keys")
    after = Store(valkey_url, Texts.of(settings(valkey_url, new)))
    assert await History(after, keep_days=1, max_messages=9).get_images(conversation(), ["d"]) == ["picture"]
    assert await key_check.check(after, Sealing(parse_keys(new))) == ""
    await after.close()


async def test_without_a_key_there_is_nothing_to_seal_with(valkey_url: str) -> None:
    with pytest.raises(SettingsError, match="PARLEY_KEYS is not set"):
        await rotate_keys(settings(valkey_url, ""), print)


def test_encryption_without_a_key_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^PARLEY_KEYS is not set: storage\.encrypt needs a key"):
        load(tmp_path, {"PARLEY__STORAGE__ENCRYPT": "true"})
    with pytest.raises(SettingsError, match="PARLEY_KEYS is wrong: found a value that is not shown here") as caught:
        load(tmp_path, {"PARLEY_KEYS": "k1:sosecret"})
    assert "sosecret" not in str(caught.value)
