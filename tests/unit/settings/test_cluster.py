"""Hosts, groups and addresses of a cluster, and what must fit between hosts and sections."""

import pytest

from stellwerk.settings.cluster import SettingsError

from .conftest import SERVICE, Site


def test_hosts_and_groups_are_in_the_order_of_the_inventory(site: Site) -> None:
    cluster = site.load()
    assert list(cluster.hosts) == ["lb-1", "app-1", "app-2", "cache-1", "cache-2", "db-1"]
    assert [host.name for host in cluster.group("sentinels")] == ["cache-1", "cache-2", "db-1"]
    assert cluster.host("db-1").groups == ("sentinels", "databases", "monitors")


def test_a_host_is_keyed_as_pyinfra_names_it_and_found_by_its_short_name(site: Site) -> None:
    site.write("inventory", 'apps = [("@fake/app-1", {"address": "198.18.0.1", "fake_delay": 0})]')
    cluster = site.load()
    assert list(cluster.hosts) == ["@fake/app-1"]
    host = cluster.host("app-1")
    assert (host.key, host.name) == ("@fake/app-1", "app-1")
    assert host.data["fake_delay"] == 0


def test_a_host_declared_twice_has_the_data_of_both(site: Site) -> None:
    site.write(
        "inventory",
        """
        apps = [("a", {"address": "198.18.0.1"})]
        caches = [("a", {"redis": {"port": 7000}})]
        """,
    )
    host = site.load().host("a")
    assert host.address == "198.18.0.1"
    assert host.settings.redis.port == 7000


def test_all_in_the_inventory_is_no_group_of_its_own(site: Site) -> None:
    site.write(
        "inventory",
        'apps = ["a"]\nall = ([("a", {"address": "198.18.0.1"}), ("b", {"address": "198.18.0.2"})],'
        ' {"redis": {"port": 7000}})',
    )
    cluster = site.load()
    assert cluster.host("b").groups == ()
    assert cluster.host("a").settings.redis.port == 7000


def test_a_known_group_that_is_not_declared_has_no_hosts(site: Site) -> None:
    site.write("inventory", 'apps = [("a", {"address": "198.18.0.1"})]')
    assert site.load().group("caches") == ()


def test_an_unknown_host_or_group_names_the_nearest(site: Site) -> None:
    cluster = site.load()
    with pytest.raises(SettingsError, match="app-9: unknown host; did you mean app-"):
        cluster.host("app-9")
    with pytest.raises(SettingsError, match="app: unknown group; did you mean apps"):
        cluster.group("app")


@pytest.mark.parametrize(
    ("declared", "address"),
    [
        ('("a", {"address": "198.18.0.9", "ssh_hostname": "198.18.0.8"})', "198.18.0.9"),
        ('("a", {"ssh_hostname": "198.18.0.8"})', "198.18.0.8"),
        ('"198.18.0.7"', "198.18.0.7"),
        ('("a", {"address": "2001:db8::1"})', "2001:db8::1"),
        ('"known.example"', "192.0.2.7"),
        ('("a", {"ssh_hostname": "known.example"})', "192.0.2.7"),
    ],
)
def test_the_address_is_the_most_explicit_one(site: Site, declared: str, address: str) -> None:
    site.write("inventory", f"apps = [{declared}]")
    assert [host.address for host in site.load().hosts.values()] == [address]


def test_an_address_that_is_none_is_refused(site: Site) -> None:
    site.write("inventory", 'apps = [("a", {"address": "known.example"})]')
    assert site.problems() == (
        "inventory:1: host a: 'known.example' is not accepted: expected an IP address",
    )


def one_of_each(**groups: int) -> str:
    """Return an inventory with so many hosts in each group."""
    addresses = (f"198.18.1.{number}" for number in range(1, 100))
    declared = {
        group: [(f"{group}{n}", {"address": next(addresses)}) for n in range(count)]
        for group, count in groups.items()
    }
    return "".join(f"{group} = {hosts}\n" for group, hosts in declared.items())


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ({"balancers": 1}, "group balancers: there is no host in apps to balance to"),
        (
            {"databases": 2},
            "group databases: one database host is supported, not 2 (databases0, databases1)",
        ),
        ({"sentinels": 1}, "group sentinels: there is no host in caches to watch"),
        (
            {"caches": 2, "sentinels": 2},
            "group sentinels: 2 hosts in caches need at least 3 Sentinels for a failover, not 2",
        ),
    ],
)
def test_a_cluster_that_cannot_work_is_refused(
    site: Site, groups: dict[str, int], sentence: str
) -> None:
    site.write("inventory", one_of_each(**groups))
    assert site.problems() == (sentence,)


def test_one_machine_may_be_in_all_groups(site: Site) -> None:
    groups = ["balancers", "apps", "caches", "sentinels", "databases", "monitors"]
    host = '("one", {"address": "198.18.0.1"})'
    site.write("inventory", "".join(f"{group} = [{host}]\n" for group in groups))
    settings = site.load().host("one").settings
    assert settings.sentinel.quorum_of(1) == 1


@pytest.mark.parametrize(("sentinels", "quorum"), [(1, 1), (3, 2), (4, 3), (5, 3)])
def test_the_quorum_is_the_majority_unless_given(site: Site, sentinels: int, quorum: int) -> None:
    assert site.load().host("db-1").settings.sentinel.quorum_of(sentinels) == quorum


def test_a_quorum_that_cannot_be_reached_is_refused(site: Site) -> None:
    problems = site.problems({"sentinel.quorum": 4})
    assert problems[0] == (
        "host cache-1: sentinel.quorum: 4 is not accepted: expected at most 3,"
        " the number of hosts in sentinels"
    )


def test_more_replicas_than_there_are_cannot_be_needed_to_write(site: Site) -> None:
    site.write("inventory", one_of_each(caches=2, sentinels=3))
    assert site.problems({"redis.min_replicas_to_write": 2})[0] == (
        "host caches0: redis.min_replicas_to_write: 2 is not accepted: expected at most 1, the"
        " number of replicas, or no write would be taken"
    )


@pytest.mark.parametrize("directive", ["bind", "masterauth", "tls-port", "REPLICAOF"])
def test_a_directive_that_the_cluster_stands_on_is_no_further_one(
    site: Site, directive: str
) -> None:
    (problem,) = set(site.problems({"redis.parameters": {directive: "x"}}))
    assert "expected another one, as Stellwerk sets this one itself" in problem


def test_two_hosts_cannot_have_one_address(site: Site) -> None:
    site.write("inventory", 'apps = ["198.18.0.1", ("a", {"address": "198.18.0.1"})]')
    assert site.problems() == ("host a: has the same address as host 198.18.0.1 (198.18.0.1)",)


def test_services_whose_ports_overlap_are_refused(site: Site) -> None:
    site.write(
        "services",
        f"""
        services = {{
            "shop": {SERVICE},
            "blog": {{"port_base": 8103, "max_instances": 2, "memory": "1MB"}},
        }}
        """,
    )
    assert site.problems() == (
        "group_data/services.py:3: services.blog.port_base: ports 8104-8105 would collide with"
        " services.shop.port_base (ports 8101-8104)",
    )


def test_a_service_on_the_port_of_a_server_is_refused(site: Site) -> None:
    site.write("services", f'services = {{"shop": {SERVICE} | {{"port_base": 6378}}}}')
    (problem, *_) = site.problems()
    assert (
        "services.shop.port_base: ports 6379-6382 would collide with redis.port (port 6379)"
        in problem
    )


@pytest.mark.parametrize(
    ("balancing", "problem"),
    [
        ('{"balancer": "nginx"}', "expected a backend_name, as balancer is nginx"),
        (
            '{"balancer": "haproxy", "backend_name": "b"}',
            "expected a listen_port exactly where balancer is haproxy",
        ),
        ('{"min_instances": 5}', "expected min_instances (5) at most max_instances (4)"),
        ('{"port_base": 65533}', "expected port_base + max_instances (65533 + 4) at most 65535"),
    ],
)
def test_a_service_that_contradicts_itself_is_refused(
    site: Site, balancing: str, problem: str
) -> None:
    site.write("services", f'services = {{"shop": {SERVICE} | {balancing}}}')
    assert site.problems() == (f"group_data/services.py:1: services.shop: {problem}",)


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("nginx", 'nginx = {"locations": {"/": "shopp"}}'),
        ("scaling", 'scaling = {"services": {"shopp": {}}}'),
    ],
)
def test_a_service_that_is_not_declared_is_named_with_the_nearest(
    site: Site, section: str, text: str
) -> None:
    site.write("services", f'services = {{"shop": {SERVICE}}}')
    site.write(section, text)
    (problem,) = site.problems()
    assert problem.startswith(f"group_data/{section}.py:1: {section}.")
    assert problem.endswith("unknown service shopp; did you mean shop?")


def test_a_public_location_needs_a_balanced_service(site: Site) -> None:
    site.write("services", f'services = {{"shop": {SERVICE}}}')
    site.write("nginx", 'nginx = {"locations": {"/": "shop"}}')
    assert site.problems() == (
        "group_data/nginx.py:1: nginx.locations./: service shop has no balancer",
    )
