"""What a text says to the bot: mentions of it, commands, and the addresses behind its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bots.telegram_bot import utf16
from bots.telegram_bot.raw import Me, Raw, part
from bots.telegram_bot.rich_reading import Reading
from core.message import clean_text

MAX_LINKS = 20
MAX_ADDRESS = 500


@dataclass(frozen=True, slots=True)
class Words:
    """A text without the mentions of the bot."""

    text: str
    mentions_us: bool
    command: str
    """The command entity that the text begins with, as written."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was typed."""

    name: str
    addressee: str
    """Username of the bot it names, in lower case; empty when it names none."""
    text: str


def words_of(raw: Raw, me: Me, *, ids: bool = False) -> Words:
    """A message's text or caption. ``ids``: who is mentioned without a username stands there by their account id."""
    if rich := raw.get("rich_message"):
        reading = Reading(me)
        return Words(reading.text(rich), reading.mentions_us, "")
    entities = raw.get("entities") or raw.get("caption_entities") or ()
    words = _words(raw.get("text") or raw.get("caption") or "", entities, me, ids=ids)
    preview = str(part(raw, "link_preview_options").get("url") or "")
    if not preview or preview in words.text or len(preview) > MAX_ADDRESS:
        return words
    return replace(words, text=f"{words.text}\n[Link: {preview}]")


def command_in(words: Words) -> Command | None:
    """The command that a text begins with."""
    if not words.command:
        return None
    name, _, addressee = words.command.removeprefix("/").partition("@")
    rest = clean_text(words.text.partition(words.command)[2])
    return Command(name.lower(), addressee.lower(), rest)


def _words(text: str, entities: Sequence[Raw], me: Me, *, ids: bool) -> Words:
    mention = f"@{me.username}".lower()
    # What stands between mentions of the bot.
    pieces: list[str] = [""]
    at, links, mentions_us, command = 0, 0, False, ""
    for entity in sorted(entities, key=lambda e: int(e["offset"])):
        start, end = int(entity["offset"]), int(entity["offset"]) + int(entity["length"])
        if start < at:
            continue
        kind = entity.get("type")
        if kind == "bot_command" and not "".join([*pieces, utf16.cut(text, at, start)]).strip():
            command = utf16.cut(text, start, end)
        if kind == "text_link" and links < MAX_LINKS and (address := _address(entity, utf16.cut(text, start, end))):
            pieces[-1] += f"{utf16.cut(text, at, end)} ({address})"
            at, links = end, links + 1
        ours = (kind == "mention" and utf16.cut(text, start, end).lower() == mention) or (
            kind == "text_mention" and str(part(entity, "user").get("id")) == me.id
        )
        if ours:
            mentions_us = True
            pieces[-1] += utf16.cut(text, at, start)
            pieces.append("")
            at = end
        elif ids and kind == "text_mention":
            pieces[-1] += utf16.cut(text, at, start) + str(part(entity, "user").get("id"))
            at = end
    pieces[-1] += utf16.cut(text, at, utf16.length(text)) if at else text
    return Words(_without_gaps(pieces), mentions_us, command)


def _address(link: Raw, shown: str) -> str:
    """Where the words of a link lead, unless they say so themselves."""
    address = str(link.get("url") or "")
    is_of_the_web = address.startswith(("http://", "https://")) and len(address) <= MAX_ADDRESS
    return address if is_of_the_web and _bare(shown) != _bare(address) else ""


def _bare(address: str) -> str:
    return address.strip().removeprefix("http://").removeprefix("https://").removeprefix("www.").rstrip("/").lower()


def _without_gaps(pieces: list[str]) -> str:
    """The pieces between mentions: ``hey @bot, what`` is ``hey, what``, and ``@bot: what`` is ``what``."""
    text = pieces[0].strip()
    for piece in pieces[1:]:
        if not text:
            text = piece.lstrip(" \t\n,:;")
        elif piece[:1] in (" ", "\n", ""):
            text += piece
        else:
            text += piece if piece[0] in ",.:;?!" else f" {piece}"
    return text.strip()
