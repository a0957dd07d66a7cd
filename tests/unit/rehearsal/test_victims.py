"""The hosts that a rehearsal breaks: one of each group, none twice."""

from pathlib import Path

from stellwerk.settings.cluster import Cluster, load_cluster
from tests.rehearsal.victims import Victim, victims


def cluster(tmp_path: Path, **groups: list[str]) -> Cluster:
    names = list(dict.fromkeys(name for members in groups.values() for name in members))
    hosts = [(name, {"address": f"10.0.0.{n}"}) for n, name in enumerate(names, 1)]
    lines = [f"all = {hosts!r}", *(f"{group} = {members!r}" for group, members in groups.items())]
    (tmp_path / "inventory").write_text("\n".join(lines) + "\n")
    return load_cluster(tmp_path / "inventory", [], generate_secrets=False)


def test_one_host_stands_for_all_groups_it_is_in(tmp_path: Path) -> None:
    found = victims(cluster(tmp_path, balancers=["a"], apps=["a"], databases=["a"]))
    groups = ("balancers", "apps", "databases")
    assert found == (Victim("a", groups, alone_in=groups),)


def test_each_group_loses_its_first_host(tmp_path: Path) -> None:
    found = victims(cluster(tmp_path, balancers=["lb"], apps=["a", "b"], databases=["db"]))
    assert [(one.host, one.groups) for one in found] == [
        ("lb", ("balancers",)),
        ("a", ("apps",)),
        ("db", ("databases",)),
    ]
    assert found[1].alone_in == ()


def test_a_host_that_was_chosen_for_one_group_serves_for_the_others(tmp_path: Path) -> None:
    found = victims(
        cluster(tmp_path, apps=["a", "b"], caches=["b", "a"], sentinels=["a", "b", "c"])
    )
    assert [(one.host, one.groups) for one in found] == [("a", ("apps", "caches", "sentinels"))]
