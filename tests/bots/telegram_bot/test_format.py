"""Markdown as Telegram shows it. Whatever comes out must be taken by the server's own rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.adapter import Page
from bots.telegram_bot.format import MAX_ENTITIES, to_page
from tests.platforms.telegram_text import accepted, part, units

PIECES = (
    *("**", "*", "_", "`", "```", "~~", "||", "[", "](", ")", "https://a.bc/@x", "@ann", "<div>", "<br>", "- ", "# "),
    *("> ", "| ", "word", " ", "😀", "注", "：", "\\", "!", "$", "<", "\n", "\n\n", "\ud800"),
)


def styled(page: Page) -> list[tuple[str, str]]:
    return [(entity["type"], part(page.text, entity)) for entity in page.entities]


def shown(markdown: str) -> tuple[str, list[tuple[str, str]]]:
    page = to_page(markdown)
    return page.text, styled(page)


@pytest.mark.parametrize(
    ("markdown", "text", "styles"),
    [
        ("plain", "plain", []),
        ("a **b** _c_ ~~d~~ `e`", "a b c d e", [("bold", "b"), ("italic", "c"), ("strikethrough", "d"), ("code", "e")]),
        ("# Head\n\ntext", "Head\n\ntext", [("underline", "Head"), ("bold", "Head")]),
        ("- a\n- b\n  - c\n1. d", "• a\n• b\n  • c\n1. d", []),
        ("> said", "said", [("blockquote", "said")]),
        ("[x](https://a.b/c)", "x", [("text_link", "x")]),
        ("😀 **b😀** x", "😀 b😀 x", [("bold", "b😀")]),
        ("snake_case_name and 2*3*x", "snake_case_name and 23x", [("italic", "3")]),
        ("|a|b|\n|-|-|\n|1|2|", "a | b\n--+--\n1 | 2", [("pre", "a | b\n--+--\n1 | 2")]),
    ],
)
def test_markdown(markdown: str, text: str, styles: list[tuple[str, str]]) -> None:
    assert shown(markdown) == (text, styles)


def test_code_block_keeps_its_language() -> None:
    page = to_page("```python\nif x:\n    y()\n```")
    assert page.text == "if x:\n    y()"
    assert page.entities == ({"type": "pre", "offset": 0, "length": 13, "language": "python"},)


@pytest.mark.parametrize(
    ("markdown", "text", "styles"),
    [
        ("so **bold and `code", "so bold and code", [("bold", "bold and code"), ("code", "code")]),
        ("so ***both", "so both", [("bold", "both"), ("italic", "both")]),
        ("so ~~gone", "so gone", [("strikethrough", "gone")]),
        ("```python\nprint(1)", "print(1)", [("pre", "print(1)")]),
        ("so **", "so", []),
        ("see [the site](https://exam", "see the site", []),
        ("**one\n\ntwo `x`", "one\n\ntwo x", [("code", "x")]),
        ("- **one\n- two", "• one\n• two", []),
        ("2**3 = 8, it`s 2 ** 3", "2**3 = 8, it`s 2 ** 3", []),
        (r"\*\*literal", "**literal", []),
    ],
)
def test_unclosed_marks(markdown: str, text: str, styles: list[tuple[str, str]]) -> None:
    assert shown(markdown) == (text, styles)


def test_bold_beside_punctuation() -> None:
    page = to_page("**注意：**文字 and **note:**text")
    assert [words for _, words in styled(page)] == ["注意：", "note:"]
    assert "**" not in page.text


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("use <div> here", "use <div> here"),
        ("<div>\n<p>x</p>\n</div>\n\nend", "<div>\n<p>x</p>\n</div>\n\nend"),
        ("<!-- note -->\ntext", "<!-- note -->\ntext"),
        ("one<br>two", "one\ntwo"),
        ("|a<br>b|c|\n|-|-|", "a b | c"),
        ("<b>fat</b> & &amp;", "fat & &"),
        ("a || b || c", "a || b || c"),
        ("`a || b` <i>", "a || b"),
    ],
)
def test_html_and_bars_are_not_lost(markdown: str, text: str) -> None:
    assert to_page(markdown).text == text


def test_spoiler() -> None:
    assert shown("it was ||the butler||!") == ("it was the butler!", [("spoiler", "the butler")])


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "tg://user?id=5", "file:///etc/passwd", "data:text/html,x", "/here", "https://"]
)
def test_dangerous_links_are_text(target: str) -> None:
    assert shown(f"[click]({target}) ![see]({target})") == ("click see", [])


def test_pictures_are_links() -> None:
    text, styles = shown("![a cat](https://a.b/c.png) ![](https://a.b/d.png)")
    assert text == "a cat https://a.b/d.png"
    assert styles == [("text_link", "a cat"), ("text_link", "https://a.b/d.png")]


@pytest.mark.parametrize(
    "markdown",
    [
        "thanks @anna_b and @everyone!",
        "**@anna_b**, (@anna_b) /@anna_b ,@anna_b",
        "a.b/@anna_b x.y/,@anna_b",
        "[@anna_b](https://a.b)",
        "https://x/@anna_b",
        "é@anna_b 你好@anna_b",
        "| @anna_b | `@anna_b` |",
        "<@anna_b> \\@anna\\_b",
        "[x](tg://resolve?domain=anna_b) ||@anna_b||",
        "@" * 300 + "anna_b",
        " ".join(f"https://a.bc/@user{n}" for n in range(60)),
    ],
)
def test_nobody_is_pinged(markdown: str) -> None:
    page = to_page(markdown)
    _, entities = accepted(page.text, page.entities)
    assert not [e for e in entities if e["type"] in ("mention", "text_mention")]


def test_addresses_stay_whole() -> None:
    markdown = "mail a.b@c.org, see https://npmjs.com/package/@types/node and npmjs.com/@me, `@x` and 😀 @anna"
    page = to_page(markdown)
    assert page.text.replace("\u2060", "") == markdown.replace("`", "")
    assert page.text.count("\u2060") == 1
    assert styled(page) == [
        ("text_link", "https://npmjs.com/package/@types/node"),
        ("text_link", "npmjs.com/@me"),
        ("code", "@x"),
    ]
    assert page.entities[1]["url"] == "https://npmjs.com/@me"


def test_styles_move_with_the_joiner() -> None:
    page = to_page("@ann **@ben says** `c` @dan")
    assert styled(page) == [("bold", "@\u2060ben says"), ("code", "c")]


def test_entities_are_limited_and_links_that_guard_are_kept() -> None:
    page = to_page(" ".join(["**x**"] * 150) + " https://a.bc/@anna_b")
    assert len(page.entities) == MAX_ENTITIES
    assert page.entities[-1]["type"] == "text_link"


@pytest.mark.parametrize("markdown", ["", "  \n ", "\0"])
def test_blank(markdown: str) -> None:
    assert to_page(markdown).text in ("", "\ufffd")


@pytest.mark.parametrize("markdown", ["[](https://a.b)", "[x]: https://a.b"])
def test_what_would_vanish_is_shown_as_written(markdown: str) -> None:
    assert to_page(markdown).text == markdown


def test_length_counts_utf16() -> None:
    assert to_page("😀**b**").length == 3


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(PIECES),
        max_size=40,
    )
)
def test_everything_is_taken_by_the_server(pieces: list[str]) -> None:
    page = to_page("".join(pieces))
    if page.text:
        text, entities = accepted(page.text, page.entities, limit=100_000)
        assert units(page.text) == page.length
        assert (text, entities[: len(page.entities)]) == (page.text, list(page.entities))
        assert not [e for e in entities if e["type"] == "mention"]


def test_long_and_nasty_input_is_quick_enough_to_finish() -> None:
    for piece in ("**a:**b ", "<", "`", "@a ", "[", "||  ", "a-", "a.", "> "):
        to_page(piece * (20_000 // len(piece)) + "@x/")
