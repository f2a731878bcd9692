"""What is kept about a person: counted, handed over, erased, and nothing of anybody else."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.conversation.overheard import Overheard
from core.conversation.turn import Turn
from core.errors import StorageError
from core.knowledge.documents import Draft, Passage, person_scope, space_scope
from core.knowledge.open_questions import Asker
from core.knowledge.passages import Passages
from core.message import CommandCall, ConversationKey, Platform
from core.moderation.cases import Case, CaseKind
from core.people import tidying
from core.people.erasing import Erasures, Receipt
from core.people.export import PART_BYTES, Archives
from core.people.identity import Fact, Person
from core.people.limits import Limits
from core.people.linking import Issued, Outcome
from core.people.privacy import File, Privacy, Subject, safe_name
from core.people.sources import privacy
from core.people.spaces import Allowance, space_id
from core.settings import ChatSettings, Settings
from core.storage import keys
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.orders import Orders
from core.storage.sealing import Sealing
from core.storage.texts import Texts
from core.texts import say
from tests.builders import call, message
from tests.core.people.everything import ADA, BOB, GROUP, Human, World, dump

LANGUAGES = ("en", "zh_Hans")


@pytest.fixture
async def world(store: Store) -> World:
    world = World(store)
    await world.use(ADA, BOB)
    await world.use(BOB, ADA)
    return world


@pytest.fixture
async def sealing(store: Store, valkey_url: str) -> AsyncIterator[Store]:
    """The same store, with all texts sealed."""
    key = "k1:" + base64.urlsafe_b64encode(bytes(32)).decode()
    sealing = Store(valkey_url, Texts(Sealing.of(Settings.model_validate({"keys": key})), seals=True))
    yield sealing
    await sealing.close()


def asking(who: Human) -> CommandCall:
    return call("privacy", conversation=who.chat, author=who.telegram)


async def erased(world: World, who: Human, code: str = "") -> Receipt | None:
    erasures = Erasures(world.community, world.history)
    person = await world.community.people.of(who.id)
    return await erasures.run(code or await erasures.ask(who.id), asking(who), person, who.id)


async def settled(world: World) -> None:
    """When the last traces are gone as well, and the month is over."""
    later = time.time() + 32 * 86400
    await tidying.tidy(world.store, world.community.spaces, 30, later)


async def test_what_is_erased_is_found_nowhere_and_the_others_stay_whole(world: World) -> None:
    before = await dump(world.store)
    assert all(mark in before for who in (ADA, BOB) for mark in who.marks)
    receipt = await erased(world, ADA)
    assert receipt is not None
    assert dict(receipt.counts) == {
        "messages": 8,
        "letters": 2,
        "votes": 5,
        "web": 1,
        "creations": 4,
        "cases": 3,
        "appeals": 1,
        "watched": 1,
        "questions": 1,
        "documents": 1,
        "roles": 2,
        "changes": 2,
        "personas": 1,
        "usage": 1,
        "profile": 3,
    }
    assert not receipt.still_barred
    await settled(world)
    after = await dump(world.store)
    assert [line for line in after.splitlines() if any(mark in line for mark in ADA.marks)] == []
    # Of the other all is there but what she had quoted of him, and a summary that may have held words of hers.
    lost = {mark: before.count(mark) - after.count(mark) for mark in BOB.marks}
    assert lost == {
        **dict.fromkeys(BOB.marks, 0),
        BOB.telegram.id: 1,
        BOB.discord.id: 1,
        BOB.telegram.name: 2,
        BOB.word: 3,
    }


async def test_every_source_has_a_sentence(world: World) -> None:
    what, _ = await privacy(world.community, world.history)
    names = [source.name for source in what.sources]
    assert len(set(names)) == len(names)
    assert all(
        "7" in say(f"privacy.{name}", language, count=7) for name in names if name != "traces" for language in LANGUAGES
    )


@pytest.mark.parametrize("calls", [12, 60, 110, 150, 170])
async def test_what_was_broken_off_is_gone_on_with_and_told_alike(
    world: World, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await Erasures(world.community, world.history).ask(ADA.id)
    attempt, left = world.store.attempt, [calls]

    async def cut(work: Any, *patience: float) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise StorageError("the process died")
        return await attempt(work, *patience)

    monkeypatch.setattr(world.store, "attempt", cut)
    with pytest.raises(StorageError, match="the process died"):
        await erased(world, ADA, code)
    monkeypatch.undo()
    # Another process takes over, with nothing in memory.
    again = World(world.store)
    first = await erased(again, ADA, code)
    assert first is not None
    assert first == await erased(again, ADA, code)
    assert first.counts["messages"] == 8
    await settled(again)
    assert not [mark for mark in ADA.marks if mark in await dump(world.store)]


async def test_a_code_is_for_whoever_asked_and_for_a_while(world: World) -> None:
    code = await Erasures(world.community, world.history).ask(ADA.id)
    before = await dump(world.store)
    assert await erased(world, BOB, code) is None
    for forged in ("-", "0" * 12, code[:-1], "x" * 10_000, "é", "*"):
        assert await erased(world, ADA, forged) is None
    assert await dump(world.store) == before
    keys_of_codes = [key async for key in world.store.redis.scan_iter(match=keys.erasure("*"))]
    assert [0 < await world.store.redis.ttl(key) <= 600 for key in keys_of_codes] == [True]
    # Neither the code nor whose it is can be read there.
    assert code not in before
    assert ADA.id not in str(await world.store.redis.hgetall(keys_of_codes[0]))


async def test_who_is_shut_out_stays_so_under_all_accounts(world: World) -> None:
    people = world.community.people
    await people.change(ADA.id, lambda person: person.model_copy(update={"blocked": "spam"}))
    receipt = await erased(world, ADA)
    assert receipt is not None
    assert receipt.still_barred
    for account in ADA.accounts:
        person = (await people.of(account)) if account else None
        assert person is not None
        assert (person.blocked, person.facts, person.keys) == ("spam", (), {})
    assert ADA.word not in await dump(world.store, prefix="parley:{people}")


async def test_who_is_shut_out_of_one_community_stays_so(world: World) -> None:
    def block(now: Any) -> Any:
        return now.model_copy(update={"roles": {**now.roles, ADA.id: "blocked"}})

    await world.community.spaces.change("discord:2:900", block)
    receipt = await erased(world, ADA)
    assert receipt is not None
    assert receipt.still_barred
    settings = (await world.community.spaces.records.fresh("discord:2:900")).value
    assert settings.roles == {ADA.id: "blocked", BOB.id: "moderator"}
    assert [grant.who for grant in settings.grants] == [f"person:{BOB.id}"]
    # The role goes by the person, whom another account of theirs still is.
    assert (await world.community.people.of(ADA.accounts[1])).id == ADA.id


async def test_what_the_owner_or_a_community_let_them_do_less_stays(world: World) -> None:
    less = Allowance(day_money=0)
    await world.community.people.change(ADA.id, lambda person: person.model_copy(update={"allowance": less}))

    def demote(now: Any) -> Any:
        return now.model_copy(update={"roles": {**now.roles, ADA.id: "member"}})

    await world.community.spaces.change("discord:2:900", demote)
    receipt = await erased(world, ADA)
    assert receipt is not None
    assert receipt.still_barred
    assert receipt.counts["roles"] == 1  # the right that was given
    for account in ADA.accounts:
        person = await world.community.people.of(account)
        assert (person.allowance, person.facts) == (less, ())
    settings = (await world.community.spaces.records.fresh("discord:2:900")).value
    assert settings.roles == {ADA.id: "member", BOB.id: "moderator"}


async def test_no_limit_begins_anew_by_it(world: World) -> None:
    limits = Limits(world.store, ChatSettings(person_limit="1/hour"))
    first, second = (
        Turn(ADA.chat, number, number, message("hello", conversation=ADA.chat, author=ADA.telegram))
        for number in ("1001", "1002")
    )
    assert await limits.count(first) is None
    cases = Cases(world.store, keep_days=30)
    report = Case(CaseKind.REPORT, "5", "Eve", ADA.telegram.id, ADA.telegram.name, "rude", time.time())
    assert await cases.make("telegram:1:-500", report, "one", most=2)
    assert await erased(world, ADA) is not None
    assert await limits.count(second) is not None
    assert await cases.make("telegram:1:-500", report, "two", most=2) == 0


async def test_a_code_is_not_good_for_what_came_after(world: World) -> None:
    code = await Erasures(world.community, world.history).ask(ADA.id)
    first = await erased(world, ADA, code)
    await world.ask(message("a new beginning", conversation=ADA.chat, author=ADA.telegram), "indeed")
    assert await erased(world, ADA, code) == first
    assert len([node async for node in world.history.all(ADA.chat)]) == 2


async def test_a_channel_in_which_only_they_were_heard_keeps_what_was_chosen_for_it(store: Store) -> None:
    world = World(store)
    place = ConversationKey(Platform.DISCORD, "2", "901")
    await world.community.people.records.change(ADA.id, lambda _: Person(id=ADA.id, accounts=ADA.accounts))
    await world.history.choose(place, "model", "m")
    beside = message(f"my {ADA.word}", conversation=place, author=ADA.discord, private=False, space="55")
    await Overheard(store).keep([beside])
    assert await erased(world, ADA) is not None
    await settled(world)
    assert (await world.history.preferences(place)).model == "m"
    assert ADA.word not in await dump(store)


async def test_who_goes_on_to_talk_keeps_what_is_new(world: World) -> None:
    assert await erased(world, ADA) is not None
    await world.ask(message("a new beginning", conversation=ADA.chat, author=ADA.telegram), "indeed")
    await settled(world)
    told = [node.said.text async for node in world.history.all(ADA.chat)]
    assert sorted(told) == ["a new beginning", "indeed"]


# ---- handed over


async def exported(world: World, who: Human) -> dict[str, bytes]:
    what, _ = await privacy(world.community, world.history)
    subject = Subject.of(await world.community.people.of(who.id), who.id)
    (data,) = [part async for part in Archives("en").of(what, subject)]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_an_export_has_all_of_theirs_and_nothing_of_others(world: World) -> None:
    files = await exported(world, ADA)
    text = "\n".join(f"{name}\n{data.decode('utf-8', 'replace')}" for name, data in files.items())
    # A report of hers about him is hers, without him; the same holds for what she quoted in a group.
    assert [mark for mark in BOB.marks if mark in text] == []
    assert "Mod" not in text
    assert f"sealed-{ADA.word}" not in text
    group = json.loads(files[f"conversations/{safe_name(str(GROUP))}.json"])
    assert [(one["text"], [a["text"] for a in one["answers"]]) for one in group["messages"]] == [
        (f"my {ADA.word}?", [f"your {ADA.word}!"]),
        ("what is it?", ["something"]),
    ]
    picture = group["messages"][0]["pictures"][0]
    assert files[picture] == b"\x89PNG" + ADA.word.encode()
    assert json.loads(files["person.json"])["facts"][0]["text"] == f"likes {ADA.word}"
    assert json.loads(files["person.json"])["keys"] == ["openai"]
    assert json.loads(files["usage.json"])[time.strftime("%Y-%m-%d", time.gmtime())]["m"]["money"] == 3
    assert json.loads(files["changes.json"])[0]["changed"] == ["grants", "keep_days", "roles"]
    assert files[f"documents/1-On-{ADA.word}.txt"] == f"all of {ADA.word}".encode()
    taught = json.loads(files["documents.json"])
    assert {one["title"] for one in taught} == {f"On {ADA.word}", "Rules"}
    assert json.loads(files["appeals.json"])[0]["text"] == f"unfair {ADA.word}"
    expected = {"README.txt", "cases.json", "votes.json", "roles.json", "changes.json", "personas.json"}
    assert expected <= set(files)
    assert {"not-answered.json", "begun.json", "web/conversations.json"} <= set(files)


async def test_what_is_sealed_in_the_database_is_handed_over_readable_and_erased_alike(
    store: Store, sealing: Store
) -> None:
    world = World(sealing)
    await world.use(ADA, BOB)
    await world.use(BOB, ADA)
    files = await exported(world, ADA)
    group = json.loads(files[f"conversations/{safe_name(str(GROUP))}.json"])
    assert group["messages"][0]["text"] == f"my {ADA.word}?"
    assert json.loads(files["not-answered.json"])[0]["text"] == f"lost {ADA.word}"
    assert [one.get("options", one.get("text")) for one in json.loads(files["begun.json"])] == [
        {"text": ADA.word},
        f"inline {ADA.word}",
    ]
    receipt = await erased(world, ADA)
    assert receipt is not None
    assert receipt.counts["messages"] == 8
    await settled(world)
    assert not [mark for mark in ADA.marks if mark in await dump(store)]


async def test_large_exports_come_in_parts_that_can_be_put_together() -> None:
    piece = bytes(range(256)) * (PART_BYTES // 256 // 2)

    class Many:
        name = "many"

        async def count(self, subject: Subject) -> int:
            return 3

        async def export(self, subject: Subject) -> AsyncIterator[File]:
            yield File("same.bin", piece)
            yield File("same.bin", piece)
            yield File("large.bin", piece * 3)

        async def erase(self, subject: Subject) -> None:
            return None

    archives = Archives("en")
    parts = [part async for part in archives.of(Privacy((Many(),)), Subject("telegram:1", ("telegram:1",)))]
    files: dict[str, bytes] = {}
    for part in parts:
        with zipfile.ZipFile(io.BytesIO(part)) as archive:
            assert sum(info.file_size for info in archive.infolist()) <= PART_BYTES
            files |= {name: archive.read(name) for name in archive.namelist()}
    assert archives.parts == len(parts) > 1
    assert files["same.bin"] == files["same-2.bin"] == piece
    assert files["large.bin.001"] + files["large.bin.002"] == piece * 3


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("a\\b\0c", "a-b-c"),
        (".", "unnamed"),
        ("CON.txt", "_CON.txt"),
        ("x" * 99, "x" * 80),
    ],
)
def test_names_in_an_archive_lead_nowhere(name: str, safe: str) -> None:
    assert safe_name(name) == safe


# ---- one human, several accounts


async def linked_but_one(world: World) -> None:
    """Ada's three accounts are linked; then that of the web leaves. Each makes, teaches, asks, before and after."""
    community = world.community
    for account in ADA.accounts[1:]:
        code = await community.linking.issue(Issued(ADA.id, ADA.telegram.name, ""))
        assert (await community.linking.redeem(account, code, account)).outcome is Outcome.DONE
    for account in ADA.accounts:
        await leave_something(world, account)
    assert (await community.linking.part(ADA.id, "web")).outcome is Outcome.DONE


async def leave_something(world: World, account: str) -> None:
    word = account.partition(":")[0]
    text = json.dumps({"kind": "picture", "request": {"prompt": f"made by {word}"}})
    orders, number = Orders(world.store), len(word)
    assert await orders.place(f"{GROUP}/{number}", text, account, [b"\x89PNG of " + word.encode()], "images")
    await orders.shown(GROUP, [f"{number}00"], account, text, 86400)
    passages = Passages(world.store, world.settings.knowledge, libraries=world.community.libraries)
    own = Draft(f"Own {word}", f"{word}.txt", "file", [Passage("", 0, f"taught by {word}")])
    shared = Draft(f"Shared {word}", "", "text", [Passage("", 0, f"for all by {word}")], added_by=account)
    await passages.add(person_scope(account), own)
    await passages.add(space_scope(space_id(GROUP, GROUP.chat)), shared)
    asker = Asker(account=account, name=f"name on {word}", conversation=str(GROUP), message="9")
    await world.community.questions.add(space_id(GROUP, "-500"), f"asked by {word}?", asker)
    await world.community.questions.add(space_id(GROUP, "-500"), "asked by all?", asker)
    await world.community.people.change(
        account, lambda now: now.model_copy(update={"facts": (*now.facts, Fact(text=f"likes {word}"))})
    )


WHAT = ("made by {}", "PNG of {}", "taught by {}", "Shared {}", "asked by {}?", "likes {}")


@pytest.mark.parametrize("asks", [0, 1])
async def test_of_several_accounts_all_that_are_linked_are_handed_over_and_erased(store: Store, asks: int) -> None:
    world = World(store)
    await linked_but_one(world)
    what, _ = await privacy(world.community, world.history)
    texts: list[str] = []
    for account in (ADA.accounts[asks], ADA.accounts[2]):
        subject = Subject.of(await world.community.people.of(account), account)
        files = [file async for file in what.export(subject)]
        texts.append("\n".join(f"{file.path}\n{file.data.decode('utf-8', 'replace')}" for file in files))
    both, web = texts
    for one in WHAT:
        said = [one.format(platform) in both for platform in ("telegram", "discord", "web")]
        # What somebody wants kept in mind is the person's, and stays with the rest.
        assert said == [True, True, one.startswith("likes")], one
        assert [one.format(p) in web for p in ("telegram", "discord")] == [False, False], one
        assert (one.format("web") in web) is not one.startswith("likes"), one
    assert "asked by all?" in both
    assert "asked by all?" in web

    person = await world.community.people.of(ADA.accounts[asks])
    erasures = Erasures(world.community, world.history)
    asked = asking(ADA)
    code = await erasures.ask(ADA.accounts[asks])
    receipt = await erasures.run(code, asked, person, ADA.accounts[asks])
    assert receipt is not None
    assert (receipt.counts["creations"], receipt.counts["documents"], receipt.counts["questions"]) == (4, 2, 3)
    await settled(world)
    after = await dump(store)
    assert [mark for mark in (ADA.telegram.id, ADA.discord.id, "name on telegram") if mark in after] == []
    for one in WHAT:
        # Documents of a space are the space's, and stay without a name.
        kept = one.startswith("Shared")
        assert [one.format(platform) in after for platform in ("telegram", "discord")] == [kept, kept], one
    assert "name on web" in after
    assert "asked by all?" in after
    subject = Subject.of(await world.community.people.of(ADA.accounts[2]), ADA.accounts[2])
    files = [file async for file in what.export(subject)]
    left = "\n".join(f"{file.path}\n{file.data.decode('utf-8', 'replace')}" for file in files)
    assert left == web
