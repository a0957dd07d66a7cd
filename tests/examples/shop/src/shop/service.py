"""Serves HTTP on $PORT of every address in $BIND_ADDRESS until SIGTERM; /health says it can."""

import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers every path with the release it runs from."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"ok\n" if self.path == "/health" else f"{os.getcwd()}\n".encode()  # noqa: PTH109
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The journal is no access log."""


class Server(ThreadingHTTPServer):
    """Waits, when it is closed, for the requests that it has begun."""

    daemon_threads = False

    def __init__(self, address: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Handler)


def main() -> None:
    """Run until SIGTERM; exits with 0."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    port = int(os.environ["PORT"])
    addresses = os.environ.get("BIND_ADDRESS", "127.0.0.1").split(",")
    servers = [Server(address, port) for address in addresses]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    _tell_systemd("READY=1")
    stop.wait()
    _tell_systemd("STOPPING=1")
    for server in servers:
        server.shutdown()
        server.server_close()


def _tell_systemd(state: str) -> None:
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(state.encode(), path.replace("@", "\0", 1))
