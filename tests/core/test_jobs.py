"""Jobs on a real queue, and the summary that one of them makes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping

import pytest

from core.conversation.history import Answer, History, Mode, Question
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.summary import summarise
from core.errors import StorageError
from core.jobs import Job, Jobs, Run
from core.message import Deletion
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import ModelSettings, ProviderSettings
from core.people.spaces import Spaces
from core.settings import Settings
from core.storage.client import Store
from core.tasks import end
from tests.builders import conversation, message
from tests.platforms.openai_server import OpenAIServer


def jobs_of(store: Store, run: Run | None, queues: Mapping[str, int] | None = None) -> Jobs:
    """One kind of job, on a queue that this process works unless told otherwise."""
    return Jobs(store, [Job("work", "text", run)], {"text": 2} if queues is None else queues, idle_seconds=1.0)


async def test_a_job_is_done_once_and_tried_again_after_a_failure(store: Store) -> None:
    done: list[str] = []
    ended = asyncio.Event()

    async def work(argument: str) -> None:
        done.append(argument)
        if len(done) == 1:
            raise RuntimeError("the first try fails")
        ended.set()

    jobs = jobs_of(store, work)
    await jobs.enqueue("work", "one", "a")
    await jobs.enqueue("work", "one", "a")
    await asyncio.wait_for(ended.wait(), 20)
    await jobs.close()
    assert done == ["a", "a"]


async def test_a_job_that_was_interrupted_is_done_at_the_next_start_and_has_all_its_tries(store: Store) -> None:
    reached = asyncio.Event()
    never = asyncio.Event()

    async def stuck(argument: str) -> None:
        reached.set()
        await never.wait()

    first = jobs_of(store, stuck)
    await first.enqueue("work", "one", "a")
    await reached.wait()
    await first.close()
    (tries,) = [await store.redis.get(key) async for key in store.redis.scan_iter("*:task:retry:*")]
    assert tries == "0"
    done = asyncio.Event()

    async def work(argument: str) -> None:
        done.set()

    second = jobs_of(store, work)
    await second.start_if_any()
    await asyncio.wait_for(done.wait(), 20)
    await second.close()


async def test_the_end_of_the_process_stays_its_own_business(store: Store) -> None:
    heard, done = asyncio.Event(), asyncio.Queue[str]()

    async def work(argument: str) -> None:
        done.put_nowait(argument)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, heard.set)
    jobs = jobs_of(store, work)
    try:
        await jobs.enqueue("work", "one", "a")
        assert await asyncio.wait_for(done.get(), 20) == "a"
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(heard.wait(), 5)
        await jobs.enqueue("work", "two", "b")
        assert await asyncio.wait_for(done.get(), 20) == "b"
    finally:
        await jobs.close()
        loop.remove_signal_handler(signal.SIGTERM)


async def test_nothing_is_started_without_jobs(store: Store) -> None:
    async def work(argument: str) -> None: ...

    jobs = jobs_of(store, work)
    await jobs.start_if_any()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("jobs ")]
    await jobs.close()


async def test_a_process_that_does_not_work_a_queue_gives_jobs_to_one_that_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.LOOK_SECONDS", 0.1)
    done: list[str] = []
    ended = asyncio.Event()

    async def work(argument: str) -> None:
        done.append(argument)
        ended.set()

    async def not_here(argument: str) -> None:
        done.append("by the giver")

    giver = jobs_of(store, not_here, {})
    doer = jobs_of(store, work)
    running = asyncio.create_task(doer.run())
    await giver.enqueue("work", "one", "a")
    await asyncio.wait_for(ended.wait(), 20)
    await end([running])
    await giver.close()
    await doer.close()
    assert done == ["a"]
    with pytest.raises(KeyError):
        await giver.enqueue("other", "one", "a")


async def test_each_queue_has_its_own_room(store: Store) -> None:
    most: Counter[str] = Counter()
    now: Counter[str] = Counter()
    done: list[str] = []
    full, ended = asyncio.Event(), asyncio.Event()

    async def work(argument: str) -> None:
        queue = argument[:4]
        now[queue] += 1
        most[queue] = max(most[queue], now[queue])
        if now == {"text": 3, "imag": 1}:
            full.set()
        await full.wait()
        await asyncio.sleep(0.05)  # time for one too many to come in
        now[queue] -= 1
        done.append(argument)
        if len(done) == 10:
            ended.set()

    table = [Job("write", "text", work), Job("paint", "images", work)]
    jobs = Jobs(store, table, {"text": 3, "images": 1})
    for number in range(5):
        await jobs.enqueue("write", f"text {number}", f"text {number}")
        await jobs.enqueue("paint", f"imag {number}", f"imag {number}")
    await asyncio.wait_for(ended.wait(), 20)
    await jobs.close()
    assert len(set(done)) == 10
    assert most == {"text": 3, "imag": 1}


async def test_what_fails_for_good_is_told_with_its_cause(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.jobs.TRIES", 2)
    monkeypatch.setattr("core.jobs.RETRY_SECONDS", 0.01)
    told: list[tuple[str, str, str, str]] = []
    ended = asyncio.Event()

    async def work(argument: str) -> None:
        raise RuntimeError("it cannot be done")

    async def on_dead(name: str, id: str, argument: str, cause: BaseException) -> None:
        told.append((name, id, argument, str(cause)))
        if len(told) == 1:
            raise StorageError("away for a moment")
        ended.set()

    jobs = Jobs(store, [Job("work", "text", work)], {"text": 1}, on_dead)
    await jobs.enqueue("work", "one", "a")
    await asyncio.wait_for(ended.wait(), 20)
    await jobs.close()
    assert told == [("work", "one", "a", "it cannot be done")] * 2
    assert [key async for key in store.redis.scan_iter("*:task:data:*")] == []


async def test_a_job_that_takes_too_long_or_that_nobody_knows_blocks_nothing(store: Store) -> None:
    told: list[str] = []
    done = asyncio.Event()
    never = asyncio.Event()

    async def stuck(argument: str) -> None:
        await never.wait()

    async def work(argument: str) -> None:
        done.set()

    async def on_dead(name: str, id: str, argument: str, cause: BaseException) -> None:
        told.append(str(cause))

    newer = Jobs(store, [Job("unheard", "text")], {})
    await newer.enqueue("unheard", "zero", "a")
    await newer.close()
    table = [Job("stuck", "text", stuck, seconds=0.01), Job("work", "text", work)]
    jobs = Jobs(store, table, {"text": 1}, on_dead)
    await jobs.enqueue("stuck", "one", "a")
    await jobs.enqueue("work", "two", "a")
    await asyncio.wait_for(done.wait(), 20)
    await jobs.close()
    assert told == []
    waiting = [key async for key in store.redis.scan_iter("*:task:data:*")]
    assert len(waiting) == 2, "the late one is to be tried again, the unknown one is left to who knows it"


DOER = """
import asyncio, sys
from core.jobs import Job, Jobs
from core.storage.client import Store
from core.tasks import end

async def work(argument):
    print("begun", flush=True)
    await asyncio.sleep(600)

async def main():
    jobs = Jobs(Store(sys.argv[1]), [Job("work", "text", work)], {"text": 1}, idle_seconds=1.0)
    await jobs.run()

asyncio.run(main())
"""


async def test_the_job_of_a_killed_process_is_done_by_another(store: Store, valkey_url: str) -> None:
    done = asyncio.Event()

    async def work(argument: str) -> None:
        done.set()

    giver = jobs_of(store, None, {})
    await giver.enqueue("work", "one", "a")
    pipe = asyncio.subprocess.PIPE
    doomed = await asyncio.create_subprocess_exec(sys.executable, "-c", DOER, valkey_url, stdout=pipe)
    assert doomed.stdout is not None
    assert await asyncio.wait_for(doomed.stdout.readline(), 20) == b"begun\n"
    doomed.kill()
    await doomed.communicate()
    assert not done.is_set()
    heir = jobs_of(store, work)
    await heir.start_if_any()
    await asyncio.wait_for(done.wait(), 20)
    await heir.close()
    await giver.close()


@pytest.fixture
async def models() -> OpenAIServer:
    return OpenAIServer(models=("stub", "other"), reply=lambda body: "SUMMARY")


def routed(server: OpenAIServer) -> Router:
    settings = Settings(
        providers=(ProviderSettings(name="p", base_url=server.url),),
        models=tuple(ModelSettings(name=name, provider="p") for name in ("stub", "other")),
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
        await mailbox.finish(turn, Answer("yes", (f"a{number}",), "complete").to_payload(), 10)
    assert cut
    return history, mailbox, cut


async def test_a_summary_stands_in_the_next_path(store: Store, models: OpenAIServer) -> None:
    history, mailbox, cut = await long_talk(store)
    async with models:
        router = routed(models)
        await summarise(history, router, Spaces(store), f"{conversation()}|{cut}")
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


async def test_a_space_is_summarised_by_a_model_that_it_allows(store: Store, models: OpenAIServer) -> None:
    history, _, cut = await long_talk(store)
    spaces, space = Spaces(store), "telegram:4242:1"
    await spaces.change(space, lambda settings: settings.model_copy(update={"models": ("other",)}))
    async with models:
        router = routed(models)
        await summarise(history, router, spaces, f"{conversation()}|{cut}|{space}|")
        await router.aclose()
    assert [request.body["model"] for request in models.requests] == ["other"]


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
