"""``parley moderation replay``."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bots.replaying import replayed
from core.errors import SettingsError
from core.message import Author, ConversationKey, Platform, Sighting
from core.moderation.rulebook import RuleBook, RuleBooks
from core.settings import Settings, StorageSettings
from core.storage.client import Store
from core.storage.watched import Watched

SPACE = "discord:1:5"
HERE = ConversationKey(Platform.DISCORD, "1", "55")
RULES = '[[rule]]\nname = "pears"\nwords = ["pears"]\nban = true\n'


@pytest.fixture
def settings(valkey_url: str) -> Settings:
    return Settings(storage=StorageSettings(redis_url=valkey_url))


async def heard(store: Store, *texts: str, space: str = SPACE, ago: float = 0.0) -> None:
    said = [
        (space, Sighting(HERE, str(n), f"u{n}", Author("7", "Ann"), text, time.time() - ago, "5"))
        for n, text in enumerate(texts)
    ]
    await Watched(store).keep(said)


async def test_a_changed_rule_is_tried_on_what_was_said(store: Store, settings: Settings, tmp_path: Path) -> None:
    file, told = tmp_path / "rules.toml", list[str]()
    file.write_text(RULES, "utf-8")
    await heard(store, "pears", "plums", "PEARS!")
    await replayed(settings, file, "2d", "", told.append)
    assert "Of 3 messages of the last 2 days, something would have followed from 2 of them" in told[0]
    assert "`pears`: 2 hits: `Ann` (2)" in told[0]
    await RuleBooks(store).change(SPACE, lambda _: RuleBook(text=RULES.replace('["pears"]', '["plums"]')))
    await replayed(settings, None, "7d", SPACE, told.append)
    assert "`pears`: 1 hit" in told[1]


async def test_what_is_wrong_is_one_sentence_each(store: Store, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("[[rule]]\nname='x'\nwrods=['a']", "utf-8")
    for rule, since, space, wanted in (
        (None, "soon", "", "--since is wrong"),
        (None, "forever", "", "--since is wrong"),
        (tmp_path / "none.toml", "7d", "", "cannot be read"),
        (file, "7d", "", "words"),
        (None, "7d", "", "There are: none"),
    ):
        with pytest.raises(SettingsError, match=wanted):
            await replayed(settings, rule, since, space, print)
    await heard(store, "a")
    await heard(store, "b", space="discord:1:6")
    for space, wanted in (("", "discord:1:5, discord:1:6"), ("discord:1:7", "discord:1:5"), (SPACE, "no rules")):
        with pytest.raises(SettingsError, match=wanted):
            await replayed(settings, None, "7d", space, print)
