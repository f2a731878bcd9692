"""What people hand over that nobody else may read: sealed where it comes in, so that no mailbox, no dead letter and no
log ever has it in the clear."""

from __future__ import annotations

from dataclasses import replace

from core.commands.option import Kind
from core.commands.row import TYPED, Command
from core.message import CommandCall
from core.storage.sealing import Sealing

HIDDEN = "••••"
APART = "secret "
"""Before what is sealed for its command alone: the mailbox opens no such thing."""


def has_secret(row: Command | None) -> bool:
    """Whether one of its options is a secret."""
    return row is not None and any(option.kind is Kind.SECRET for option in row.options)


def guarded(row: Command | None, call: CommandCall, sealing: Sealing) -> CommandCall:
    """The call as it may be kept. Without a key to seal with, the secret is dropped: the command tells why."""
    if row is None or not has_secret(row):
        return call
    secrets = {option.name for option in row.options if option.kind is Kind.SECRET} | {TYPED}
    open_options = {name: value for name, value in call.options.items() if name not in secrets}
    if not sealing.is_on:
        return replace(call, options=open_options)
    given = {name: value for name, value in call.options.items() if name in secrets}
    sealed = {name: APART + sealing.seal(value, _purpose(call)) for name, value in given.items()}
    return replace(call, options=open_options | sealed)


def revealed(call: CommandCall, sealing: Sealing) -> CommandCall:
    """The call as it was made, for the command itself. Raises SealedError where it cannot be opened any more."""
    opened = {
        name: sealing.open(value.removeprefix(APART), _purpose(call)) if value.startswith(APART) else value
        for name, value in call.options.items()
    }
    return replace(call, options=opened)


def shown(row: Command | None, text: str) -> str:
    """What was typed, as a page may show and keep it."""
    return f"{text.split(maxsplit=1)[0]} {HIDDEN}" if has_secret(row) and text.strip() else text


def _purpose(call: CommandCall) -> str:
    return f"call:{call.conversation.platform}:{call.author.id}"
