"""Votes: one a person and answer, counted for the model that gave the answer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.message import ConversationKey, Deletion, Reaction, Verdict
from core.storage import keys
from core.storage.client import Store
from core.storage.feedback import Feedback, Score
from core.storage.keys import ConversationKeys
from tests.builders import conversation
from tests.core.storage.voting import answered

UP, DOWN, NONE = Verdict.UP, Verdict.DOWN, Verdict.NONE


@pytest.fixture
def feedback(store: Store) -> Feedback:
    return Feedback(store, keep_days=1)


def reaction(id: str, verdict: Verdict, voter: str = "7", at: float = 1000.0, **values: ConversationKey) -> Reaction:
    return replace(Reaction(conversation(), id, voter, verdict, at), **values)


async def test_one_person_counts_once(store: Store, feedback: Feedback) -> None:
    await answered(store, "good", "a1", "a2")
    assert await feedback.vote(reaction("a1", UP))
    assert await feedback.vote(reaction("a1", UP))
    # A further page stands for the same answer.
    assert await feedback.vote(reaction("a2", UP, at=1001.0))
    assert await feedback.scores() == [Score("good", 1, 0)]
    assert await feedback.vote(reaction("a1", UP, voter="8"))
    assert await feedback.scores() == [Score("good", 2, 0)]


async def test_a_changed_mind_takes_the_earlier_vote_back(store: Store, feedback: Feedback) -> None:
    await answered(store, "good", "a1")
    await feedback.vote(reaction("a1", UP))
    await feedback.vote(reaction("a1", DOWN))
    assert await feedback.scores() == [Score("good", 0, 1)]
    await feedback.vote(reaction("a1", NONE))
    assert await feedback.scores() == []
    await feedback.vote(reaction("a1", UP))
    assert await feedback.scores() == [Score("good", 1, 0)]


async def test_an_older_update_that_comes_late_changes_nothing(store: Store, feedback: Feedback) -> None:
    await answered(store, "good", "a1")
    await feedback.vote(reaction("a1", DOWN, at=1005.0))
    assert await feedback.vote(reaction("a1", UP, at=1004.0))
    assert await feedback.scores() == [Score("good", 0, 1)]


async def test_an_answer_made_anew_is_another_models(store: Store, feedback: Feedback) -> None:
    await answered(store, "bad", "a1")
    await feedback.vote(reaction("a1", DOWN))
    await answered(store, "good", "a1", again=True)
    assert await feedback.scores() == [Score("bad", 0, 1)]
    await feedback.vote(reaction("a1", UP))
    # They think of this answer what they think now.
    assert await feedback.scores() == [Score("good", 1, 0)]


async def test_only_answers_of_models_are_counted(store: Store, feedback: Feedback) -> None:
    await answered(store, "good", "a1")
    await answered(store, "", "n1")
    assert not await feedback.vote(reaction("n1", UP))
    assert not await feedback.vote(reaction("77", UP))
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    await mailbox.forget(Deletion(conversation(), ("a1",), "u"))
    assert not await feedback.vote(reaction("a1", UP))
    assert await feedback.scores() == []


async def test_the_thread_of_a_message_is_found(store: Store, feedback: Feedback) -> None:
    """Telegram tells of reactions in topics without the topic."""
    place = partial(ConversationKey, conversation().platform, "1", "-100")
    for thread, id in (("5", "a5"), ("9", "a9")):
        await feedback.came(place(thread))
        await answered(store, "good", id, key=place(thread))
    assert await feedback.vote(reaction("a5", UP, conversation=place("1")))
    assert await feedback.vote(reaction("a9", UP, conversation=place("1")))
    assert not await feedback.vote(reaction("a7", UP, conversation=place("1")))
    assert await feedback.scores() == [Score("good", 2, 0)]


async def test_models_in_all_partitions_are_counted_together(store: Store, feedback: Feedback) -> None:
    for chat in ("100", "101", "102", "103"):
        await answered(store, "a:b", "a1", chat=chat)
        await feedback.vote(reaction("a1", UP, conversation=conversation(chat)))
    await answered(store, "other", "a9", chat="104")
    await feedback.vote(reaction("a9", DOWN, conversation=conversation("104")))
    assert await feedback.scores() == [Score("a:b", 4, 0), Score("other", 0, 1)]


async def test_everything_has_its_lifetime_and_nobody_is_named(store: Store, feedback: Feedback) -> None:
    await answered(store, "good", "a1")
    await feedback.vote(reaction("a1", UP, voter="123456789"))
    place = ConversationKeys.of(conversation())
    assert 0 < await store.redis.ttl(place.votes) <= 86400
    assert 399 * 86400 < await store.redis.ttl(keys.feedback(place.partition)) <= keys.USAGE_SECONDS
    assert "123456789" not in str(await store.redis.hgetall(place.votes))
