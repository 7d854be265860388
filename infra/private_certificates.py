"""Certificates for the private network of a deployment: `python -m infra.private_certificates <directory> <name> ...`.

An authority of its own signs one certificate for each name, which a client verifies (`sslmode=verify-full`). What is
there and good for longer than a month stays, and so does a certificate that another authority signed. So the command
can run before each start. It needs no network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared import clock

AUTHORITY = "authority"
AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 397
"""As long as browsers accept."""
RENEW_DAYS = 31
EVERYWHERE = ("localhost", "127.0.0.1")
"""Names of the machine itself, for those who reach a published port."""

_Key = ec.EllipticCurvePrivateKey


def make_certificates(directory: Path, names: Sequence[str]) -> list[str]:
    """Make `<name>.pem` and `<name>.key` for each name, and `authority.pem`; returns which were made now."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    authority, key, is_new = _authority(directory)
    made = [AUTHORITY] if is_new else []
    for name in names:
        file = directory / f"{name}.pem"
        if not file.exists() or (_is_of(authority.subject, file) and (is_new or not _is_good(file))):
            own_key = ec.generate_private_key(ec.SECP256R1())
            _write(directory, name, _server_certificate(name, own_key, authority, key), own_key)
            made.append(name)
    return made


def _authority(directory: Path) -> tuple[x509.Certificate, _Key, bool]:
    certificate_file, key_file = directory / f"{AUTHORITY}.pem", directory / f"{AUTHORITY}.key"
    if _is_good(certificate_file) and key_file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return x509.load_pem_x509_certificate(certificate_file.read_bytes()), key, False
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named("Batua private network")
    builder = _dated(subject, subject, key, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = builder.add_extension(usage, critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())
    _write(directory, AUTHORITY, certificate, key, key_mode=0o400)
    return certificate, key, True


def _server_certificate(name: str, key: _Key, authority: x509.Certificate, authority_key: _Key) -> x509.Certificate:
    builder = _dated(_named(name), authority.subject, key, CERTIFICATE_DAYS)
    names = [_general_name(each) for each in (name, *EVERYWHERE)]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return builder.add_extension(issuer, critical=False).sign(authority_key, hashes.SHA256())


def _dated(subject: x509.Name, issuer: x509.Name, key: _Key, days: int) -> x509.CertificateBuilder:
    now = clock.now()
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=days))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_of(authority: x509.Name, file: Path) -> bool:
    return x509.load_pem_x509_certificate(file.read_bytes()).issuer == authority


def _is_good(file: Path) -> bool:
    if not file.exists():
        return False
    ends_at = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    return ends_at.astimezone(UTC) - clock.now() > timedelta(days=RENEW_DAYS)


def _write(directory: Path, name: str, certificate: x509.Certificate, key: _Key, *, key_mode: int = 0o444) -> None:
    """Only its owner enters the directory; in containers, which mount the files one by one, any user reads them."""
    pem = serialization.Encoding.PEM
    key_bytes = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for file, content, mode in (
        (directory / f"{name}.key", key_bytes, key_mode),
        (directory / f"{name}.pem", certificate.public_bytes(pem), 0o444),
    ):
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(content)
        file.chmod(mode)


def main() -> None:
    """Make what is missing, and say it."""
    parser = argparse.ArgumentParser(prog="python -m infra.private_certificates", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("names", nargs="+", help="of hosts in the network")
    given = parser.parse_args()
    made = make_certificates(given.directory, given.names)
    print(f"Made: {', '.join(made)}." if made else "Every certificate is good for longer than a month.")  # noqa: T201


if __name__ == "__main__":
    main()
