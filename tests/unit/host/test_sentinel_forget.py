"""A Sentinel is reset only in calm, and has met the others again before the next one is."""

from typing import Any

import pytest

from deploys.host import redis, sentinel_forget
from deploys.host.command import Failure

LIVING = [["198.18.0.32", "26379", "two", "sentinel"], ["198.18.0.33", "6379", "three", "slave"]]
GONE = ["198.18.0.34", "26379", "four", "s_down,sentinel"]
REPLACED = ["198.18.0.32", "26379", "the one of before", "sentinel"]
KEYS = ("ip", "port", "runid", "flags")


class Sentinel:
    """A Sentinel that knows some, and after a reset those that it meets."""

    def __init__(self) -> None:
        self.flags = "master"
        self.known = [*LIVING, GONE, REPLACED]
        self.meets = [LIVING[0], [*LIVING[1][:2], "another run", "slave"]]
        self.told: list[str] = []

    def __enter__(self) -> "Sentinel":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def call(self, *words: str) -> Any:
        self.told.append(" ".join(words[1:]))
        match words[1]:
            case "MASTER":
                return ["flags", self.flags]
            case "SENTINELS" | "REPLICAS":
                port = "26379" if words[1] == "SENTINELS" else "6379"
                return [
                    [word for pair in zip(KEYS, one, strict=True) for word in pair]
                    for one in self.known
                    if one[1] == port
                ]
            case "RESET":
                self.known = self.meets
        return "OK"


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch) -> Sentinel:
    found = Sentinel()
    monkeypatch.setattr(redis, "connect_sentinel", lambda _port: found)
    monkeypatch.setattr(sentinel_forget, "CALM_SECONDS", 0)
    monkeypatch.setattr(sentinel_forget, "MEET_SECONDS", 0)
    return found


def forget() -> None:
    sentinel_forget.forget({"port": 26379, "name": "stock", "gone": [GONE[:3], REPLACED[:3]]})


def test_those_who_are_gone_are_forgotten_and_the_others_met_again(sentinel: Sentinel) -> None:
    forget()
    assert [line for line in sentinel.told if line.split()[0] in ("RESET", "CKQUORUM")] == [
        "RESET stock",
        "CKQUORUM stock",
    ]


def test_one_that_is_not_met_again_ends_it_and_is_named(sentinel: Sentinel) -> None:
    sentinel.meets = LIVING[:1]
    with pytest.raises(Failure, match=r"has not met 198\.18\.0\.33:6379 again"):
        forget()


@pytest.mark.parametrize("flags", ["s_down,master", "master,failover_in_progress"])
def test_in_trouble_nothing_is_reset(sentinel: Sentinel, flags: str) -> None:
    sentinel.flags = flags
    with pytest.raises(Failure, match=f"sees the master stock as {flags}, so it was left"):
        forget()
    assert not any("RESET" in line for line in sentinel.told)
