"""The command table. Discord's slash commands, Telegram's menu, the web's palette, /help and docs/commands.md are
all made from these rows."""

from __future__ import annotations

import re
from functools import cache

from core.access import Right
from core.commands import (
    admin,
    chat,
    create_rows,
    greeting,
    identity,
    knowledge_rows,
    links,
    memory,
    moderate_rows,
    own_key,
    owner,
    personas,
    privacy,
    roles,
    rule_rows,
    settings,
    spaces,
    usage,
    voting,
    why,
    write_rows,
)
from core.commands.row import Command, Kind, Option, Where
from core.message import Platform
from core.models.catalog import Catalog
from core.people.budgets import SHOWN_DAYS
from core.people.linking import MOST_FACTS
from core.texts import languages

ROLE = Option("role", True, choices=roles.ROLES, labels="role")
RULE = (
    Option("right", True, choices=tuple(Right), labels="right"),
    Option("user", kind=Kind.USER),
    Option("role", choices=roles.GIVEN_ROLES, labels="role"),
    Option("channel", kind=Kind.CHANNEL),
    Option("server_role", kind=Kind.ROLE),
)
"""Whom a rule is about, and where."""

COMMANDS: tuple[Command, ...] = (
    # In a private chat nobody needs it.
    Command(
        "chat",
        "chat",
        options=(
            Option("text", required=True, kind=Kind.LONG),
            Option("file", kind=Kind.FILE),
            Option("model", suggests=True),
            *write_rows.CONTROLS,
            write_rows.SIDE_BY_SIDE,
        ),
        where=Where.GROUPS,
    ),
    Command("new", "chat", chat.new),
    Command("regenerate", "chat", for_asker=True),
    Command("continue", "chat"),
    Command("stop", "chat", chat.stop, private=True, urgent=True, for_asker=True, always=True),
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
    Command("persona", "chat", personas.choose, options=(Option("name", suggests=True),)),
    Command("persona choose", "chat", personas.choose, options=(Option("name", suggests=True),)),
    Command("persona show", "chat", personas.show, options=(Option("name", suggests=True),), private=True),
    Command(
        "persona new",
        "chat",
        personas.new,
        options=(Option("name", required=True), Option("instructions", required=True, kind=Kind.LONG)),
        private=True,
        for_admins=True,
        spread=True,
    ),
    Command(
        "persona edit",
        "chat",
        personas.edit,
        options=(
            Option("name", required=True),
            Option("field", required=True, suggests=True),
            Option("value", required=True, kind=Kind.LONG),
        ),
        private=True,
        for_admins=True,
        spread=True,
    ),
    Command(
        "persona delete",
        "chat",
        personas.delete,
        options=(Option("name", required=True),),
        private=True,
        for_admins=True,
    ),
    Command(
        "persona share",
        "chat",
        personas.share,
        options=(Option("name", required=True),),
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    Command(
        "persona import",
        "chat",
        personas.import_file,
        options=(Option("file", required=True, kind=Kind.FILE),),
        private=True,
        for_admins=True,
    ),
    Command("persona export", "chat", personas.export, options=(Option("name", suggests=True),), private=True),
    *create_rows.ROWS,
    *write_rows.ROWS,
    *knowledge_rows.ROWS,
    Command(
        "privacy",
        "me",
        privacy.privacy,
        options=(
            Option("action", choices=(privacy.EXPORT, privacy.ERASE, privacy.TRAINING, privacy.MOOD)),
            Option("code"),
        ),
        private=True,
        spread=True,
        always=True,
    ),
    Command(
        "forget",
        "me",
        chat.forget,
        options=(Option("message"), Option("fact", kind=Kind.INTEGER, least=1, most=MOST_FACTS)),
        private=True,
        for_asker=True,
    ),
    Command("remember", "me", memory.remember, options=(Option("text", required=True, kind=Kind.LONG),), private=True),
    Command(
        "memory",
        "me",
        memory.memory,
        options=(
            Option("action", choices=("edit", "forget", "groups")),
            Option("number"),
            Option("words", kind=Kind.LONG),
        ),
        private=True,
        spread=True,
    ),
    Command("link", "me", identity.link, options=(Option("code"),), private=True),
    Command(
        "unlink",
        "me",
        identity.unlink,
        options=(Option("platform", choices=tuple(Platform)),),
        private=True,
        spread=True,
    ),
    # Posted by the bot itself, to the chat in which a code was given.
    Command("linked", "me", identity.linked, options=(Option("name"), Option("platform")), private=True, listed=False),
    Command("key", "me", own_key.show, private=True, where=Where.PRIVATE),
    Command("key list", "me", own_key.show, private=True, where=Where.PRIVATE),
    Command(
        "key set",
        "me",
        own_key.set_key,
        options=(Option("provider", suggests=True), Option("key", required=True, kind=Kind.SECRET)),
        private=True,
        where=Where.PRIVATE,
        spread=True,
    ),
    Command(
        "key remove",
        "me",
        own_key.remove,
        options=(Option("provider", suggests=True),),
        private=True,
        where=Where.PRIVATE,
    ),
    Command(
        "key fallback",
        "me",
        own_key.fallback,
        options=(Option("on", required=True, kind=Kind.SWITCH),),
        private=True,
        where=Where.PRIVATE,
        spread=True,
    ),
    Command("usage", "me", usage.usage, private=True),
    Command("help", "chat", chat.help, private=True),
    Command(
        "why",
        "chat",
        why.why,
        options=(
            Option("right", choices=tuple(Right), labels="right"),
            Option("user", kind=Kind.USER),
            Option("message"),
        ),
        menu="message",
        private=True,
        always=True,
        spread=True,
    ),
    # Its subcommands say themselves whom they are for.
    Command("admin", "admin", admin.admin, private=True, for_admins=True),
    Command("admin failed", "admin", admin.failed, private=True, where=Where.PRIVATE, for_owner=True),
    Command(
        "admin retry",
        "admin",
        admin.retry_failed,
        options=(Option("id", required=True),),
        private=True,
        where=Where.PRIVATE,
        for_owner=True,
    ),
    Command(
        "admin drop",
        "admin",
        admin.drop_failed,
        options=(Option("id", required=True),),
        private=True,
        where=Where.PRIVATE,
        for_owner=True,
    ),
    *(
        Command(
            name,
            "admin",
            run,
            options=options,
            right=Right.CONFIGURE,
            private=True,
            where=Where.GROUPS,
            for_admins=True,
            spread=True,
        )
        for name, run, options in (
            ("admin role", roles.role, (Option("user", True, Kind.USER), ROLE)),
            ("admin grant", roles.grant, RULE),
            ("admin deny", roles.deny, RULE),
            ("admin reset", roles.reset, RULE),
            ("admin roles", roles.roles, ()),
        )
    ),
    Command(
        "admin block",
        "admin",
        roles.block,
        options=(Option("user", True, Kind.USER), Option("reason")),
        private=True,
        where=Where.PRIVATE,
        for_owner=True,
        spread=True,
    ),
    Command(
        "admin unblock",
        "admin",
        roles.unblock,
        options=(Option("user", True, Kind.USER),),
        private=True,
        where=Where.PRIVATE,
        for_owner=True,
        spread=True,
    ),
    Command("admin feedback", "admin", admin.feedback, private=True, where=Where.PRIVATE, for_owner=True),
    Command(
        "admin usage",
        "admin",
        usage.all_usage,
        options=(Option("days", kind=Kind.INTEGER, least=1, most=SHOWN_DAYS),),
        right=Right.SEE_USAGE,
        private=True,
        for_admins=True,
        spread=True,
    ),
    Command(
        "admin budget",
        "admin",
        usage.budget,
        options=(
            Option("user", required=True, kind=Kind.USER),
            Option("budget", choices=usage.BUDGETS),
            Option("amount"),
        ),
        private=True,
        for_owner=True,
        spread=True,
    ),
    Command("admin status", "admin", owner.status, private=True, where=Where.PRIVATE, for_owner=True),
    Command("admin models", "admin", owner.show_models, private=True, where=Where.PRIVATE, for_owner=True),
    Command("admin reload", "admin", owner.reload, private=True, where=Where.PRIVATE, for_owner=True),
    Command(
        "admin maintenance",
        "admin",
        owner.maintenance,
        options=(Option("action", choices=("on", "off")), Option("time"), Option("note", kind=Kind.LONG)),
        private=True,
        where=Where.PRIVATE,
        for_owner=True,
        spread=True,
    ),
    Command(
        "admin broadcast",
        "admin",
        owner.broadcast,
        options=(Option("message", kind=Kind.LONG),),
        private=True,
        where=Where.PRIVATE,
        for_owner=True,
    ),
    Command(
        "admin announcements",
        "admin",
        owner.announcements,
        options=(Option("channel", kind=Kind.CHANNEL),),
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    Command(
        "admin set",
        "admin",
        spaces.settings,
        options=(Option("field", suggests=True), Option("value", kind=Kind.LONG, suggests=True)),
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
        spread=True,
    ),
    Command(
        "admin undo",
        "admin",
        spaces.undo,
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    Command(
        "admin log",
        "admin",
        spaces.log,
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    Command(
        "admin export",
        "admin",
        spaces.export,
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    Command(
        "admin import",
        "admin",
        spaces.import_file,
        options=(Option("file", required=True, kind=Kind.FILE),),
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    *moderate_rows.ROWS,
    *rule_rows.ROWS,
    Command("start", "chat", links.start, options=(Option("text"),), listed=False),
    Command("greeting", "chat", greeting.greeting, listed=False),
    # A button's: what its presser thinks of the answer.
    Command("feedback", "chat", voting.feedback, options=(Option("text"),), private=True, listed=False),
)

BY_NAME = {command.name: command for command in COMMANDS}
PARENTS = frozenset(command.parent for command in COMMANDS if command.parent)
"""Names of the rows that have subcommands."""


def meant(name: str, text: str) -> tuple[str, str]:
    """The row that typed words mean, and what is left of them: of ``admin`` and ``role @x admin`` it is ``admin role``
    and ``@x admin``."""
    if name not in PARENTS:
        return name, text
    word, rest = [*re.split(r"\s+", text.strip(), maxsplit=1), ""][:2]
    found = f"{name} {word.lower()}"
    found = found if found in BY_NAME else _subcommands().get((name, word.lower()), "")
    return (found, rest) if found else (name, text)


@cache
def _subcommands() -> dict[tuple[str, str], str]:
    """By their parents and what they are called in each language."""
    below = [row for row in COMMANDS if row.parent]
    return {(row.parent, row.called_below(code).lower()): row.name for row in below for code in languages()}


def working(catalog: Catalog) -> tuple[Command, ...]:
    """The rows to offer where these models are set up."""
    return tuple(row for row in COMMANDS if row.can_work(catalog))
