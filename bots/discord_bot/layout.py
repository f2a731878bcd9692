"""The bodies of messages: plain content for what still grows, components of the second version for what is finished.

Discord takes no mixture: with the flag :data:`COMPONENTS` a message has no content, and it never loses the flag. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from bots.adapter import Page
from bots.discord_bot.rest import Upload
from bots.discord_bot.rows import rows
from core.parts import Media

NO_PREVIEWS, COMPONENTS = 1 << 2, 1 << 15
"""The flags SUPPRESS_EMBEDS and IS_COMPONENTS_V2."""
TEXT, GALLERY = 10, 12
"""Types of components: TextDisplay, MediaGallery."""
FOOTER = 4000
"""The id of the component that holds the footer, so that it is never taken for a part of the text. Those that have
none of their own are numbered by Discord from 1 on, and a message has 40 at most."""
MAX_PICTURES = 10
"""In a gallery."""
MAX_DESCRIPTION = 1024
"""Characters that say what a picture shows."""
NO_MENTIONS: Mapping[str, Any] = {"parse": [], "replied_user": False}
_SHOWN = ("image/", "video/")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Body = dict[str, Any]


def growing(page: Page, *, is_new: bool = False) -> Body:
    """Rows are always given: an edit without them would leave old buttons standing. A new message gets no previews of
    its links, which would only come and go: components have none."""
    body: Body = {"content": page.text, "allowed_mentions": NO_MENTIONS, "components": rows(page.buttons)}
    return {**body, "flags": NO_PREVIEWS} if is_new else body


def finished(page: Page, pictures: Sequence[Upload] = (), *, edits: bool = False) -> Body:
    """``edits``: in place of a message that may be a plain one. ``pictures`` are named by :func:`named`."""
    components: list[Body] = []
    if page.text.strip():
        components.append({"type": TEXT, "content": page.text})
    if pictures:
        components.append({"type": GALLERY, "items": [_item(picture) for picture in pictures]})
    if page.footer:
        components.append({"type": TEXT, "id": FOOTER, "content": f"-# {page.footer}"})
    body = {
        "flags": COMPONENTS,
        "allowed_mentions": NO_MENTIONS,
        "components": [*components, *rows(page.buttons)],
    }
    # A link in plain content may have got a preview by now, which is an embed.
    return {**body, "content": None, "embeds": None} if edits else body


def attached(uploads: Sequence[Upload]) -> list[Body]:
    """The files that a message has after a call with these, and no others."""
    files: list[Body] = []
    for number, upload in enumerate(uploads):
        files.append({"id": str(number), "filename": upload.name} | _described(upload))
    return files


def is_shown(mime: str) -> bool:
    """Whether a gallery shows it. Files of other types stay plain attachments: only these have players and previews."""
    return mime.startswith(_SHOWN)


def named(files: Sequence[Media]) -> list[Upload]:
    """Files by names that a gallery can refer to: Discord changes others, and the reference would lead nowhere."""
    made: list[Upload] = []
    for number, file in enumerate(files):
        path = PurePath(file.name)
        stem = _UNSAFE.sub("_", path.stem).strip("._") or "file"
        last = f"_{number + 1}" if len(files) > 1 else ""
        name = f"{stem[:60]}{last}{_UNSAFE.sub('_', path.suffix)[:10]}"
        made.append(Upload(name, file.mime, file.data, file.description))
    return made


def text_of(message: Mapping[str, Any]) -> str:
    """What a message of the bot's own says, without its footer."""
    if not message.get("flags", 0) & COMPONENTS:
        return message.get("content") or ""
    return "\n".join(c["content"] for c in _all(message.get("components") or []) if _is_text(c))


def _item(picture: Upload) -> Body:
    return {"media": {"url": f"attachment://{picture.name}"}} | _described(picture)


def _described(upload: Upload) -> Body:
    """For people who cannot see it. An empty description is refused."""
    description = upload.description.strip()[:MAX_DESCRIPTION]
    return {"description": description} if description else {}


def _is_text(component: Mapping[str, Any]) -> bool:
    return component.get("type") == TEXT and component.get("id") != FOOTER


def _all(components: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for component in components:
        yield component
        yield from _all(component.get("components") or [])
