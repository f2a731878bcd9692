"""The tree on a real server: paths, branches, cuts, forgetting."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from core.conversation.history import Answer, History, Mode, Path, Question, count_tokens
from core.conversation.mailbox import Admission, Mailbox
from core.message import Author, Deletion, Message, Quote
from core.parts import Ending, Finished
from core.storage.client import Store
from tests.builders import call, conversation, message


class Chat:
    """Asks and answers in one conversation, as the engine and the worker do."""

    def __init__(self, store: Store, *, window: int = 100_000, max_messages: int = 1000) -> None:
        self.mailbox = Mailbox(store, "w", admission=Admission(10), keep_days=30)
        self.history = History(store, keep_days=30, max_messages=max_messages)
        self.window = window
        self.answers = 1_000_000

    async def ask(
        self, text: str, id: str = "", *, mode: Mode = Mode.ASK, answer: str = "", apart: bool = False, **values: Any
    ) -> Path | None:
        """``apart``: an answer made anew is in other messages than the former one."""
        asked = message(text, id, **values)
        await self.mailbox.post([asked])
        turn = await self.mailbox.take(conversation())
        assert turn is not None
        assert isinstance(turn.incoming, Message)
        path = await self.history.path(
            turn, mode, Question.of(asked), id=asked.id, reply_to=asked.reply_to, window=self.window
        )
        if path is not None:
            turn.question = path.question
            if path.previous and not apart:
                turn.pages = dict(enumerate(path.previous.pages))
            else:
                self.answers += 2
                turn.pages = {0: str(self.answers), 1: str(self.answers + 1)}
        said = answer or f"re:{text}"
        pages = tuple(turn.pages.values())
        await self.mailbox.finish(turn, Answer(said, pages, Ending.COMPLETE).to_payload(), count_tokens(said))
        return path

    async def texts(self, text: str, **values: Any) -> list[str]:
        path = await self.ask(text, **values)
        assert path is not None
        return [node.said.text for node in path.nodes]


async def test_the_context_is_what_was_said(store: Store) -> None:
    chat = Chat(store)
    assert await chat.texts("a") == ["a"]
    assert await chat.texts("b") == ["a", "re:a", "b"]
    assert await chat.texts("c") == ["a", "re:a", "b", "re:b", "c"]


async def test_a_reply_to_an_older_answer_branches_there(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a")
    await chat.ask("b")
    # Either page of the first answer stands for it.
    for page in ("1000002", "1000003"):
        assert await chat.texts("c", reply_to=page) == ["a", "re:a", "c"]
    assert await chat.texts("d") == ["a", "re:a", "c", "re:c", "d"]


async def test_a_reply_to_an_older_question_branches_there_without_its_answer(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a", id="1", author=Author("7", "Ada"))
    await chat.ask("b")
    assert await chat.texts("mine", reply_to="1") == ["a", "mine"]
    assert await chat.texts("yours", reply_to="1", author=Author("8", "Bob")) == ["a", "yours"]


async def test_an_edit_that_says_the_same_is_not_answered_anew(store: Store) -> None:
    chat = Chat(store)
    sent_at = 1_700_000_000.0
    await chat.ask("a", id="1", sent_at=sent_at)
    await chat.ask("b")
    asked = message("a", "1", sent_at=sent_at, edited=True)
    await chat.mailbox.post([asked])
    turn = await chat.mailbox.take(conversation())
    assert turn is not None

    async def path(mode: Mode = Mode.ASK) -> Path | None:
        said = Question.of(asked)
        return await chat.history.path(turn, mode, said, id="1", reply_to="", window=1000, edited=True)

    assert await path() is None
    assert turn.reason == "unchanged"
    assert await chat.mailbox.finish(turn, "{}", 1) is None
    assert await chat.texts("c") == ["a", "re:a", "b", "re:b", "c"], "it goes on from the newest"


async def test_an_edit_of_what_the_history_no_longer_has_is_a_question_of_now(store: Store) -> None:
    chat = Chat(store, max_messages=6)
    for id in "123":
        await chat.ask(f"a{id}", id=id)
    path = await chat.ask("edited", id="1", edited=True)
    assert path is not None
    assert path.previous is None, "it is answered in a message of its own"
    assert [node.said.text for node in path.nodes][-3:] == ["a3", "re:a3", "edited"]


async def test_an_edit_whose_worker_died_is_answered(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a", id="1")
    asked = message("A!", "1", edited=True)
    await chat.mailbox.post([asked])
    for takeovers in (0, 1):
        turn = await chat.mailbox.take(conversation())
        assert turn is not None
        assert turn.takeovers == takeovers
        said = Question.of(asked)
        path = await chat.history.path(turn, Mode.ASK, said, id="1", reply_to="", window=1000, edited=True)
        assert path is not None


async def test_an_edit_of_an_answer_that_broke_off_is_answered(store: Store) -> None:
    chat = Chat(store)
    asked = message("a", "1", sent_at=1.0)
    for text in ("a", "b", "a"):
        asked = replace(asked, text=text, edited=text != asked.text or asked.edited, update=f"{asked.update}{text}")
        await chat.mailbox.post([asked])
        turn = await chat.mailbox.take(conversation())
        assert turn is not None
        path = await chat.history.path(
            turn, Mode.ASK, Question.of(asked), id="1", reply_to="", window=1000, edited=asked.edited
        )
        assert path is not None
        turn.question, turn.pages = "1", {0: "50"}
        ending = Ending.SUPERSEDED if text == "b" else Ending.COMPLETE
        await chat.mailbox.finish(turn, Answer("re", ("50",), ending).to_payload(), 1)


async def test_a_reply_to_an_unknown_message_goes_on_from_the_newest(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a")
    path = await chat.ask("b", reply_to="555", quote=Quote("555", "Bob", "quoted"))
    assert path is not None
    question = path.nodes[-1].said
    assert isinstance(question, Question)
    assert question.quote == Quote("555", "Bob", "quoted")
    assert [node.said.text for node in path.nodes] == ["a", "re:a", "b"]


async def test_an_edited_question_is_answered_anew_in_place(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a", id="1")
    await chat.ask("b", id="2")
    await chat.ask("c", id="3")
    path = await chat.ask("B!", id="2", edited=True)
    assert path is not None
    assert [node.said.text for node in path.nodes] == ["a", "re:a", "B!"]
    assert path.previous is not None
    assert path.previous.text == "re:b"
    assert path.previous.pages == ("1000004", "1000005")
    # It is a new branch: the conversation goes on from the edit.
    assert await chat.texts("d") == ["a", "re:a", "B!", "re:B!", "d"]


async def test_regenerating_answers_the_same_question_in_the_same_messages(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a")
    await chat.ask("b")
    path = await chat.ask("", mode=Mode.AGAIN, answer="other")
    assert path is not None
    assert [node.said.text for node in path.nodes] == ["a", "re:a", "b"]
    assert path.previous is not None
    assert path.previous.pages == ("1000004", "1000005")
    assert await chat.texts("c") == ["a", "re:a", "b", "other", "c"]


async def test_of_several_answers_the_one_that_is_meant_is_made_anew(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a")
    first, second = ("1000002", "1000003"), ("1000004", "1000005")
    await chat.ask("", mode=Mode.AGAIN, answer="other", apart=True)
    for reply_to, pages in (("", second), ("1000003", first), ("1000005", second), ("", second)):
        known = await chat.history.known(conversation(), reply_to, "regenerate")
        assert known.answer is not None
        assert known.answer.pages == pages
        path = await chat.ask("", mode=Mode.AGAIN, answer="again", reply_to=reply_to)
        assert path is not None
        assert path.previous is not None
        assert path.previous.pages == pages
    # Both lead back to the question.
    for page in (*first, *second):
        assert await chat.texts("b", reply_to=page) == ["a", "again", "b"]


async def test_regenerating_and_continuing_need_an_answer(store: Store) -> None:
    chat = Chat(store)
    assert await chat.ask("", mode=Mode.AGAIN) is None
    assert await chat.ask("go on", mode=Mode.MORE) is None
    await chat.ask("a")
    assert await chat.texts("go on", mode=Mode.MORE) == ["a", "re:a", "go on"]


async def test_a_deleted_question_is_gone_from_every_path_with_its_answer(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("secret", id="1")
    await chat.ask("b")
    assert await chat.mailbox.forget(Deletion(conversation(), ("1",), "x")) == 1
    assert await chat.texts("c") == ["b", "re:b", "c"]
    assert await chat.texts("d", reply_to="1000002") == ["d"]
    dump = str([await store.redis.hgetall(key) async for key in store.redis.scan_iter("*tree*")])
    assert "secret" not in dump


async def test_what_was_forgotten_is_not_quoted_either(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a", answer="secret")
    await chat.ask("b", reply_to="1000003", quote=Quote("1000003", "Parley", "secret"))
    await chat.ask("c", reply_to="555", quote=Quote("555", "Bob", "kept"))
    assert await chat.mailbox.forget(Deletion(conversation(), ("1000002",), "x")) == 1
    path = await chat.ask("d")
    assert path is not None
    said = [node.said for node in path.nodes if isinstance(node.said, Question)]
    assert [(question.text, question.quote and question.quote.text) for question in said] == [
        ("b", None),
        ("c", "kept"),
        ("d", None),
    ]
    dump = str([await store.redis.hgetall(key) async for key in store.redis.scan_iter("*tree*")])
    assert "secret" not in dump


async def test_forgetting_takes_pictures_and_earlier_answers_along(store: Store) -> None:
    chat = Chat(store)
    await chat.history.put_image(conversation(), "digest", "data")
    asked = message("look", id="1")
    question = Question.of(asked, ("digest",))
    for number, answer in enumerate(("secret", "made anew, elsewhere")):
        await chat.mailbox.post([message("look", id="1", edited=number > 0)])
        turn = await chat.mailbox.take(conversation())
        assert turn is not None
        path = await chat.history.path(turn, Mode.ASK, question, id="1", reply_to="", window=1000)
        assert path is not None
        turn.pages = {0: f"page{number}"}
        await chat.mailbox.finish(turn, Answer(answer, (), Ending.COMPLETE).to_payload(), 1)
    await chat.mailbox.forget(Deletion(conversation(), ("1",), "x"))
    assert await chat.history.get_images(conversation(), ["digest"]) == [None]
    dump = str([await store.redis.hgetall(key) async for key in store.redis.scan_iter("*tree*")])
    assert "secret" not in dump


async def test_an_answer_that_a_dead_worker_had_whole_is_in_the_history(store: Store) -> None:
    chat = Chat(store)
    await chat.mailbox.post([message("a", id="1")])
    dead = await chat.mailbox.take(conversation())
    assert dead is not None
    asked = Question("a", "Ada", 0)
    await chat.history.path(dead, Mode.ASK, asked, id="1", reply_to="", window=1000)
    await chat.mailbox.about_to_create(dead, 0, "1", "re:a", Finished(Ending.COMPLETE))
    turn = await chat.mailbox.take(conversation())
    assert turn is not None
    await chat.mailbox.created(turn, 0, "2")
    await chat.mailbox.finish(turn, Answer(turn.text, ("2",), "complete").to_payload(), 1)
    assert await chat.texts("b") == ["a", "re:a", "b"]


async def test_forgetting_an_answer_takes_its_question_along(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("secret")
    await chat.ask("b")
    assert await chat.mailbox.forget(Deletion(conversation(), ("1000003",), "x")) == 1
    assert await chat.texts("c") == ["b", "re:b", "c"]
    assert await chat.mailbox.forget(Deletion(conversation(), ("1000003",), "x")) == 0


async def test_new_starts_afresh_and_replies_still_reach_back(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a")
    await chat.history.start_afresh(conversation())
    assert await chat.texts("b") == ["b"]
    assert await chat.texts("c", reply_to="1000002") == ["a", "re:a", "c"]


async def test_the_cut_moves_in_steps_of_a_quarter(store: Store) -> None:
    """So the prompt's beginning stays the same for many turns."""
    chat = Chat(store, window=400)
    firsts: list[str] = []
    for number in range(60):
        texts = await chat.texts(f"{number:02d} " + "x" * 20)
        assert sum(map(count_tokens, texts)) <= 400
        firsts.append(texts[0][:2])
    changes = sum(a != b for a, b in itertools.pairwise(firsts))
    assert firsts[-1] > "40"
    assert 5 <= changes <= 15


async def test_what_is_quoted_takes_its_place_in_the_window(store: Store) -> None:
    chat = Chat(store, window=400)
    for number in range(10):
        quote = Quote(f"5{number}", "Bob", f"{number} " + "q" * 300)
        path = await chat.ask("?", reply_to=f"5{number}", quote=quote)
        assert path is not None
        quoted = [n.said.quote.text for n in path.nodes if isinstance(n.said, Question) and n.said.quote]
        assert sum(map(count_tokens, quoted)) <= 400
        assert quoted


async def test_a_question_longer_than_the_window_stands_alone(store: Store) -> None:
    chat = Chat(store, window=100)
    await chat.ask("a")
    assert await chat.texts("y" * 4000) == ["y" * 4000]


async def test_the_oldest_messages_go_first(store: Store) -> None:
    chat = Chat(store, max_messages=9)
    for text in "abcdef":
        await chat.ask(text)
    trees = [key async for key in store.redis.scan_iter("*tree*")]
    assert await store.redis.hlen(trees[0]) < 20
    texts = await chat.texts("g")
    assert texts[-3:] == ["f", "re:f", "g"]
    assert "a" not in texts


async def test_conversations_see_nothing_of_each_other(store: Store) -> None:
    chat = Chat(store)
    await chat.ask("a")
    other = message("b", chat="200")
    await chat.mailbox.post([other])
    turn = await chat.mailbox.take(conversation("200"))
    assert turn is not None
    path = await chat.history.path(turn, Mode.ASK, Question.of(other), id=other.id, reply_to="1000002", window=1000)
    assert path is not None
    assert [node.said.text for node in path.nodes] == ["b"]


@pytest.mark.parametrize("edited", [False, True])
async def test_a_stop_that_overtakes_the_worker_stops_the_next_answer_as_it_begins(store: Store, edited: bool) -> None:
    chat = Chat(store)
    if edited:
        await chat.ask("first", id="1")
    asked, stop = message("long", id="1", edited=edited), call("stop")
    await chat.mailbox.post([asked])
    await chat.mailbox.post([stop], urgent=[stop.id])
    turn = await chat.mailbox.take(conversation())
    assert turn is not None
    assert not turn.interrupted.is_set(), "what it is to replace is found first"
    path = await chat.history.path(turn, Mode.ASK, Question.of(asked), id="1", reply_to="", window=1000, edited=edited)
    assert path is not None
    assert (path.previous is not None) is edited
    await chat.mailbox.renew([turn])
    assert turn.reason == Ending.STOPPED
    own = await chat.mailbox.finish(turn, Answer("", (), Ending.STOPPED).to_payload(), 1)
    assert own is not None
    assert own.incoming.id == stop.id
    assert await chat.mailbox.has_stopped(stop)
    assert not own.interrupted.is_set()


async def test_a_stop_that_finds_nothing_stops_nothing_later(store: Store) -> None:
    chat = Chat(store)
    early, stop = call("help"), call("stop")
    await chat.mailbox.post([early])
    await chat.mailbox.post([stop], urgent=[stop.id])
    turn = await chat.mailbox.take(conversation())
    while turn is not None:
        turn = await chat.mailbox.finish(turn, "", 0)
    assert not await chat.mailbox.has_stopped(stop)
    asked = message("later", id="2")
    await chat.mailbox.post([asked])
    turn = await chat.mailbox.take(conversation())
    assert turn is not None
    await chat.history.path(turn, Mode.ASK, Question.of(asked), id="2", reply_to="", window=1000)
    await chat.mailbox.renew([turn])
    assert not turn.interrupted.is_set()
