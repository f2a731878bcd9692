"""Messages that are changed by a press keep what stands in them."""

from __future__ import annotations

from typing import Any

from bots.adapter import Button
from bots.discord_bot.rebuilding import changed, replaced
from tests.platforms.discord_components import V2, check_message, stored

FILE = {"id": "77", "filename": "cat.png", "url": "https://cdn/1/77/cat.png?ex=1", "proxy_url": "https://p/cat.png"}
REPORT = {"id": "78", "filename": "a.txt", "url": "https://cdn/1/78/a.txt?ex=1", "proxy_url": "https://p/a.txt"}
ROW = {"type": 1, "components": [{"type": 2, "style": 2, "label": "Stop", "custom_id": "stop"}]}
BACK = Button("Back", ".row")


def of_components(*components: dict[str, Any]) -> dict[str, Any]:
    """As Discord gives it with a press."""
    files = [FILE, REPORT]
    return {"content": "", "flags": V2, "attachments": files, "components": stored(components, files)}


def test_plain_content_is_kept_by_saying_nothing_of_it() -> None:
    body = changed({"content": "hello", "flags": 0, "components": [ROW]}, [BACK])
    assert body.keys() == {"components"}
    assert [button["custom_id"] for button in body["components"][0]["components"]] == [".row"]
    assert changed({"content": "hello", "components": [ROW]}, ()) == {"components": []}


def test_components_are_kept_and_only_the_rows_change() -> None:
    shown = of_components(
        {"type": 10, "content": "an answer"},
        {"type": 12, "items": [{"media": {"url": "attachment://cat.png"}, "spoiler": True}]},
        {"type": 13, "file": {"url": "attachment://a.txt"}},
        {"type": 12, "items": [{"media": {"url": "https://elsewhere/dog.png"}}]},
        {"type": 10, "id": 4000, "content": "-# one · 1.2 s"},
        ROW,
    )
    shown["components"][2] |= {"name": "a.txt", "size": 5}
    body = changed(shown, [BACK])
    check_message(body["components"], is_v2=True, files=("cat.png", "a.txt"))
    text, pictures, file, others, footer, row = body["components"]
    assert (body["flags"], text["content"], footer["content"]) == (V2, "an answer", "-# one · 1.2 s")
    assert footer["id"] == 4000
    assert pictures["items"][0] == {"media": {"url": "attachment://cat.png"}, "spoiler": True}
    assert file["file"] == {"url": "attachment://a.txt"}
    assert not {"name", "size"} & file.keys()
    assert others["items"][0]["media"] == {"url": "https://elsewhere/dog.png"}
    assert row["components"][0]["custom_id"] == ".row"
    assert [part["type"] for part in changed(shown, ())["components"]] == [10, 12, 13, 12, 10]


def test_what_is_nested_is_kept() -> None:
    inner = {"type": 12, "items": [{"media": {"url": "attachment://cat.png"}}]}
    section = {
        "type": 9,
        "components": [{"type": 10, "content": "a cat"}],
        "accessory": {"type": 11, "media": {"url": "attachment://cat.png"}},
    }
    shown = of_components(
        {"type": 17, "components": [inner, section]}, {"type": 13, "file": {"url": "attachment://a.txt"}}
    )
    body = changed(shown, [BACK])
    check_message(body["components"], is_v2=True, files=("cat.png", "a.txt"))
    (pictures, beside) = body["components"][0]["components"]
    assert pictures["items"][0]["media"] == beside["accessory"]["media"] == {"url": "attachment://cat.png"}


def test_another_text_takes_the_form_that_the_message_has() -> None:
    plain = replaced({"content": "old", "flags": 0}, "**new**", [BACK])
    assert plain["content"] == "**new**"
    assert "flags" not in plain
    made = replaced(of_components({"type": 10, "content": "old"}, ROW), "**new**", [BACK])
    assert made["flags"] == V2
    assert not made.get("content")
    assert [part["type"] for part in made["components"]] == [10, 1]
    assert made["allowed_mentions"]["parse"] == plain["allowed_mentions"]["parse"] == []
