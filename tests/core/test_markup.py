"""HTML as texts and tags: what browsers make of it, and what hostile pages do not make of it."""

from __future__ import annotations

import pytest

from core import documents
from core.markup import Tag, read_markup


def seen(markup: str) -> list[str]:
    """Texts as they are, tags by their names."""
    return [
        found if isinstance(found, str) else f"<{'/' * found.closes}{found.name}{'/' * found.is_empty}>"
        for found in read_markup(markup)
    ]


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        ("a<B>c</b >d", ["a", "<b>", "c", "</b>", "d"]),
        ("a &lt; b &amp;&nbsp;c &#x41;&#66;", ["a < b &\xa0c AB"]),
        ("1 < 2 <3 a<", ["1 ", "<", " 2 ", "<", "3 a", "<"]),
        ("a<!-- <b> -- > -->c<!-->d<!doctype html>e<?x y?>f</ g>h", ["a", "c", "d", "e", "f", "h"]),
        ("a<![CDATA[<b>]]>c", ["a", "c"]),
        ("<br/><br /><a href=x/>", ["<br/>", "<br/>", "<a>"]),
        ('<p title="a > b" x=\'">\'>c', ["<p>", "c"]),
        (
            "<script>if (a<b) '</scripts>' &lt;</SCRIPT x>c",
            ["<script>", "if (a<b) '</scripts>' &lt;", "</script>", "c"],
        ),
        ("<title>a <b> &amp; c</title>", ["<title>", "a <b> & c", "</title>"]),
        # What is not closed reaches to the end.
        ("a<p title='b>c</p>", ["a"]),
        ("a<!-- b", ["a"]),
        ("a<style>b{}", ["a", "<style>", "b{}"]),
        ("a</p", ["a"]),
        ("a &#" + "9" * 10_000 + "; b", ["a \N{REPLACEMENT CHARACTER} b"]),
        ("", []),
    ],
)
def test_pages_are_read_as_browsers_read_them(markup: str, found: list[str]) -> None:
    assert seen(markup) == found


def test_attributes_are_known_however_they_are_written() -> None:
    (tag,) = read_markup("<LINK Rel = canonical href='/a?b&amp;c' href=/other disabled data-x=\"\">")
    assert tag == Tag("link", {"rel": "canonical", "href": "/a?b&c", "disabled": "", "data-x": ""})


@pytest.mark.parametrize("hostile", ["<!", "<!--", "<a ", "<a b='", "</a", "<![", "<title>"])
async def test_a_page_of_nothing_but_beginnings_is_read_in_time(hostile: str) -> None:
    """The reader ends what uses up its time, and what is looked through again and again does."""
    page = f"<p>Hello</p>{hostile * (600_000 // len(hostile))}".encode()
    read = await documents.read_pieces(page, "html", max_pages=1, max_chars=1000)
    assert read.pieces[0].text.startswith("Hello")
