"""The rows of the command table for writing: questions to the model with a purpose."""

from __future__ import annotations

from core.commands.row import Command, Kind, Option

ROWS: tuple[Command, ...] = (
    Command("explain", "chat", options=(Option("text", required=True, kind=Kind.LONG),), menu="message"),
    Command(
        "translate",
        "chat",
        options=(Option("text", required=True, kind=Kind.LONG), Option("language", suggests=True)),
        menu="message",
    ),
    Command("summarize", "chat", options=(Option("text", kind=Kind.LONG),), menu="message"),
)
