"""What a Discord message holds besides its own text: files and pictures, and what else can be read, in words. Pure.

The same for a message, for one that is replied to and for the snapshot of a forwarded one. Everything is bounded: other
bots' messages may hold thousands of characters in dozens of parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any

from bots.discord_bot.layout import FOOTER
from core.message import Attachment, AttachmentKind, clean_text

Payload = Mapping[str, Any]

MAX_TEXT = 6000
"""Characters of all that is put in words: as many as Discord allows in the embeds of one message."""
MAX_PICTURES = 4
"""Pictures taken from embeds, galleries and stickers of one message."""
CDN = "https://cdn.discordapp.com"
"""Where pictures of stickers are, unless told otherwise."""
GIFS = "https://media.discordapp.net"
"""Where those that are GIFs are: the other server does not have them."""
PNG, APNG, GIF = 1, 2, 4
"""Formats of stickers that are pictures; 3 is Lottie, which is a program."""
IS_VOICE = 1 << 13
"""Flag of a message that is a recording and nothing else."""
SPOILER = "SPOILER_"
"""How names of files begin that are hidden until they are clicked."""
BUTTON, SELECTS, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE = 2, (3, 5, 6, 7, 8), 10, 11, 12, 13
"""Types of components; rows (1), sections (9) and containers (17) only hold others."""
_KINDS = (("image/", AttachmentKind.IMAGE), ("audio/", AttachmentKind.AUDIO), ("video/", AttachmentKind.VIDEO))
_IMAGE_NAME = re.compile(r"\.(?:jpe?g|png|webp|gif)$", re.IGNORECASE)
_INVITATIONS = {1: "play {name}", 2: "watch {name}", 3: "listen to {name}"}
_LONGEST_NAME = 128
_LONGEST_LINE = 300
_DEEPEST = 6
_MOST_PARTS = 100


def part(payload: Payload, name: str) -> Payload:
    """An object within another; empty where there is none."""
    found: Payload = payload.get(name) or {}
    return found


def parts(payload: Payload, name: str) -> Sequence[Payload]:
    """A list of objects within another."""
    found: Sequence[Payload] = payload.get(name) or ()
    return found


def snapshots(payload: Payload) -> list[Payload]:
    """Messages that were forwarded with this one."""
    return [snapshot["message"] for snapshot in parts(payload, "message_snapshots")]


def files_of(payload: Payload) -> list[Attachment]:
    """What was attached."""
    is_voice = bool(int(payload.get("flags") or 0) & IS_VOICE)
    return [_file(raw, is_voice) for raw in parts(payload, "attachments")]


def stickers_of(payload: Payload, cdn: str = CDN) -> list[Attachment]:
    """The stickers that are pictures."""
    found: list[Attachment] = []
    for sticker in parts(payload, "sticker_items"):
        format_type = int(sticker.get("format_type") or 0)
        name, id = _line(sticker.get("name")), str(sticker.get("id") or "")
        if id.isdecimal() and format_type in (PNG, APNG, GIF):
            server, ending = (GIFS, "gif") if format_type == GIF else (cdn, "png")
            address, mime = f"{server}/stickers/{id}.{ending}", f"image/{ending}"
            found.append(Attachment(AttachmentKind.IMAGE, address, name=f"{name}.{ending}", mime=mime))
    return found


def pictures_of(payload: Payload, cdn: str = CDN) -> list[Attachment]:
    """Pictures that are no attachments: of stickers, embeds and components."""
    shown = [part(embed, "image") or part(embed, "thumbnail") for embed in parts(payload, "embeds")]
    for piece in _parts(parts(payload, "components")):
        if piece.get("type") == GALLERY:
            shown += [part(item, "media") for item in parts(piece, "items")]
        elif piece.get("type") == THUMBNAIL:
            shown.append(part(piece, "media"))
    found = stickers_of(payload, cdn)
    for media in shown:
        # What stands elsewhere is fetched by Discord's proxy, never by us.
        address = str(media.get("url") or "")
        if not address.startswith((f"{cdn}/", f"{CDN}/", f"{GIFS}/")):
            address = str(media.get("proxy_url") or "")
        mime = str(media.get("content_type") or "")
        if address and not mime.startswith(("video/", "audio/")):
            found.append(Attachment(AttachmentKind.IMAGE, address, name="picture", mime=mime))
    return found[:MAX_PICTURES]


def described(payload: Payload, *, embeds: bool = True, buttons: bool = True) -> str:
    """What stands beside the text, in words; empty where there is nothing.

    ``embeds``: with these; in what people write they are previews of links, which come and go without a word.
    ``buttons``: with what is written on them. Without, the bot's own footer is left out as well.
    """
    lines = [_sticker(sticker) for sticker in parts(payload, "sticker_items")]
    if payload.get("poll"):
        lines.append(_poll(payload["poll"]))
    if payload.get("activity"):
        lines.append(_activity(payload))
    lines += _alternatives(parts(payload, "attachments"))
    if embeds:
        lines += [_embed(embed) for embed in parts(payload, "embeds")]
    lines += _components(parts(payload, "components"), buttons=buttons)
    return "\n".join(filter(None, lines))[:MAX_TEXT]


def forwarded(snapshot: Payload, channel: str) -> str:
    """That the message was forwarded, from when, and from which channel where that is known."""
    source = f" from #{channel}" if channel else ""
    day = _day(snapshot.get("timestamp"))
    return f"[Forwarded message{source}{f', {day}' if day else ''}]"


def titled(title: str, tags: Iterable[str]) -> str:
    """The beginning of a forum post: its title stands above its first message."""
    kept = ", ".join(_line(tag) for tag in tags)
    return f"[Post: {_line(title)}{f'; tags: {kept}' if kept else ''}]"


def _file(raw: Payload, voice: bool) -> Attachment:
    mime = (raw.get("content_type") or "").partition(";")[0].strip().lower()
    name = _file_name(raw)
    kind = next((kind for prefix, kind in _KINDS if mime.startswith(prefix)), AttachmentKind.DOCUMENT)
    if not mime and _IMAGE_NAME.search(name):
        kind = AttachmentKind.IMAGE
    elif voice:
        kind = AttachmentKind.AUDIO
    return Attachment(
        kind,
        ref=raw["url"],
        name=name,
        mime=mime,
        size=int(raw.get("size") or 0),
        seconds=ceil(raw.get("duration_secs") or 0),
    )


def _file_name(raw: Payload) -> str:
    """As its owner named it: of a name in other letters than Latin ones only the title is left, without the ending."""
    name = str(raw.get("filename") or "").removeprefix(SPOILER)
    title = str(raw.get("title") or "").removeprefix(SPOILER)
    if title:
        _, dot, ending = name.rpartition(".")
        tail = f"{dot}{ending}" if dot else ""
        name = title if title.lower().endswith(tail.lower()) else f"{title}{tail}"
    return clean_text(name)[:_LONGEST_NAME]


def _alternatives(files: Iterable[Payload]) -> list[str]:
    """What people wrote about a file for those who cannot see it."""
    return [f"[{_file_name(raw)}: {_line(raw['description'], 1024)}]" for raw in files if raw.get("description")]


def _sticker(sticker: Payload) -> str:
    return f"[Sticker: {_line(sticker.get('name'))}]"


def _poll(poll: Payload) -> str:
    results = part(poll, "results")
    counts = {int(entry["id"]): int(entry["count"]) for entry in parts(results, "answer_counts")}
    state = ", ended" if results.get("is_finalized") else ""
    several = ", several answers allowed" if poll.get("allow_multiselect") else ""
    lines = [f"[Poll{state}{several}: {_line(part(poll, 'question').get('text'))}]"]
    for answer in parts(poll, "answers"):
        media = part(answer, "poll_media")
        # Nobody has voted for an answer that is not counted.
        votes = f" ({counts.get(int(answer.get('answer_id') or 0), 0)})" if counts else ""
        name = part(media, "emoji").get("name") or ""
        lines.append(f"- {_line(' '.join(filter(None, (name, media.get('text')))))}{votes}")
    return "\n".join(lines)


def _activity(payload: Payload) -> str:
    name = _line(part(payload, "application").get("name")) or "something"
    what = _INVITATIONS.get(int(payload["activity"].get("type") or 0), "join {name}")
    return f"[Invitation to {what.format(name=name)}]"


def _embed(embed: Payload) -> str:
    """One embed, in the order in which it is shown."""
    author, footer = (_line(part(embed, name).get(key)) for name, key in (("author", "name"), ("footer", "text")))
    fields = [
        f"{_line(field.get('name'))}: {clean_text(str(field.get('value') or ''))}" for field in parts(embed, "fields")
    ]
    text = clean_text(str(embed.get("description") or ""))
    said = [author, _line(embed.get("title")), text, *fields, footer, *_components(parts(embed, "components"))]
    return "\n".join(filter(None, said))


def _components(components: Iterable[Payload], *, buttons: bool = True) -> list[str]:
    lines: list[str] = []
    for piece in _parts(components):
        kind = piece.get("type")
        if kind == TEXT_DISPLAY:
            # Only the bot's own messages are read without buttons, and these may have a footer.
            if buttons or piece.get("id") != FOOTER:
                lines.append(clean_text(str(piece.get("content") or "")))
        elif kind == BUTTON and buttons:
            label = _line(piece.get("label") or part(piece, "emoji").get("name"))
            lines.append(f"[Button: {label}]" if label else "")
        elif kind in SELECTS and buttons:
            lines.append(f"[Menu: {_line(piece.get('placeholder')) or 'choose'}]")
        elif kind == GALLERY:
            lines += [
                f"[Picture: {_line(i['description'], 1024)}]" for i in parts(piece, "items") if i.get("description")
            ]
        elif kind == FILE:
            lines.append(f"[File: {_line(piece.get('name') or 'unnamed')}]")
    return lines


def _parts(components: Iterable[Payload]) -> Iterator[Payload]:
    """All components, those within others behind them, in the order of reading."""
    waiting = [(piece, 1) for piece in reversed(list(components))]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return
        piece, depth = waiting.pop()
        yield piece
        if depth < _DEEPEST:
            inner = [*parts(piece, "components"), *filter(None, (piece.get("accessory"), piece.get("component")))]
            waiting += [(one, depth + 1) for one in reversed(inner)]


def _day(timestamp: Any) -> str:
    if not timestamp:
        return ""
    return f"{datetime.fromisoformat(str(timestamp)).astimezone(UTC):%d %B %Y}"


def _line(text: Any, longest: int = _LONGEST_LINE) -> str:
    """What people chose stands in one line, so that it cannot look like something else."""
    return " ".join(clean_text(str(text or "")).split())[:longest]
