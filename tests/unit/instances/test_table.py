"""The list of instances as people and programs get it."""

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.instances.availability import Cluster
from stellwerk.instances.listing import document, listing
from stellwerk.instances.model import InstanceKey, Purpose, Seen, Sighting, State
from stellwerk.instances.store import Sample
from stellwerk.instances.table import moved, table
from stellwerk.terminal.paint import Paint
from tests.unit.instances.views import CORE, NEW, NOW, cluster, clusters, instance, samples_of

PLAIN = Paint(False)


def shown(found: Cluster, width: int = 80, paint: Paint = PLAIN, **which: object) -> str:
    return "\n".join(table(listing(found, {}, **which), width, paint))  # type: ignore[arg-type]


def words(line: str) -> str:
    return " ".join(line.split())


def line_of(text: str, port: int) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"  {port} "))


def test_a_line_says_where_how_since_when_with_what_and_in_rotation_where() -> None:
    key = InstanceKey(CORE, 8101)
    found = listing(
        cluster(instance(8101, generation=NEW, since=NOW - timedelta(minutes=5), restarts=2)),
        {key: Sample(key, 12.4, 210 * 1024**2)},
    )
    heading, service, line, *_ = table(found, 80, PLAIN)
    assert words(heading) == "PORT HOST STATE SINCE GENERATION CPU MEMORY RESTARTS lb-1"
    assert service == f"{CORE}  1 ready of 1 desired"
    assert words(line) == "8101 app-1 ready 5m 9bc01d2e 12 % 210 MB 2 up"


def test_what_is_not_measured_is_not_shown_as_zero() -> None:
    assert line_of(shown(cluster(instance(8101))), 8101).split()[5:7] == ["-", "-"]


def test_a_failed_instance_says_why_below_its_line() -> None:
    text = shown(cluster(instance(8101, State.FAILED, reason="its health check\nfailed")))
    assert "       its health check failed\n" in text


def test_a_held_instance_is_called_so_and_says_how_to_put_it_back() -> None:
    text = shown(cluster(instance(8101, held=True)))
    assert line_of(text, 8101).split()[2] == "held"
    assert "stellwerk instances undrain" in text


def test_a_draining_instance_says_what_for() -> None:
    text = shown(cluster(instance(8101, State.DRAINING, purpose=Purpose.RETIRE)))
    assert "drains as one too many, to be stopped" in text


def test_what_is_known_of_a_lost_host_is_marked_as_old_and_does_not_count_as_ready() -> None:
    text = shown(cluster(instance(8101), instance(8102), silent=("app-2",)))
    assert line_of(text, 8102).split()[2] == "ready?"
    assert "1 ready of 2 desired" in text
    assert "the agent of app-2 has not been heard of for 3m" in text


def test_a_balancer_whose_agent_is_lost_is_named() -> None:
    text = shown(cluster(instance(8101), silent=("lb-1",)))
    assert "the balancer agent of lb-1 has not been heard of for 3m" in text


def test_each_balancer_has_a_column_where_there_is_room_for_it() -> None:
    found = cluster(instance(8101), balancers=("lb-1", "lb-2"))
    assert shown(found, width=100).splitlines()[0].endswith("lb-1  lb-2")


def test_balancers_that_do_not_agree_are_named_where_there_is_no_room_for_columns() -> None:
    names = ("balancer-one", "balancer-two")
    key = InstanceKey(CORE, 8101)
    seen = (Sighting(key, names[0], Seen.UP), Sighting(key, names[1], Seen.DOWN))
    text = shown(cluster(instance(8101), balancers=names, sightings=seen))
    assert line_of(text, 8101).endswith("up 1/2")
    assert "balancer-one up, balancer-two down" in text


def test_the_footer_counts_states_and_compares_with_what_is_desired() -> None:
    found = cluster(instance(8101), instance(8103, State.STARTING), desired=3)
    assert "2 instances: 1 starting, 1 ready; 3 desired, 2 present in all" in shown(found)


def test_the_list_may_be_limited_to_services_and_to_a_host() -> None:
    found = cluster(instance(8101), instance(8102))
    assert "8102" not in shown(found, host="app-1")
    assert CORE not in shown(found, host="app-3")
    assert CORE not in shown(found, services=["another"])


def test_only_what_is_news_counts_as_moved() -> None:
    before, older, ready = (
        moved(listing(cluster(one), {}))
        for one in (
            instance(8101, State.STARTING),
            instance(8101, State.STARTING, since=NOW - timedelta(hours=9)),
            instance(8101),
        )
    )
    assert before == older != ready


@given(st.data())
def test_any_list_fits_80_columns_and_names_every_instance(data: st.DataObject) -> None:
    found = data.draw(clusters())
    lines = table(listing(found, data.draw(samples_of(found))), 80, PLAIN)
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    for key in found.snapshot.instances:
        assert any(line.split()[:1] == [str(key.port)] for line in lines)


@given(clusters())
def test_colour_changes_no_letter(found: Cluster) -> None:
    coloured = shown(found, paint=Paint(True))
    for code in range(5):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    for code in (31, 32, 33):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == shown(found)


@given(clusters())
def test_any_list_can_be_read_by_programs(found: Cluster) -> None:
    read = json.loads(json.dumps(document(listing(found, {}))))
    assert {(one["service"], one["port"]) for one in read["instances"]} == set(
        found.snapshot.instances
    )
