"""A process's name is its own while it lives, and the same after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.instance import Instance


def test_names_are_held_and_come_back(tmp_path: Path) -> None:
    first, second = Instance.claim(tmp_path), Instance.claim(tmp_path)
    assert first.name != second.name
    first.close()
    again = Instance.claim(tmp_path)
    assert again.name == first.name
    other = Instance.claim(tmp_path / "other")
    assert other.name != first.name
    other.close()
    again.close()
    second.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="PARLEY_DATA is wrong"):
        Instance.claim(tmp_path / "file" / "data")
