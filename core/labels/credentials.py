"""Content Credentials (C2PA): a label that is signed, so that it tells whether anything was changed since.

The library is an extra; where it is not installed, nothing is signed and nothing can be checked.
"""

from __future__ import annotations

import importlib.util
import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog

from core.labels.origin import Origin, cleaned
from core.labels.xmp import TOOL

log = structlog.get_logger()

_MARK = b"c2pa"
"""In every file that carries them."""
_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_ACTIONS = "c2pa.actions"
"""What was done, as the standard calls it."""
_SAMPLE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)
"""A PNG of one pixel."""
_ALONE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
"""A file may name an address where its credentials are, and the library would ask there, whatever that is."""
_TRUSTED, _WHOLE = "Trusted", "Valid"
"""What the library says of a file that nobody changed, signed by one of those it trusts, or by anybody."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file's credentials say, and whether they are to be believed."""

    is_whole: bool
    """Nothing was changed since it was signed."""
    is_trusted: bool
    """The library knows who signed it, by more than their word."""
    signer: str
    tool: str


def carries(data: bytes) -> bool:
    """Whether a file seems to have credentials."""
    return _MARK in data


def can_check() -> bool:
    """Whether the library is installed."""
    return importlib.util.find_spec("c2pa") is not None


def check(data: bytes, mime: str) -> Checked | None:
    """None where there are none, or none that the library can read. Blocks: for a thread."""
    if not (carries(data) and can_check()):
        return None
    import c2pa

    library: Any = c2pa
    try:
        with library.Context.from_dict(_ALONE) as context:
            reader = library.Reader.try_create(mime, io.BytesIO(data), context=context)
            if reader is None:
                return None
            with reader:
                state: str = reader.get_validation_state()
                manifest: dict[str, Any] = reader.get_active_manifest() or {}
        tools: list[dict[str, Any]] = manifest.get("claim_generator_info") or [{}]
        signature: dict[str, Any] = manifest.get("signature_info") or {}
        tool: Any = tools[0].get("name") or ""
    except Exception as error:
        # Whatever a hostile file does to it; the errors of the library have no common base.
        log.info("credentials not read", cause=str(error))
        return None
    return Checked(
        state in (_TRUSTED, _WHOLE), state == _TRUSTED, cleaned(str(signature.get("issuer") or "")), cleaned(str(tool))
    )


class Signer:
    """Signs in the name of whoever runs Parley."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key

    def sign(self, data: bytes, mime: str, origin: Origin) -> bytes:
        """The file with credentials; where that cannot be, as it is, with a line for operators. Blocks: for threads."""
        try:
            return self._signed(data, mime, origin)
        except ValueError as error:
            log.error("not signed", mime=mime, cause=str(error))
            return data

    def problem(self) -> str:
        """Why nothing can be signed; empty where it can. Blocks."""
        if not can_check():
            return "the extra `credentials` is not installed"
        try:
            self._signed(_SAMPLE, "image/png", Origin(TOOL))
        except ValueError as error:
            return str(error)
        return ""

    def _signed(self, data: bytes, mime: str, origin: Origin) -> bytes:
        """Raises ValueError."""
        output = io.BytesIO()
        try:
            import c2pa

            library: Any = c2pa
            if mime not in library.Builder.get_supported_mime_types():
                return data
            algorithm, certificate, key = self._pair
            info = library.C2paSignerInfo(alg=algorithm, sign_cert=certificate, private_key=key, ta_url=None)
            with (
                library.Context.from_dict(_ALONE) as context,
                library.Signer.from_info(info) as signer,
                library.Builder(_manifest(origin), context) as builder,
            ):
                builder.sign(signer, mime, io.BytesIO(data), output)
        except Exception as error:
            # Keys with a password and of unknown kinds, files that the library does not like: all have errors of
            # their own, without a common base.
            raise ValueError(str(error) or type(error).__name__) from None
        return output.getvalue()

    @cached_property
    def _pair(self) -> tuple[bytes, bytes, bytes]:
        """The algorithm that the key is for, and both files. Raises OSError, ValueError."""
        certificate, key = self._certificate.read_bytes(), self._key.read_bytes()
        return _algorithm(key), certificate, key


def _algorithm(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    match load_pem_private_key(pem, None):
        case ec.EllipticCurvePrivateKey() as key:
            return {256: b"es256", 384: b"es384", 521: b"es512"}.get(key.key_size, b"es256")
        case ed25519.Ed25519PrivateKey():
            return b"ed25519"
        case rsa.RSAPrivateKey():
            return b"ps256"
        case _:
            raise ValueError("no key of a kind that signs")


def _manifest(origin: Origin) -> str:
    made: dict[str, Any] = {
        "action": "c2pa.created",
        "digitalSourceType": _SOURCES + origin.source_type,
        "softwareAgent": {"name": cleaned(origin.model)},
    }
    if origin.moment:
        made["when"] = origin.moment
    return json.dumps(
        {
            "claim_generator_info": [{"name": TOOL}],
            "title": cleaned(origin.id) or TOOL,
            "assertions": [{"label": _ACTIONS, "data": {"actions": [made]}}],
        }
    )
