"""A model's Markdown as Discord shows it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.discord_bot.format import BLANK, to_page

SIGNS = st.sampled_from([
    *("```", "~~~", "````", "|", "||", "---", "|-|-|", "# ", "#### ", "- [ ] ", "> ", ">>> ", "+ ", "1. ", "**"),
    *("@everyone", "<@1>", "<@&2>", "![a](b)", "[a](http://b)", "`", "\n", "\n\n", " ", "text", "\ud800", "😀", "表"),
])  # fmt: skip


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("plain **bold** *it* `code` ~~no~~", "plain **bold** *it* `code` ~~no~~"),
        ("# One\n## Two\n### Three ###", "# One\n## Two\n### Three"),
        ("#### Four\n###### **Six**", "**Four**\n**Six**"),
        ("#hashtag", "#hashtag"),
        ("![a cat](https://x.org/cat.png)", "[a cat](https://x.org/cat.png)"),
        ("![](https://x.org/cat.png \"A cat\")", "[image](https://x.org/cat.png)"),
        ("[text](https://x.org/a_(b))", "[text](https://x.org/a_(b))"),
        ("[text](https://x.org/a_(b)_(c)/d)", "[text](https://x.org/a_(b)_(c)/d)"),
        ("[text](https://x.org 'title')", "[text](https://x.org)"),
        ("[https://x.org](https://x.org)", "<https://x.org>"),
        ("[https://bank.org](https://evil.org)", "<https://evil.org>"),
        ("[here](docs/a.md)", "here (docs/a.md)"),
        ("- [ ] open\n- [x] done\n1. [X] counted", "- ☐ open\n- ☑ done\n1. ☑ counted"),
        ("+ plus\n  + nested", "- plus\n  - nested"),
        ("a\n\n---\n\nb", "a\n\n────────────\n\nb"),
        ("> quote\n>> deeper\n> > deeper", "> quote\n> deeper\n> deeper"),
        (">>> all of it", "> all of it"),
        ("-# small", "\\-# small"),
        ("if a || b || c", "if a \\|\\| b \\|\\| c"),
        ("`a || b` || c", "`a || b` \\|\\| c"),
        ("He is ||the **killer**||.", "He is ||the **killer**||."),
        ("他是||凶手||。", "他是||凶手||。"),
        ("||a `b||c` d|| e", "||a `b||c` d|| e"),
        ("||two\nlines||", "||two\nlines||"),
        ("x||y||z, ||| and ||||", "x\\|\\|y\\|\\|z, \\|\\|\\| and \\|\\|\\|\\|"),
        ("||not\n\none||", "\\|\\|not\n\none\\|\\|"),
        ("||still grow", "||still grow||"),
        ("||still\n```\na\n```", "\\|\\|still\n```\na\n```"),
        ("see ||[this](https://x.org)||", "see ||[this](https://x.org)||"),
        ("<t:1795341508:R> and <t:1795341508>", "<t:1795341508:R> and <t:1795341508>"),
        ("~~~python\nx\n~~~", "```python\nx\n```"),
        ("```python title=\"a\"\nx\n```", "```python\nx\n```"),
        ("````md\n```py\nx\n```\n````", f"```md\n``{BLANK}`py\nx\n``{BLANK}`\n```"),
        ("```\n# a\n- [ ] b\n| a | b |\n|---|---|\n```", "```\n# a\n- [ ] b\n| a | b |\n|---|---|\n```"),
        ("```py\nnever closed", "```py\nnever closed\n```"),
        ("1. step:\n   ```sh\n   ls\n   ```\n2. next", "1. step:\n   ```sh\n   ls\n   ```\n2. next"),
        ("> ```py\n> never closed", "> ```py\n> never closed\n> ```"),
        ("", ""),
    ],
)  # fmt: skip
def test_forms(markdown: str, shown: str) -> None:
    assert to_page(markdown).text == shown


def test_a_table_is_drawn_with_aligned_columns() -> None:
    markdown = (
        "Look:\n| Name | **Size** |\n|:-----|-----:|\n| `a` | 1 |\n| 表 | [x](https://y.org) |\n| c \\| d |\n\nEnd"
    )
    assert to_page(markdown).text.split("\n") == [
        "Look:",
        "```",
        "Name   Size",
        "─────  ─────────────────",
        "a      1",
        "表     x (https://y.org)",
        "c | d",
        "```",
        "",
        "End",
    ]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    lines = to_page("a|b\n-|-\nlong cell|x\n表表表表表表|y").text.split("\n")
    assert lines[1:4] == ["a             b", "────────────  ─", "long cell     x"]
    assert lines[4] == "表表表表表表  y"


@pytest.mark.parametrize(
    "place", ["{}", "`{}`", "```\n{}\n```", "[{}](https://x.org)", "# {}", "| {} | b |\n|---|---|"]
)
@pytest.mark.parametrize("ping", ["@everyone", "@here", "<@123>", "<@!123>", "<@&123>"])
def test_mentions_are_broken_everywhere(place: str, ping: str) -> None:
    text = to_page(place.format(ping)).text
    assert ping not in text
    assert BLANK in text


def test_what_only_looks_like_a_mention_stays() -> None:
    for text in ("me@hereford.org", "a < @b", "<#123>", "@somebody"):
        assert to_page(text).text == text


@pytest.mark.parametrize("mark", ["[a](", "[a](http://x(", "[a](b ", '[a](b "', "![a]("])
def test_brackets_that_are_left_open_are_text(mark: str) -> None:
    """Hours would not be enough to try all the links that these might be."""
    assert to_page(mark * 4000).text == (mark * 4000).strip("\n")


def test_length_counts_utf16_units() -> None:
    assert to_page("a😀").length == 3
    assert to_page("x" * 2000).length == 2000


def test_broken_unicode_is_replaced() -> None:
    assert to_page("a\ud800b\0c").text == "a\ufffdb\ufffdc"


@given(st.lists(SIGNS, max_size=40).map("".join))
def test_nothing_fails_and_nobody_is_pinged(markdown: str) -> None:
    page = to_page(markdown)
    assert not re.search(r"@(everyone|here)\b|<@[!&]?\d", page.text)
    assert page.length >= len(page.text)
    page.text.encode()
    # Every block is closed: what follows on the next page is not swallowed.
    fences = [line for line in page.text.split("\n") if re.match(r"[\s>]*```[\w+#.-]*$", line)]
    assert len(fences) % 2 == 0
