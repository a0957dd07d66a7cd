"""X.509: the cluster's authority and the hosts' certificates, made and judged. No files.

Keys are ECDSA on P-256, which every TLS library of Debian 12 and 13 takes without settings.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_NAME = "Stellwerk cluster authority"
AUTHORITY_DAYS = 3650
BACKDATED = timedelta(hours=1)  # a host whose clock is a little late takes the certificate too
LONGEST_COMMON_NAME = 64  # RFC 5280, upper bound ub-common-name
# Tools on a host ask its daemons by these; only the host itself can be reached so.
LOOPBACK_NAME, LOOPBACK_ADDRESSES = "localhost", ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both as PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Subject:
    """The host a certificate is for: its name, and the address by which the others reach it."""

    name: str
    address: str


def new_key() -> str:
    """A private key as PEM."""
    return _pem_of(ec.generate_private_key(ec.SECP256R1()))


def authority(key: str, now: datetime) -> Pair:
    """The authority's certificate for its key.

    A renewed one has the same name and key, so hosts that have the old one and hosts that have the
    new one trust each other's certificates.
    """
    private = _key(key)
    name = _name(AUTHORITY_NAME)
    certificate = (
        _builder(name, name, private.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(private, hashes.SHA256())
    )
    return Pair(_text(certificate), key)


def issue(signer: Pair, subject: Subject, days: int, now: datetime) -> Pair:
    """A new key and certificate for a host, valid for both ends of a connection."""
    signing_key, signing = _key(signer.key), _certificate(signer.certificate)
    private = ec.generate_private_key(ec.SECP256R1())
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key())
    certificate = (
        _builder(_name(subject.name), signing.subject, private.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(issuer_key, critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(subject)), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    return Pair(_text(certificate), _pem_of(private))


def is_fresh(certificate: str, now: datetime) -> bool:
    """Whether more than a third of its life is left. Raises ValueError where it is none."""
    read = _certificate(certificate)
    left = read.not_valid_after_utc - now
    return left > (read.not_valid_after_utc - read.not_valid_before_utc) / 3


def key_digest(pair: Pair) -> str:
    """Names the key in public: an authority that was renewed keeps it, another one has another."""
    public = _key(pair.key).public_key()
    encoded = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(encoded).hexdigest()


def belong_together(pair: Pair) -> bool:
    """Whether the key is the certificate's. Raises ValueError where one of them is none."""
    return _certificate(pair.certificate).public_key() == _key(pair.key).public_key()


def is_for(certificate: str, subject: Subject, signer: Pair) -> bool:
    """Whether the authority signed it for the host as it is named now.

    Raises ValueError where it is no certificate.
    """
    read = _certificate(certificate)
    try:
        read.verify_directly_issued_by(_certificate(signer.certificate))
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return list(names) == _alternatives(subject)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _alternatives(subject: Subject) -> list[x509.GeneralName]:
    addresses = dict.fromkeys((subject.address, *LOOPBACK_ADDRESSES))
    names = dict.fromkeys((subject.name, LOOPBACK_NAME))
    return [
        *(x509.DNSName(name) for name in names if name.isascii()),
        *(x509.IPAddress(ip_address(address)) for address in addresses),
    ]


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:LONGEST_COMMON_NAME])])


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _certificate(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def _key(text: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(text.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key on an elliptic curve")
    return key
