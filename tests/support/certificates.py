"""Certificates for receivers of the tests' own: good ones, and ones that must not be trusted."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


class Authority:
    """Issues certificates; `file` is what a client must trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority for tests")])
        self.file = folder / "authority.pem"
        certificate = self._built(self._name, self._key, is_authority=True, days=1)
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str, *, days: int = 1) -> ssl.SSLContext:
        """A server's side that shows a certificate for the name, which ends in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._built(subject, key, is_authority=False, days=days)
        file = self._folder / f"{name}.{days}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _built(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool, days: int
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)  # noqa: TID251 - certificates are judged by the machine's time
        names = [value.value for value in subject]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if not is_authority:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(str(name)) for name in names]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())
