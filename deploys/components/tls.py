"""Certificates on a host: its own files, and copies for daemons that run as users of their own.

What a daemon is told about its copy is in the daemon's own module.
"""

from dataclasses import dataclass, field, replace

from deploys.engine.resources import Activation, ConfigSet, Directory, Facts, File

FOLDER = "/etc/stellwerk/tls"
AUTHORITY = f"{FOLDER}/ca.pem"
AUTHORITY_KEY = f"{FOLDER}/ca.sha256"


@dataclass(frozen=True)
class HostCertificate:
    """What a host needs: whom it trusts, and how it shows who it is. Certificates and key are PEM.

    `authority_key_digest` stays the same when the authority is renewed.
    """

    authority: str
    authority_key_digest: str
    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Copy:
    """A folder with the host's certificate for one daemon, which alone can read the key."""

    folder: str
    owner: str

    @property
    def authority(self) -> str:
        return f"{self.folder}/ca.pem"

    @property
    def certificate(self) -> str:
        return f"{self.folder}/host.pem"

    @property
    def key(self) -> str:
        return f"{self.folder}/host.key"


HOST = Copy(FOLDER, "root")


def config(certificate: HostCertificate | None) -> tuple[ConfigSet, ...]:
    """The host's own files: everybody may read the authority, only root the key.

    Daemons of ours get the key from here as a systemd credential.
    """
    if certificate is None:
        return ()
    (own,) = install("tls", HOST, certificate, Activation())
    return (replace(own, files=(*own.files, _authority_key(certificate))),)


def trusts_another(certificate: HostCertificate | None, facts: Facts) -> bool:
    """Whether the host was set up with the certificates of another authority."""
    present = facts.get("files", {}).get(AUTHORITY_KEY)
    return bool(certificate and present and present != _authority_key(certificate).as_fact())


def install(
    name: str, copy: Copy, certificate: HostCertificate | None, activation: Activation
) -> tuple[ConfigSet, ...]:
    """A configuration with the certificate's three files; none where TLS is off.

    `activation` makes a daemon that runs use what was renewed.
    """
    if certificate is None:
        return ()
    owner = copy.owner
    return (
        ConfigSet(
            name,
            directories=(Directory(copy.folder, 0o755, owner, owner),),
            files=files(copy, certificate),
            activation=activation,
        ),
    )


def files(copy: Copy, certificate: HostCertificate) -> tuple[File, ...]:
    """The certificate's three files."""
    owner = copy.owner
    return (
        File(copy.authority, certificate.authority, 0o644, owner, owner),
        File(copy.certificate, certificate.certificate, 0o644, owner, owner),
        File(copy.key, certificate.key, 0o600, owner, owner),
    )


def _authority_key(certificate: HostCertificate) -> File:
    return File(AUTHORITY_KEY, f"{certificate.authority_key_digest}\n")
