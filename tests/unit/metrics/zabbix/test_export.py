"""Claims about what is sent to Zabbix, without one."""

import asyncio
import json
import logging
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.declarations import redis, service, system, unit
from stellwerk.metrics.registry import metric
from stellwerk.metrics.zabbix import items
from stellwerk.metrics.zabbix.export import DISCOVERY_SECONDS, ZabbixExporter
from stellwerk.metrics.zabbix.protocol import Answer, Value, ZabbixError, answer, packet, send
from stellwerk.settings.scaling import ZabbixExport
from tests.unit.notifications.servers import silent_server

CPU = system.CPU.series()
AT = 1_750_000_000.0


def _said(info: str) -> bytes:
    return json.dumps({"response": "success", "info": info}).encode()


class Server:
    """A trapper that takes everything and writes down the keys of each sending."""

    def __init__(self, reply: bytes | None = None) -> None:
        self.sendings: list[dict[str, str]] = []
        self.reply = reply

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("<5xI4x", await reader.readexactly(13))
        rows = json.loads(await reader.readexactly(length))["data"]
        self.sendings.append({row["key"]: row["value"] for row in rows})
        body = _said(f"processed: {len(rows)}; failed: 0; total: {len(rows)}; seconds spent: 0.1")
        writer.write(self.reply or b"ZBXD\x01" + struct.pack("<II", len(body), 0) + body)
        writer.close()


def _send(server: Server, times: int = 1) -> Answer:
    async def scenario() -> Answer:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            exporter = ZabbixExporter("db-1", ZabbixExport(server="127.0.0.1", port=port))
            for number in range(times):
                at = AT + number * DISCOVERY_SECONDS / 2
                exporter.observe([(CPU, 12.5), (redis.CLIENTS.series(port="6379"), 7.0)], at)
                taken = await exporter.send()
        return taken

    return asyncio.run(scenario())


def test_values_and_the_series_there_are_reach_the_server() -> None:
    server = Server()
    assert _send(server) == Answer(3, 0)
    assert server.sendings == [
        {
            "stellwerk.discovery[redis.port]": '[{"{#PORT}": "6379"}]',
            "stellwerk.system.cpu_percent": "12.5",
            "stellwerk.redis.connected_clients[6379]": "7",
        }
    ]


def test_which_series_there_are_is_told_again_only_after_a_while() -> None:
    server = Server()
    _send(server, times=3)
    told = ["stellwerk.discovery[redis.port]" in sending for sending in server.sendings]
    assert told == [True, False, True]


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"ZBXD\x01" + struct.pack("<II", 2, 0) + b"{}",
        b"ZBXD\x01" + struct.pack("<II", 2**31, 0),
        b"ZBXD",
    ],
)
def test_an_answer_that_makes_no_sense_ends_nothing_and_is_said_once(
    reply: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert _send(Server(reply), times=3) == Answer(0, 0)
    assert len(caplog.records) == 1


def test_no_server_at_all_is_said_with_its_address() -> None:
    with pytest.raises(ZabbixError, match=r"127\.0\.0\.1:9"):
        asyncio.run(send("127.0.0.1", 9, []))


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stellwerk.metrics.zabbix.export.TIME_LIMIT_SECONDS", 0.05)

    async def scenario() -> Answer:
        async with silent_server() as port:
            exporter = ZabbixExporter("db-1", ZabbixExport(server="127.0.0.1", port=port))
            exporter.observe([(CPU, 1.0)], AT)
            return await exporter.send()

    assert asyncio.run(scenario()) == Answer(0, 0)


@given(
    st.lists(st.builds(Value, host=st.text(), key=st.text(), value=st.text(), at=st.floats(0, 4e9)))
)
def test_a_packet_says_how_long_it_is_and_holds_every_value(values: list[Value]) -> None:
    sent = packet(values)
    assert sent[:5] == b"ZBXD\x01"
    assert struct.unpack("<II", sent[5:13]) == (len(sent) - 13, 0)
    rows = json.loads(sent[13:])["data"]
    assert [(row["host"], row["key"], row["value"]) for row in rows] == [one[:3] for one in values]
    assert all(0 <= row["ns"] < 10**9 for row in rows)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_counts_of_an_answer_are_understood(processed: int, failed: int) -> None:
    info = f"processed: {processed}; failed: {failed}; total: 1; seconds spent: 0.000055"
    assert answer(_said(info)) == Answer(processed, failed)


def test_a_distribution_has_no_item() -> None:
    series = service.REQUEST.series("shop")
    assert not items.is_sent(series.metric)
    assert items.discoveries([series]) == {}


def test_what_services_say_of_themselves_is_one_item_each() -> None:
    series = metric("own.queue_lag_ms").series("shop", instance="shop@8501")
    assert items.item_key(series) == "stellwerk.own[shop,shop@8501,queue_lag_ms]"
    assert items.item_key(unit.CPU.series("shop", instance="shop@8501")) == (
        "stellwerk.unit.cpu_percent[shop,shop@8501]"
    )
