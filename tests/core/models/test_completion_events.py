from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ModelError, ModelFault
from core.models.completion_events import MAX_EVENT_BYTES, CompletionEvents
from core.models.visible import VisibleText
from core.models.wire import Done
from core.parts import Ending


def event(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
    chunk = {"choices": [{"delta": delta, "finish_reason": reason}], **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def read(*reads: bytes) -> tuple[str, Done]:
    events = CompletionEvents()
    text = ""
    for data in reads:
        text += events.feed(data) or ""
        events.check()
    text += events.end() or ""
    events.check()
    return text, events.done()


WHOLE = b"".join(
    [
        event({"role": "assistant", "content": ""}),
        event({"content": "Grüße "}),
        event({"content": "世界 🦜"}),
        event({}, "stop"),
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
    ]
)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_reads_may_be_cut_anywhere(places: list[int]) -> None:
    cuts = [0, *sorted(places), len(WHOLE)]
    reads = [WHOLE[start:end] for start, end in pairwise(cuts)]
    assert read(*reads) == ("Grüße 世界 🦜", Done(Ending.COMPLETE, 3, 2))


def test_line_ends_comments_and_a_missing_last_newline_do_not_matter() -> None:
    stream = b": hello\r\n\r\n" + WHOLE.replace(b"\n", b"\r\n") + b"event: x\r\ndata: [DONE]"
    assert read(stream)[0] == "Grüße 世界 🦜"


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        ("stop", Ending.COMPLETE),
        ("eos", Ending.COMPLETE),
        ("length", Ending.LENGTH),
        ("content_filter", Ending.FILTERED),
    ],
)
def test_finish_reasons(reason: str, ending: Ending) -> None:
    assert read(event({"content": "x"}) + event({}, reason)) == ("x", Done(ending))


def test_a_refusal_is_text_and_reasoning_is_none() -> None:
    events = CompletionEvents()
    assert events.feed(event({"reasoning_content": "hm"})) == ""
    assert events.feed(event({"reasoning": "hm"})) == ""
    assert events.feed(event({"role": "assistant", "content": None})) is None
    assert events.feed(event({"refusal": "I cannot."})) == "I cannot."


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"<!DOCTYPE html>\n<p>", ModelFault.MALFORMED),
        (b"<html>", ModelFault.MALFORMED),
        (b'{"choices": []}', ModelFault.MALFORMED),
        (b"", ModelFault.MALFORMED),
        (b"data: [DONE]\n\n", ModelFault.MALFORMED),
        (b"data: 7\n\n", ModelFault.MALFORMED),
        (b"data: {\n\n", ModelFault.MALFORMED),
        (b"data: \xff\n\n", ModelFault.MALFORMED),
        (b"data: " + b"[" * 100_000 + b"\n\n", ModelFault.MALFORMED),
        (b'data: {"choices": ["x"]}\n\n', ModelFault.MALFORMED),
        (b'data: {"choices": [{"delta": {"content": [1]}}]}\n\n', ModelFault.MALFORMED),
        (b'data: {"choices": {"a": 1}}\n\n', ModelFault.MALFORMED),
        (event({"content": "x"}), ModelFault.MALFORMED),
        (event({}, "error"), ModelFault.SERVER),
        (b'data: {"error": {"message": "x"}}\n\n', ModelFault.SERVER),
        (b'data: {"error": "x"}\n\n', ModelFault.SERVER),
        (b'data: {"error": {"code": 429}}\n\n', ModelFault.RATE_LIMITED),
        (b'data: {"error": {"code": 400}}\n\n', ModelFault.REFUSED),
    ],
)
def test_what_is_no_whole_answer_is_an_error(data: bytes, fault: ModelFault) -> None:
    with pytest.raises(ModelError) as raised:
        read(data)
    assert raised.value.fault is fault


def test_a_line_without_end_is_not_kept() -> None:
    events = CompletionEvents()
    events.feed(b"data: " + b"x" * MAX_EVENT_BYTES)
    with pytest.raises(ModelError):
        events.check()


def test_text_before_an_error_in_the_same_read_is_not_lost() -> None:
    events = CompletionEvents()
    assert events.feed(event({"content": "so far"}) + b"data: {\n\n") == "so far"
    with pytest.raises(ModelError):
        events.check()


def visible(*pieces: str) -> str:
    shown = VisibleText()
    return "".join(shown.feed(piece) for piece in pieces) + shown.finish()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<think>a\nb</think>\n\nYes.", "\n\nYes."),
        ("\n <think></think>Yes.", "Yes."),
        ("<think>never closed", ""),
        ("<thin air", "<thin air"),
        ("<thi", "<thi"),
        ("Use <think> like </think>.", "Use <think> like </think>."),
        ("  indented", "  indented"),
        ("\ud83e\udd9c", "🦜"),
        ("x\ud83e", "x\ufffd"),
        ("\ude00x", "\ufffdx"),
    ],
)
def test_thoughts_are_left_out_and_characters_made_whole(raw: str, shown: str) -> None:
    assert visible(raw) == visible(*raw) == shown


def test_arguments_that_come_as_an_object_are_read_like_their_text() -> None:
    called = {"index": 0, "id": "c", "function": {"name": "look", "arguments": {"text": "it's"}}}
    _, done = read(event({"tool_calls": [called]}), event({}, "tool_calls"))
    assert json.loads(done.calls[0].arguments) == {"text": "it's"}
