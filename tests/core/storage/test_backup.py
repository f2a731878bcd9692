"""A backup of a store in use, put back into another real server."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from inspect import isclass, isfunction
from pathlib import Path
from typing import Any

import pytest

from bots.backup import restore, save
from core.conversation.history import Answer, History, Mode, Question
from core.conversation.mailbox import Admission, Mailbox
from core.errors import SettingsError
from core.knowledge.passages import Passages
from core.knowledge.settings import KnowledgeSettings
from core.message import ConversationKey, Platform
from core.moderation.cases import Case, CaseKind
from core.parts import Ending
from core.people.identity import Fact, People
from core.people.spaces import Spaces
from core.settings import Settings, StorageSettings
from core.storage import backup, key_check, keys, schema, web_keys
from core.storage.backup_file import BackupError, verify
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer
from core.storage.key_table import KINDS, UnknownKeyError, known
from core.storage.keys import ConversationKeys
from core.storage.records import Change
from core.storage.sealing import Sealing, new_key
from tests.builders import conversation, message
from tests.core.knowledge.rooms import HOUSE, draft

IN_A_TOPIC = ConversationKey(Platform.TELEGRAM, "1", "2", "3")
Snapshot = dict[str, tuple[str, tuple[str, ...]]]


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Store]:
    """Another real server, an empty one."""
    folder = tmp_path / "other"
    folder.mkdir()
    async with EmbeddedServer(folder) as url:
        store = Store(url)
        yield store
        await store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "parley.backup"


def settings_of(store: Store, url: str) -> Settings:
    return Settings(storage=StorageSettings(redis_url=url))


async def snapshot(store: Store) -> Snapshot:
    """All that is to be kept, by key; what stands in no order sorted."""
    found: Snapshot = {}
    async for unit in backup.read(store):
        for row in unit:
            values = row.values
            if row.type in ("hash", "set"):
                step = 2 if row.type == "hash" else 1
                values = tuple(
                    v for i in sorted(values[at : at + step] for at in range(0, len(values), step)) for v in i
                )
            if row.type != "none":
                found[row.key] = row.type, values
    return found


async def talk(store: Store, chat: str, *texts: str, waiting: str = "") -> None:
    """Questions and their answers, and perhaps one that waits."""
    mailbox, history = (
        Mailbox(store, "w", Admission(1000, 1000), keep_days=30),
        History(store, keep_days=30, max_messages=1000),
    )
    for text in texts:
        asked = message(text, chat=chat)
        await mailbox.post([asked])
        turn = await mailbox.take(conversation(chat))
        assert turn is not None
        path = await history.path(turn, Mode.ASK, Question.of(asked), id=asked.id, reply_to="", window=10_000)
        assert path is not None
        turn.question, turn.pages = path.question, {0: f"a{asked.id}"}
        await mailbox.finish(turn, Answer(f"re:{text}", (f"a{asked.id}",), Ending.COMPLETE).to_payload(), 5)
    if waiting:
        await mailbox.post([message(waiting, chat=chat)])


async def furnish(store: Store) -> None:
    """Something of many kinds."""
    await talk(store, "1", "my name is Ada", "ünïcode 漢字 \t and\nlines", waiting="am I remembered?")
    await talk(store, "2", *(f"question {number}" for number in range(5)))
    people, spaces = People(store), Spaces(store)
    await people.change("telegram:7", lambda p: p.model_copy(update={"facts": (Fact(text="likes tea"),)}))
    await spaces.change("telegram:1:-5", lambda s: s.model_copy(update={"model": "stub"}))
    await Cases(store, keep_days=9).make("telegram:1:-5", Case(CaseKind.WARN, "7", "Ada", "9", "Bo", "loud", 5.0), "k1")
    redis = store.redis
    await redis.set(web_keys.secret(), "s", ex=1000)
    await redis.hset(web_keys.messages("u", "c"), mapping={"#": "1", "m": "1 {}"})
    await redis.zadd(web_keys.order("u", "c"), {"m": 0})
    await redis.set(keys.memory("menu"), "digest", ex=5000)
    await redis.set(keys.lease("telegram:1:poller"), "w", ex=60)
    await redis.set(keys.recently("x"), "1", ex=60)
    await redis.hset(keys.fleet("discord:1"), "number", "3")
    await schema.check(store)


async def test_a_restored_store_is_the_same_but_for_leases_and_heartbeats(
    store: Store, other: Store, valkey_url: str, file: Path
) -> None:
    await furnish(store)
    before = await snapshot(store)
    await save(settings_of(store, valkey_url), file, lambda _: None)
    await restore(settings_of(other, f"unix://{other.address.path}"), file, lambda _: None)
    after = await snapshot(other)
    state = keys.ConversationKeys.of(conversation("1")).state
    for name in [name for name in before if ":state:" in name]:
        # Nobody holds it there.
        fields = dict(zip(before[name][1][::2], before[name][1][1::2], strict=True))
        left = {f: v for f, v in sorted(fields.items()) if f not in ("holder", "try")}
        before[name] = "hash", tuple(v for pair in left.items() for v in pair)
    assert state in before
    assert after == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    left = [await one.redis.pttl(keys.memory("menu")) for one in (store, other)]
    assert 0 < left[1] <= 5_000_000
    assert abs(left[0] - left[1]) < 60_000
    assert not await other.redis.exists(keys.lease("telegram:1:poller"), keys.recently("x"), keys.fleet("discord:1"))
    assert not await other.redis.exists(keys.restoring())
    # And into a server of the first one's kind, be it a cluster.
    await store.redis.flushall()
    await restore(settings_of(store, valkey_url), file, lambda _: None)
    assert await snapshot(store) == before


async def test_a_conversation_goes_on_where_it_was_restored(
    store: Store, other: Store, valkey_url: str, file: Path
) -> None:
    await furnish(store)
    await save(settings_of(store, valkey_url), file, lambda _: None)
    await restore(settings_of(other, f"unix://{other.address.path}"), file, lambda _: None)
    mailbox, history = (
        Mailbox(other, "another", Admission(), keep_days=30),
        History(other, keep_days=30, max_messages=100),
    )
    turn = await mailbox.take(conversation("1"))
    assert turn is not None
    assert turn.takeovers == 0
    assert turn.incoming.update
    asked = turn.incoming
    path = await history.path(turn, Mode.ASK, Question("x", "Ada", 1), id=asked.id, reply_to="", window=10_000)
    assert path is not None
    assert [node.said.text for node in path.nodes][:2] == ["my name is Ada", "re:my name is Ada"]
    # What was delivered before is known there, too.
    assert [str(p) for p in await mailbox.post([replace(message(chat="1"), update=asked.update)])] == ["seen"]
    assert await other.redis.hget(keys.load(keys.ConversationKeys.of(conversation("1")).partition), "") is None


async def test_while_it_is_written_to_each_conversation_is_of_one_moment(
    store: Store, other: Store, valkey_url: str, file: Path
) -> None:
    people = People(store)
    stop = False

    async def write(chat: str) -> None:
        number = 0
        while not stop:
            number += 1
            await talk(store, chat, f"{number}")

    async def link() -> None:
        number = 0
        while not stop:
            # Two records that are changed together or not at all.
            number += 1
            pair = [await people.records.fresh(id) for id in ("telegram:a", "telegram:b")]
            fact = (Fact(text=str(number)),)
            await people.records.write([Change(k, k.value.model_copy(update={"facts": fact})) for k in pair])

    await talk(store, "0", *(str(n) for n in range(3)))
    writers = [asyncio.create_task(w) for w in (*(write(str(n)) for n in range(1, 7)), link())]
    await asyncio.sleep(0.3)
    await save(settings_of(store, valkey_url), file, lambda _: None)
    stop = True
    await asyncio.gather(*writers)
    await restore(settings_of(other, f"unix://{other.address.path}"), file, lambda _: None)
    for chat in map(str, range(1, 7)):
        names = keys.ConversationKeys.of(conversation(chat))
        tree: dict[str, str] = await other.redis.hgetall(names.tree)
        order: list[str] = await other.redis.zrange(names.order, 0, -1)
        nodes = {id for id in tree if not id.startswith(("@", "~"))}
        assert nodes == set(order)
        newest = await other.redis.hget(names.state, "newest")
        assert newest in nodes
        # An answer with its question, and at most one question whose answer is still open.
        assert len(nodes) % 2 == 0 or await other.redis.exists(names.turn)
    texts = [await People(other).of(account) for account in ("telegram:a", "telegram:b")]
    assert texts[0].facts == texts[1].facts
    assert texts[0].facts


async def test_documents_that_are_learned_meanwhile_are_there_with_their_texts_or_not_at_all(store: Store) -> None:
    known = Passages(store, KnowledgeSettings())
    await known.add(HOUSE, draft("first.txt", "Dogs are welcome."))
    named, there = set[str](), set[str]()
    async for unit in backup.read(store):
        for row in unit:
            if row.key == keys.record("documents", HOUSE):
                entries = json.loads(dict(zip(row.values[::2], row.values[1::2], strict=True))["json"])["entries"]
                named = {entry["id"] for entry in entries}
            elif row.key.startswith("parley:documents:"):
                there.add(row.key.rpartition(":")[2])
        if len(await known.list(HOUSE)) == 1 and there:
            await known.add(HOUSE, draft("second.txt", "Bikes are not."))
    assert named
    assert named <= there


async def test_only_an_empty_store_is_filled(store: Store, other: Store, valkey_url: str, file: Path) -> None:
    await furnish(store)
    here = settings_of(store, valkey_url)
    await save(here, file, lambda _: None)
    before = await snapshot(store)
    with pytest.raises(BackupError, match="not empty"):
        await restore(here, file, lambda _: None)
    assert await snapshot(store) == before
    with pytest.raises(BackupError, match="is there already"):
        await save(here, file, lambda _: None)


async def test_a_store_that_was_only_looked_at_is_empty(
    store: Store, other: Store, valkey_url: str, file: Path
) -> None:
    await talk(store, "1", "a")
    await save(settings_of(store, valkey_url), file, lambda _: None)
    # `parley doctor` does that.
    assert await key_check.check(other, Sealing.of(Settings.model_validate({"keys": new_key()}))) == ""
    await restore(settings_of(other, f"unix://{other.address.path}"), file, lambda _: None)
    assert set(await snapshot(store)) <= set(await snapshot(other))


async def test_a_restore_that_broke_off_is_done_again_before_anything_starts(
    store: Store, other: Store, valkey_url: str, file: Path
) -> None:
    await furnish(store)
    summary = await save(settings_of(store, valkey_url), file, lambda _: None)
    await other.redis.set(keys.restoring(), summary.digest)
    await other.redis.set(keys.memory("menu"), "half")
    with pytest.raises(SettingsError, match="parley restore"):
        await schema.check(other)
    there = settings_of(other, f"unix://{other.address.path}")
    await restore(there, file, lambda _: None)
    assert await other.redis.get(keys.memory("menu")) == "digest"
    await schema.check(other)
    await other.redis.flushall()
    await other.redis.set(keys.restoring(), "of another file")
    with pytest.raises(BackupError, match="Another backup"):
        await restore(there, file, lambda _: None)


def lines_of(file: Path) -> list[bytes]:
    return gzip.decompress(file.read_bytes()).splitlines(keepends=True)


def header_with(lines: list[bytes], **values: Any) -> list[bytes]:
    header = json.loads(lines[0])
    header["parley-backup"] |= values
    return [json.dumps(header).encode() + b"\n", *lines[1:]]


CHANGES: list[tuple[Callable[[list[bytes]], list[bytes]], str]] = [
    (lambda lines: lines[:-1], "not whole"),
    (lambda lines: [*lines[:2], *lines[3:]], "damaged"),
    (lambda lines: [lines[0], lines[1].replace(b'"', b"'", 1), *lines[2:]], "damaged"),
    (lambda lines: header_with(lines, schema=99, program="Parley 9"), "Parley 9, which is newer"),
    (lambda lines: header_with(lines, format=2), "newer"),
    (lambda lines: [lines[0], b'[["parley:lease:x","string",-1,["w"]]]\n', lines[-1]], "none that a backup holds"),
    (lambda lines: [lines[0], b'[["elsewhere","string",-1,["w"]]]\n', lines[-1]], "none that this program knows"),
    (lambda lines: [lines[0], b'[["parley:moves","hash",-1,["w"]]]\n', lines[-1]], "a row is damaged"),
    (lambda lines: [b"hello\n"], "no backup"),
]
"""What becomes of a file, and what is said of it."""


@pytest.mark.parametrize(("change", "told"), CHANGES)
async def test_a_file_that_is_not_whole_and_ours_is_refused_before_anything_is_written(
    store: Store, other: Store, valkey_url: str, file: Path, change: Any, told: str
) -> None:
    await talk(store, "1", "a")
    await save(settings_of(store, valkey_url), file, lambda _: None)
    file.write_bytes(gzip.compress(b"".join(change(lines_of(file)))))
    with pytest.raises(BackupError, match=told):
        await restore(settings_of(other, f"unix://{other.address.path}"), file, lambda _: None)
    assert await other.redis.dbsize() == 0


async def test_the_embedded_store_is_opened_for_as_long_as_it_is_needed(tmp_path: Path, file: Path) -> None:
    here, there = Settings(data=tmp_path / "here"), Settings(data=tmp_path / "there")
    async with EmbeddedServer(here.data) as url:
        store = Store(url)
        await talk(store, "1", "a")
        await store.close()
    said: list[str] = []
    await save(here, file, said.append)
    await restore(there, file, said.append)
    assert str(file) in said[0]
    async with EmbeddedServer(there.data) as url:
        store = Store(url)
        assert len(await store.redis.hgetall(ConversationKeys.of(conversation("1")).tree)) == 3
        await store.close()


async def test_a_disk_that_knows_no_second_names_will_do(
    store: Store, valkey_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    await talk(store, "1", "a")
    monkeypatch.setattr("os.link", refuse)
    await save(settings_of(store, valkey_url), file, lambda _: None)
    assert verify(file).units
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(file.name)] == [file.name]
    with pytest.raises(BackupError, match="is there already"):
        await save(settings_of(store, valkey_url), file, lambda _: None)


@pytest.mark.parametrize("at", [0, 10, 40])
async def test_a_file_with_spoilt_bytes_is_refused(
    store: Store, other: Store, valkey_url: str, file: Path, at: int
) -> None:
    await talk(store, "1", "a" * 5000)
    await save(settings_of(store, valkey_url), file, lambda _: None)
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    data[at + 1] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(BackupError):
        await restore(settings_of(other, f"unix://{other.address.path}"), file, lambda _: None)
    assert await other.redis.dbsize() == 0


async def test_a_file_cut_short_is_refused(store: Store, other: Store, valkey_url: str, file: Path) -> None:
    await talk(store, "1", "a" * 5000)
    await save(settings_of(store, valkey_url), file, lambda _: None)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BackupError, match=r"not whole|cannot be read"):
        await restore(settings_of(other, f"unix://{other.address.path}"), file, lambda _: None)
    with pytest.raises(BackupError, match="is not there"):
        await restore(settings_of(other, f"unix://{other.address.path}"), file.with_name("none"), lambda _: None)
    assert await other.redis.dbsize() == 0


def called(made: Any) -> str:
    """A key of a function that gives one, with any words for its arguments; empty where it gives something else."""
    kinds = dict(made.__annotations__)
    gives_text = kinds.pop("return", "str") == "str"
    words = {"str": "x", "int": 7}
    if not gives_text or any(kind not in words for kind in kinds.values()):
        return ""
    return str(made(*("2026-01-02" if name == "day" else words[kind] for name, kind in kinds.items())))


def written_down() -> list[str]:
    """One key of every form in the modules of keys."""
    names = [keys.CaseKeys("discord:1:2").of("5")]
    for module in (keys, web_keys):
        for made in list(vars(module).values()):
            if getattr(made, "__module__", "") != module.__name__:
                continue
            if isfunction(made):
                names.append(called(made))
            elif isclass(made):
                factory: Any = made
                blank: Any = ConversationKeys.of(IN_A_TOPIC) if made is ConversationKeys else None
                blank = blank or (factory() if made is keys.BudgetKeys else factory("discord:1:2"))
                attributes = [getattr(blank, name) for name in dir(blank) if not name.startswith("_") and name != "of"]
                names += [
                    one if isinstance(one, str) else called(one) for one in attributes if not isinstance(one, int)
                ]
    return sorted({name for name in names if name.startswith(("parley:", "streaq:")) and not name.endswith(":")})


async def test_every_key_that_is_written_down_has_its_row() -> None:
    names = written_down()
    assert len(names) > 60
    unknown: list[str] = []
    for name in names:
        try:
            known(name)
        except UnknownKeyError:
            unknown.append(name)
    assert unknown == []
    # No row is hidden by one before it.
    for kind in KINDS:
        sample = kind.form.replace("<p>", "0a").replace("<day>", "2026-01-02").replace("<", "").replace(">", "")
        assert known(sample).kind.form == kind.form
