"""A plan as people read it: short, within 100 columns, hosts with the same ahead together."""

from dataclasses import replace

from deploys.engine.changes import Effect, Verb
from deploys.seeing.model import FileDifference, HostPlan, Item, Plan, Remark
from deploys.seeing.rollouts import Roll
from deploys.seeing.text import WIDTH, drift_text, plan_text
from stellwerk.terminal.paint import Paint

PLAIN = Paint(False)
ITEM = Item(
    "haproxy",
    "/etc/haproxy/haproxy.cfg differs",
    (Effect(Verb.RELOAD, "haproxy.service"),),
    files=(FileDifference("/etc/haproxy/haproxy.cfg", ("...", "-maxconn 1", "+maxconn 2")),),
)
ROLL = Roll("shop", "aaaa", "bbbb", ("environment",), {"app-1": 3})


def test_nothing_to_do_is_one_line() -> None:
    plan = Plan([HostPlan("app-1"), HostPlan("app-2")])
    assert plan_text(plan, PLAIN) == ["", "Nothing would change on 2 hosts."]
    assert drift_text(plan, PLAIN) == ["In step: 2 hosts as declared."]


def test_a_host_shows_what_differs_and_what_happens_to_units() -> None:
    plan = Plan([HostPlan("lb-1", (ITEM,)), HostPlan("app-1")], [ROLL])
    assert plan_text(plan, PLAIN) == [
        "",
        "lb-1",
        "  haproxy: /etc/haproxy/haproxy.cfg differs",
        "    RELOAD haproxy.service",
        "    /etc/haproxy/haproxy.cfg",
        "      ...",
        "      -maxconn 1",
        "      +maxconn 2",
        "",
        "Roll-outs",
        "  shop: ROLL from aaaa to bbbb for environment, one instance after the other (3 on app-1)",
        "",
        "1 host of 2 would change: 1 reload, 1 roll-out. Nothing was changed now.",
    ]


def test_balancers_that_are_reloaded_for_a_roll_out_are_named() -> None:
    roll = replace(ROLL, reloads=("lb-1", "lb-2"))
    text = " ".join(" ".join(plan_text(Plan([], [roll]), PLAIN)).split())
    assert "(3 on app-1); RELOAD nginx.service on lb-1, lb-2" in text


def test_hosts_with_the_same_ahead_stand_together() -> None:
    plan = Plan([HostPlan("lb-1", (ITEM,)), HostPlan("app-1"), HostPlan("lb-2", (ITEM,))])
    assert plan_text(plan, PLAIN)[1] == "lb-1, lb-2"


def test_what_is_known_only_during_the_run_is_said() -> None:
    plan = Plan([HostPlan("db-1", later=(Remark("instances", "decided when it runs"),))])
    assert "  instances: decided when it runs (known during the run)" in plan_text(plan, PLAIN)
    assert plan.in_step
    assert plan.unknown
    assert drift_text(plan, PLAIN) != drift_text(Plan([HostPlan("db-1")]), PLAIN)


def test_what_a_run_does_not_mend_is_listed_by_host() -> None:
    plan = Plan(
        [HostPlan("db-1", findings=(Remark("PostgreSQL", "waits for a restart"),))],
        findings=(Remark("shop@8101", "shop@8101 is not pinned"),),
    )
    assert not plan.in_step
    text = drift_text(plan, PLAIN)
    assert "  db-1: PostgreSQL: waits for a restart" in text
    assert "  shop@8101 is not pinned" in text


def test_no_line_is_too_wide() -> None:
    long = "x" * 300
    item = Item("a", " ".join(["word"] * 100), files=(FileDifference("/a", (f"+{long}",)),))
    plan = Plan([HostPlan("a", (item,), (Remark("b", " ".join(["later"] * 90)),))])
    assert all(len(line) <= WIDTH for line in plan_text(plan, PLAIN))
