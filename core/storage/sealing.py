"""What may lie in Redis only sealed: AES-GCM with keys that stand in the environment and nowhere else.

``PARLEY_KEYS`` names one or more keys. The first seals, all of them open, so a key is changed by putting a new one in
front; ``parley keys rotate`` seals anew what the older ones sealed, and then they may go.

From each key and purpose two keys are derived (HMAC-SHA-512, as HKDF-Expand does in RFC 5869): one for AES-256-GCM, one
for nonces. So what was sealed for one purpose opens for no other, and the bound of 2**32 values under one key with
random nonces (NIST SP 800-38D, 8.3) counts for each purpose by itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import ParleyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from core.settings import Settings

KEY_BYTES = 32
NONCE_BYTES = 12
MOST_KEYS = 16
MOST_CIPHERS = 4096
"""Purposes whose keys are kept derived: one is a conversation, or somebody's own key."""
_ID = r"[a-z0-9_-]{1,16}"
_KEY = re.compile(rf"({_ID}):([A-Za-z0-9_-]{{43}})=?")
_SEALED = re.compile(rf"sealed:1:({_ID}):([A-Za-z0-9_-]{{38,}})")


class SealedError(ParleyError):
    """Something cannot be opened, or there is no key to seal with. The text names the key's id and no secret."""


@dataclass(frozen=True, slots=True)
class Key:
    """One of the owner's keys."""

    id: str
    secret: bytes = field(repr=False)


def parse_keys(text: str) -> tuple[Key, ...]:
    """Keys as ``PARLEY_KEYS`` has them: ``id:secret``, commas between, the secret 32 bytes as base64url.

    Raises ValueError with what is wrong, and nothing of the secret in it.
    """
    keys: list[Key] = []
    for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        found = _KEY.fullmatch(part)
        if found is None:
            raise ValueError(
                f"key {number} must be id:secret, the id of a-z, 0-9, - and _, the secret 32 bytes as base64url: "
                "`parley keys new` makes one"
            )
        if any(key.id == found[1] for key in keys):
            raise ValueError(f"the id {found[1]} stands there twice")
        keys.append(Key(found[1], base64.urlsafe_b64decode(f"{found[2]}=")))
    if len(keys) > MOST_KEYS:
        raise ValueError(f"there may be {MOST_KEYS} keys at most")
    return tuple(keys)


def new_key() -> str:
    """A new key as ``PARLEY_KEYS`` wants it."""
    secret = base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode().rstrip("=")
    return f"k{secrets.token_hex(3)}:{secret}"


def is_sealed(text: str) -> bool:
    """Whether a text has the form of what was sealed."""
    return _SEALED.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class _Cipher:
    aes: AESGCM
    nonces: bytes = field(repr=False)


class Sealing:
    """Seals and opens texts with the owner's keys; without any it refuses."""

    def __init__(self, keys: tuple[Key, ...] = ()) -> None:
        self._keys = {key.id: key for key in keys}
        self.newest = keys[0].id if keys else ""
        """Id of the key that seals."""
        self._ciphers: OrderedDict[tuple[str, str], _Cipher] = OrderedDict()

    @classmethod
    def of(cls, settings: Settings) -> Sealing:
        return cls(parse_keys(settings.keys.get_secret_value()))

    @property
    def is_on(self) -> bool:
        """Whether there is a key to seal with."""
        return bool(self._keys)

    def seal(self, text: str, purpose: str) -> str:
        """The text for this purpose only, different each time. Raises SealedError without a key."""
        return self._seal(text, purpose, os.urandom(NONCE_BYTES))

    def seal_same(self, text: str, purpose: str) -> str:
        """The same for a text that has to be compared while it is sealed: equal texts of one purpose look equal, and
        that is all that it tells.

        The nonce is a keyed hash of the text, as in synthetic IVs (Rogaway and Shrimpton 2006; RFC 5297): two texts
        share one only where HMAC-SHA-256 collides in 96 bits. Raises SealedError without a key.
        """
        cipher = self._cipher(self.newest, purpose)
        return self._seal(text, purpose, hmac.digest(cipher.nonces, text.encode(), hashlib.sha256)[:NONCE_BYTES])

    def open(self, sealed: str, purpose: str) -> str:
        """The text. Raises SealedError where its key is missing, or it was sealed for something else or damaged."""
        found = _SEALED.fullmatch(sealed)
        if found is None:
            raise SealedError("What was to be opened is not sealed, or it is damaged.")
        from cryptography.exceptions import InvalidTag

        try:
            raw = base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4))
            opened = self._cipher(found[1], purpose).aes.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], purpose.encode())
        except (InvalidTag, binascii.Error):
            raise SealedError(
                f"What the key {found[1]} sealed cannot be opened: PARLEY_KEYS has another key by that name, or it was "
                "damaged or moved."
            ) from None
        return opened.decode()

    def is_newest(self, sealed: str) -> bool:
        """Whether the key that seals now has sealed it."""
        found = _SEALED.fullmatch(sealed)
        return found is not None and found[1] == self.newest

    def _seal(self, text: str, purpose: str, nonce: bytes) -> str:
        raw = nonce + self._cipher(self.newest, purpose).aes.encrypt(nonce, text.encode(), purpose.encode())
        return f"sealed:1:{self.newest}:{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"

    def _cipher(self, id: str, purpose: str) -> _Cipher:
        if (cipher := self._ciphers.get((id, purpose))) is not None:
            self._ciphers.move_to_end((id, purpose))
            return cipher
        key = self._keys.get(id)
        if key is None:
            missing = f"it does not have the key {id}" if self._keys else "it is not set"
            raise SealedError(f"PARLEY_KEYS is needed for this, and {missing}.")
        # Imported at the first use: it costs 45 ms and 7 MB, and most processes never seal.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        derived = hmac.digest(key.secret, f"parley sealing 1\0{purpose}".encode(), hashlib.sha512)
        cipher = _Cipher(AESGCM(derived[:KEY_BYTES]), derived[KEY_BYTES:])
        self._ciphers[id, purpose] = cipher
        if len(self._ciphers) > MOST_CIPHERS:
            self._ciphers.popitem(last=False)
        return cipher


OPEN = Sealing()
"""Without a key: it neither seals nor opens."""
