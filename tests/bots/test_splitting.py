"""Pages of an answer: nothing lost, every page whole in itself, closed pages never changed."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bots.graphemes import is_boundary
from bots.splitting import Measure, Pages, split

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def formatted(text: str) -> int:
    """A measure like Telegram's: marks and addresses vanish, rules and tables grow."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^---$", "—" * 8, text)
    text = re.sub(r"(?m)^\|.*$", lambda row: row.group() * 2, text)
    return utf16(re.sub(r"\*\*|__|~~|`", "", text))


class Counting:
    """A measure that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, text: str) -> int:
        self.calls += 1
        return formatted(text)


COMMONMARK = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def leaves(markdown: str) -> list[Token]:
    found: list[Token] = []
    for token in COMMONMARK.parse(markdown):
        found += token.children or [] if token.type == "inline" else [token]
    return found


def rendered(markdown: str) -> str:
    """What a reader sees, by a parser that is not ours: the text without spaces."""
    parts = [
        token.content for token in leaves(markdown) if token.type in ("text", "code_inline", "fence", "code_block")
    ]
    return re.sub(r"\s", "", "".join(parts))


def code_lines(markdown: str) -> list[str]:
    return [line for token in leaves(markdown) if token.type == "fence" for line in token.content.splitlines()]


def marked(markdown: str) -> dict[str, set[str]]:
    """For each word, the marks it stands in."""
    found: dict[str, set[str]] = {}
    active: list[str] = []
    for token in leaves(markdown):
        if token.nesting == 1 and token.type in ("strong_open", "em_open", "s_open", "link_open"):
            active.append(token.type)
        elif token.nesting == -1 and active and token.type.replace("close", "open") == active[-1]:
            active.pop()
        kind = [token.type] if token.type in ("code_inline", "fence") else []
        for word in re.findall(r"\bw\d+\b", token.content):
            found[word] = {*active, *kind}
    return found


def check(markdown: str, limit: int, measure: Measure = utf16) -> list[str]:
    pages = split(markdown, limit, measure)
    for page in pages:
        assert page.strip(), "a page shows something"
        assert measure(page) <= limit
    return pages


# -- generated documents: well-formed, every word unique


class Writer:
    """Draws the blocks of a document."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.count = itertools.count()

    def words(self, least: int = 1, most: int = 12) -> str:
        return " ".join(f"w{next(self.count)}" for _ in range(self.draw(st.integers(least, most))))

    def sentence(self) -> str:
        parts: list[str] = []
        for _ in range(self.draw(st.integers(1, 6))):
            mark = self.draw(st.sampled_from(["", "", "", "**", "*", "~~", "`", "link"]))
            inner = self.words(1, 6)
            link = f"[{inner}](https://a.bc/d_e?f={next(self.count)})"
            parts.append(link if mark == "link" else f"{mark}{inner}{mark}")
        return " ".join(parts) + self.draw(st.sampled_from([".", "!", "?", "。", ","]))

    def some(self, least: int, most: int) -> list[str]:
        return [self.sentence() for _ in range(self.draw(st.integers(least, most)))]

    def text(self) -> list[str]:
        return self.some(1, 4)

    def quote(self) -> list[str]:
        return ["> " + line for line in self.some(1, 4)]

    def heading(self) -> list[str]:
        return ["## " + self.words(1, 5)]

    def code(self) -> list[str]:
        fence = self.draw(st.sampled_from(["```", "````", "~~~"]))
        starts = self.draw(st.lists(st.sampled_from([None, "", "    ", "\t"]), min_size=1, max_size=20))
        body = ["" if start is None else start + self.words(1, 4) for start in starts]
        return [fence + self.draw(st.sampled_from(["", "py", "c++"])), "# " + self.words(1, 1), *body, fence]

    def quoted_code(self) -> list[str]:
        return ["> " + line for line in self.code()]

    def listed_code(self) -> list[str]:
        return ["1. " + self.sentence(), "", *("   " + line for line in self.code())]

    def items(self) -> list[str]:
        lines: list[str] = []
        for number in range(1, self.draw(st.integers(2, 8))):
            lines += [f"{number}. {self.sentence()}", *("   - " + line for line in self.some(0, 3))]
        return lines

    def table(self) -> list[str]:
        rows = [f"| {self.words(1, 3)} | {self.words(1, 3)} |" for _ in range(self.draw(st.integers(1, 12)))]
        return ["| h | i |", "|---|---|", *rows]


BLOCKS = (
    Writer.text,
    Writer.code,
    Writer.items,
    Writer.quote,
    Writer.heading,
    Writer.table,
    Writer.quoted_code,
    Writer.listed_code,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    writer = Writer(draw)
    blocks = draw(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=6))
    return "\n\n".join("\n".join(block(writer)) for block in blocks)


limits = st.sampled_from([120, 160, 250, 400, 1000])
measures = st.sampled_from([utf16, formatted])


@given(documents(), limits, measures)
@settings(max_examples=100, deadline=None)
def test_pages_show_what_the_text_shows(markdown: str, limit: int, measure: Measure) -> None:
    pages = check(markdown, limit, measure)
    source = re.findall(r"w\d+", rendered(markdown))
    assert re.findall(r"w\d+", "".join(rendered(page) for page in pages)) == source


@given(documents(), limits)
@settings(max_examples=60, deadline=None)
def test_words_keep_their_marks(markdown: str, limit: int) -> None:
    shown: dict[str, set[str]] = {}
    for page in check(markdown, limit):
        shown |= marked(page)
    assert shown == marked(markdown)


@given(documents(), limits)
@settings(max_examples=60, deadline=None)
def test_code_is_the_same_line_by_line(markdown: str, limit: int) -> None:
    pages = check(markdown, limit)
    assert [line for page in pages for line in code_lines(page) if line.strip()] == [
        line for line in code_lines(markdown) if line.strip()
    ]


@given(documents(), limits, measures, st.data())
@settings(max_examples=60, deadline=None)
def test_closed_pages_stay_while_the_text_grows(
    markdown: str, limit: int, measure: Measure, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(markdown)), max_size=12)))
    pages = Pages(limit, measure)
    before: list[str] = []
    for cut in [*cuts, len(markdown)]:
        now = pages.update(markdown[:cut])
        assert now[: max(0, len(before) - 1)] == before[:-1]
        assert all(measure(page) <= limit for page in now)
        if measure is utf16:
            assert now == split(markdown[:cut], limit, measure)
        before = now


PIECES = [*"`*_~|[]()>-.1#!\\ab  \n\n\t", "```", "http://a.b/", "😀", FAMILY, "e\u0301", "中文。", "word " * 5]
ODD = st.lists(st.sampled_from(PIECES), max_size=200).map("".join)


@given(ODD, st.sampled_from([12, 40, 100]), measures)
@settings(max_examples=200, deadline=None)
def test_any_text_at_all(markdown: str, limit: int, measure: Measure) -> None:
    pages = check(markdown, limit, measure)
    shown = "".join(pages)
    for letter in "😀\u0301中文":
        assert shown.count(letter) >= markdown.count(letter)


@given(ODD, st.integers(0, 500))
@settings(max_examples=100, deadline=None)
def test_any_text_in_a_stream(markdown: str, cut: int) -> None:
    pages = Pages(40, utf16)
    before = pages.update(markdown[:cut])
    now = pages.update(markdown)
    assert now[: max(0, len(before) - 1)] == before[:-1]
    assert all(utf16(page) <= 40 for page in now)


# -- the cases that broke in other bots


def test_a_text_that_just_fits_is_one_page() -> None:
    assert split("x" * 2000, 2000, utf16) == ["x" * 2000]
    assert len(split("x" * 2001, 2000, utf16)) == 2


def test_nothing_to_show_is_no_page() -> None:
    assert split("", 100, utf16) == []
    assert split(" \n\n ", 100, utf16) == []


def test_ten_thousand_characters_of_prose() -> None:
    words = [f"word{i}" for i in range(1300)]
    text = ". ".join(" ".join(words[i : i + 9]) for i in range(0, len(words), 9))
    pages = check(text, 2000)
    assert " ".join(pages).split() == text.split()
    assert all(page.endswith(".") for page in pages[:-1])
    assert len(pages) == len(text) // 2000 + 1


def test_a_code_block_longer_than_three_pages() -> None:
    lines = [f"    value_{i} = compute({i})  # `not` **bold**" for i in range(200)]
    pages = check("Look:\n\n```python\n" + "\n".join(lines) + "\n```\nDone.", 2000)
    assert len(pages) > 3
    assert all(page.startswith("```python\n") for page in pages[1:])
    assert all(page.endswith("\n```") for page in pages[:-1])
    assert [line for page in pages for line in code_lines(page)] == lines
    assert pages[-1].endswith("Done.")


@pytest.mark.parametrize("fence", ["```", "`````", "~~~"])
def test_a_fence_keeps_its_length_and_language(fence: str) -> None:
    inner = "```" if len(fence) > 3 else "text"
    text = f"{fence}rust\n" + f"{inner}\nlet a = 1;\n" * 20 + fence
    pages = check(text, 100)
    assert all(page.startswith(f"{fence}rust\n") and page.endswith(f"\n{fence}") for page in pages)


def test_a_block_that_ends_at_the_page_does_not_open_an_empty_one() -> None:
    text = "```\n" + "1234567\n" * 11 + "```\n\nafter " + "words " * 10
    for limit in range(80, 110):
        for page in check(text, limit):
            assert "```\n```" not in page


def test_an_unfinished_fence_is_closed_in_the_stream() -> None:
    pages = Pages(2000, utf16)
    assert pages.update("Look:\n```py") == ["Look:"]
    assert pages.update("Look:\n```py\nx = 1") == ["Look:\n```py\nx = 1\n```"]
    assert pages.update("Look:\n```py\nx = 1\n``") == ["Look:\n```py\nx = 1\n```"]
    assert pages.update("Look:\n```py\nx = 1\n```\nok") == ["Look:\n```py\nx = 1\n```\nok"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("some **bold", "some **bold**"),
        ("some **bold and *both", "some **bold and *both***"),
        ("some `code", "some `code`"),
        ("some ~~struck", "some ~~struck~~"),
        ("a ||secret", "a ||secret||"),
        ("__under_line", "__under_line__"),
        ("2*3 and a || b and snake_case and 5 * 4", "2*3 and a || b and snake_case and 5 * 4"),
        (r"\*not", r"\*not"),
        ("**old\n\nnew", "**old\n\nnew"),
        ("- **item\n- other", "- **item\n- other"),
        ("`**` and", "`**` and"),
        ("see [a*b](http://x.y/_z", "see [a*b](http://x.y/_z"),
    ],
)
def test_an_open_mark_is_closed_in_the_stream(text: str, shown: str) -> None:
    assert split(text, 2000, utf16) == [shown]


def test_a_mark_over_the_cut_is_closed_and_reopened() -> None:
    pages = check("**" + "bold words " * 30 + "end** plain", 100)
    assert all(page.startswith("**") and page.count("**") == 2 for page in pages)
    assert pages[-1].endswith("end** plain")


def test_a_mark_that_never_closes_is_not_reopened() -> None:
    pages = check("**" + "word " * 30 + "\n\nnext", 100)
    assert pages[-1].startswith("word")
    assert pages[-1].endswith("word \n\nnext")


def test_a_quote_goes_on() -> None:
    pages = check("> " + "quoted words " * 20, 100)
    assert len(pages) > 2
    assert all(page.startswith("> quoted") or page.startswith("> words") for page in pages)


def test_links_and_addresses_are_never_cut() -> None:
    link, url = "[the *text* here](https://example.org/a_(b)?c=d)", "https://example.org/" + "path/" * 8
    for lead in range(60):
        text = "x" * lead + f" {link} {url} `code span` " + "y " * 40
        pages = check(text, 90)
        for whole in (link, url, "`code span`"):
            assert sum(page.count(whole) for page in pages) == 1


def test_a_link_longer_than_a_page_is_cut_but_not_lost() -> None:
    url = "https://example.org/" + "a1" * 200
    assert "".join(check(url, 100)) == url


def test_code_longer_than_a_page_is_closed_and_reopened() -> None:
    pages = check("`" + "abcd " * 50 + "`", 100)
    assert all(page.startswith("`") and page.endswith("`") for page in pages)


def test_one_word_of_ten_thousand_characters() -> None:
    pages = check("y" * 10_000, 2000)
    assert [len(page) for page in pages] == [2000] * 5


def test_six_hundred_families() -> None:
    pages = check(FAMILY * 600, 2000)
    assert "".join(pages) == FAMILY * 600
    assert all(len(page) % len(FAMILY) == 0 for page in pages)


@pytest.mark.parametrize(
    "cluster",
    [
        "e\u0301\u0302",
        "\U0001f1e9\U0001f1ea",
        "\U0001f44d\U0001f3fd",
        "\u0915\u094d\u0937",
        "\u1100\u1161\u11a8",
        "\U0001f3f4\U000e0067\U000e007f",
    ],
)
def test_a_character_is_never_cut(cluster: str) -> None:
    for page in check(cluster * 300, 101):
        assert len(page) % len(cluster) == 0
    assert not any(is_boundary(cluster, at) for at in range(1, len(cluster)))


def test_stacked_marks_without_end_are_cut_somewhere() -> None:
    text = "a" + "\u0301" * 5000
    assert "".join(check(text, 1000)) == text


def test_surrogates_stay_together() -> None:
    for page in check("\ud83d\ude00" * 500, 101):
        page.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def test_chinese_is_cut_at_sentences() -> None:
    text = "这是一个很长的句子，它没有空格，但是有标点。" * 40
    pages = check(text, 200)
    assert "".join(pages) == text
    assert all(page.endswith("。") for page in pages)


def test_a_table_is_cut_between_rows_and_repeats_its_header() -> None:
    rows = [f"| row {i} | value {i} |" for i in range(60)]
    pages = check("\n".join(["Before", "", "| a | b |", "|---|---|", *rows]), 300)
    assert all(page.startswith("| a | b |\n|---|---|\n| row") for page in pages[1:])
    assert [line for page in pages for line in page.splitlines() if line.startswith("| row")] == rows


def test_lists_count_on_and_nested_items_move_left() -> None:
    text = "\n".join(
        f"1. item {i}\n   - part one of {i}\n     - deep part {i}\n   - part two of {i}" for i in range(1, 20)
    )
    pages = check(text, 130)
    first_numbers = [int(found.group(1)) for page in pages[1:] if (found := re.search(r"(?m)^(\d+)\. item", page))]
    items = [int(found.group(1)) for page in pages[1:] if (found := re.search(r"(?m)^\d+\. item (\d+)", page))]
    assert first_numbers == items
    assert not any(page.startswith(" ") for page in pages)
    assert not any(token.type == "code_block" for page in pages for token in leaves(page))


def test_a_heading_stays_with_its_text() -> None:
    text = "\n\n".join(f"## Heading {i}\n\n" + "text " * 12 for i in range(30))
    for page in check(text, 150):
        assert not page.splitlines()[-1].startswith("##")


def test_a_dash_in_prose_does_not_become_a_list() -> None:
    for page in check("it was - as I said - a long day " * 30, 100):
        assert not page.startswith("- ")


@pytest.mark.parametrize(
    "piece", ["[", "`a ``b ", "*a **b ", "*", ">", "> ", "- ", "1. ", "|", "[a](http://x.y ", "\\", "```\n", "[a](("]
)
def test_thousands_of_the_same_mark(piece: str) -> None:
    """None of them may cost more than a moment, lose the words after it, or break a limit."""
    pages = check(piece * (20_000 // len(piece)) + "\n\nthe end", 2000)
    assert "the end" in pages[-1]


def test_windows_line_ends() -> None:
    assert split("a\r\n\r\nb", 100, utf16) == ["a\n\nb"]


def test_a_text_that_does_not_continue_starts_anew() -> None:
    pages = Pages(20, utf16)
    pages.update("first words that are long enough for pages")
    assert pages.update("other text") == ["other text"]


def test_a_dear_measure_is_called_few_times() -> None:
    measure = Counting()
    text = ("Some **bold** text with a [link](https://example.org/somewhere/far) in it. " * 6 + "\n\n") * 60
    pages = check(text, 4096, measure)
    measure.calls = 0
    split(text, 4096, measure)
    assert measure.calls <= 5 * len(pages)
    measure.calls = 0
    split("A short answer, as most are. " * 20, 4096, measure)
    assert measure.calls == 0


def test_closed_pages_are_not_read_again() -> None:
    measure = Counting()
    pages = Pages(1000, measure)
    text = ""
    for _ in range(400):
        text += "A sentence of the answer as it streams. " * 2
        pages.update(text)
    assert measure.calls < 400 * 2 + len(pages.update(text)) * 8


def test_formatting_that_grows_a_table() -> None:
    text = "| a | b |\n|---|---|\n" + "\n".join(f"| {'x' * (i % 30)} | {i} |" for i in range(100))
    check(text, 200, formatted)
