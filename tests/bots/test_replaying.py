"""``parley moderation replay``."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bots.replaying import exported, replayed
from core.errors import SettingsError
from core.message import Author, ConversationKey, Platform, Sighting
from core.moderation.cases import Case, CaseKind
from core.moderation.classify import Classifier
from core.moderation.replay import past, replay
from core.moderation.rulebook import RuleBook, RuleBooks
from core.moderation.rules import RuleSet
from core.people.identity import People
from core.people.spaces import SpaceSettings
from core.settings import Settings, StorageSettings
from core.storage.cases import Cases
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


async def test_a_book_is_written_a_line_a_case(store: Store, settings: Settings) -> None:
    cases = Cases(store, keep_days=1)
    for kind, key in ((CaseKind.WARN, "1"), (CaseKind.REPORT, "2")):
        await cases.make(SPACE, Case(kind, "7", "Ann", "2", "Mo", "rude", time.time()), key)
    second, first = map(json.loads, (await exported(settings, SPACE)).splitlines())
    assert (first["number"], first["reason"], first["actor"]) == (1, "rude", "2")
    assert (second["kind"], "actor" in second, "actor_name" in second) == ("report", False, False)
    with pytest.raises(SettingsError, match="has no cases"):
        await exported(settings, "discord:1:6")


async def test_the_past_is_looked_at_as_the_rules_knew_it_then(store: Store) -> None:
    watched, people, now = Watched(store), People(store), time.time()
    settings = SpaceSettings(roles={"discord:8": "moderator"})

    def said(id: int, who: str, ago: float) -> Sighting:
        return Sighting(HERE, str(id), f"u{id}", Author(who, who), "hi", now - ago, "5")

    rows = [said(1, "7", 900), said(2, "7", 90), said(3, "8", 80), said(4, "7", 70), said(4, "7", 70), said(5, "9", 60)]
    await watched.keep([(SPACE, one) for one in rows])
    known = await past(watched, people, settings, SPACE, now - 100)
    assert [(one.id, one.is_staff) for one in known.said] == [("2", False), ("3", True), ("4", False), ("5", False)]
    assert known.before["7"] >= 1, "what is told twice counts twice, until now"
    assert known.before["9"] == 0
    newest = await past(watched, people, settings, SPACE, 0.0, 2)
    assert [one.id for one in newest.said] == ["4", "5"]
    rules = RuleSet.parse('[[rule]]\nname = "first"\nwords = "hi"\nfirst_messages = 1')
    done = await replay(rules, known, space=SPACE, classifier=Classifier.load())
    assert dict(done.rules["first"].people) == {"9": 1}


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
