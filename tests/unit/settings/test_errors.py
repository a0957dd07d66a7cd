"""Bad input: every problem is one sentence that says where and what, before any host is touched."""

from pathlib import Path

import pytest

from .conftest import SERVICE, Site


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_key(site: Site) -> None:
    site.write("redis", 'redis = {\n    "port": 6379,\n    "maxmemroy": "1GB",\n}')
    assert site.problems() == (
        "group_data/redis.py:3: redis.maxmemroy: unknown key; did you mean maxmemory?",
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ('{"port": 99999}', "redis.port: 99999 is not accepted: expected at most 65535"),
        ('{"port": "high"}', "redis.port: 'high' is not accepted: expected a whole number"),
        (
            '{"port": True}',
            "redis.port: True is not accepted: expected a number, not true or false",
        ),
        ('{"appendonly": 7}', "redis.appendonly: 7 is not accepted: expected true or false"),
        ('{"save": 5}', "redis.save: 5 is not accepted: expected a list"),
        (
            '{"maxmemory": "1 pound"}',
            "redis.maxmemory: '1 pound' is not accepted: expected a size such as"
            ' "16MB" or "1GB" (kB, MB, GB, TB) or bytes',
        ),
        (
            '{"loglevel": "notise"}',
            "redis.loglevel: 'notise' is not accepted: expected 'debug', 'verbose', 'notice'"
            " or 'warning'; did you mean notice?",
        ),
        (
            '{"save": [{"seconds": 1, "changes": 1}, {"seconds": 0, "changes": 1}]}',
            "redis.save[1].seconds: 0 is not accepted: expected at least 1",
        ),
        (
            '{"save": [{"second": 1, "changes": 1}]}',
            "redis.save[0].seconds is missing",
        ),
        (
            '{"client": {"pool_min": 60}}',
            "redis.client: expected pool_min (60) at most pool_max (50)",
        ),
        ('{"client": 5}', "redis.client: expected keys and values in braces, not a number"),
        ('{"port": {"a": 1}}', "redis.port: there are no keys below this one"),
        (
            '{"parameters": {"hz": "10\\nmodule-load x"}}',
            "redis.parameters.hz: '10\\nmodule-load x' is not accepted: expected text that matches"
            " ^[^\\n\\r\\x00]*$",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused(site: Site, given: str, sentence: str) -> None:
    site.write("redis", f"redis = {given}")
    assert f"group_data/redis.py:1: {sentence}" in site.problems()


def test_all_problems_are_told_at_once_and_each_once(site: Site) -> None:
    site.write("redis", 'redis = {\n    "port": 0,\n    "maxmemroy": 1,\n}')
    site.write("caches", 'sentinel = {"quorom": 2}\n')
    assert site.problems({"nginx.prot": 81}) == (
        "group_data/redis.py:3: redis.maxmemroy: unknown key; did you mean maxmemory?",
        "--data: nginx.prot: unknown key; did you mean port?",
        "group_data/caches.py:1: sentinel.quorom: unknown key; did you mean quorum?",
        "group_data/redis.py:2: redis.port: 0 is not accepted: expected at least 1",
    )


def test_a_required_key_that_is_missing_is_located_at_what_lacks_it(site: Site) -> None:
    site.write("services", 'services = {\n    "shop": {"max_instances": 2, "memory": "1MB"},\n}')
    assert site.problems() == (
        "group_data/services.py:2: services.shop.port_base is missing:"
        " Instance n listens on this port + n, from 1 on.",
    )


def test_a_wrong_name_of_a_service_is_refused(site: Site) -> None:
    site.write("services", f'services = {{"Shop": {SERVICE}}}')
    (problem,) = site.problems()
    assert "services.Shop: 'Shop' is not accepted as a name: expected text that" in problem


def test_a_file_that_applies_to_nothing_is_refused(site: Site) -> None:
    site.write("redsi", "redis = {}")
    site.write("app-3", "redis = {}")
    assert site.problems() == (
        "group_data/app-3.py: matches no settings section, group or host; did you mean app-2?",
        "group_data/redsi.py: matches no settings section, group or host; did you mean redis?",
    )


def test_a_section_file_that_sets_another_section_is_refused(site: Site) -> None:
    site.write("redis", 'redis = {}\nnginx = {"port": 81}\n')
    (problem,) = site.problems()
    assert problem.startswith(
        "group_data/redis.py:2: nginx: a file named after a section sets only"
    )


def test_an_error_in_the_users_python_names_its_line(site: Site) -> None:
    site.write("redis", "import math\nredis = {'port': math.tau / 0}\n")
    site.write("nginx", "nginx = {'port': 80\n")
    assert site.problems() == (
        "group_data/nginx.py:1: not valid Python: '{' was never closed",
        "group_data/redis.py:2: ZeroDivisionError: float division by zero",
    )


def test_a_missing_inventory_is_one_sentence(site: Site) -> None:
    site.inventory.unlink()
    assert site.problems() == ("inventory: cannot be read: No such file or directory",)


def test_an_error_in_the_inventory_names_its_line(site: Site) -> None:
    site.write("inventory", "apps = []\nboom()\n")
    assert site.problems() == ("inventory:2: NameError: name 'boom' is not defined",)


def test_an_inventory_without_hosts_is_refused(site: Site) -> None:
    site.write("inventory", "apps = []\n")
    assert site.problems() == ("inventory: declares no host",)


@pytest.mark.parametrize(
    ("name", "meant"), [("app", "apps"), ("databse", "databases"), ("cachse", "caches")]
)
def test_a_group_that_is_nearly_a_known_one_is_refused(site: Site, name: str, meant: str) -> None:
    site.write("inventory", f'{name} = [("a", {{"address": "198.18.0.1"}})]\n')
    assert site.problems() == (f"inventory:1: group {name}: unknown group; did you mean {meant}?",)


@pytest.mark.parametrize("name", ["berlin", "apps_eu", "staging"])
def test_a_group_of_another_name_is_the_users_own(site: Site, name: str) -> None:
    site.write("inventory", f'{name} = [("a", {{"address": "198.18.0.1"}})]\n')
    assert [host.name for host in site.load().group(name)] == ["a"]


@pytest.mark.parametrize("name", ["redis", "apps", "all"])
def test_a_host_named_like_a_section_or_group_is_refused(site: Site, name: str) -> None:
    site.write("inventory", f'apps = [("{name}", {{"address": "198.18.0.1"}})]\n')
    assert any(f"host {name}: is also the name of" in problem for problem in site.problems())


def test_a_group_whose_hosts_are_not_names_is_refused(site: Site) -> None:
    site.write("inventory", 'apps = [("a", {"address": "198.18.0.1"}), 5]\n')
    assert site.problems()[0].startswith("inventory:1: group apps: expected a list of host names")


def test_misspelt_host_data_is_refused(site: Site) -> None:
    site.write("inventory", 'apps = [\n    ("a", {"adress": "198.18.0.1"}),\n]\n')
    assert site.problems()[0] == "inventory:2: adress: unknown key; did you mean address?"


def test_a_host_without_an_address_says_how_to_give_one(site: Site) -> None:
    site.write("inventory", 'apps = ["nowhere"]\n')
    assert site.problems() == (
        "inventory: host nowhere: nowhere cannot be resolved; give its IP address as data:"
        ' ("nowhere", {"address": "192.0.2.1"})',
    )


def test_a_folder_of_group_data_that_is_absent_is_refused(site: Site) -> None:
    Path(site.group_data).rmdir()
    assert site.problems() == ("group_data: there is no such folder of group data",)


def test_a_single_value_has_no_keys_below_it(site: Site) -> None:
    assert site.problems({"redis.port.tcp": 1}) == (
        "--data: redis.port: there are no keys below this one",
    )
