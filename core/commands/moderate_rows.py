"""The rows of the command table for moderators."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from core.access import Right
from core.commands import acts, appeals, cases, marking, moderate, mood, panic, raids, reports
from core.commands.row import Command, Kind, Option, Room, Where
from core.moderation.acts import LASTING, MOST_MESSAGES, NEEDS, ActKind
from core.mood.trend import MOST_DAYS
from core.parts import Part

USER = Option("user", required=True, kind=Kind.USER)
FOR = Option("for")
REASON = Option("reason", kind=Kind.LONG)


def _acting(
    name: str,
    run: Callable[[Room], AsyncIterator[Part]],
    kind: ActKind,
    options: tuple[Option, ...] = (),
    *,
    private: bool = False,
) -> Command:
    return Command(
        name,
        "moderate",
        run,
        options=options,
        right=NEEDS[kind],
        private=private,
        where=Where.GROUPS,
        for_admins=True,
        spread=True,
    )


def _on_people(kind: ActKind) -> Command:
    """A row with the words of /mute."""
    about = (USER, FOR, REASON) if kind in LASTING else (USER, REASON)
    words = "" if kind is ActKind.MUTE else "mute"
    return _acting(kind, acts.on_people(kind), kind, tuple(replace(option, words=words) for option in about))


ACTS: tuple[Command, ...] = (
    Command(
        "warn",
        "moderate",
        acts.warn,
        options=(USER, replace(REASON, required=True)),
        menu="user",
        right=Right.WARN,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    *map(
        _on_people,
        (
            ActKind.MUTE,
            ActKind.UNMUTE,
            ActKind.KICK,
            ActKind.UNBAN,
            ActKind.RESTRICT,
            ActKind.UNRESTRICT,
            ActKind.QUARANTINE,
            ActKind.RELEASE,
            ActKind.APPROVE,
            ActKind.DECLINE,
        ),
    ),
    _acting(
        "ban",
        acts.on_people(ActKind.BAN),
        ActKind.BAN,
        (
            replace(USER, words="mute"),
            replace(FOR, words="mute"),
            Option("others", by_name=True),
            Option("delete", choices=tuple(acts.CLEARED), by_name=True),
            replace(REASON, words="mute"),
        ),
    ),
    _acting(
        "purge",
        acts.purge,
        ActKind.PURGE,
        (Option("count", True, Kind.INTEGER, least=1, most=MOST_MESSAGES), Option("user", kind=Kind.USER)),
        private=True,
    ),
    replace(
        _acting("delete", acts.on_message(ActKind.DELETE), ActKind.DELETE, (Option("message"),), private=True),
        menu="message",
    ),
    _acting(
        "slow",
        acts.slow,
        ActKind.SLOW,
        (Option("seconds", True, Kind.INTEGER, least=0, most=acts.LONGEST_PAUSE), replace(FOR, words="mute")),
    ),
    _acting("lock", acts.on_place(ActKind.LOCK), ActKind.LOCK, (replace(FOR, words="mute"),)),
    _acting("unlock", acts.on_place(ActKind.UNLOCK), ActKind.UNLOCK),
    _acting("pin", acts.on_message(ActKind.PIN), ActKind.PIN, private=True),
    _acting("unpin", acts.on_message(ActKind.UNPIN), ActKind.UNPIN, private=True),
    # Whether they have the right is asked for the act that it takes back.
    Command(
        "undo",
        "moderate",
        acts.undo,
        options=(Option("case"),),
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    Command("confirm", "moderate", acts.confirm, options=(Option("id"),), listed=False),
    # As with /undo the right is asked for where the case is.
    Command("mark", "moderate", marking.mark, options=(Option("case"),), private=True, listed=False),
)


def _switching(
    name: str, run: Callable[[Room], AsyncIterator[Part]], right: Right, *options: Option, private: bool = False
) -> Command:
    return Command(
        name,
        "moderate",
        run,
        options=options,
        right=right,
        private=private,
        where=Where.GROUPS,
        for_admins=True,
    )


SWITCHES: tuple[Command, ...] = (
    _switching("raid", raids.status, NEEDS[ActKind.LOCK], private=True),
    _switching("raid status", raids.status, NEEDS[ActKind.LOCK], private=True),
    _switching("raid on", raids.begin, NEEDS[ActKind.LOCK]),
    _switching("raid off", raids.end, NEEDS[ActKind.LOCK]),
    _switching("panic", panic.pull, Right.BAN, FOR),
    _switching("panic on", panic.pull, Right.BAN, replace(FOR, words="panic")),
    _switching("panic off", panic.release, Right.BAN),
    _switching("panic undo", panic.undo, Right.BAN, Option("id"), private=True),
)
"""What holds for all of a space for a while."""

APPEALS: tuple[Command, ...] = (
    Command("appeal", "me", appeals.appeal, options=(Option("words", kind=Kind.LONG),), private=True),
    Command(
        "appeals",
        "moderate",
        appeals.appeals,
        right=Right.WARN,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
    ),
    # The rights for what these buttons do are asked for the space that they are about.
    Command("decide", "moderate", appeals.decide, options=(Option("appeal"),), private=True, listed=False),
    Command("reported", "moderate", reports.reported, options=(Option("report"),), private=True, listed=False),
)

ROWS: tuple[Command, ...] = (
    Command(
        "report",
        "moderate",
        moderate.report,
        options=(Option("user", kind=Kind.USER), Option("reason", kind=Kind.LONG)),
        menu="message",
        private=True,
        where=Where.GROUPS,
    ),
    *ACTS,
    *APPEALS,
    Command(
        "cases",
        "moderate",
        cases.listed,
        options=(
            Option("user", kind=Kind.USER),
            Option("file", kind=Kind.SWITCH, by_name=True),
            Option("before", kind=Kind.INTEGER, by_name=True, least=1),
            Option("words"),
        ),
        menu="user",
        right=Right.WARN,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
        spread=True,
    ),
    Command(
        "case",
        "moderate",
        cases.one,
        options=(Option("number", required=True), Option("reason", kind=Kind.LONG)),
        right=Right.WARN,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
        spread=True,
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
        spread=True,
    ),
    Command(
        "modlog",
        "moderate",
        marking.modlog,
        options=(Option("channel", kind=Kind.CHANNEL),),
        right=Right.CONFIGURE,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
        spread=True,
    ),
    Command(
        "mood",
        "moderate",
        mood.mood,
        options=(Option("days", kind=Kind.INTEGER, least=1, most=MOST_DAYS), Option("channel", kind=Kind.CHANNEL)),
        right=Right.WARN,
        private=True,
        where=Where.GROUPS,
        for_admins=True,
        spread=True,
    ),
    *SWITCHES,
)
