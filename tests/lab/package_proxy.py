"""The HTTP proxy through which the hosts' apt gets packages, and nothing else gets anywhere.

It runs outside the lab's namespace, so it reaches the mirrors as the control machine does, but
listens inside. What can never change (packages, index files named by their hash) is kept, so
provisioning the same host again downloads nothing. apt in the hosts checks all signatures.
"""

import hashlib
import io
import os
import shutil
import socket
import ssl
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from tests.lab import folders, mirrors, namespace
from tests.lab.mirrors import Mirror

PORT = 3142
ATTEMPTS = 3
UPSTREAM_SECONDS = 30
COPY_BYTES = 1024 * 1024
HASH_FOLDER = "/by-hash/SHA256/"


class PackageProxy(ThreadingHTTPServer):
    """Serves files of the given mirrors out of a cache folder that it fills as needed.

    `partial` is a folder on the cache's file system for what is being fetched, for it alone.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        listener: socket.socket,
        archives: Sequence[Mirror],
        opener: urllib.request.OpenerDirector,
        cache: Path,
        partial: Path,
    ) -> None:
        super().__init__(listener.getsockname(), _Request, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.archives = archives
        self.opener = opener
        self.cache = cache
        self.partial = _emptied(partial)
        self._locks: dict[Path, threading.Lock] = {}

    def lock_for(self, file: Path) -> threading.Lock:
        """Return the lock that lets one request fetch a file while the others wait for it."""
        return self._locks.setdefault(file, threading.Lock())


def upstream_address(url: str, archives: Sequence[Mirror]) -> str | None:
    """Return where a requested URL is fetched, or None when it is of no mirror."""
    for mirror in archives:
        prefix = f"{mirror.plain_address}/"
        if url.startswith(prefix) and ".." not in url:
            return f"{mirror.address}/{url.removeprefix(prefix)}"
    return None


def cache_file(url: str, cache: Path) -> Path | None:
    """Return where a URL is kept, or None for one whose content may change."""
    parts = urlsplit(url)
    if not (parts.path.endswith((".deb", ".udeb")) or HASH_FOLDER in parts.path):
        return None
    return cache / parts.netloc / parts.path.lstrip("/")


def build_opener(apt_settings: Mapping[str, str]) -> urllib.request.OpenerDirector:
    """Return an opener that goes out as this machine's apt does: its proxies, its CA file.

    Where apt names no proxy, the usual environment variables count.
    """
    proxies = urllib.request.getproxies()
    for scheme in ("http", "https"):
        proxy = apt_settings.get(f"Acquire::{scheme}::Proxy")
        if proxy == "DIRECT":
            proxies.pop(scheme, None)
        elif proxy:
            proxies[scheme] = proxy
    certificates = ssl.create_default_context(cafile=apt_settings.get("Acquire::https::CAInfo"))
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=certificates)
    )


@contextmanager
def local_proxy(purpose: str) -> Iterator[str]:
    """Run a proxy on the loopback of the control machine; yield its address.

    Of one purpose only one may run at a time.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    with _proxy(listener, purpose) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        proxy.shutdown()


def _proxy(listener: socket.socket, purpose: str) -> PackageProxy:
    return PackageProxy(
        listener,
        mirrors.configured_mirrors(),
        build_opener(mirrors.apt_settings()),
        folders.PACKAGES,
        folders.PACKAGES / ".partial" / purpose,
    )


def _emptied(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PackageProxy

    def do_GET(self) -> None:
        upstream = upstream_address(self.path, self.server.archives)
        if upstream is None:
            self._send_failure(HTTPStatus.FORBIDDEN, "Not a package mirror of this machine")
            return
        file = cache_file(self.path, self.server.cache)
        try:
            if file is None:
                headers, content = self._fetch(upstream)
            else:
                self._ensure_stored(upstream, file)
        except urllib.error.HTTPError as error:
            self._send_failure(error.code, str(error.reason))
        except (OSError, ValueError) as error:
            reason = " ".join(f"The mirror did not answer: {error}".split())
            self._send_failure(HTTPStatus.BAD_GATEWAY, reason)
        else:
            if file is None:
                self._send(headers, io.BytesIO(content), len(content))
            else:
                with file.open("rb") as stored:
                    self._send({}, stored, os.fstat(stored.fileno()).st_size)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing about requests; errors show up in the host's apt."""

    def _send(self, headers: Mapping[str, str], content: BinaryIO, length: int) -> None:
        self.send_response(HTTPStatus.OK)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()
        shutil.copyfileobj(content, self.wfile, COPY_BYTES)

    def _fetch(self, upstream: str) -> tuple[dict[str, str], bytes]:
        """Return a file that may change, and the header by which apt sees whether it has."""
        request = urllib.request.Request(upstream)
        since = self.headers.get("If-Modified-Since")
        if since:
            request.add_header("If-Modified-Since", since)
        with self.server.opener.open(request, timeout=UPSTREAM_SECONDS) as response:
            modified = response.headers["Last-Modified"]
            return ({"Last-Modified": modified} if modified else {}), response.read()

    def _ensure_stored(self, upstream: str, file: Path) -> None:
        with self.server.lock_for(file):
            for attempt in range(1, ATTEMPTS + 1):
                if file.exists():
                    return
                try:
                    self._store(upstream, file)
                except urllib.error.HTTPError:
                    raise
                except (OSError, ValueError):
                    if attempt == ATTEMPTS:
                        raise

    def _store(self, upstream: str, file: Path) -> None:
        """Put a file of the mirror into the cache. Raises ValueError when it is not whole."""
        # Renamed when complete, so a kill leaves no half file under the name.
        partial = self.server.partial / str(uuid.uuid4())
        try:
            with self.server.opener.open(upstream, timeout=UPSTREAM_SECONDS) as response:
                with partial.open("wb") as target:
                    shutil.copyfileobj(response, target, COPY_BYTES)
                _check_whole(partial, response.headers["Content-Length"], file)
            file.parent.mkdir(parents=True, exist_ok=True)
            partial.rename(file)
        finally:
            partial.unlink(missing_ok=True)

    def _send_failure(self, status: int, reason: str) -> None:
        # Not send_error(), which closes the connection: apt has sent its next requests already.
        self.send_response(status, reason)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _check_whole(partial: Path, expected_bytes: str | None, file: Path) -> None:
    """Raise ValueError when a download is not what its length or its name says."""
    if expected_bytes is not None and partial.stat().st_size != int(expected_bytes):
        raise ValueError(f"{partial.stat().st_size} of {expected_bytes} bytes arrived")
    if HASH_FOLDER in str(file):
        with partial.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file.name:
                raise ValueError("its hash differs from its name")


def main(lab: str) -> None:
    """Serve the hosts of a lab until killed."""
    with namespace.inside(lab):
        listener = socket.create_server((str(namespace.GATEWAY.ip), PORT))
    _proxy(listener, f"lab-{lab}").serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
