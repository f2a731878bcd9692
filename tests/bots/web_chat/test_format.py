from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.web_chat.format import render

ALLOWED = {
    "p", "h3", "h4", "h5", "h6", "a", "em", "strong", "s", "code", "pre", "figure", "figcaption", "span", "button",
    "ul", "ol", "li", "blockquote", "hr", "br", "div", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {"href", "target", "rel", "class", "type", "data-copy", "tabindex", "start"}


class Checker(HTMLParser):
    """Collects what must not be in an answer's HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED:
            self.wrong.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES:
                self.wrong.append(f"{tag} {name}")
            if name == "href" and not re.match(r"(https?://|mailto:)\S", value or "", re.IGNORECASE):
                self.wrong.append(f"href {value}")


def check(html: str) -> list[str]:
    checker = Checker()
    checker.feed(html)
    checker.close()
    return checker.wrong


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](vbscript:x) [d](data:text/html,x)",
        "[x](&#106;avascript:alert(1)) [y](java\tscript:x) [z](\x01javascript:x)",
        "![x](https://evil.example/track.png) ![y](javascript:alert(1)) ![z](data:image/svg+xml,x)",
        '[x](https://a.example/"onmouseover="alert(1))',
        "http://a.example/\"onclick='alert(1)'>",
        '```"><img/src=x/onerror=alert(1)>\ncode\n```',
        "| a |\n|:-:|\n| <b onclick=x> |",
        "<a href='/leave' hx-post='/leave' hx-trigger='load'>x</a>",
        "<style>*{}</style><iframe src=//evil></iframe><svg onload=x>",
        "[x][1]\n\n[1]: javascript:alert(1)",
        "<javascript:alert(1)> <https://ok.example>",
    ],
)
def test_nothing_active_gets_through(markdown: str) -> None:
    assert check(render(markdown)) == []


@given(st.text(st.sampled_from("<>\"'&[]()!`*_~|\\:/ \n\thx-jsx=0ahtp.") | st.characters(), max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_safe(markdown: str) -> None:
    assert check(render(markdown)) == []


def test_pictures_are_links() -> None:
    html = render("![a cat](https://example.com/cat.png)")
    assert "<img" not in html
    assert '<a href="https://example.com/cat.png"' in html
    assert ">a cat</a>" in html


def test_links_open_apart_and_are_not_recommended() -> None:
    html = render("[x](https://example.com/a_(b))")
    assert 'href="https://example.com/a_(b)"' in html
    assert 'rel="noopener noreferrer nofollow ugc"' in html
    assert 'target="_blank"' in html


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("see https://example.com/a.", "https://example.com/a"),
        ("(https://example.com/a)", "https://example.com/a"),
        ("https://example.com/a_(b)", "https://example.com/a_(b)"),
        ("https://example.com/?a=1&b=2 ok", "https://example.com/?a=1&amp;b=2"),
        ("看https://example.com/路。", "https://example.com/路"),
    ],
)
def test_bare_addresses_become_links(text: str, url: str) -> None:
    assert f'href="{url}"' in render(text)


def test_a_link_inside_a_link_or_code_stays_text() -> None:
    assert render("[https://a.example](https://b.example)").count("<a ") == 1
    assert "<a " not in render("`https://a.example`")


def test_code_block_has_language_and_copy_button() -> None:
    html = render("```python title=x\nprint('<b>')\n```", "复制")
    assert "<span>python</span>" in html
    assert 'data-copy="code">复制</button>' in html
    assert "print(&#x27;&lt;b&gt;&#x27;)" in html


def test_an_open_code_block_of_an_unfinished_answer_is_shown_as_code() -> None:
    assert "<pre" in render("Look:\n```js\nlet a = 1")


def test_headings_stay_below_the_pages_own() -> None:
    html = render("# one\n\n###### six")
    assert "<h3>one</h3>" in html
    assert "<h6>six</h6>" in html


def test_tables_are_aligned_without_inline_style() -> None:
    html = render("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<th class="center">' in html
    assert '<td class="right">' in html
    assert "style=" not in html


def test_deep_nesting_costs_little() -> None:
    assert len(render(">" * 5000 + "x")) < 200_000
    assert len(render("*" * 20_000)) < 200_000
    assert len(render("[" * 20_000)) < 200_000
