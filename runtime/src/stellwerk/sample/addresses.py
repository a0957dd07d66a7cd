"""The addresses that an instance listens on when its unit names none."""

import socket

LOOPBACK = "127.0.0.1"

# From the range for documentation (RFC 5737): nothing is sent there, a datagram socket only looks
# up the route.
_ELSEWHERE = ("192.0.2.1", 9)


def own_addresses() -> tuple[str, ...]:
    """Loopback, and the address this host uses towards others; loopback alone where it has no
    route.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return (LOOPBACK,)
        return tuple(dict.fromkeys((LOOPBACK, str(probe.getsockname()[0]))))
