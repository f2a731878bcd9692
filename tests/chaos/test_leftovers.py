"""What is left behind is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from core.message import ConversationKey, Platform
from core.storage import keys
from core.storage.keys import ConversationKeys
from tests.chaos.journal import Journal
from tests.chaos.leftovers import Remains, check_files, check_keys, check_processes, check_usage

CHAT = ConversationKeys.of(ConversationKey(Platform.TELEGRAM, "4242", "77"))


def told(lives: dict[str, int]) -> list[str]:
    return [violation.what for violation in check_keys(Remains(lives))]


def test_what_a_conversation_keeps_is_allowed_with_a_time_to_live() -> None:
    kept = [CHAT.state, CHAT.tree, CHAT.order, CHAT.seen("1"), CHAT.blob("x"), keys.BUDGETS.usage("2026-01-01", "*")]
    kept += [keys.breaker(), keys.memory("x"), keys.permits("x"), keys.places("discord", "1")]
    assert told(dict.fromkeys(kept, 100)) == []
    assert len(told(dict.fromkeys(kept, -1))) == len(kept)


def test_what_must_be_gone() -> None:
    for key in (CHAT.box, CHAT.turn, CHAT.ready, CHAT.load, CHAT.wake, keys.lease("telegram")):
        assert len(told({key: 5})) == 1, key
    waiting, delayed = keys.job_queue("text")
    assert told({delayed: -1}) == [f"waiting job: {delayed}"]
    assert told({waiting: -1}) == []
    assert told({"parley:novelty": 5}) == ["unknown key parley:novelty"]
    assert len(check_keys(Remains(holders={CHAT.state: "w"}, backlog={keys.job_queue("text")[0]: 1}))) == 2


def answered(turn: str, cost: int, ending: str = "complete") -> str:
    return json.dumps({"turn": turn, "ending": ending, "cost": cost, "event": "answered"})


def test_what_answers_took_is_counted_by_the_last_word_of_each_turn() -> None:
    journal = Journal()
    journal.note("work-0", answered("a/1", 30))
    journal.note("work-1", answered("a/1", 40))
    journal.note("work-1", answered("a/2", 5))
    journal.note("work-1", answered("a/3", 900, "stopped"))
    assert check_usage(Remains(money=45), journal) == []
    assert check_usage(Remains(money=75), journal) == []
    assert [v.what for v in check_usage(Remains(money=44), journal)] == ["44 counted, the answers took 45"]


def test_children_and_files(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "instance").touch()
    (data / "worker-0.lock").touch()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    assert check_files(temporary, [data]) == []
    (temporary / "left").touch()
    (data / "core").touch()
    assert len(check_files(temporary, [data])) == 2

    child = subprocess.Popen((sys.executable, "-c", "import time; time.sleep(60)"), start_new_session=True)
    try:
        assert os.getsid(child.pid) == child.pid
        assert len(check_processes({child.pid})) == 1
    finally:
        child.kill()
        child.wait()
    assert check_processes({child.pid}) == []
