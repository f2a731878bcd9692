from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.storage.sealing import SealedError, Sealing, is_sealed, new_key, parse_keys

OLD, NEW = new_key(), new_key()


def sealing(*keys: str) -> Sealing:
    return Sealing(parse_keys(",".join(keys)))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(text=TEXTS, purpose=TEXTS)
def test_what_was_sealed_opens_for_its_purpose_and_for_no_other(text: str, purpose: str) -> None:
    seals = sealing(NEW)
    for sealed in (seals.seal(text, purpose), seals.seal_same(text, purpose)):
        assert is_sealed(sealed)
        assert seals.open(sealed, purpose) == text
        with pytest.raises(SealedError):
            seals.open(sealed, purpose + "x")


def test_only_seal_same_lets_equal_texts_look_equal() -> None:
    seals = sealing(NEW)
    assert seals.seal("secret", "a") != seals.seal("secret", "a")
    assert seals.seal_same("secret", "a") == seals.seal_same("secret", "a")
    assert seals.seal_same("secret", "a") != seals.seal_same("secret", "b")
    assert seals.seal_same("secret", "a") != seals.seal_same("Secret", "a")


def test_the_first_key_seals_and_all_open() -> None:
    before = sealing(OLD).seal("said", "a")
    after = sealing(NEW, OLD)
    assert after.open(before, "a") == "said"
    assert not after.is_newest(before)
    assert after.is_newest(after.seal("said", "a"))
    assert after.seal("said", "a").split(":")[2] == NEW.split(":")[0]


def test_a_lost_key_is_named_and_nothing_else() -> None:
    sealed = sealing(OLD).seal("said", "a")
    with pytest.raises(SealedError, match=rf"does not have the key {OLD.split(':')[0]}\.$"):
        sealing(NEW).open(sealed, "a")
    with pytest.raises(SealedError, match="it is not set"):
        Sealing().open(sealed, "a")
    with pytest.raises(SealedError, match="it is not set"):
        Sealing().seal("said", "a")
    with pytest.raises(SealedError, match="it is not set"):
        Sealing().seal_same("said", "a")


def test_another_key_by_the_same_name_opens_nothing() -> None:
    id = OLD.split(":")[0]
    imposter = f"{id}:{NEW.split(':')[1]}"
    with pytest.raises(SealedError, match="another key by that name"):
        sealing(imposter).open(sealing(OLD).seal("said", "a"), "a")


def test_every_changed_character_is_noticed() -> None:
    seals = sealing(NEW)
    sealed = seals.seal("said", "a")
    for at in range(len("sealed:1:"), len(sealed) - 1):
        other = "A" if sealed[at] != "A" else "B"
        with pytest.raises(SealedError):
            seals.open(sealed[:at] + other + sealed[at + 1 :], "a")
    for damaged in ("", "said", "sealed:2:k:x", sealed[:-1], sealed + "\n", sealed + "A"):
        with pytest.raises(SealedError):
            seals.open(damaged, "a")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("abc", "must be id:secret"),
        (":" + OLD.split(":")[1], "must be id:secret"),
        ("K1:" + OLD.split(":")[1], "must be id:secret"),
        (OLD[:-2], "must be id:secret"),
        (f"{OLD},{OLD}", "twice"),
        (",".join(new_key() for _ in range(17)), "16 keys at most"),
    ],
    # Keys are other ones in each of pytest's processes.
    ids=["no key", "no name", "wrong name", "too short", "twice", "too many"],
)
def test_wrong_keys_are_told_without_showing_them(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as caught:
        parse_keys(text)
    assert OLD.split(":")[1][:8] not in str(caught.value)


def test_no_secret_in_a_repr_and_nothing_heavy_without_use() -> None:
    keys = parse_keys(f" {NEW} , {OLD}= ")
    assert [key.id for key in keys] == [NEW.split(":")[0], OLD.split(":")[0]]
    assert "secret" not in repr(keys)
    code = "import sys, core.storage.sealing; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
