"""Content Credentials with certificates made here: signed, checked, and found out where a file was changed."""

from __future__ import annotations

import datetime
import io
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from core.labels import credentials
from core.labels.credentials import Checked, Signer
from core.labels.labelling import labelled, read
from core.labels.labels import Labels
from core.labels.origin import Origin
from core.labels.settings import LabelSettings
from core.parts import Media
from core.people.spaces import Spaces
from core.storage.client import Store

NOW = datetime.datetime.now(datetime.UTC)
ORIGIN = Origin("painter", "p", NOW, "telegram:1:5")


def picture(form: str = "PNG") -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(output, form)
    return output.getvalue()


def certificate(name: str, key: ec.EllipticCurvePrivateKey, signer: str = "") -> x509.CertificateBuilder:
    def named(name: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, name),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "*Club*"),
            ]
        )

    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(signer or name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=not signer, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(signs, False, False, False, False, not signs, not signs, False, False)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A chain of two certificates, and the key."""
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    above = certificate("Root", root).add_extension(usage(signs=False), critical=True).sign(root, hashes.SHA256())
    below = (
        certificate("Own", own, "Root")
        .add_extension(usage(signs=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificates")
    pem = serialization.Encoding.PEM
    (folder / "own.pem").write_bytes(below.public_bytes(pem) + above.public_bytes(pem))
    private = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "own.key").write_bytes(private)
    return folder / "own.pem", folder / "own.key"


def test_what_is_signed_is_known_by_its_signer_until_it_is_changed(pair: tuple[Path, Path]) -> None:
    signed = Signer(*pair).sign(labelled(picture(), "image/png", ORIGIN), "image/png", ORIGIN)
    assert credentials.check(signed, "image/png") == Checked(True, False, "*Club*", "Parley")
    found = read(signed)
    assert found is not None
    assert found.model == "painter"
    at = signed.index(b"IDAT") + 6
    changed = credentials.check(signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :], "image/png")
    assert changed is not None
    assert not changed.is_whole


async def test_what_leaves_is_labelled_and_signed(store: Store, pair: tuple[Path, Path]) -> None:
    labels = Labels(LabelSettings(certificate=pair[0], key=pair[1], producer="Club"), Spaces(store))
    for mime, data in (("image/jpeg", picture("JPEG")), ("image/png", picture())):
        media = await labels.put(Media("a", mime, data), labels.origin("painter", "p", "1"))
        checked, found = credentials.check(media.data, mime), read(media.data)
        assert checked is not None
        assert checked.is_whole
        assert found is not None
        assert found.producer == "Club"


def test_what_cannot_be_signed_leaves_unsigned(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("no key")
    for certificate, key in ((pair[0], tmp_path / "none"), (pair[0], tmp_path / "bad"), (tmp_path / "bad", pair[1])):
        assert Signer(certificate, key).sign(picture(), "image/png", ORIGIN) == picture()
    assert Signer(*pair).sign(b"OggS", "audio/ogg", ORIGIN) == b"OggS"
    assert Signer(*pair).sign(b"nothing", "image/png", ORIGIN) == b"nothing"


def test_what_is_wrong_with_a_pair_is_told_beforehand(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("no key")
    assert Signer(*pair).problem() == ""
    assert "No such file" in Signer(pair[0], tmp_path / "none").problem()
    assert Signer(pair[0], tmp_path / "bad").problem()
    assert Signer(tmp_path / "bad", pair[1]).problem()


def test_a_key_with_a_password_is_told_and_holds_nothing_back(pair: tuple[Path, Path], tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(pair[1].read_bytes(), None)
    sealed = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    (tmp_path / "sealed").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, sealed))
    signer = Signer(pair[0], tmp_path / "sealed")
    assert signer.sign(picture(), "image/png", ORIGIN) == picture()
    assert "encrypted" in signer.problem()


def test_an_address_that_a_file_names_is_not_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/c2pa"
        named = f'<rdf:Description xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{address}"'.encode()
        data = labelled(picture("JPEG"), "image/jpeg", ORIGIN).replace(b"<rdf:Description", named, 1)
        at = data.index(b"\xff\xe1") + 2
        size = int.from_bytes(data[at : at + 2], "big") + len(named) - len(b"<rdf:Description")
        assert credentials.check(data[:at] + size.to_bytes(2, "big") + data[at + 2 :], "image/jpeg") is None
        with pytest.raises(BlockingIOError):
            server.accept()


def test_nonsense_has_no_credentials() -> None:
    assert credentials.check(picture(), "image/png") is None
    assert credentials.check(b"c2pa" + picture(), "image/png") is None
    assert credentials.check(picture() + b"jumbc2pa", "image/png") is None
