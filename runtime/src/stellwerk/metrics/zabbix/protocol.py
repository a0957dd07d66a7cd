"""The protocol of zabbix_sender: values in JSON, with a header, to a server's or proxy's trapper.

https://www.zabbix.com/documentation/6.0/en/manual/appendix/protocols/zabbix_sender
"""

import asyncio
import json
import re
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

_HEADER: Final = struct.Struct("<4sBII")
_SIGNATURE: Final = b"ZBXD"
_PLAIN: Final = 1
_LONGEST_ANSWER: Final = 64 * 1024
_COUNTS: Final = re.compile(r"processed: (\d+); failed: (\d+);")


class Value(NamedTuple):
    """A value of an item, as the server knows host and item."""

    host: str
    key: str
    value: str
    at: float
    """In seconds since the epoch."""


class Answer(NamedTuple):
    """How many values were taken. The others belong to items that the server does not have."""

    processed: int
    failed: int


class ZabbixError(Exception):
    """The server took nothing; the message is one sentence."""


async def send(address: str, port: int, values: Sequence[Value]) -> Answer:
    """Send values to a trapper. Raises ZabbixError, or TimeoutError of an asyncio.timeout above."""
    try:
        reader, writer = await asyncio.open_connection(address, port)
    except OSError as error:
        raise ZabbixError(f"Zabbix at {address}:{port} cannot be reached: {error}") from None
    try:
        writer.write(packet(values))
        await writer.drain()
        return answer(await _read(reader))
    except (OSError, EOFError, ValueError) as error:
        raise ZabbixError(f"Zabbix at {address}:{port} did not take the values: {error}") from None
    finally:
        writer.close()


def packet(values: Sequence[Value]) -> bytes:
    """What is sent."""
    body = json.dumps(
        {
            "request": "sender data",
            "data": [
                {
                    "host": one.host,
                    "key": one.key,
                    "value": one.value,
                    "clock": int(one.at),
                    "ns": int(one.at % 1 * 1_000_000_000),
                }
                for one in values
            ],
        }
    ).encode()
    return _HEADER.pack(_SIGNATURE, _PLAIN, len(body), 0) + body


def answer(body: bytes) -> Answer:
    """What the server says it did. Raises ValueError where it did nothing."""
    document: Any = json.loads(body)
    if not isinstance(document, dict) or document.get("response") != "success":
        raise ValueError(f"it answered {document}")
    counts = _COUNTS.match(str(document.get("info", "")))
    if counts is None:
        raise ValueError(f"it answered {document}")
    return Answer(int(counts[1]), int(counts[2]))


async def _read(reader: asyncio.StreamReader) -> bytes:
    signature, flags, length, _ = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    if signature != _SIGNATURE or flags != _PLAIN or length > _LONGEST_ANSWER:
        raise ValueError("its answer is not one of Zabbix")
    return await reader.readexactly(length)
