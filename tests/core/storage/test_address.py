"""REDIS_URL in all its forms, and sentences that show no password."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.loading import load
from core.storage.address import Address, Tls


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis://host", Address("single", (("host", 6379),))),
        ("redis://u:p%40%2F@host:1/3", Address("single", (("host", 1),), database=3, username="u", password="p@/")),
        ("rediss://:p@[::1]:7?db=2", Address("single", (("::1", 7),), database=2, password="p", is_encrypted=True)),
        ("unix:///run/a?b%20.sock", Address("single", path="/run/a?b%20.sock")),
        ("unix://u:p@/run/a.sock", Address("single", path="/run/a.sock", username="u", password="p")),
        (
            "redis+cluster://u:p@a:1,b,[::2]",
            Address("cluster", (("a", 1), ("b", 6379), ("::2", 6379)), "", 0, "", "u", "p"),
        ),
        ("redis+sentinel://a,b:2/main/1", Address("sentinel", (("a", 26379), ("b", 2)), "", 1, "main")),
        ("rediss+sentinel://a/main", Address("sentinel", (("a", 26379),), master="main", is_encrypted=True)),
    ],
)
def test_what_an_address_says(url: str, found: Address) -> None:
    assert Address.parse(url) == found


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://x:SECRET@host", "must begin with redis://"),
        ("redis://x:SECRET@a,b", "names several servers"),
        ("redis://x:SEC/RET@host", "has an @ too late"),
        ("redis://x:SEC?RET@host", "has an @ too late"),
        ("redis://x:SECRET@host:port", "has a port that is no number"),
        ("redis://x:SECRET@host:70000", "has a port that is no number"),
        ("redis://x:SECRET@host/name", "no number of a database"),
        ("redis://x:SECRET@host?SECRET=1", "has an option that is not known"),
        ("redis+cluster://x:SECRET@host/1", "a cluster has none"),
        ("redis+sentinel://x:SECRET@host", "must name the master"),
        ("unix://x:SECRET@run/a.sock", "by its whole path"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(tmp_path: Path, url: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match="REDIS_URL is wrong") as error:
        load(tmp_path, {"REDIS_URL": url})
    assert sentence in str(error.value).replace("Must", "must").replace("Has", "has").replace("Names", "names")
    assert "SEC" not in str(error.value)
    assert "RET" not in str(error.value)


def test_what_is_shown_of_an_address_holds_no_secret() -> None:
    address = replace(Address.parse("redis+sentinel://me:SECRET@a:1,[::2]/main"), sentinel_password="SECRET")
    assert address.place == "main at a:1, [::2]:26379"
    assert "SECRET" not in repr(address)


def test_certificates_that_are_no_use_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"storage\.tls_ca is wrong: No such file"):
        Tls(ca=str(tmp_path / "none.pem")).context()
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    with pytest.raises(SettingsError, match=r"storage\.tls_ca is wrong"):
        Tls(ca=str(bad)).context()
    with pytest.raises(SettingsError, match=r"storage\.tls_certificate or storage\.tls_key is wrong"):
        Tls(certificate=str(bad)).context()
