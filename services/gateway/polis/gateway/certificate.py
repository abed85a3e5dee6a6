"""The certificate of the public port, where TLS ends here: read anew when its files change, so that renewing it takes no restart."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from polis.service.config import BadSettings
from polis.service.rounds import rounds
from polis.telemetry import log, metrics

if TYPE_CHECKING:
    from polis.gateway.config import GatewaySettings

LOOK_S = 30.0
"""How often the files are looked at."""


class BadCertificate(BadSettings):
    """Certificate and key cannot be read, or do not belong together."""


class Certificate:
    """`context` is what connections are opened with, also those behind a renewal."""

    def __init__(self, chain: Path, key: Path) -> None:
        """chain: the certificate and what stands between it and its root; key: without a passphrase; both PEM."""
        self._chain, self._key = chain, key
        self._known = self._stamp()
        self.context = self._fresh()
        self._tell_end()

    async def keep(self) -> None:
        """For as long as the port is open."""
        await rounds("certificate", self.look, every_s=LOOK_S)

    async def look(self) -> None:
        """Take what is in the files by now. BadCertificate, and the one before is kept."""
        stamp = self._stamp()
        if stamp == self._known:
            return
        self._fresh()  # what does not fit together must not touch the one that is in use
        self.context.load_cert_chain(self._chain, self._key)
        self._known = stamp
        self._tell_end()
        log.info("certificate.renewed")

    def _fresh(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._chain, self._key, password="")
        except (OSError, ValueError) as error:
            raise self._bad(error) from None
        return context

    def _stamp(self) -> tuple[object, ...]:
        """What differs when a file was written, or another one put in its place."""
        try:
            found = [path.stat() for path in (self._chain, self._key)]
        except OSError as error:
            raise self._bad(error) from None
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)

    def _bad(self, error: Exception) -> BadCertificate:
        return BadCertificate(f"POLIS_TLS_CERTIFICATE {self._chain}, POLIS_TLS_KEY {self._key}: {error}")

    def _tell_end(self) -> None:
        own = x509.load_pem_x509_certificates(self._chain.read_bytes())[0]
        metrics.certificate_ends.set(own.not_valid_after_utc.timestamp())


def certificate_of(settings: GatewaySettings) -> Certificate | None:
    """None where TLS ends elsewhere. BadCertificate."""
    if not settings.tls_certificate and not settings.tls_key:
        return None
    if not settings.tls_certificate or not settings.tls_key:
        raise BadCertificate("POLIS_TLS_CERTIFICATE and POLIS_TLS_KEY are set together or not at all")
    return Certificate(Path(settings.tls_certificate), Path(settings.tls_key))
