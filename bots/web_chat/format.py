"""Markdown of an answer -> safe HTML: nothing raw, no foreign pictures, no odd links, no inline style."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

_SCHEMES = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
_BARE_URL = re.compile(r"https?://[^\s<>\"'`{}|\\^\u3000-\u303f\uff00-\uffef]+", re.IGNORECASE)
_TAIL = ".,;:!?…*_~"
_ALIGNED = re.compile(r"text-align:(left|center|right)")


def render(markdown: str, copy: str = "Copy") -> str:
    """HTML for one answer, ``copy`` being the label of the buttons at its code blocks. Pure; never fails."""
    return _MARKDOWN.render(markdown, {"copy": copy})


def _is_allowed(url: str) -> bool:
    return _SCHEMES.match(url) is not None


def _link_open(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    href = str(tokens[index].attrGet("href") or "")
    return f'<a href="{escape(href)}" target="_blank" rel="noopener noreferrer nofollow ugc">'


def _image(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    """A link: loading a picture from outside would tell its server who is reading."""
    token = tokens[index]
    source = str(token.attrGet("src") or "")
    label = escape(token.content or source)
    if not _is_allowed(source):
        return label
    return f'<a href="{escape(source)}" target="_blank" rel="noopener noreferrer nofollow ugc">{label}</a>'


def _fence(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    token = tokens[index]
    words = token.info.split()
    language = escape(words[0][:40]) if words else ""
    return (
        f'<figure class="code"><figcaption><span>{language}</span>'
        f'<button type="button" data-copy="code">{escape(str(env.get("copy", "")))}</button></figcaption>'
        f'<pre tabindex="0"><code>{escape(token.content)}</code></pre></figure>\n'
    )


def _cell(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    token = tokens[index]
    aligned = _ALIGNED.search(str(token.attrGet("style") or ""))
    return f'<{token.tag} class="{aligned[1]}">' if aligned else f"<{token.tag}>"


def _table_open(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    return '<div class="table" tabindex="0"><table>'


def _table_close(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    return "</table></div>\n"


def _heading(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    """Two levels down: the page has headings of its own."""
    token = tokens[index]
    level = min(6, int(token.tag[1]) + 2)
    return f"<h{level}>" if token.nesting == 1 else f"</h{level}>\n"


def _link_bare_urls(state: StateCore) -> None:
    for block in state.tokens:
        if block.type != "inline" or not block.children or "://" not in block.content:
            continue
        children: list[Token] = []
        depth = 0
        for token in block.children:
            depth += token.nesting if token.type in ("link_open", "link_close") else 0
            if token.type == "text" and depth == 0 and "://" in token.content:
                children.extend(_linked(token.content))
            else:
                children.append(token)
        block.children = children


def _linked(text: str) -> list[Token]:
    """A text's tokens with its bare addresses as links; what punctuation ends a sentence stays outside."""
    tokens: list[Token] = []
    done = 0
    for match in _BARE_URL.finditer(text):
        url = match[0].rstrip(_TAIL)
        while url.endswith(")") and url.count(")") > url.count("("):
            url = url[:-1].rstrip(_TAIL)
        if not _is_allowed(url):
            continue
        tokens.append(_text(text[done : match.start()]))
        tokens.append(Token("link_open", "a", 1, attrs={"href": url}))
        tokens.append(_text(url))
        tokens.append(Token("link_close", "a", -1))
        done = match.start() + len(url)
    tokens.append(_text(text[done:]))
    return tokens


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _make() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    # A model's link is followed only where it can be seen to lead to the web or a mailbox.
    markdown.validateLink = _is_allowed
    markdown.core.ruler.after("inline", "bare_urls", _link_bare_urls)
    rules = {
        "link_open": _link_open,
        "image": _image,
        "fence": _fence,
        "code_block": _fence,
        "th_open": _cell,
        "td_open": _cell,
        "table_open": _table_open,
        "table_close": _table_close,
        "heading_open": _heading,
        "heading_close": _heading,
    }
    for name, rule in rules.items():
        markdown.add_render_rule(name, rule)
    return markdown


_MARKDOWN = _make()
