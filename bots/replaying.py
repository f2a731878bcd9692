"""``parley moderation``: rules tried at the terminal on what was said, and books of cases."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bots.opened import opened
from bots.terminal import tell
from core.errors import SettingsError
from core.moderation.durations import DAY, Duration

if TYPE_CHECKING:
    from core.settings import Settings

Rule = Annotated[Path | None, typer.Option(help="A TOML file with rules. Default: those that the space has.")]
Since = Annotated[str, typer.Option(help="How far back, e.g. 7d or 12h.")]
Place = Annotated[str, typer.Option(help="Its name: PLATFORM:BOT:ID, with the bot's id and the server's or group's.")]
Out = Annotated[Path, typer.Option(help="The file to write.")]
Space = Annotated[str, typer.Option(help="Its name, as shown without it. Default: the only one there is.")]


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands below ``parley moderation``. ``settings`` reads them when one runs."""
    app = typer.Typer(no_args_is_help=True, help="The rules of spaces.")

    @app.callback()
    def _several() -> None:
        """The rules of spaces."""

    @app.command()
    def replay(rule: Rule = None, since: Since = "7d", space: Space = "") -> None:
        """Show what rules would have hit of what was said, per rule and member. Nothing is done."""
        asyncio.run(replayed(settings(), rule, since, space, tell))

    @app.command()
    def export(space: Place, out: Out) -> None:
        """Write all cases of a space into a file, a line of JSON each. Who reported is left out."""
        lines = asyncio.run(exported(settings(), space))
        try:
            out.write_text(lines, "utf-8")
        except OSError as error:
            raise SettingsError(f"{out} cannot be written ({error.strerror}).") from error
        tell(f"Written to {out}.")

    return app


async def exported(settings: Settings, space: str) -> str:
    """All cases of a space, a line of JSON each. Raises SettingsError for a space without any, StorageError."""
    from core.commands.cases import exported as written
    from core.storage.cases import Cases

    async with opened(settings) as store:
        cases = Cases(store, keep_days=settings.moderation.keep_days)
        lines = [json.dumps(written(case), ensure_ascii=False) async for case in cases.each(await cases.place(space))]
    if not lines:
        raise SettingsError(f"{space!r} has no cases. A space is named PLATFORM:BOT:ID, like telegram:4242:-100500.")
    return "".join(f"{line}\n" for line in lines)


async def replayed(settings: Settings, file: Path | None, since: str, space: str, say: Callable[[str], None]) -> None:
    """Raises SettingsError with a sentence for what is wrong, StorageError."""
    from core.commands import rules as commands
    from core.moderation.classify import shared_classifier
    from core.moderation.replay import past, replay
    from core.moderation.rulebook import RuleBooks
    from core.moderation.rules import RulesError, RuleSet
    from core.people.hearing import zone_of
    from core.people.identity import People
    from core.people.spaces import Spaces
    from core.storage.watched import Watched

    try:
        seconds = Duration.parse(since).seconds
        rules = RuleSet.parse(_text(file)) if file is not None else None
    except RulesError as error:
        raise SettingsError("\n  ".join(("These rules are not valid.", *error.sentences()))) from None
    except ValueError:
        raise SettingsError(f"--since is wrong: found {since!r}. Write a length of time like 7d or 12h.") from None
    if seconds is None:
        raise SettingsError("--since is wrong: nothing is kept for ever. Write a length of time like 7d or 12h.")
    async with opened(settings) as store:
        watched = Watched(store)
        known = await watched.spaces()
        if space not in known and (space or len(known) != 1):
            listed = ", ".join(known) or "none; messages are kept from when a space has rules"
            raise SettingsError(f"--space names no space of which messages are kept. There are: {listed}.")
        space = space or known[0]
        rules = rules or await RuleBooks(store).rules(space)
        if rules is None:
            raise SettingsError("The space has no rules: name a file with --rule.")
        chosen = await Spaces(store).of(space)
        zone = zone_of(chosen.time_zone or settings.chat.time_zone)
        said = await past(watched, People(store), chosen, space, time.time() - seconds)
        done = await replay(rules, said, space=space, classifier=shared_classifier(), zone=zone)
    say(commands.replayed(done, round(seconds / DAY) or 1))


def _text(file: Path) -> str:
    """Raises SettingsError."""
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: it is not there, or no text.") from error
