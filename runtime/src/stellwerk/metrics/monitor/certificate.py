"""TLS between hosts: whom a monitor trusts, and how it shows others who it is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ssl

AUTHORITY: Final = Path("/etc/stellwerk/tls/ca.pem")
"""The certificate of the cluster's authority, which everybody on a host may read."""

CERTIFICATE: Final = "tls.certificate"
KEY: Final = "tls.key"
"""Names of the systemd credentials: the host's certificate and its key, both in PEM."""


def given() -> "ssl.SSLContext | None":
    """What a server needs, of the credentials this process was given; None where it was not."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None or not (Path(folder) / CERTIFICATE).exists():
        return None
    # Half a megabyte that a cluster without TLS does not need.
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Path(folder) / CERTIFICATE, Path(folder) / KEY)
    return context
