"""A master hands over without a lost write, or goes on as it was."""

from collections.abc import Callable
from typing import Any

import pytest

from deploys.host import redis, redis_failover
from deploys.host.resp import RedisError

DOCUMENT = {
    "name": "stock",
    "address": "10.0.0.1",
    "port": 6379,
    "sentinels": [["10.0.0.1", 26379], ["10.0.0.2", 26379], ["10.0.0.3", 26379]],
    "replicas": [["10.0.0.2", 6379], ["10.0.0.3", 6379]],
}
PAUSED = f"CLIENT PAUSE {redis_failover.PAUSE_MILLISECONDS} WRITE"
CANDIDATE = {"flags": "slave", "master-link-status": "ok", "last-ok-ping-reply": "10"}


class Cluster:
    """Connections to a master, its replicas and a Sentinel that note what they are told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.offsets: dict[str, int | None] = {"10.0.0.2": 100, "10.0.0.3": 100}
        self.candidates = [CANDIDATE]
        self.named = [("10.0.0.1", 6379), ("10.0.0.2", 6379)]
        self.views: list[tuple[str, int]] = []  # what the Sentinels name before that, one by one

    def connection(self, answer: Callable[[tuple[Any, ...]], Any]) -> "Connection":
        return Connection(self, answer)

    def sentinel(self, words: tuple[Any, ...]) -> Any:
        if words[1] == "REPLICAS":
            return [[word for pair in one.items() for word in pair] for one in self.candidates]
        if words[1] == "GET-MASTER-ADDR-BY-NAME":
            if self.views:
                return self.views.pop(0)
            promoted = any("SENTINEL FAILOVER" in line for line in self.told)
            return self.named[-1 if promoted else 0]
        return "OK"

    @property
    def orders(self) -> list[str]:
        """What was told beside questions."""
        asked = ("INFO", "SENTINEL REPLICAS", "SENTINEL GET-MASTER")
        return [line for line in self.told if not line.startswith(asked)]


class Connection:
    def __init__(self, cluster: Cluster, answer: Callable[[tuple[Any, ...]], Any]) -> None:
        self._cluster, self._answer = cluster, answer

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def call(self, *words: Any) -> Any:
        self._cluster.told.append(" ".join(map(str, words)))
        return self._answer(words)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()

    def replica(_port: int, address: str) -> Connection:
        offset = found.offsets[address]
        if offset is None:
            raise RedisError("cannot connect")
        info = f"master_link_status:{'up' if offset else 'down'}\r\nslave_repl_offset:{offset}"
        return found.connection(lambda _words: info)

    monkeypatch.setattr(redis, "connect", replica)
    monkeypatch.setattr(
        redis, "connect_sentinel", lambda _port, _address: found.connection(found.sentinel)
    )
    for bound in ("CANDIDATE_SECONDS", "CAUGHT_UP_SECONDS", "ACCEPT_SECONDS", "SWITCH_SECONDS"):
        monkeypatch.setattr(redis_failover, bound, 0)
    return found


def hand_over(cluster: Cluster) -> None:
    master = cluster.connection(lambda words: "master_repl_offset:100" if words[0] == "INFO" else 0)
    redis_failover.hand_over(master, DOCUMENT)  # type: ignore[arg-type]


def test_writes_are_paused_until_the_old_master_follows_the_new_one(cluster: Cluster) -> None:
    hand_over(cluster)
    assert cluster.orders == [
        PAUSED,
        "SENTINEL FAILOVER stock",
        "REPLICAOF 10.0.0.2 6379",
        "CLIENT UNPAUSE",
        "CONFIG REWRITE",
        "CLIENT KILL TYPE normal SKIPME yes",
    ]


def test_a_replica_that_is_down_is_not_waited_for(cluster: Cluster) -> None:
    cluster.offsets["10.0.0.3"] = None
    hand_over(cluster)
    assert "SENTINEL FAILOVER stock" in cluster.orders


@pytest.mark.parametrize("offsets", [{"10.0.0.3": 99}, {"10.0.0.2": None, "10.0.0.3": 0}])
def test_a_replica_that_lags_could_be_promoted_so_nothing_is_handed_over(
    cluster: Cluster, offsets: dict[str, int | None]
) -> None:
    cluster.offsets |= offsets
    with pytest.raises(RedisError, match="have not caught up"):
        hand_over(cluster)
    assert cluster.orders == [PAUSED, "CLIENT UNPAUSE"]


@pytest.mark.parametrize(
    "changed",
    [{"flags": "slave,s_down"}, {"master-link-status": "err"}, {"last-ok-ping-reply": "9000"}],
)
def test_without_a_replica_fit_to_take_over_writes_are_not_even_paused(
    cluster: Cluster, changed: dict[str, str]
) -> None:
    cluster.candidates = [{**CANDIDATE, **changed}]
    with pytest.raises(RedisError, match="no replica fit to take over"):
        hand_over(cluster)
    assert cluster.orders == []


def test_sentinels_that_promote_none_leave_the_master_writing(cluster: Cluster) -> None:
    cluster.named = cluster.named[:1]
    with pytest.raises(RedisError, match="promoted none"):
        hand_over(cluster)
    assert cluster.orders[-1] == "CLIENT UNPAUSE"


OLD, NEW = "10.0.0.1", "10.0.0.3"


@pytest.mark.parametrize("views", [[NEW, NEW, OLD], [NEW, NEW, NEW]])
def test_a_master_whose_hand_over_was_cut_short_follows_the_one_that_was_promoted(
    cluster: Cluster, views: list[str]
) -> None:
    cluster.views = [(address, 6379) for address in views]
    cluster.offsets = {"10.0.0.2": None, "10.0.0.3": None}  # they follow the new one already
    hand_over(cluster)
    assert cluster.orders == [
        PAUSED,
        f"REPLICAOF {NEW} 6379",
        "CLIENT UNPAUSE",
        "CONFIG REWRITE",
        "CLIENT KILL TYPE normal SKIPME yes",
    ]


def test_a_master_that_a_minority_takes_for_replaced_hands_over_as_always(cluster: Cluster) -> None:
    cluster.views = [(NEW, 6379), (OLD, 6379), (OLD, 6379)]
    hand_over(cluster)
    assert "SENTINEL FAILOVER stock" in cluster.orders


def test_the_pause_outlasts_everything_that_is_waited_for_meanwhile() -> None:
    waits = (
        redis_failover.CAUGHT_UP_SECONDS,
        redis_failover.ACCEPT_SECONDS,
        redis_failover.SWITCH_SECONDS,
    )
    assert 1000 * sum(waits) < redis_failover.PAUSE_MILLISECONDS
