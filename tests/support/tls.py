"""TLS in front of the tests' Postgres and Redis, whose own builds have none: a certificate, and who ends it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.engine import make_url

from tests.support.networks import Wire

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""The message with which a client of Postgres asks for TLS before anything else."""


@dataclass(frozen=True)
class Certificate:
    """Signed by itself, for one name."""

    certificate: Path
    key: Path

    @property
    def server_context(self) -> ssl.SSLContext:
        """For a server that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def certificate_for(name: str, directory: Path) -> Certificate:
    """A new certificate in files of this directory."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    began = datetime.now(UTC) - timedelta(days=2)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(directory / f"{name}.crt", directory / f"{name}.key")
    made.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


@dataclass(eq=False)
class TlsFront(Wire):
    """Ends TLS and passes what was in it on to a server without."""

    context: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    encrypted: int = 0
    """Connections whose TLS the client accepted."""

    def at(self, url: str, host: str, words: str = "") -> str:
        """The URL by way of this front, which is known to the client as `host`."""
        return make_url(url).set(host=host, port=self.port).render_as_string(hide_password=False) + words

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As Postgres does it: the client asks for TLS first, and may go on without."""
        try:
            if await reader.readexactly(len(SSL_REQUEST)) != SSL_REQUEST:
                raise ConnectionResetError("this front speaks TLS only")
            writer.write(b"S")
            await writer.start_tls(self.context)
        except (OSError, EOFError):
            writer.transport.abort()
            return
        self.encrypted += 1
        await super().carry(reader, writer)


@asynccontextmanager
async def tls_front(url: str, certificate: Certificate) -> AsyncIterator[TlsFront]:
    """TLS in front of the Postgres of this URL."""
    server = make_url(url)
    front = TlsFront(server.host or "", server.port or 0, context=certificate.server_context)
    listening = await asyncio.start_server(front.carry, "127.0.0.1", 0)
    front.port = listening.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        listening.close()
        front.cut()
