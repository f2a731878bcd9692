"""Jobs on a real queue, and the summary that one of them makes."""

from __future__ import annotations

import asyncio

import pytest

from core.conversation.history import Answer, History, Mode, Question
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.summary import summarise
from core.jobs import Jobs
from core.message import Deletion
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.parts import Usage
from core.settings import ModelSettings, ProviderSettings, Settings
from core.storage.client import Store
from tests.builders import conversation, message
from tests.platforms.openai_server import OpenAIServer


async def test_a_job_is_done_once_and_tried_again_after_a_failure(store: Store, valkey_url: str) -> None:
    done: list[str] = []
    ended = asyncio.Event()

    async def work(argument: str) -> None:
        done.append(argument)
        if len(done) == 1:
            raise RuntimeError("the first try fails")
        ended.set()

    jobs = Jobs(valkey_url, store, {"work": work})
    await jobs.enqueue("work", "one", "a")
    await jobs.enqueue("work", "one", "a")
    await asyncio.wait_for(ended.wait(), 20)
    await jobs.close()
    assert done == ["a", "a"]


async def test_a_job_that_was_interrupted_is_done_at_the_next_start(store: Store, valkey_url: str) -> None:
    reached = asyncio.Event()
    never = asyncio.Event()

    async def stuck(argument: str) -> None:
        reached.set()
        await never.wait()

    first = Jobs(valkey_url, store, {"work": stuck})
    await first.enqueue("work", "one", "a")
    await reached.wait()
    await first.close()
    done = asyncio.Event()

    async def work(argument: str) -> None:
        done.set()

    second = Jobs(valkey_url, store, {"work": work})
    assert not second.is_running
    await second.start_if_any()
    await asyncio.wait_for(done.wait(), 20)
    await second.close()


async def test_nothing_is_started_without_jobs(store: Store, valkey_url: str) -> None:
    jobs = Jobs(valkey_url, store, {})
    await jobs.start_if_any()
    assert not jobs.is_running
    await jobs.close()


@pytest.fixture
async def models() -> OpenAIServer:
    return OpenAIServer(reply=lambda body: "SUMMARY")


def routed(server: OpenAIServer) -> Router:
    settings = Settings(
        providers=(ProviderSettings(name="p", base_url=server.url),), models=(ModelSettings(name="stub", provider="p"),)
    )
    return Router(Catalog.of(settings), settings.routing, Breaker(5, 1), OpenAIApi)


async def long_talk(store: Store) -> tuple[History, Mailbox, str]:
    """A conversation of which something was cut; the id of the first message that is left."""
    mailbox = Mailbox(store, "w", admission=Admission(5), keep_days=1)
    history = History(store, keep_days=1, max_messages=1000)
    cut = ""
    for number in range(30):
        asked = message(f"fact {number} " + "x" * 100, id=str(number))
        await mailbox.post([asked])
        turn = await mailbox.take(conversation())
        assert turn is not None
        path = await history.path(turn, Mode.ASK, Question.of(asked), id=asked.id, reply_to="", window=400)
        assert path is not None
        turn.question, turn.pages, cut = path.question, {0: f"a{number}"}, path.cut
        await mailbox.finish(turn, Answer("yes", (f"a{number}",), "complete").to_payload(), 10, Usage())
    assert cut
    return history, mailbox, cut


async def test_a_summary_stands_in_the_next_path(store: Store, models: OpenAIServer) -> None:
    history, mailbox, cut = await long_talk(store)
    async with models:
        router = routed(models)
        await summarise(history, router, f"{conversation()}|{cut}")
        await router.aclose()
    prompt = str(models.requests[0].body)
    assert "fact 0 " in prompt
    assert f"fact {cut} " not in prompt
    older = await history.older(conversation(), cut, 10_000)
    assert older.nodes
    asked = message("short")
    await mailbox.post([asked])
    turn = await mailbox.take(conversation())
    assert turn is not None
    path = await history.path(turn, Mode.ASK, Question.of(asked), id=asked.id, reply_to="", window=400)
    assert path is not None
    assert path.cut == cut
    assert path.summary == "SUMMARY"


async def test_a_summary_of_what_was_forgotten_meanwhile_is_not_kept(store: Store, models: OpenAIServer) -> None:
    history, mailbox, cut = await long_talk(store)
    older = await history.older(conversation(), cut, 10_000)
    await mailbox.forget(Deletion(conversation(), ("0",), "d"))
    assert not await history.put_summary(conversation(), cut, older, "with fact 0")
    again = await history.older(conversation(), cut, 10_000)
    assert "fact 0 " not in str(again.nodes)
    assert await history.put_summary(conversation(), cut, again, "without")
    await mailbox.forget(Deletion(conversation(), ("1",), "d"))
    assert "without" not in str([await store.redis.hgetall(key) async for key in store.redis.scan_iter("*tree*")])
