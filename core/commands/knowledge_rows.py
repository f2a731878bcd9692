"""The rows of the command table for documents and what is known from them."""

from __future__ import annotations

from core.commands.row import Command

ROWS: tuple[Command, ...] = ()
