"""What somebody taught for themselves, when accounts are linked and parted."""

from __future__ import annotations

from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.knowledge.documents import Document, person_scope
from core.knowledge.passages import Passages
from core.knowledge.settings import KnowledgeSettings
from core.people.community import Community
from core.people.identity import Person
from core.people.linking import Issued, Outcome
from core.settings import Settings
from core.storage import keys
from core.storage.client import Store
from tests.builders import call
from tests.core.engines import engine
from tests.core.knowledge.rooms import draft

HERE, THERE = "telegram:7", "discord:9"


async def linked(store: Store) -> Person:
    community = Community.of(Settings(), store)
    code = await community.linking.issue(Issued(HERE, "Ada", "telegram:1:7:"))
    assert (await community.linking.redeem(THERE, code, "1")).outcome is Outcome.DONE
    return (await community.people.fresh(THERE)).value


async def taught(store: Store) -> Passages:
    known = Passages(store, KnowledgeSettings())
    await known.add(person_scope(HERE), draft("notes.txt", "The key hangs behind the door."))
    await known.add(person_scope(THERE), draft("notes.txt", "The bicycle stands in the yard."))
    return known


def numbered(documents: tuple[Document, ...]) -> list[tuple[int, str]]:
    return [(document.number, document.title) for document in documents]


async def test_what_a_linked_account_learned_before_is_found_by_both(store: Store) -> None:
    known, other = await taught(store), Passages(store, KnowledgeSettings())
    person = await linked(store)
    scopes = [await known.own(person), await other.own(person)]
    assert scopes == [person_scope(HERE)] * 2
    # Two files of one name are two documents.
    assert numbered(await known.list(scopes[0])) == [(1, "notes.txt"), (2, "notes.txt")]
    assert (await known.search(scopes[0], "bicycle"))[0].document.number == 2
    left: list[str] = await store.redis.keys("parley:documents:*")
    assert sorted(left) == sorted(keys.document(scopes[0], one.id) for one in await known.list(scopes[0]))
    assert {await store.redis.ttl(key) for key in left} == {-1}


async def test_who_parts_leaves_what_was_learned_with_the_rest(store: Store) -> None:
    known = await taught(store)
    person = await linked(store)
    await known.own(person)
    asked = call("unlink")
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    async with engine(store, mailbox) as answering:
        assert [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked, person=person))]
    fresh, people = Passages(store, KnowledgeSettings()), Community.of(Settings(), store).people
    stays, leaves = await people.of(THERE), await people.of(HERE)
    assert (stays.known_accounts, leaves.known_accounts) == ((THERE,), (HERE,))
    assert len(await fresh.list(await fresh.own(stays))) == 2
    assert await fresh.list(await fresh.own(leaves)) == ()
