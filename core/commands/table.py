"""The command table. Discord's slash commands, Telegram's menu, the web's palette, /help and docs/commands.md are
all made from these rows."""

from __future__ import annotations

from core.access import Right
from core.commands import admin, chat, greeting, imagine, links, moderate, settings, speak, voting
from core.commands.row import Command, Kind, Option, Where
from core.models.catalog import Catalog
from core.models.images import MAX_COUNT
from core.settings import SIZES
from core.texts import languages

COMMANDS: tuple[Command, ...] = (
    # In a private chat nobody needs it.
    Command(
        "chat",
        "chat",
        options=(
            Option("text", required=True, kind=Kind.LONG),
            Option("file", kind=Kind.FILE),
            Option("model", suggests=True),
        ),
        where=Where.GROUPS,
    ),
    Command("new", "chat", chat.new),
    Command("regenerate", "chat", for_asker=True),
    Command("continue", "chat"),
    Command("stop", "chat", chat.stop, private=True, urgent=True, for_asker=True),
    Command("model", "chat", settings.model, options=(Option("name", suggests=True),), private=True),
    Command(
        "language",
        "chat",
        settings.language,
        options=(Option("language", choices=("auto", *languages())),),
        private=True,
        for_admins=True,
    ),
    Command(
        "settings",
        "chat",
        settings.settings,
        options=(Option("name", suggests=True), Option("value", suggests=True)),
        private=True,
        for_admins=True,
    ),
    Command("speak", "chat", speak.speak, needs="speech"),
    Command(
        "imagine",
        "create",
        imagine.imagine,
        options=(
            Option("prompt", required=True, kind=Kind.LONG),
            Option("size", choices=tuple(SIZES)),
            Option("count", kind=Kind.INTEGER, least=1, most=MAX_COUNT),
        ),
        menu="message",
        needs="image",
    ),
    Command("explain", "chat", options=(Option("text", required=True, kind=Kind.LONG),), menu="message"),
    Command(
        "translate",
        "chat",
        options=(Option("text", required=True, kind=Kind.LONG), Option("language", suggests=True)),
        menu="message",
    ),
    Command("summarize", "chat", options=(Option("text", kind=Kind.LONG),), menu="message"),
    Command("forget", "me", chat.forget, options=(Option("message"),), private=True, for_asker=True),
    Command("help", "chat", chat.help, private=True),
    Command(
        "admin",
        "admin",
        admin.admin,
        options=(Option("action", choices=("failed", "retry", "drop", "feedback")), Option("id")),
        private=True,
        where=Where.PRIVATE,
        for_owner=True,
    ),
    Command(
        "report",
        "moderate",
        moderate.report,
        options=(Option("user", kind=Kind.USER), Option("reason", kind=Kind.LONG)),
        menu="message",
        private=True,
        where=Where.GROUPS,
    ),
    Command(
        "warn",
        "moderate",
        moderate.warn,
        options=(Option("user", required=True, kind=Kind.USER), Option("reason", required=True, kind=Kind.LONG)),
        menu="user",
        right=Right.WARN,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    Command(
        "cases",
        "moderate",
        moderate.cases,
        options=(Option("user", required=True, kind=Kind.USER),),
        menu="user",
        right=Right.WARN,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    Command(
        "reports",
        "moderate",
        moderate.reports,
        options=(Option("channel", kind=Kind.CHANNEL),),
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    Command("start", "chat", links.start, options=(Option("text"),), listed=False),
    Command("greeting", "chat", greeting.greeting, listed=False),
    # A button's: what its presser thinks of the answer.
    Command("feedback", "chat", voting.feedback, options=(Option("text"),), private=True, listed=False),
)

BY_NAME = {command.name: command for command in COMMANDS}


def working(catalog: Catalog) -> tuple[Command, ...]:
    """The rows to offer where these models are set up."""
    return tuple(row for row in COMMANDS if row.can_work(catalog))
