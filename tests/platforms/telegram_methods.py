"""The methods of the Bot API that a chat bot uses, with the real server's rules and refusals."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.telegram_text import MAX_CAPTION, Json, Refusal, accepted, bad
from tests.platforms.telegram_world import Chat, Draft, Post, World

MAX_UPLOAD = 50_000_000
MAX_DOWNLOAD = 20_000_000
MAX_PHOTO = 10_000_000
ACTIONS = {"typing", "upload_photo", "upload_document"}
_POST = (
    "chat_id!int message_thread_id:int reply_parameters:dict reply_markup:dict disable_notification:bool "
    "protect_content:bool "
)
_EDIT = "chat_id!int message_id!int reply_markup:dict "
FIELDS: dict[str, str] = {
    "getMe": "",
    "getUpdates": "offset:int limit:int timeout:int allowed_updates:list",
    "setWebhook": "url!str secret_token:str allowed_updates:list max_connections:int drop_pending_updates:bool",
    "deleteWebhook": "drop_pending_updates:bool",
    "getWebhookInfo": "",
    "sendMessage": _POST + "text!str entities:list parse_mode:str link_preview_options:dict",
    "sendMessageDraft": "chat_id!int message_thread_id:int draft_id!int text:str entities:list parse_mode:str",
    "editMessageText": _EDIT + "text!str entities:list parse_mode:str link_preview_options:dict",
    "editMessageCaption": _EDIT + "caption:str caption_entities:list",
    "editMessageReplyMarkup": _EDIT,
    "deleteMessage": "chat_id!int message_id!int",
    "sendChatAction": "chat_id!int message_thread_id:int action!str",
    "sendDocument": _POST + "document!file caption:str caption_entities:list parse_mode:str",
    "sendPhoto": _POST + "photo!file caption:str caption_entities:list parse_mode:str",
    "answerCallbackQuery": "callback_query_id!str text:str show_alert:bool",
    "getFile": "file_id!str",
    "setMyCommands": "commands!list scope:dict language_code:str",
    "getMyCommands": "scope:dict language_code:str",
}
"""Method -> its fields: name, ``!`` for required ones, type."""
NAMES = {name.lower(): name for name in FIELDS}
"""Methods by the lower case of their name: the server takes any case."""
_TYPES: dict[str, type] = {"int": int, "str": str, "bool": bool, "list": list, "dict": dict}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a request."""

    name: str
    mime: str
    data: bytes


def checked(method: str, fields: Json) -> Json:
    """The fields with their types made right where the server does that; raises Refusal for wrong ones."""
    allowed: dict[str, str] = {}
    for word in FIELDS[method].split():
        name, mark, kind = word.partition("!") if "!" in word else word.partition(":")
        allowed[name] = kind
        if mark == "!" and fields.get(name) in (None, ""):
            raise bad(f"{'message text' if name == 'text' else name} is empty")
    out: Json = {}
    for name, given in fields.items():
        if name not in allowed:
            raise bad(f"{method} has no parameter {name}")
        kind = allowed[name]
        is_digits = kind == "int" and isinstance(given, str) and given.lstrip("-").isdecimal()
        value: Any = int(given) if is_digits else given
        ok = isinstance(value, Upload | str) if kind == "file" else type(value) is _TYPES[kind]
        if not ok:
            raise bad(f"{name} of {method} is no {kind}")
        out[name] = value
    return out


@dataclass(slots=True)
class Flood:
    """The flood limits, off unless switched on. Failing calls do not count."""

    on: bool = False
    chat_rate: float = 1.0
    chat_burst: int = 3
    group_per_minute: int = 20
    overall_per_second: int = 30
    _buckets: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])
    _groups: defaultdict[int, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _overall: deque[float] = field(default_factory=deque[float])

    def draw(self, chat: Chat) -> None:
        """One message or edit; raises the 429."""
        if not self.on:
            return
        now = time.monotonic()
        tokens, last = self._buckets.get(chat.id, (float(self.chat_burst), now))
        tokens = min(float(self.chat_burst), tokens + (now - last) * self.chat_rate)
        wait = (1 - tokens) / self.chat_rate if tokens < 1 else 0.0
        if chat.type != "private":
            wait = max(wait, _window(self._groups[chat.id], now, 60.0, self.group_per_minute))
        wait = max(wait, _window(self._overall, now, 1.0, self.overall_per_second))
        if wait > 0:
            seconds = max(1, int(wait + 0.999))
            raise flooded(seconds)
        self._buckets[chat.id] = (tokens - 1, now)
        self._overall.append(now)
        if chat.type != "private":
            self._groups[chat.id].append(now)


def flooded(seconds: int) -> Refusal:
    return Refusal(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})


def _window(times: deque[float], now: float, seconds: float, most: int) -> float:
    while times and times[0] <= now - seconds:
        times.popleft()
    return times[0] + seconds - now if len(times) >= most else 0.0


class Methods:
    """What each method does to the world. Raises Refusal."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flood = Flood()
        self.commands: dict[str, list[Json]] = {}
        self.by_name: dict[str, Callable[[Json], Any]] = {
            "getMe": lambda fields: self.world.me,
            "sendMessage": self._send_message,
            "sendMessageDraft": self._draft,
            "editMessageText": self._edit_text,
            "editMessageCaption": self._edit_caption,
            "editMessageReplyMarkup": self._edit_markup,
            "deleteMessage": self._delete,
            "sendChatAction": self._action,
            "sendDocument": lambda fields: self._send_file(fields, "document", MAX_UPLOAD),
            "sendPhoto": lambda fields: self._send_file(fields, "photo", MAX_PHOTO),
            "answerCallbackQuery": self._answer,
            "getFile": self._get_file,
            "setMyCommands": self._set_commands,
            "getMyCommands": lambda fields: self.commands.get(str(fields.get("language_code", "")), []),
        }

    def _chat(self, fields: Json) -> Chat:
        chat = self.world.chats.get(fields["chat_id"])
        if chat is None:
            raise bad("chat not found")
        if chat.blocked:
            why = "blocked by the user" if chat.type == "private" else f"kicked from the {chat.type} chat"
            raise Refusal(403, f"Forbidden: bot was {why}")
        if chat.moved_to:
            raise Refusal(
                400, "Bad Request: group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": chat.moved_to}
            )
        return chat

    def _put(self, chat: Chat, fields: Json, **content: Any) -> Json:
        reply = fields.get("reply_parameters", {})
        reply_to = reply.get("message_id", 0)
        replied = chat.posts.get(reply_to)
        if reply_to and (replied is None or replied.deleted):
            if not reply.get("allow_sending_without_reply"):
                raise bad("message to be replied not found")
            reply_to = 0
        thread = fields.get("message_thread_id", 0)
        if thread and not (chat.type == "private" or (chat.forum and thread in chat.posts)):
            raise bad("message thread not found")
        markup = _markup(fields)
        self.flood.draw(chat)
        post = Post(chat, self.world.next_id(chat), self.world.me, markup=markup, **content)
        post.reply_to, post.thread = reply_to, thread
        post.keep()
        chat.posts[post.id] = post
        chat.ours.add(post.id)
        return post.to_json()

    def _send_message(self, fields: Json) -> Json:
        chat = self._chat(fields)
        text, entities = accepted(fields["text"], fields.get("entities", ()))
        return self._put(chat, fields, text=text, entities=entities)

    def _send_file(self, fields: Json, kind: str, limit: int) -> Json:
        chat, upload = self._chat(fields), fields[kind]
        if not isinstance(upload, Upload):
            raise bad("wrong file identifier/HTTP URL specified")
        if not upload.data:
            raise bad("file must be non-empty")
        if len(upload.data) > limit:
            raise Refusal(413, "Request Entity Too Large")
        if kind == "photo" and upload.data[:4] not in (b"\x89PNG", b"\xff\xd8\xff\xe0", b"RIFF"):
            raise bad("IMAGE_PROCESS_FAILED")
        text, entities = "", list[Json]()
        if fields.get("caption"):
            text, entities = accepted(fields["caption"], fields.get("caption_entities", ()), MAX_CAPTION)
        file = self.world.file(kind, upload.data, file_name=upload.name, mime_type=upload.mime)
        media = {kind: [file] if kind == "photo" else file}
        return self._put(chat, fields, text=text, entities=entities, media=media)

    def _draft(self, fields: Json) -> bool:
        chat = self._chat(fields)
        if chat.type != "private":
            raise bad("method is available only in private chats")
        if not fields["draft_id"]:
            raise bad("draft identifier must be non-zero")
        text, entities = "", list[Json]()
        if fields.get("text"):
            text, entities = accepted(fields["text"], fields.get("entities", ()))
        chat.drafts.append(Draft(time.time(), fields["draft_id"], fields.get("message_thread_id", 0), text, entities))
        return True

    def _own(self, fields: Json) -> Post:
        post = self._chat(fields).posts.get(fields["message_id"])
        if post is None or post.deleted:
            raise bad("message to edit not found")
        if not post.by_bot:
            raise bad("message can't be edited")
        return post

    def _edit_text(self, fields: Json) -> Json:
        post = self._own(fields)
        if post.media:
            raise bad("there is no text in the message to edit")
        return self._edited(post, *accepted(fields["text"], fields.get("entities", ())), _markup(fields))

    def _edit_caption(self, fields: Json) -> Json:
        post = self._own(fields)
        if not post.media:
            raise bad("there is no caption in the message to edit")
        text, entities = "", list[Json]()
        if fields.get("caption"):
            text, entities = accepted(fields["caption"], fields.get("caption_entities", ()), MAX_CAPTION)
        return self._edited(post, text, entities, _markup(fields))

    def _edit_markup(self, fields: Json) -> Json:
        post = self._own(fields)
        return self._edited(post, post.text, post.entities, _markup(fields))

    def _edited(self, post: Post, text: str, entities: list[Json], markup: Json | None) -> Json:
        if (post.text, post.entities, post.markup) == (text, entities, markup):
            raise bad(
                "message is not modified: specified new message content and reply markup are exactly the same "
                "as a current content and reply markup of the message"
            )
        self.flood.draw(post.chat)
        post.text, post.entities, post.markup = text, entities, markup
        post.keep()
        return post.to_json()

    def _delete(self, fields: Json) -> bool:
        post = self._chat(fields).posts.get(fields["message_id"])
        if post is None or post.deleted:
            raise bad("message to delete not found")
        if not post.by_bot and post.chat.type != "private":
            raise bad("message can't be deleted")
        post.deleted = True
        return True

    def _action(self, fields: Json) -> bool:
        if fields["action"] not in ACTIONS:
            raise bad("wrong parameter action in request")
        self._chat(fields).actions.append((time.time(), fields["action"]))
        return True

    def _answer(self, fields: Json) -> bool:
        query = self.world.queries.get(fields["callback_query_id"])
        if query is None:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        query |= {"answered": time.time(), "text": fields.get("text", "")}
        return True

    def _get_file(self, fields: Json) -> Json:
        file = self.world.files.get(fields["file_id"])
        if file is None:
            raise bad("wrong file_id or the file is temporarily unavailable")
        path, data = file
        if len(data) > MAX_DOWNLOAD:
            raise bad("file is too big")
        return {
            "file_id": fields["file_id"],
            "file_unique_id": "u",
            "file_size": len(data),
            "file_path": path,
        }

    def _set_commands(self, fields: Json) -> bool:
        for row in fields["commands"]:
            name, summary = str(row.get("command", "")), str(row.get("description", ""))
            if not (name.replace("_", "").isalnum() and name == name.lower() and len(name) <= 32):
                raise bad("BOT_COMMAND_INVALID")
            if not 1 <= len(summary) <= 256:
                raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
        self.commands[str(fields.get("language_code", ""))] = fields["commands"]
        return True


def _markup(fields: Json) -> Json | None:
    markup: Json | None = fields.get("reply_markup")
    if not markup:
        return None
    for row in markup.get("inline_keyboard", ()):
        for button in row:
            if not button.get("text"):
                raise bad("can't parse inline keyboard button: text is empty")
            if not 1 <= len(str(button.get("callback_data", "")).encode()) <= 64:
                raise bad("BUTTON_DATA_INVALID")
    return markup
