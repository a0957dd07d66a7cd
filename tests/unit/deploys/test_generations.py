"""A generation is another one exactly when what an instance is started with has changed (C6)."""

from collections.abc import Mapping

import pytest

from deploys.components import generations, services
from deploys.components.generations import Generation
from deploys.engine.resources import ConfigSet
from stellwerk.settings.cluster import Cluster

from .conftest import REPOSITORY, Load, host_of

CORE = "aktienanalyse-core"
RELEASE = "1.0-abc"


def config_of(cluster: Cluster, host: int = 0, release: str = RELEASE) -> ConfigSet:
    """What an app host gets."""
    declared = cluster.group("apps")[host]
    (found,) = generations.config(cluster, declared, generations.wanted(cluster, release), release)
    return found


def changed(before: Mapping[str, Generation], after: Mapping[str, Generation]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_a_generation_is_another_one_exactly_when_what_it_starts_has_changed(
    cluster: Cluster, load: Load
) -> None:
    def differs(overrides: Mapping[str, str], release: str = RELEASE) -> set[str]:
        return changed(
            generations.wanted(cluster, RELEASE), generations.wanted(load(overrides), release)
        )

    everything = set(cluster.group("apps")[0].settings.services)
    assert differs({}) == set()
    assert differs({f"services.{CORE}.environment.MODE": "fast"}) == {CORE}
    assert differs({f"services.{CORE}.memory": "600MB"}) == {CORE}
    assert differs({f"services.{CORE}.max_instances": "7"}) == set()
    assert differs({f"services.{CORE}.rollout.canary_seconds": "1"}) == set()
    assert differs({"redis.maxmemory": "512MB"}) == set()
    assert differs({"sentinel.master_name": "other"}) == everything
    assert differs({}, release="2") == everything


def test_a_service_with_a_program_of_its_own_is_not_rolled_for_a_new_runtime(load: Load) -> None:
    found = load({f"services.{CORE}.command": '["/opt/core/bin/core", "--port=8101"]'})
    one, other = (generations.wanted(found, release) for release in ("1", "2"))
    assert CORE not in changed(one, other)
    assert one[CORE].release == ""


@pytest.fixture
def with_third_app(load: Load) -> Cluster:
    """The shipped cluster with one more app host."""
    text = (REPOSITORY / "inventory").read_text()
    added = f'{text}\nall.append(("app-3", _lab("198.18.0.29")))\napps.append("app-3")\n'
    return load(inventory="third", text=added)


def test_a_new_app_host_makes_no_new_generation(cluster: Cluster, with_third_app: Cluster) -> None:
    assert len(with_third_app.group("apps")) == 3
    before = generations.wanted(cluster, RELEASE)
    assert changed(before, generations.wanted(with_third_app, RELEASE)) == set()


def test_hosts_have_the_same_generation_with_addresses_of_their_own(cluster: Cluster) -> None:
    generation = generations.wanted(cluster, RELEASE)[CORE]
    texts = set()
    for host in range(2):
        files = {file.path: file.content for file in config_of(cluster, host).files}
        texts.add(files[f"{generation.folder}/environment"])
        assert f'"127.0.0.1,{cluster.group("apps")[host].address}"' in "".join(texts)
    assert len(texts) == 2


def test_a_generation_names_its_release_and_its_own_files(cluster: Cluster) -> None:
    generation = generations.wanted(cluster, RELEASE)[CORE]
    files = {file.path: file.content for file in config_of(cluster).files}
    rows = files[generation.unit].splitlines()
    assert f"ExecStart=/opt/stellwerk/releases/{RELEASE}/bin/stellwerk sample serve" in rows
    assert f"EnvironmentFile={generation.folder}/environment" in rows
    assert files[f"{generation.folder}/release"] == f"{RELEASE}\n"
    assert files[f"{services.UNITS}/{CORE}@.service"] == files[generation.unit]


def test_an_old_generation_is_left_beside_the_new_one(cluster: Cluster, load: Load) -> None:
    folders = {
        one.folder
        for found in (cluster, load({f"services.{CORE}.memory": "600MB"}))
        for one in generations.wanted(found, RELEASE).values()
        if one.service == CORE
    }
    assert len(folders) == 2


def test_what_is_wanted_is_never_pruned(cluster: Cluster) -> None:
    (command,) = config_of(cluster).activation.commands
    wanted = generations.wanted(cluster, RELEASE).values()
    assert set(command[-len(wanted) :]) == {f"{one.service}:{one.digest}" for one in wanted}


def test_no_generation_holds_a_secret(cluster: Cluster) -> None:
    settings = host_of(cluster, "apps").settings
    secret = settings.postgresql.passwords.app.get_secret_value()
    for file in config_of(cluster).files:
        assert secret not in file.content
