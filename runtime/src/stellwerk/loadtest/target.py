"""Finds the server under test before the run: the URL, its address, its certificate."""

import asyncio
import socket
import ssl
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from stellwerk.loadtest.connection import Connection, ReceiveBuffer, connect, tls_context
from stellwerk.loadtest.generator import connection_problem
from stellwerk.loadtest.plan import Target

_CONNECT_SECONDS = 10.0


class TargetError(Exception):
    """The server cannot be tested; the message is one sentence."""


def parse_url(url: str, authority_file: Path | None = None) -> Target:
    """The target a URL stands for. Raises TargetError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TargetError(f"{url}: is not a URL; give one as http://HOST:PORT") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetError(f"{url}: is not a URL; give one as http://HOST:PORT")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise TargetError(f"{url}: give only scheme, host, port and path; requests add the rest")
    tls = parts.scheme == "https"
    if authority_file is not None and not tls:
        raise TargetError(f"{url}: --ca is for https URLs")
    return Target(
        host=parts.hostname,
        port=port if port is not None else (443 if tls else 80),
        tls=tls,
        path=parts.path.rstrip("/"),
        authority_file=str(authority_file) if authority_file else None,
    )


async def reach(target: Target) -> Target:
    """The target with the address that answers HTTP. Raises TargetError."""
    try:
        context = tls_context(target)
    except OSError as error:
        reason = (
            "holds no certificate in PEM form"
            if isinstance(error, ssl.SSLError)
            else error.strerror
        )
        raise TargetError(f"{target.authority_file}: {reason}") from None
    problem = "the name has no address"
    for address in await _addresses(target):
        found = replace(target, address=address)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await _ask(found, context)
        except TimeoutError:
            problem = f"no answer within {_CONNECT_SECONDS:g} s"
        except ssl.SSLCertVerificationError as error:
            raise TargetError(_unverified(target, error)) from None
        except OSError as error:
            problem = connection_problem(error)
        else:
            return found
    raise TargetError(f"{target.url}: cannot be reached: {problem}")


class _FirstAnswer:
    """Waits for the answer to one request."""

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, connection: Connection, status: int) -> None:
        del connection, status
        self.future.set_result(None)

    def broken(self, connection: Connection, reason: str, silent: bool) -> None:
        del connection, silent
        self.future.set_exception(OSError(reason))


async def _ask(target: Target, context: ssl.SSLContext | None) -> None:
    """One GET of the URL itself. Any status will do: what counts is that HTTP is spoken."""
    answer = _FirstAnswer()
    connection = await connect(target, context, answer, ReceiveBuffer())
    head = f"GET {target.path or '/'} HTTP/1.1\r\nHost: {target.authority}\r\nAccept: */*\r\n\r\n"
    connection.send(head.encode(), head_only=False)
    try:
        await answer.future
    finally:
        connection.abort()


async def _addresses(target: Target) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TargetError(f"{target.url}: the name {target.host} has no address") from None
    return list(dict.fromkeys(str(information[4][0]) for information in found))


def _unverified(target: Target, error: ssl.SSLCertVerificationError) -> str:
    return (
        f"{target.url}: its certificate does not verify: {error.verify_message};"
        " if an authority of your own signed it, give its certificate with --ca FILE"
    )
