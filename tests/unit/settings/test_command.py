"""`stellwerk settings show` and `explain`."""

import yaml
from click.testing import CliRunner, Result

from stellwerk.cli import main

from .conftest import Site


def run(site: Site, *words: str) -> Result:
    result = CliRunner().invoke(main, ["settings", *words, "--inventory", str(site.inventory)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def told(site: Site, result: Result) -> str:
    return result.output.replace(f"{site.folder}/", "").rstrip("\n")


def test_show_prints_the_settings_in_force_as_yaml(site: Site) -> None:
    site.write("caches", 'redis = {"maxmemory": "1.5GB"}')
    shown = yaml.safe_load(run(site, "show", "cache-1").output)
    assert shown["redis"]["maxmemory"] == "1536MB"
    assert shown["nginx"]["port"] == 80


def test_show_may_be_limited_to_a_section(site: Site) -> None:
    shown = yaml.safe_load(run(site, "show", "cache-1", "--section", "sentinel").output)
    assert list(shown) == ["sentinel"]


def test_an_unknown_host_or_section_names_the_nearest_and_exits_with_2(site: Site) -> None:
    host, section = run(site, "show", "cache-3"), run(site, "show", "db-1", "--section", "redsi")
    assert (host.exit_code, section.exit_code) == (2, 2)
    assert "cache-3: unknown host; did you mean cache-" in host.output
    assert told(site, section) == "redsi: unknown section; did you mean redis?"


def test_explain_names_the_file_and_line_and_what_was_overridden(site: Site) -> None:
    site.write("redis", 'redis = {\n    "port": 6379,\n    "maxmemory": "2GB",\n}')
    site.write("caches", 'redis = dict(\n    maxmemory="3GB",\n)\n')
    result = run(site, "explain", "cache-1", "redis.maxmemory", "--data", "redis.maxmemory=4GB")
    assert told(site, result) == (
        "redis.maxmemory: 4GB\n"
        "Memory for data.\n"
        "set by    --data: 4GB\n"
        "overrode  group_data/caches.py:2: 3GB\n"
        "overrode  group_data/redis.py:3: 2GB\n"
        "overrode  default: 1GB"
    )


def test_explain_of_an_untouched_setting_names_the_default(site: Site) -> None:
    assert told(site, run(site, "explain", "cache-1", "redis.port")) == (
        "redis.port: 6379\nPort of the server of a host.\nset by    default"
    )


def test_explain_knows_the_defaults_of_a_service(site: Site) -> None:
    site.write(
        "services",
        'services = {\n    "shop": {"port_base": 8100, "max_instances": 2, "memory": "1MB"},\n}',
    )
    default = run(site, "explain", "app-1", "services.shop.health_check.tries")
    given = run(site, "explain", "app-1", "services.shop.port_base")
    assert "set by    default" in default.output
    assert "set by    group_data/services.py:2" in told(site, given)


def test_explain_finds_lines_of_assigned_keys(site: Site) -> None:
    site.write("redis", 'redis = {}\nredis["port"] = 7000\nredis |= {"tcp_backlog": 7}\n')
    assert "group_data/redis.py:2" in told(site, run(site, "explain", "db-1", "redis.port"))
    assert "group_data/redis.py:3" in told(site, run(site, "explain", "db-1", "redis.tcp_backlog"))


def test_explain_finds_lines_in_the_inventory(site: Site) -> None:
    site.write(
        "inventory",
        """
        apps = [
            ("a", {
                "address": "198.18.0.1",
                "redis": {"port": 7000},
            }),
        ]
        """,
    )
    assert "set by    inventory:4" in told(site, run(site, "explain", "a", "redis.port"))


def test_explain_of_computed_settings_falls_back_to_the_assignment(site: Site) -> None:
    site.write("redis", '_names = ["port"]\nredis = {name: 7000 for name in _names}\n')
    assert "group_data/redis.py:2" in told(site, run(site, "explain", "db-1", "redis.port"))


def test_explain_shows_a_whole_section_as_a_block(site: Site) -> None:
    output = run(site, "explain", "db-1", "sentinel").output
    assert output.startswith("sentinel:\n  port: 26379\n")


def test_an_unknown_key_names_the_nearest(site: Site) -> None:
    result = run(site, "explain", "db-1", "redis.maxmemroy")
    assert (result.exit_code, told(site, result)) == (
        2,
        "redis.maxmemroy: unknown key; did you mean maxmemory?",
    )


def test_an_entry_that_is_not_set_says_so(site: Site) -> None:
    result = run(site, "explain", "db-1", "services.shop.port_base")
    assert (result.exit_code, told(site, result)) == (2, "services.shop: not set on db-1")


def test_wrong_settings_are_told_with_exit_code_2(site: Site) -> None:
    result = run(site, "show", "db-1", "--data", "redis.port=0", "--data", "nginx")
    assert (result.exit_code, told(site, result)) == (2, "--data nginx: expected KEY=VALUE")
    result = run(site, "show", "db-1", "--data", "redis.port=0")
    assert (result.exit_code, told(site, result)) == (
        2,
        "--data: redis.port: 0 is not accepted: expected at least 1",
    )
