"""What one judgement of the scaler comes to: numbers by host, the record, what people are told."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stellwerk.instances.model import Instance, Purpose, Service, State
from stellwerk.instances.store import Capacity
from stellwerk.scaling.decide import decide
from stellwerk.scaling.model import Change, Decision, Foresight, Hold, Policy
from stellwerk.scaling.model import State as Remembered
from stellwerk.scaling.placement import Floorplan
from stellwerk.scaling.records import Findings, Memory, Order
from stellwerk.scaling.scaler import judging
from stellwerk.scaling.scaler.judging import Rulebook, Verdict, judge
from stellwerk.scaling.scaler.notices import Kind
from tests.unit.scaling.clusters import MEGABYTE, NOW, findings, host_file, instance

APP_2_SILENT = [("app-2", "apps")]


def judged(found: Findings, silent: Iterable[tuple[str, str]] = (), **scaling: Any) -> Verdict:
    (verdict,) = judge(Rulebook.of(host_file(**scaling)), found, silent)
    return verdict


def told(verdict: Verdict) -> list[tuple[Kind, bool]]:
    return [(one.kind, one.escalated) for one in verdict.notices]


def four(**changed: State) -> list[Instance]:
    states = {f"n{number}": State.READY for number in range(1, 5)} | changed
    return [instance(int(name[1:]), state) for name, state in states.items()]


def test_load_adds_an_instance_where_there_are_fewest_and_says_so() -> None:
    verdict = judged(findings(90, [instance(1), instance(3), instance(2)]))
    assert verdict.judged.counts == {"app-2": 2}
    assert (verdict.judged.before, verdict.judged.after) == (3, 4)
    assert told(verdict) == [(Kind.ACTION, False)]
    assert "cpu_percent averaged 90 over 300 s, above 70" in verdict.judged.sentence


def test_what_is_recorded_is_json_and_has_every_vote() -> None:
    verdict = judged(findings(50))
    document = json.loads(json.dumps(verdict.judged.inputs))
    assert [vote["rule"] for vote in document["votes"]] == ["cpu_percent"]
    assert document["serving"] == 2
    assert not verdict.changes
    assert told(verdict) == []


def test_little_load_takes_one_away_after_the_rest() -> None:
    assert judged(findings(10, four())).judged.counts == {"app-2": 1}


@pytest.mark.parametrize("orders", [None, 5])
def test_what_an_operator_wants_comes_first(orders: int | None) -> None:
    order = Order("shop", orders, NOW + timedelta(hours=1), "anna", NOW)
    found = findings(10, four(), orders={"shop": order})
    assert judged(found).judged.after == (orders or 4)
    over = replace(order, until=NOW)
    assert judged(replace(found, orders={"shop": over})).judged.after == 3


def test_an_operators_wish_is_not_remembered_when_it_is_over() -> None:
    order = Order("shop", 12, NOW + timedelta(hours=1), "anna", NOW)
    verdict = judged(findings(50, orders={"shop": order}))
    assert verdict.judged.after == 12
    assert verdict.judged.memory.state.override is None
    assert verdict.judged.memory.state.raised_maximum == 12


def test_missing_metrics_never_shrink() -> None:
    assert not judged(findings(None, four())).changes


def test_a_lost_hosts_instances_are_made_up_for_elsewhere_and_people_are_told() -> None:
    found = findings(50, four(), down=(2, 4))
    verdict = judged(found, APP_2_SILENT)
    assert verdict.judged.counts == {"app-1": 4, "app-2": 0}
    assert verdict.judged.before == verdict.judged.after == 4
    assert "2 instances of app-2, which is not heard of, made up for on app-1." in (
        verdict.judged.sentence
    )
    assert told(verdict) == [(Kind.ACTION, False)]


def on_one_host() -> list[Instance]:
    return [instance(number, host="app-1") for number in range(1, 5)]


def test_a_host_that_is_back_gets_one_instance_at_a_time_while_the_load_allows_it() -> None:
    verdict = judged(findings(40, on_one_host()))
    assert verdict.judged.counts == {"app-1": 3, "app-2": 1}
    assert "One goes from app-1, which has the most, to app-2." in verdict.judged.sentence
    assert told(verdict) == [(Kind.ACTION, False)]


@pytest.mark.parametrize("cpu", [60, None])
def test_nothing_goes_over_under_load_or_where_the_load_is_not_known(cpu: float | None) -> None:
    assert not judged(findings(cpu, on_one_host())).changes


def test_nothing_goes_over_while_not_all_serve_or_an_operator_has_a_word() -> None:
    order = Order("shop", 4, NOW + timedelta(hours=1), "anna", NOW)
    assert not judged(findings(40, on_one_host(), down=[2])).changes
    assert not judged(findings(40, on_one_host(), orders={"shop": order})).changes


def test_a_killed_agent_whose_instances_serve_on_moves_nothing() -> None:
    assert not judged(findings(50, four()), APP_2_SILENT).changes
    assert not judged(findings(10, four(), series={}), APP_2_SILENT).changes


def behind_nginx() -> Rulebook:
    host = host_file()
    shop = host.settings.services["shop"].model_copy(update={"balancer": "nginx"})
    settings = host.settings.model_copy(update={"services": {"shop": shop}})
    return Rulebook.of(replace(host, settings=settings))


@pytest.mark.parametrize(
    ("answered_seconds_ago", "moved"),
    [(None, {"app-1": 4, "app-2": 0}), (31, {"app-1": 4, "app-2": 0}), (20, {})],
)
def test_behind_nginx_which_checks_nobody_an_instance_of_a_lost_host_serves_if_it_answers(
    answered_seconds_ago: int | None, moved: dict[str, int]
) -> None:
    found = findings(50, four())
    if answered_seconds_ago is not None:
        at = NOW - timedelta(seconds=answered_seconds_ago)
        found = replace(found, answered_at=dict.fromkeys(found.snapshot.instances, at))
    (verdict,) = judge(behind_nginx(), found, APP_2_SILENT)
    assert verdict.judged.counts == moved
    (heard,) = judge(behind_nginx(), found)
    assert not heard.changes


def test_a_paused_service_is_not_moved_either() -> None:
    pause = Order("shop", None, None, "anna", NOW)
    found = findings(50, four(), down=(2, 4), orders={"shop": pause})
    assert not judged(found, APP_2_SILENT).changes


def test_a_balancer_that_is_gone_has_no_say_in_what_serves() -> None:
    found = findings(90, four())
    seen = replace(found.snapshot, sightings=())
    assert judged(replace(found, snapshot=seen)).decision.serving == 0
    both_silent = [("lb-1", "balancers")]
    assert judged(found, both_silent).decision.serving == 4


def test_an_instance_that_restarts_for_a_roll_out_is_coming_capacity() -> None:
    rolling = replace(instance(2, State.DRAINING), purpose=Purpose.ROLL)
    leaving = replace(instance(2, State.DRAINING), purpose=Purpose.RETIRE)
    assert judged(findings(50, [instance(1), rolling])).decision.starting == 1
    assert judged(findings(50, [instance(1), leaving])).decision.starting == 0


def test_one_that_an_operator_holds_out_is_no_capacity() -> None:
    held = replace(instance(2), held=True)
    assert judged(findings(90, [instance(1), held])).decision.serving == 1


def test_without_memory_on_any_host_the_limit_is_told_of_once() -> None:
    full = {f"app-{n}": Capacity(8, 1024 * MEGABYTE, 10 * MEGABYTE) for n in (1, 2)}
    first = judged(findings(90, capacities=full))
    assert not first.changes
    assert told(first) == [(Kind.LIMIT, False)]
    assert "no app host has 64 MB of memory free for more than 2" in first.judged.sentence
    again = judged(findings(90, capacities=full, memory=first.judged.memory))
    assert told(again) == []
    assert told(judged(findings(50, memory=again.judged.memory))) == []
    assert not judged(findings(50, memory=again.judged.memory)).judged.memory.standing


def test_limits_over_all_services_are_told_of() -> None:
    verdict = judged(findings(90), limits={"instances": 2})
    assert not verdict.changes
    assert told(verdict) == [(Kind.LIMIT, False)]


def test_a_failed_instance_is_told_of_once_until_it_serves_again() -> None:
    failed = replace(instance(2, State.FAILED), reason="no answer")
    first = judged(findings(50, [instance(1), failed]))
    (notice,) = first.notices
    assert (notice.kind, notice.text) == (Kind.FAILURE, "shop@8102 on app-2 has failed: no answer")
    trying = [instance(1), instance(2, State.STARTING)]
    second = judged(findings(50, trying, memory=first.judged.memory))
    third = judged(findings(50, [instance(1), failed], memory=second.judged.memory))
    assert told(second) == told(third) == []
    well = judged(findings(50, memory=third.judged.memory))
    assert told(judged(findings(50, [instance(1), failed], memory=well.judged.memory)))


def test_an_emergency_is_told_of_at_once_and_escalated_later() -> None:
    errors = {"error_rate_percent": 15}
    found = findings(50)
    bad = {
        key: {**series, "error_rate": replace(series["cpu_percent_of_a_core"])}
        for key, series in found.series.items()
    }
    first = judged(replace(found, series=bad), emergency=errors)
    assert first.decision.in_emergency
    assert told(first) == [(Kind.ACTION, False), (Kind.EMERGENCY, False)]
    assert first.judged.after == 4
    emergency = first.judged.memory.state.emergency
    assert emergency is not None
    old = replace(
        first.judged.memory.state, emergency=replace(emergency, since=NOW.timestamp() - 400)
    )
    later = findings(50, memory=replace(first.judged.memory, state=old))
    second = judged(replace(later, series=bad), emergency=errors)
    assert (Kind.EMERGENCY, True) in told(second)
    assert (Kind.EMERGENCY, False) not in told(second)


def test_after_a_time_without_judgements_the_present_number_is_the_first_recommendation() -> None:
    old = Memory(Remembered(recommendations=((NOW.timestamp() - 4000, 2),)))
    wait = {"stabilization_down_seconds": 300}
    services = {"shop": {"cpu_percent": {"up_above": 70, "down_below": 30}, **wait}}
    found = findings(10, four(), memory=old, judged_at={"shop": NOW - timedelta(hours=1)})
    assert not judged(found, services=services).changes


def test_a_forecast_asks_for_more_ahead_of_the_need() -> None:
    foreseen = {"shop": Foresight(4, "the need foreseen for 12:15", is_acted_on=True)}
    (verdict,) = judge(Rulebook.of(host_file()), findings(50), (), foreseen)
    assert verdict.judged.after == 4
    assert "the need foreseen for 12:15" in verdict.judged.sentence


def test_a_forecast_that_is_only_shown_is_recorded_and_changes_nothing() -> None:
    foreseen = {"shop": Foresight(4, "the settings want forecasts only to be shown")}
    (verdict,) = judge(Rulebook.of(host_file()), findings(50), (), foreseen)
    assert not verdict.changes
    assert verdict.judged.inputs["forecast"] == {
        "instances": 4,
        "reason": "the settings want forecasts only to be shown",
        "is_acted_on": False,
    }
    assert judged(findings(50)).judged.inputs["forecast"] is None


def with_a_cart(found: Findings) -> Findings:
    """The same with another service, of which there is nothing yet."""
    services = {**found.snapshot.services, "cart": Service("cart", "1" * 16, "1" * 16, 0)}
    return replace(found, snapshot=replace(found.snapshot, services=services))


def test_a_judgement_that_fails_is_told_of_once_and_keeps_nobody_from_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def decide_of_others(policy: Policy, *rest: Any) -> Decision:
        if policy.service == "cart":
            raise ZeroDivisionError("division\nby zero")
        return decide(policy, *rest)

    monkeypatch.setattr(judging, "decide", decide_of_others)
    host = host_file()
    services = {**host.settings.services, "cart": host.settings.services["shop"]}
    settings = host.settings.model_copy(update={"services": services})
    rulebook = Rulebook.of(replace(host, settings=settings))
    cart, shop = sorted(
        judge(rulebook, with_a_cart(findings(90))), key=lambda one: one.judged.service
    )
    assert shop.judged.after == 3
    assert shop.fault is None
    assert not cart.changes
    assert isinstance(cart.fault, ZeroDivisionError)
    assert told(cart) == [(Kind.FAILURE, False)]
    assert cart.judged.sentence == (
        "cart stays at 0: it cannot be judged (ZeroDivisionError: division by zero)."
    )
    again = replace(with_a_cart(findings(90)), memories={"cart": cart.judged.memory})
    assert [told(one) for one in judge(rulebook, again) if one.fault] == [[]]


def test_one_that_cannot_be_placed_is_left_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("shop")

    monkeypatch.setattr(Floorplan, "place", fail)
    verdict = judged(findings(90))
    assert not verdict.changes
    assert told(verdict) == [(Kind.FAILURE, False)]


ALL_SILENT = [("app-1", "apps"), ("app-2", "apps")]


@pytest.mark.parametrize(("cpu", "demanded"), [(90, 5), (50, 4), (10, 3)])
def test_when_no_app_host_is_heard_of_nothing_moves_and_people_are_told_once(
    cpu: float, demanded: int
) -> None:
    first = judged(findings(cpu, four()), ALL_SILENT)
    assert not first.changes
    assert first.decision.demanded == demanded
    assert first.decision.held_by(Hold.NO_HOST) is (demanded != 4)
    assert told(first) == [(Kind.FAILURE, False)]
    assert first.notices[0].text == "shop stays as it is: no app host is heard of"
    assert told(judged(findings(cpu, four(), memory=first.judged.memory), ALL_SILENT)) == []


def test_the_load_is_what_all_that_serve_use_together() -> None:
    assert judged(findings(40, four())).load == 160
    assert judged(findings(40, four(n2=State.STARTING))).load == 120


def test_a_load_of_which_a_part_is_not_known_is_not_known() -> None:
    found = findings(40, four())
    known = {key: one for key, one in found.series.items() if key.port != 8102}
    assert judged(replace(found, series=known)).load is None
    assert judged(findings(40, [])).load is None


def test_a_service_without_a_policy_keeps_its_number_but_not_a_lost_host() -> None:
    found = findings(99, four())
    assert not judged(found, services={}).changes
    lost = findings(99, four(), down=(2, 4))
    assert judged(lost, APP_2_SILENT, services={}).judged.counts == {"app-1": 4, "app-2": 0}


def test_also_of_a_service_without_a_policy_a_failed_instance_is_told_of_once() -> None:
    failed = [instance(1), instance(2, State.FAILED)]
    first = judged(findings(50, failed), services={})
    assert told(first) == [(Kind.FAILURE, False)]
    assert first.is_kept
    again = judged(findings(50, failed, memory=first.judged.memory), services={})
    assert told(again) == []
    assert not again.is_kept


def test_of_services_without_a_policy_no_load_is_kept() -> None:
    assert judged(findings(50), services={}).load is None


def test_the_memory_keeps_what_was_changed() -> None:
    changes = judged(findings(90)).judged.memory.state.changes
    assert changes == (Change(NOW.timestamp(), 2, 3),)
