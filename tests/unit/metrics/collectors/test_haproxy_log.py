"""What of HAProxy's log is counted, and that no request is counted twice."""

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.collectors.haproxy_log import Answered, RequestLog, answered

LINE = (
    "10.1.0.5:54138 [23/Nov/2026:13:24:33.436] shop shop_app/shop-8501 {timers} 200 73 - - ----"
    ' 1/1/0/0/0 0/0 "{request}"'
)


def line(timers: str, request: str = "GET /api/orders?token=secret HTTP/1.1") -> str:
    return LINE.format(timers=timers, request=request)


def numbered(number: int) -> str:
    return line(f"0/0/1/2/{number}", f"GET /{number} HTTP/1.1")


def test_the_time_is_from_the_whole_request_to_the_end_of_its_answer() -> None:
    (one,) = answered(line("40/5/1/100/150"))
    assert one == Answered("shop_app", "GET", "/api/orders", 0.11)


def test_an_answer_that_the_server_broke_off_counts() -> None:
    (one,) = answered(line("0/0/1/-1/3000"))
    assert one.seconds == 3


def test_what_no_server_was_asked_for_does_not_count() -> None:
    lines = [line("-1/-1/-1/-1/0", "<BADREQ>"), line("0/-1/-1/-1/0"), line("0/0/-1/-1/3000")]
    assert list(answered("\n".join(lines))) == []


def test_a_log_of_another_form_is_not_counted() -> None:
    assert list(answered("Connect from 10.1.0.5:54138 to 10.1.0.6:80 (shop/HTTP)")) == []


def test_after_a_restart_all_requests_are_new() -> None:
    log = RequestLog()
    list(log.fresh(f"{numbered(1)}\n{numbered(2)}\n\n"))
    assert [one.path for one in log.fresh(f"{numbered(3)}\n{numbered(4)}\n\n")] == ["/3", "/4"]


@given(st.lists(st.integers(0, 12), min_size=1), st.integers(1, 8))
def test_whatever_the_ring_still_holds_every_new_request_in_it_is_counted_once(
    arrivals: list[int], room: int
) -> None:
    log = RequestLog()
    list(log.fresh(""))
    written: list[int] = []
    for new in arrivals:
        seen = len(written)
        written += range(seen, seen + new)
        held = written[-room:]
        counted = [int(one.path[1:]) for one in log.fresh("\n".join(map(numbered, held)) + "\n\n")]
        assert counted == [number for number in held if number >= seen]
