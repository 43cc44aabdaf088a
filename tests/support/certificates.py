"""Authorities, servers and client certificates for tests, and pins of their keys."""

import ssl
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from dispatcher.network.settings import Identity


def pem_of(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def pin_of(certificate: trustme.LeafCert) -> str:
    found = load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())
    key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256/{b64encode(sha256(key).digest()).decode()}"


def serving(certificate: trustme.LeafCert, *, clients: trustme.CA | None = None) -> ssl.SSLContext:
    """Serve with a certificate; ask for one of `clients`, where given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    return context


def write_identity(folder: Path, certificate: trustme.LeafCert, name: str = "client") -> Identity:
    """Write certificate and key as two files, the key for its owner alone."""
    chain, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    chain.write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    key.chmod(0o600)
    return Identity(str(chain), str(key))
