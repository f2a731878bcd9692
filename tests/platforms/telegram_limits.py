"""The limits of what a call may hold, beyond the types of its parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

from tests.platforms.telegram_schema import UPDATES
from tests.platforms.telegram_text import MAX_TEXT, Json, wrong

ACTIONS = {
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document",
    "choose_sticker", "find_location", "record_video_note", "upload_video_note",
}  # fmt: skip
MAX_BUTTONS, MAX_BUTTONS_IN_ROW, MAX_CALLBACK_BYTES, MAX_COPIED = 100, 8, 64, 256
MAX_TOAST = 200
MAX_COMMANDS, MAX_COMMAND, MAX_SUMMARY = 100, 32, 256
MAX_NAME, MAX_DESCRIPTION, MAX_SHORT_DESCRIPTION = 64, 512, 120
MAX_RESULTS, MAX_RESULT_ID_BYTES, MAX_OFFSET_BYTES = 50, 64, 64
LEAST_ALBUM, MAX_ALBUM = 2, 10
MAX_QUOTE = 1024
MAX_DELETED = 100
START = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Of a deep link, and of the button over inline results."""


def check(method: str, fields: Json) -> None:
    """Raises Refusal, with ``violation``, for what is over a limit. The parameters have the right types."""
    for markup in _keyboards(fields):
        _keyboard(markup)
    if len(fields.get("reply_parameters", {}).get("quote", "")) > MAX_QUOTE:
        raise wrong("message quote is too long")
    if method in _RULES:
        _RULES[method](fields)


def _keyboards(value: Any) -> Iterator[Json]:
    """Inline keyboards, wherever they stand."""
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _keyboards(item)
    elif isinstance(value, dict):
        entries = cast("Json", value)
        if "inline_keyboard" in entries:
            yield entries
        else:
            yield from _keyboards(list(entries.values()))


def _keyboard(markup: Json) -> None:
    rows: list[list[Json]] = markup["inline_keyboard"]
    if sum(map(len, rows)) > MAX_BUTTONS:
        raise wrong("REPLY_MARKUP_TOO_LONG")
    for row in rows:
        if len(row) > MAX_BUTTONS_IN_ROW:
            raise wrong("too many buttons in a row")
        for button in row:
            _button(button)


def _button(button: Json) -> None:
    looks = {"text", "style", "icon_custom_emoji_id"}
    if not button["text"]:
        raise wrong("can't parse inline keyboard button: text is empty")
    if len(button.keys() - looks) != 1:
        raise wrong("text buttons are unallowed in the inline keyboard: one thing must happen when it is pressed")
    if "callback_data" in button and not 1 <= len(button["callback_data"].encode()) <= MAX_CALLBACK_BYTES:
        raise wrong("BUTTON_DATA_INVALID")
    if "copy_text" in button and not 1 <= len(button["copy_text"]["text"]) <= MAX_COPIED:
        raise wrong("BUTTON_COPY_TEXT_INVALID")
    if "url" in button and not re.match(r"(https?|tg)://[^\s/]|(t\.me|telegram\.me)/", button["url"]):
        raise wrong("BUTTON_URL_INVALID")


def _action(fields: Json) -> None:
    if fields["action"] not in ACTIONS:
        raise wrong("wrong parameter action in request")


def _toast(fields: Json) -> None:
    if len(fields.get("text", "")) > MAX_TOAST:
        raise wrong("MESSAGE_TOO_LONG")


def _language(fields: Json) -> None:
    if not re.fullmatch(r"([a-z]{2})?", fields.get("language_code", "")):
        raise wrong("invalid language code specified")


def _commands(fields: Json) -> None:
    _language(fields)
    if len(fields["commands"]) > MAX_COMMANDS:
        raise wrong("BOT_COMMANDS_TOO_MUCH")
    for row in fields["commands"]:
        if not re.fullmatch(rf"[a-z0-9_]{{1,{MAX_COMMAND}}}", row["command"]):
            raise wrong("BOT_COMMAND_INVALID")
        if not 1 <= len(row["description"]) <= MAX_SUMMARY:
            raise wrong("BOT_COMMAND_DESCRIPTION_INVALID")


def _inline_answer(fields: Json) -> None:
    results: list[Json] = fields["results"]
    if len(results) > MAX_RESULTS:
        raise wrong("RESULTS_TOO_MUCH")
    if max(Counter(str(result["id"]) for result in results).values(), default=1) > 1:
        raise wrong("RESULT_ID_DUPLICATE")
    for result in results:
        if not 1 <= len(result["id"].encode()) <= MAX_RESULT_ID_BYTES:
            raise wrong("RESULT_ID_INVALID")
        if result["type"] == "article" and not result["title"]:
            raise wrong("RESULT_TITLE_EMPTY")
        text = result.get("input_message_content", {}).get("message_text", "-")
        if not 1 <= len(text) <= MAX_TEXT:
            raise wrong("MESSAGE_TOO_LONG" if text else "MESSAGE_EMPTY")
    if len(fields.get("next_offset", "").encode()) > MAX_OFFSET_BYTES:
        raise wrong("NEXT_OFFSET_INVALID")
    start = fields.get("button", {}).get("start_parameter")
    if start is not None and not START.fullmatch(start):
        raise wrong("START_PARAM_INVALID")


def _album(fields: Json) -> None:
    media: list[Json] = fields["media"]
    if not LEAST_ALBUM <= len(media) <= MAX_ALBUM:
        raise wrong(f"an album has {LEAST_ALBUM} to {MAX_ALBUM} items")
    kinds = {item["type"] for item in media}
    if len(kinds) > 1 and kinds & {"audio", "document"}:
        raise wrong("documents and audio files are grouped with their like only")


def _draft(fields: Json) -> None:
    if not fields["draft_id"]:
        raise wrong("draft identifier must be non-zero")


def _rich(fields: Json) -> None:
    _content_of(fields["rich_message"])


def _rich_draft(fields: Json) -> None:
    _draft(fields)
    _rich(fields)


def _edit(fields: Json) -> None:
    if ("inline_message_id" in fields) == ("chat_id" in fields and "message_id" in fields):
        raise wrong("message identifier is not specified")
    if "rich_message" in fields:
        _content_of(fields["rich_message"])
    elif not fields.get("text"):
        raise wrong("message text is empty")


def _content_of(rich: Json) -> None:
    if len({"html", "markdown"} & rich.keys()) != 1:
        raise wrong("exactly one of html and markdown must be used")


def _webhook(fields: Json) -> None:
    if not 1 <= fields.get("max_connections", 1) <= 100:
        raise wrong("max_connections must be 1 to 100")
    # Without TLS only a Bot API server of one's own calls.
    if fields["url"] and not fields["url"].startswith(("https://", "http://127.0.0.1:")):
        raise wrong("bad webhook: an HTTPS URL must be provided for webhook")
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", fields.get("secret_token", "")):
        raise wrong("secret token contains unallowed characters")
    _allowed(fields)


def _allowed(fields: Json) -> None:
    if unknown := set(fields.get("allowed_updates", ())) - UPDATES:
        raise wrong(f"there are no updates of the kinds {sorted(unknown)}")


def _polling(fields: Json) -> None:
    if not 1 <= fields.get("limit", 1) <= 100:
        raise wrong("limit must be 1 to 100")
    _allowed(fields)


def _reactions(fields: Json) -> None:
    if len(fields.get("reaction", ())) > 1:
        raise wrong("REACTIONS_TOO_MANY")


def _many(fields: Json) -> None:
    if not 1 <= len(fields["message_ids"]) <= MAX_DELETED:
        raise wrong("message identifiers are 1 to 100")


def _at_most(name: str, most: int) -> Callable[[Json], None]:
    def check(fields: Json) -> None:
        _language(fields)
        if len(fields.get(name, "")) > most:
            raise wrong(f"{name} is too long")

    return check


_RULES: dict[str, Callable[[Json], None]] = {
    "getUpdates": _polling,
    "setWebhook": _webhook,
    "sendChatAction": _action,
    "answerCallbackQuery": _toast,
    "setMyCommands": _commands,
    "getMyCommands": _language,
    "deleteMyCommands": _language,
    "setMyName": _at_most("name", MAX_NAME),
    "setMyDescription": _at_most("description", MAX_DESCRIPTION),
    "setMyShortDescription": _at_most("short_description", MAX_SHORT_DESCRIPTION),
    "answerInlineQuery": _inline_answer,
    "sendMediaGroup": _album,
    "sendMessageDraft": _draft,
    "sendRichMessage": _rich,
    "sendRichMessageDraft": _rich_draft,
    "editMessageText": _edit,
    "setMessageReaction": _reactions,
    "deleteMessages": _many,
}
