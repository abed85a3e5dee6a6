"""Encryption at rest (AES-256-GCM) of what this service alone reads, under keys derived from the mesh secret."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


class OtherSecret(Exception):
    """It was sealed under another mesh secret, for another place, or was changed since."""


class Seal:
    """Seals for one purpose. What is sealed is bound to a name, so that rows cannot be swapped."""

    def __init__(self, mesh_secret: str, purpose: str) -> None:
        self._cipher = AESGCM(derived(mesh_secret, purpose))

    def close(self, name: str, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """Raises OtherSecret."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except InvalidTag:
            raise OtherSecret from None


def derived(mesh_secret: str, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose (HKDF, RFC 5869)."""
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"polis identity {purpose}".encode())
    return derive.derive(mesh_secret.encode())
