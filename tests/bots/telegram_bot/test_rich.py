"""Rich messages: what becomes one, and what a server that does not take them is shown."""

from __future__ import annotations

import re
from itertools import count, cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.adapter import Slot, Target
from bots.splitting import Pages
from bots.telegram_bot import rich_html
from bots.telegram_bot.api import Api
from bots.telegram_bot.format import MAX_TEXT, to_page, to_rich_page
from bots.telegram_bot.outbound import TelegramOutbound
from bots.telegram_bot.seen import Seen
from core.errors import OutboundError, OutboundFault
from core.message import ConversationKey, Platform
from tests.platforms import telegram_rich
from tests.platforms.telegram_server import Fault, TelegramServer

SLOT = Slot("turn-1", 0)
HEAD = "# Head\n\ntext"
PIECES = (
    *("**", "*", "_", "`", "```", "~~", "~", "||", "[", "](", ")", "![", "https://a.bc/@x", "tg://user?id=1", "@ann"),
    *("<div>", "<br>", "<details>", "<summary>", "</summary>", "</details>", "\n<details>\n", "\n</details>\n", "&"),
    *("- ", "- [x] ", "1. ", "  - ", "# ", "> ", "| ", "\n|a|b|\n|-|-|\n", "word", " ", "😀", "注", "\\", "\\(", "\\)"),
    *("$", "$$", "$x$", "<", '"', "\n", "\n\n", "\n---\n", "\ud800", "\ue000", "\ue002"),
)


def shown(markdown: str) -> str:
    found = rich_html.render(markdown)
    assert found is not None
    read = telegram_rich.read({"html": found.html})
    assert read.text.strip()
    return found.html


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("plain & <b", "<p>plain &amp; &lt;b</p>"),
        ("## Head\nline\nline", "<h2>Head</h2><p>line<br/>line</p>"),
        ("a **b** _c_ ~~d~~ `e<`", "<p>a <b>b</b> <i>c</i> <s>d</s> <code>e&lt;</code></p>"),
        ("- a\n  1. b\n- c", '<ul><li>a<ol start="1"><li>b</li></ol></li><li>c</li></ul>'),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        (
            "- [x] done\n- [ ] open",
            '<ul><li><input type="checkbox" checked>done</li><li><input type="checkbox">open</li></ul>',
        ),
        ("- [x] a\n\n  b", '<ul><li><input type="checkbox" checked><p>a</p><p>b</p></li></ul>'),
        (
            "|a|b|\n|:-|-:|\n|1|`2`|",
            '<table bordered><tr><th align="left">a</th><th align="right">b</th></tr>'
            '<tr><td align="left">1</td><td align="right"><code>2</code></td></tr></table>',
        ),
        ("```c++\na<b\n```", '<pre><code class="language-c++">a&lt;b</code></pre>'),
        ("> said\n>\n> twice", "<blockquote><p>said</p><p>twice</p></blockquote>"),
        ("so $x<y$ is", "<p>so <tg-math>x&lt;y</tg-math> is</p>"),
        ("so\n\n$$x$$\n\nis", "<p>so</p><tg-math-block>x</tg-math-block><p>is</p>"),
        (r"\[x\] and \(y\), not `\(z\)`", "<tg-math-block>x</tg-math-block><p> and <tg-math>y</tg-math>, not "
         r"<code>\(z\)</code></p>"),
        ("from $10 (~$11) to ~12", "<p>from $10 (~$11) to ~12</p>"),
        ("a ||secret|| b", "<p>a <tg-spoiler>secret</tg-spoiler> b</p>"),
        ("x\n\n---\n\ny", "<p>x</p><hr/><p>y</p>"),
        (
            "<details>\n<summary>More *of* it</summary>\n\nhidden\n\n- a\n</details>\n\nafter",
            "<details><summary>More <i>of</i> it</summary><p>hidden</p><ul><li>a</li></ul></details><p>after</p>",
        ),
        ("<details>\nstill being wr", "<details><summary>…</summary><p>still being wr</p></details>"),
        ("rest of a part\n\n</details>", "<p>rest of a part</p>"),
        ("`<details>` is a tag", "<p><code>&lt;details&gt;</code> is a tag</p>"),
    ],
)  # fmt: skip
def test_html(markdown: str, html: str) -> None:
    assert shown(markdown) == html


def test_nobody_is_pinged_and_nothing_is_fetched() -> None:
    html = shown("[me](tg://user?id=1) [js](javascript:x) ![p](https://a.b/p.png) see https://a.b/c. [q](https://a.b)")
    assert html == (
        '<p>me js <a href="https://a.b/p.png">p</a> see <a href="https://a.b/c">https://a.b/c</a>. '
        '<a href="https://a.b">q</a></p>'
    )


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@settings(max_examples=300, deadline=None)
def test_it_always_parses(markdown: str) -> None:
    found = rich_html.render(markdown.replace("\ud800", ""))
    if found is not None:
        telegram_rich.read({"html": found.html})
    page = to_rich_page(markdown, always=True)
    assert page.rich or page.text == to_page(markdown).text


@pytest.mark.parametrize(
    ("markdown", "is_rich"),
    [
        ("plain **text** with `code` and [a link](https://a.b)", False),
        ("- a\n- b", False),
        ("```py\n# no heading\n|a|b|\n|-|-|\n```", False),
        ("a price of $5 or $6", False),
        ("word " * 800, False),
        ("word " * 900, True),
        (HEAD, True),
        ("|a|b|\n|-|-|\n|1|2|", True),
        ("- [ ] task", True),
        ("- a\n  - b", True),
        ("1. a\n\t- b", True),
        ("Head\n===", True),
        ("$x^2$", True),
        ("<details>\n<summary>s</summary>\n\nx\n</details>", True),
    ],
)
def test_what_becomes_a_rich_message(markdown: str, is_rich: bool) -> None:
    page = to_rich_page(markdown)
    assert bool(page.rich) is is_rich
    assert page.length <= MAX_TEXT
    assert bool(to_rich_page(markdown, always=True).rich)


@pytest.mark.parametrize(
    "markdown",
    [
        "# Head\n\n" + "- a\n" * 300,
        "> " * 20 + "# deep",
        "|a" * 21 + "|\n" + "|-" * 21 + "|\n" + "|1" * 21 + "|",
        "# Head\n\n" + "x" * 32_770,
    ],
    ids=["blocks", "depth", "columns", "characters"],
)
def test_what_is_over_a_limit_is_text(markdown: str) -> None:
    page = to_rich_page(markdown)
    assert not page.rich
    assert page == to_page(markdown)


def long_text(blocks: int) -> str:
    """Headings, tables, lists and paragraphs by turns, made of numbered words."""
    numbers = count()
    forms = ("## {}", "| a |\n|---|\n| {} |\n| {} |", "- {}\n- {}\n  - {}", " ".join(["{}"] * 60))
    words = (f"w{number:05}" for number in numbers)
    return "\n\n".join(re.sub(r"\{\}", lambda _: next(words), form) for form in islice(cycle(forms), blocks))


@pytest.mark.parametrize("blocks", [80, 400])
def test_a_long_answer_is_paged_whole(blocks: int) -> None:
    markdown = long_text(blocks)
    pages = Pages(MAX_TEXT, lambda text: to_rich_page(text).length)
    closed: list[str] = []
    for at in range(0, len(markdown), 1000):
        now = pages.update(markdown[:at])
        assert now[: len(closed)] == closed, "full pages stay as they are"
        closed = now[:-1]
    shown = [to_rich_page(page) for page in pages.update(markdown)]
    text = " ".join(telegram_rich.read({"html": page.rich}).text for page in shown)
    assert re.findall(r"w\d{5}", text) == re.findall(r"w\d{5}", markdown)
    assert len(shown) <= len(markdown) // 8000 + 1


def test_the_simple_form_of_a_collapsible_part() -> None:
    page = to_page("<details>\n<summary>More</summary>\n\nhidden\n</details>")
    assert page.text.split() == ["More", "hidden"]
    assert page.entities == ({"type": "bold", "offset": 0, "length": 4},)


# ---- against the server


def private(server: TelegramServer) -> Target:
    key = ConversationKey(Platform.TELEGRAM, "4242", "7")
    return Target(key, private=True, question=str(server.world.text(7, "hello")))


async def test_send_edit_and_preview(server: TelegramServer, outbound: TelegramOutbound) -> None:
    at = private(server)
    await outbound.draft(at, SLOT, outbound.format(HEAD))
    (draft,) = server.world.chat(7).drafts
    assert (draft.rich, draft.can_stop) == ("<h1>Head</h1><p>text</p>", True)
    number = await outbound.send(at, outbound.format("text"), SLOT)
    for markdown in (HEAD, HEAD, "short"):
        await outbound.edit(at, number, outbound.format(markdown))
    assert [call.status for call in server.named("editMessageText")] == [200, 400, 200]
    (post,) = server.world.shown(7)
    assert (post.rich, post.text) == ("", "short")
    assert all(c.fields["rich_message"]["skip_entity_detection"] for c in server.calls if "rich_message" in c.fields)


async def fault_of(outbound: TelegramOutbound, at: Target, markdown: str = HEAD) -> OutboundFault:
    with pytest.raises(OutboundError) as caught:
        await outbound.send(at, outbound.format(markdown), SLOT)
    return caught.value.fault


async def test_a_server_without_rich_messages_is_asked_once(server: TelegramServer, outbound: TelegramOutbound) -> None:
    at = private(server)
    server.absent |= {"sendRichMessage", "sendRichMessageDraft"}
    assert outbound.capabilities.rich
    assert await fault_of(outbound, at) is OutboundFault.FORM
    assert not outbound.capabilities.rich
    server.absent.clear()
    assert await fault_of(outbound, at) is OutboundFault.FORM
    assert server.named("sendRichMessage") == []


async def test_a_server_that_does_not_know_rich_edits(server: TelegramServer, outbound: TelegramOutbound) -> None:
    at = private(server)
    number = await outbound.send(at, outbound.format("text"), SLOT)
    server.fail("editMessageText", Fault.REFUSE, description="message text is empty")
    with pytest.raises(OutboundError) as caught:
        await outbound.edit(at, number, outbound.format(HEAD))
    assert caught.value.fault is OutboundFault.FORM
    assert not outbound.capabilities.rich


@pytest.mark.parametrize("why", ["RICH_MESSAGE_INVALID", "can't parse rich message: tag is not supported"])
async def test_content_that_is_refused_is_no_reason_to_give_up(
    server: TelegramServer, outbound: TelegramOutbound, why: str
) -> None:
    at = private(server)
    server.fail("sendRichMessage", Fault.REFUSE, description=why)
    assert await fault_of(outbound, at) is OutboundFault.FORM
    assert outbound.capabilities.rich
    await outbound.send(at, outbound.format(HEAD), SLOT)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(Fault.FLOOD, OutboundFault.RATE_LIMITED), (Fault.BAD_GATEWAY, OutboundFault.TRANSIENT)],
)
async def test_faults(
    server: TelegramServer, outbound: TelegramOutbound, fault: Fault, expected: OutboundFault
) -> None:
    server.fail("sendRichMessage", fault)
    assert await fault_of(outbound, private(server)) is expected
    assert outbound.capabilities.rich


async def test_a_blocked_bot(server: TelegramServer, outbound: TelegramOutbound) -> None:
    at = private(server)
    server.world.chat(7).blocked = True
    assert await fault_of(outbound, at) is OutboundFault.CLOSED


async def test_no_right_to_send_such_messages(server: TelegramServer, outbound: TelegramOutbound) -> None:
    server.fail("sendRichMessage", Fault.REFUSE, description="not enough rights to send rich messages to the chat")
    assert await fault_of(outbound, private(server)) is OutboundFault.FORM
    assert outbound.capabilities.rich


async def test_a_group_that_became_a_supergroup(api: Api, server: TelegramServer) -> None:
    moves: list[tuple[str, str]] = []

    async def moved(old: str, new: str) -> None:
        moves.append((old, new))

    server.world.group(-55)
    server.world.chat(-55).moved_to = -100777
    at = Target(ConversationKey(Platform.TELEGRAM, "4242", "-55"), private=False, question="")
    assert await fault_of(TelegramOutbound(api, Seen(), moved=moved), at) is OutboundFault.MOVED
    assert moves == [("-55", "-100777")]


async def test_switched_off(api: Api, seen: Seen) -> None:
    assert not TelegramOutbound(api, seen, "off").capabilities.rich
    assert TelegramOutbound(api, seen, "always").format("plain").rich
