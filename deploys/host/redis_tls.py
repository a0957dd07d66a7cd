"""Whether this host's Redis servers and Sentinels speak TLS, and whom their clients here trust."""

import re
import ssl
from pathlib import Path

AUTHORITY = Path("/etc/stellwerk/tls/ca.pem")
_CONFIGURATIONS = Path("/etc/redis")
_NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python does not name
_TLS_PORT = re.compile(r"^tls-port [1-9]", re.MULTILINE)


def is_spoken_by(configuration: Path) -> bool:
    """Whether the daemon of this configuration file takes TLS connections."""
    try:
        return bool(_TLS_PORT.search(configuration.read_text()))
    except FileNotFoundError:
        return False


def context() -> ssl.SSLContext | None:
    """How to connect to a Redis or Sentinel of the cluster; None where they speak plainly.

    A cluster speaks TLS as a whole or not at all, so this host's own daemons tell. Certificates
    may have ended: what renews them must still be able to talk to those who show them.
    """
    if not any(map(is_spoken_by, _CONFIGURATIONS.glob("*-[0-9]*.conf"))):
        return None
    found = ssl.create_default_context(cafile=str(AUTHORITY))
    found.verify_flags |= _NO_CHECK_TIME
    return found
