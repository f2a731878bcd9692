"""Bodies of messages, as plain content and as components. What Discord thinks of them is asked in ``test_outbound``."""

from __future__ import annotations

from typing import Any

import pytest

from bots.adapter import Button, Page
from bots.discord_bot import layout
from bots.discord_bot.contents import described
from core.parts import Media


def kinds(body: dict[str, Any]) -> list[int]:
    return [component["type"] for component in body["components"]]


def test_what_grows_is_plain_content() -> None:
    body = layout.growing(Page("half", 4, buttons=(Button("Stop", "stop"),)))
    assert (body["content"], kinds(body), "flags" in body) == ("half", [1], False)


def test_links_have_no_previews_in_either_form() -> None:
    """Components have none; those of plain content would go with the last edit."""
    assert layout.growing(Page("https://x.org", 13), is_new=True)["flags"] == 1 << 2


def test_what_is_finished_is_text_pictures_footer_and_buttons_in_this_order() -> None:
    page = Page("whole", 5, buttons=(Button("More", "continue"),), final=True, footer="tiny · 2 sec")
    body = layout.finished(page, layout.named([Media("cat.png", "image/png", b"x")]))
    assert kinds(body) == [10, 12, 10, 1]
    assert body["flags"] == 1 << 15
    assert body["components"][1]["items"] == [{"media": {"url": "attachment://cat.png"}}]
    assert body["components"][2]["content"] == "-# tiny · 2 sec"
    assert "content" not in body
    assert "embeds" not in body


def test_an_edit_takes_away_what_components_cannot_stand_beside() -> None:
    body = layout.finished(Page("whole", 5), edits=True)
    assert (body["content"], body["embeds"]) == (None, None)


@pytest.mark.parametrize("edits", [False, True])
def test_nobody_is_ever_pinged(edits: bool) -> None:
    page = Page("<@1>", 4)
    for body in (layout.growing(page), layout.finished(page, edits=edits)):
        assert body["allowed_mentions"] == {"parse": [], "replied_user": False}


def test_an_empty_text_is_no_component() -> None:
    assert kinds(layout.finished(Page(" ", 1), layout.named([Media("a.png", "image/png", b"")]))) == [12]


def test_what_a_picture_shows_is_told_as_far_as_there_is_room() -> None:
    files = [Media("a.png", "image/png", b"", " a fox " + "x" * 2000), Media("b.png", "image/png", b"", " \n")]
    made = layout.named(files)
    told = "a fox " + "x" * (layout.MAX_DESCRIPTION - 6)
    items = layout.finished(Page("", 0), made)["components"][0]["items"]
    assert [item.get("description") for item in items] == [told, None]
    assert [file.get("description") for file in layout.attached(made)] == [told, None]


def test_files_get_names_that_a_reference_reaches() -> None:
    names = ["my cat.png", "图.webp", "../../etc/passwd", ".png", "a" * 200 + ".jpg"]
    made = [upload.name for upload in layout.named([Media(name, "image/png", b"") for name in names])]
    assert made == ["my_cat_1.png", "file_2.webp", "passwd_3", "png_4", f"{'a' * 60}_5.jpg"]
    assert layout.named([Media("cat.png", "image/png", b"")])[0].name == "cat.png"


def test_the_text_is_read_back_without_the_footer() -> None:
    body = layout.finished(Page("one\ntwo", 7, footer="tiny"))
    assert layout.text_of(body) == "one\ntwo"
    assert layout.text_of({"content": "plain", "flags": 0}) == "plain"
    assert described(body, buttons=False) == "one\ntwo"
    nested = {"type": 17, "components": [{"type": 10, "content": "inner"}]}
    assert layout.text_of({"content": "", "flags": layout.COMPONENTS, "components": [nested]}) == "inner"
