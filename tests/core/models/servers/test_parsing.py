"""What may be asked of small models: whatever is wrong in a body is told, and nothing is fetched."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from core.models.servers import parsing
from core.models.servers.work import Compose, Draw, Embed, EngineError, Read

PICTURE = base64.b64encode(b"picture").decode()


def asked(url: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


def test_forms_and_json_mean_the_same() -> None:
    fields = {"model": "m", "prompt": "a cat", "n": 2, "size": "64x96", "seed": 7, "strength": 0.5, "steps": 4}
    wanted = Draw("m", "a cat", "draw", 2, (64, 96), seed=7, strength=0.5, steps=4)
    assert parsing.drawing(fields) == parsing.drawing({name: str(value) for name, value in fields.items()}) == wanted
    assert parsing.drawing({"prompt": "x"}, (b"1",)).op == "edit"
    assert parsing.embedding({"input": "x", "input_type": "query"}) == Embed(("x",), True)
    assert parsing.sound({"prompt": "rain", "seconds": 3}) == Compose("rain", 3)
    assert parsing.reading(asked(f"data:image/png;base64,{PICTURE}")) == Read(b"picture")


def test_halves_of_characters_are_no_text() -> None:
    for found in (
        parsing.drawing({"prompt": "a \ud83d cat"}).prompt,
        *parsing.embedding({"input": "a \ud83d cat"}).texts,
    ):
        assert found == "a ? cat"


@pytest.mark.parametrize(
    ("parse", "fields", "param"),
    [
        (parsing.drawing, {"prompt": " "}, "prompt"),
        (parsing.drawing, {"prompt": ["x"]}, "prompt"),
        (parsing.drawing, {"prompt": "x" * 8001}, "prompt"),
        (parsing.drawing, {"prompt": "x", "n": 17}, "n"),
        (parsing.drawing, {"prompt": "x", "n": True}, "n"),
        (parsing.drawing, {"prompt": "x", "seed": -1}, "seed"),
        (parsing.drawing, {"prompt": "x", "seed": 10**30}, "seed"),
        (parsing.drawing, {"prompt": "x", "seed": "٣x"}, "seed"),
        (parsing.drawing, {"prompt": "x", "strength": float("nan")}, "strength"),
        (parsing.drawing, {"prompt": "x", "size": "100000x1"}, "size"),
        (parsing.drawing, {"prompt": "x", "size": "0x0"}, "size"),
        (parsing.drawing, {"prompt": "x", "operation": "delete"}, "operation"),
        (parsing.embedding, {"input": [1, 2]}, "input"),
        (parsing.embedding, {"input": []}, "input"),
        (parsing.embedding, {}, "input"),
        (parsing.speech, {"input": "x", "speed": "fast"}, "speed"),
        (parsing.sound, {"prompt": "x", "seconds": 1e9}, "seconds"),
        (parsing.reading, {"messages": "x"}, "messages"),
        (parsing.reading, asked("http://127.0.0.1/secret.png"), "messages"),
        (parsing.reading, asked("file:///etc/passwd"), "messages"),
        (parsing.reading, asked(None), "messages"),
        (parsing.reading, asked("data:image/png;base64,%%%"), ""),
    ],
)
def test_what_is_wrong_is_told(parse: Callable[[dict[str, Any]], object], fields: dict[str, Any], param: str) -> None:
    with pytest.raises(EngineError) as error:
        parse(fields)
    assert (error.value.status, error.value.param) == (400, param)
