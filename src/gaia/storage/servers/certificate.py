"""What proves that somebody is a part of the embedded server: a key with its certificate, and the settings that ask
for it."""

from __future__ import annotations

import os
import socket
import ssl
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

SETTINGS = "security.toml"  # the name under which the server looks for it where it is started
_PROOF = "parts.pem"  # key and certificate; the certificate is its own authority, so there is nobody else to trust
_GRPC = ("master", "volume", "filer", "s3", "admin", "worker", "client")
_HTTPS = ("master", "volume", "filer", "admin", "client")


def write(folder: Path) -> None:
    """Make a new key, and the settings by which a server started in `folder` takes it for the only proof: every gRPC
    and HTTP port but S3's then ends a connection that doesn't show its certificate. Both files have mode 600."""
    proof = f'cert = "{_PROOF}"\nkey = "{_PROOF}"\n'
    sections = [f'[grpc]\nca = "{_PROOF}"\n']
    sections += [f"[grpc.{part}]\n{proof}" for part in _GRPC]
    sections += [f'[https.{part}]\n{proof}ca = "{_PROOF}"\n' for part in _HTTPS]
    write_private(folder / _PROOF, _key_and_certificate())
    write_private(folder / SETTINGS, "\n".join(sections) + "enabled = true\n")  # of [https.client], the last one


def context(folder: Path) -> ssl.SSLContext:
    """For a connection to a part of the server that was started in `folder`: shows the proof, and asks for it."""
    made = ssl.create_default_context(cafile=folder / _PROOF)
    made.load_cert_chain(folder / _PROOF)
    return made


def demanded(folder: Path, port: int) -> bool:
    """Whether a port of the server that was started in `folder` has its proof, and tells nothing to whom shows none."""
    asked = ssl.create_default_context(cafile=folder / _PROOF)
    asked.set_alpn_protocols(["h2"])  # in which a server speaks first
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            told = asked.wrap_socket(plain, server_hostname="127.0.0.1")
    except OSError:
        return False
    with told:
        try:
            return not told.recv(1)
        except ssl.SSLError:  # the alert that a certificate is required
            return True
        except OSError as error:
            return not isinstance(error, TimeoutError)


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, from its first moment on."""
    path.unlink(missing_ok=True)  # one that was there would keep its mode
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _key_and_certificate() -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gaia storage")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # for ever, whatever this machine's clock says: each start makes another one
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (private + certificate.public_bytes(pem)).decode()
