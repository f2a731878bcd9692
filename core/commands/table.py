"""The command table. Discord's slash commands, Telegram's menu, the web's palette, /help and docs/commands.md are
all made from these rows."""

from __future__ import annotations

from core.commands import admin, chat, greeting, links, settings, speak, voting
from core.commands.row import Command, Option, Where

COMMANDS: tuple[Command, ...] = (
    # In a private chat nobody needs it.
    Command("chat", "chat", option=Option("text", required=True), where=Where.GROUPS),
    Command("new", "chat", chat.new),
    Command("regenerate", "chat", for_asker=True),
    Command("continue", "chat"),
    Command("stop", "chat", chat.stop, private=True, urgent=True, for_asker=True),
    Command("model", "chat", settings.model, option=Option("text"), private=True),
    Command("language", "chat", settings.language, option=Option("text"), private=True, for_admins=True),
    Command("settings", "chat", settings.settings, option=Option("text"), private=True, for_admins=True),
    Command("speak", "chat", speak.speak),
    Command("forget", "me", chat.forget, option=Option("text"), private=True, for_asker=True),
    Command("help", "chat", chat.help, private=True),
    Command("admin", "admin", admin.admin, option=Option("text"), private=True, where=Where.PRIVATE, for_owner=True),
    Command("start", "chat", links.start, listed=False),
    Command("greeting", "chat", greeting.greeting, listed=False),
    # A button's: what its presser thinks of the answer.
    Command("feedback", "chat", voting.feedback, option=Option("text"), private=True, listed=False),
)

BY_NAME = {command.name: command for command in COMMANDS}
