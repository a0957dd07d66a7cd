"""A chat channel inside a lab's network: takes what is posted to its webhook, and keeps it."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.lab import namespace

_ADDRESS = str(namespace.GATEWAY.ip)
_HEAD = re.compile(r"\S+ \S+ UTC (\S+): (.*)")  # of a message, with the host that tells it


class Inbox(ThreadingHTTPServer):
    """Keeps what hosts said, a line each, in the order in which it came."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__((_ADDRESS, 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.said: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """The webhook."""
        return f"http://{_ADDRESS}:{self.socket.getsockname()[1]}/hook"

    def times(self, host: str, sentence: str) -> int:
        """How often a host said something."""
        return sum(of == host and sentence in line for of, line in self.said)


class _Handler(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = said["blocks"][1]["text"]["text"]
        host = ""
        for line in text.strip("`").splitlines():
            head = _HEAD.fullmatch(line)
            if head is not None:
                host, line = head.groups()
            self.server.said.append((host, line.strip()))
        self.send_response(HTTPStatus.OK)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""


@contextmanager
def inbox(lab: str) -> Iterator[Inbox]:
    """A channel that the lab's hosts reach, until the context ends."""
    with namespace.inside(lab):
        listener = socket.create_server((_ADDRESS, 0))
    channel = Inbox(listener)
    thread = threading.Thread(target=channel.serve_forever)
    thread.start()
    try:
        yield channel
    finally:
        channel.shutdown()
        channel.server_close()
        thread.join()
