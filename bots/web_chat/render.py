"""Pages and fragments as HTML."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bots.buttons import FORGET, MODELS
from bots.web_chat import ids, labels, pictographs, playing
from bots.web_chat.format import render
from bots.web_chat.store import Change, Conversation, Press, Role, StoredMessage, User
from core.texts import say

HERE = Path(__file__).parent
STATIC = HERE / "static"
SCREENFUL = 60
"""Messages shown at first; earlier ones are fetched on demand."""
_KEPT_RENDERINGS = 256
OWN_OF_ANSWERS = ("continue", "regenerate", "stop")
"""Commands of buttons under answers that the page has in a form of its own."""
SIGNS = {
    MODELS: "other_model",
    FORGET: "forget",
    "speak": "speak",
    "feedback up": "up",
    "feedback down": "down",
}
"""What the buttons do whose labels are signs alone: sentences of the pages, by commands."""
HTMX = {
    "includeIndicatorCSS": False,
    "history": "reload",
    "noSwap": [204, 304, "4xx", "5xx"],
    "prefix": "",
    "defaultSwap": "none",
    "extensions": "sse,messages",
    # A tab in the background gives its connection back; coming to the front it asks for what it missed.
    "sse": {"reconnectDelay": 400, "reconnectMaxDelay": 8000},
}
"""Our pages have nothing for htmx to evaluate (no filters, ``js:`` or ``hx-on``), and the policy forbids it anyway."""


class Renderer:
    """The templates, with the last rendered answers kept: two tabs cost one rendering."""

    def __init__(self) -> None:
        self._pages = Environment(
            loader=FileSystemLoader(HERE / "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        shared = cast(dict[str, Any], self._pages.globals)
        version = _version()
        shared.update(htmx_config=json.dumps(HTMX), version=version, kind_of=playing.kind_of)
        self._icons = f"/static/icons.svg?v={version}"
        self._kept: OrderedDict[tuple[str, str, str], Markup] = OrderedDict()

    def page(self, name: str, language: str, **values: Any) -> str:
        return self._pages.get_template(name).render(
            t=SimpleNamespace(**labels.table(language)), lang=labels.tag(language), **values
        )

    def chat(
        self,
        language: str,
        *,
        user: User,
        token: str,
        conversation: Conversation | None,
        conversations: Sequence[Conversation],
        revision: int,
        messages: Sequence[StoredMessage],
        has_earlier: bool,
        models: Sequence[str],
        ticket: str,
        max_upload: int,
    ) -> str:
        """The whole page, of one conversation or for a new one."""
        return self.page(
            "chat.html",
            language,
            user=user,
            token=token,
            conversation=conversation,
            conversations=conversations,
            revision=revision,
            messages=self._views(conversation.id if conversation else "", messages, language),
            has_earlier=has_earlier,
            models=models,
            model=_chosen(conversation, models),
            ticket=ticket,
            max_upload=max_upload,
        )

    def posted(
        self,
        language: str,
        message: StoredMessage,
        *,
        ticket: str,
        place: str,
        conversation: Conversation | None,
        conversations: Sequence[Conversation],
        models: Sequence[str],
    ) -> str:
        """What a sent message changes in the page; with ``conversation``, that it has become this new one's."""
        return self.page(
            "posted.html",
            language,
            ticket=ticket,
            messages_html=Markup(self.messages(language, place, (message,))),  # noqa: S704  rendered by Jinja
            conversation=conversation,
            conversations=conversations,
            models=models,
            model=_chosen(conversation, models),
        )

    def messages(self, language: str, conversation: str, messages: Iterable[StoredMessage]) -> str:
        """The messages alone, as they stand in the page."""
        return self.page("messages.html", language, messages=self._views(conversation, messages, language))

    def changes(self, language: str, conversation: str, changes: Iterable[Change]) -> str:
        """What a browser has to put in, replace or take away."""
        parts = [
            self.messages(language, conversation, (change.message,))
            if change.message is not None
            else f'<article id="m-{change.id}" data-removed></article>'
            for change in changes
            if ids.is_message_id(change.id)
        ]
        return "".join(parts)

    def markdown(self, text: str, language: str) -> Markup:
        """What Parley itself says, as HTML."""
        return Markup(render(text, say("web.copy", language)))  # noqa: S704  safe by format.py

    def _views(self, conversation: str, messages: Iterable[StoredMessage], language: str) -> list[dict[str, Any]]:
        return [
            {
                "m": message,
                "conversation": conversation,
                "html": Markup() if message.role == "question" else self._html(message, language),
                "commands": [button.command for button in message.buttons],
                "rows": _rows(message, language),
            }
            for message in messages
        ]

    def _html(self, message: StoredMessage, language: str) -> Markup:
        key = (message.id, message.text, language)
        found = self._kept.pop(key, None)
        if found is None:
            html = render(message.text, say("web.copy", language))
            html = pictographs.drawn(html, self._icons, is_own=message.role is Role.NOTICE)
            found = Markup(html)  # noqa: S704  safe by format.py
        self._kept[key] = found
        if len(self._kept) > _KEPT_RENDERINGS:
            self._kept.popitem(last=False)
        return found


def _rows(message: StoredMessage, language: str) -> list[list[dict[str, Any]]]:
    """The buttons of a message in their rows, without those that the page has by itself."""
    own = OWN_OF_ANSWERS if message.role is Role.ANSWER else ()
    rows: dict[int, list[dict[str, Any]]] = {}
    for button in message.buttons:
        if button.command not in own:
            rows.setdefault(button.row, []).append(_button(button, language))
    return [rows[number] for number in sorted(rows)]


def _button(button: Press, language: str) -> dict[str, Any]:
    icon, words = pictographs.parted(button.label)
    sentence = SIGNS.get(button.command, "")
    # What is a sign alone elsewhere is called something here.
    name = say(f"web.{sentence}", language) if sentence and not words else button.label
    return {"command": button.command, "icon": icon, "words": words, "name": name, "grave": button.grave}


def _chosen(conversation: Conversation | None, models: Sequence[str]) -> str:
    if conversation is not None and conversation.model in models:
        return conversation.model
    return models[0] if models else ""


def _version() -> str:
    """Changes with any static file, so that browsers may keep them for good."""
    content = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            content.update(path.read_bytes())
    return content.hexdigest()[:12]
