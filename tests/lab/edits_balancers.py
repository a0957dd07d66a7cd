"""The edits of HAProxy and nginx: each of them is a reload, and no instance notices.

There are two balancers meanwhile, the first with Debian 13, the second with Debian 12.
"""

from tests.lab.edits import Edit, InForce
from tests.lab.edits_services import monitors

BALANCERS = ("lb-1", "lb-2")
_HAPROXY = frozenset(f"{host} haproxy.service" for host in BALANCERS)
_NGINX = frozenset(f"{host} nginx.service" for host in BALANCERS)
_ASK_HAPROXY = (
    "python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX);"
    ' s.connect("/run/haproxy/admin.sock"); s.sendall(sys.argv[1].encode() + b"\\n");'
    " print(s.makefile().read())' '{command}'"
)
_FETCH = "python3 -c 'import urllib.request as u; r = u.urlopen(\"{url}\"); print({what})'"


def _haproxy(name: str, settings: dict[str, str], command: str, output: str) -> Edit:
    return Edit(
        f"HAProxy: {name}", settings, (InForce(BALANCERS, command, output),), reloads=_HAPROXY
    )


def _nginx(
    name: str,
    settings: dict[str, str],
    command: str,
    output: str,
    restarts: frozenset[str] = frozenset(),
) -> Edit:
    in_force = (InForce(BALANCERS, command, output),)
    return Edit(f"nginx: {name}", settings, in_force, restarts, reloads=_NGINX)


def _asked(command: str, then: str) -> str:
    return f"{_ASK_HAPROXY.format(command=command)} | {then}"


HAPROXY = (
    _haproxy(
        "a timeout",
        {"haproxy.timeouts.server_seconds": "45"},
        "grep -c 'timeout server 45s' /etc/haproxy/haproxy.cfg",
        "1",
    ),
    _haproxy(
        "connections at most",
        {"haproxy.maxconn": "5000"},
        _asked("show info", "sed -n 's/^Maxconn: //p'"),
        "5000",
    ),
    _haproxy(
        "which instance gets the next request",
        {"haproxy.balance": "roundrobin"},
        "grep -c 'balance roundrobin' /etc/haproxy/haproxy.cfg",
        "1",
    ),
    _haproxy(
        "a line of one's own in `global`",
        {"haproxy.global_extra": '["node first-balancer"]'},
        _asked("show info", "sed -n 's/^node: //p'"),
        "first-balancer",
    ),
    _haproxy(
        "a port for its statistics",
        {"haproxy.stats_port": "9404"},
        _FETCH.format(url="http://127.0.0.1:9404/", what="r.status"),
        "200",
    ),
)
NGINX = (
    _nginx(
        "a header",
        {"nginx.headers": '{"X-Edited": "yes"}'},
        _FETCH.format(url="http://127.0.0.1/", what='r.headers["X-Edited"]'),
        "yes",
    ),
    _nginx(
        "a location",
        {"nginx.locations": '{"/health": "aktienanalyse-broker"}'},
        _FETCH.format(url="http://127.0.0.1/health", what='"broker" in r.read().decode()'),
        "True",
        restarts=monitors(*BALANCERS),  # they tell whose requests are in its log
    ),
    _nginx(
        "size of a request",
        {"nginx.client_max_body_size": "1MB"},
        'python3 -c \'import http.client as h; c = h.HTTPConnection("127.0.0.1");'
        ' c.putrequest("POST", "/"); c.putheader("Content-Length", str(2 << 20)); c.endheaders();'
        " print(c.getresponse().status)'",
        "413",
    ),
    _nginx(
        "idle time of a client's connection",
        {"nginx.keepalive_seconds": "30"},
        "nginx -T 2>/dev/null | grep -c 'keepalive_timeout 30s'",
        "1",
    ),
)
