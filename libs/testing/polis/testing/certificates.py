"""Certificates for tests of TLS, on loopback."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption


class Issued:
    """A certificate of 127.0.0.1 that signs itself, with its key, in files of a folder; `ends`: when it does."""

    def __init__(self, folder: Path) -> None:
        self.chain, self.key = folder / "tls.crt", folder / "tls.key"
        self.ends: datetime
        self.der = b""
        self.write()

    def write(
        self, *, days: int = 30, chain: bool = True, encryption: KeySerializationEncryption | None = None
    ) -> None:
        """Put another one there; of one without its chain only the key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "polis")])
        now = datetime.now(UTC).replace(microsecond=0)
        at_home = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(at_home, critical=False)
            .sign(key, hashes.SHA256())
        )
        if chain:
            self.ends = now + timedelta(days=days)
            self.der = made.public_bytes(Encoding.DER)
            self.chain.write_bytes(made.public_bytes(Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
        )

    @property
    def settings(self) -> dict[str, str]:
        """Of a gateway that shows it."""
        return {"tls_certificate": str(self.chain), "tls_key": str(self.key)}

    def trusted(self) -> ssl.SSLContext:
        """What a client trusts who was given it."""
        return ssl.create_default_context(cafile=str(self.chain))
