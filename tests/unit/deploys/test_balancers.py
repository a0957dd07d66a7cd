"""HAProxy and nginx: their rendered configurations, judged by the programs themselves."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.components import haproxy, nginx
from deploys.components.base import MONITOR
from deploys.engine.resources import ConfigSet
from deploys.host import nginx_upstreams
from stellwerk.instances.agent.nginx import APPLY_UNIT
from stellwerk.settings.cluster import Cluster

from .conftest import REPOSITORY, Load, host_of

needs_haproxy = pytest.mark.skipif(
    shutil.which("haproxy") is None or os.geteuid() != 0,
    reason="haproxy is not installed, or its user cannot be looked at",
)
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
needs_nginx = pytest.mark.skipif(
    not (Path(NGINX).exists() and Path("/etc/nginx/mime.types").exists()) or os.geteuid() != 0,
    reason="nginx is not installed, or its logs cannot be opened",
)
EVERYTHING = {
    "haproxy.stats_port": "9000",
    "haproxy.slow_start_seconds": "0",
    "haproxy.defaults_extra": '["option httpclose"]',
}


def haproxy_text(cluster: Cluster) -> str:
    return haproxy.config(host_of(cluster, "balancers").settings).files[0].content


def nginx_configs(cluster: Cluster) -> tuple[ConfigSet, ...]:
    return nginx.configs(cluster, host_of(cluster, "balancers"))


def nginx_text(cluster: Cluster) -> str:
    return nginx_configs(cluster)[0].files[0].content


def checked(config: ConfigSet, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a configuration's own check on its candidate tree, as a host does."""
    if config.tree:
        shutil.copytree(config.tree, f"{root}{config.tree}", symlinks=True)
    for file in config.files:
        path = Path(f"{root}{file.path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content.replace(f"user {MONITOR}", "user nobody"))  # who is here
    (command,) = config.check
    words = [word.replace("{root}", str(root)) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What HAProxy finds wrong, but for the state file, which it has only later."""
    expected = ("haproxy version is", "path to executable is", "Can't open global server state")
    return [line for line in done.stderr.splitlines() if not any(one in line for one in expected)]


@needs_haproxy
@pytest.mark.parametrize("overrides", [{}, EVERYTHING])
def test_haproxy_accepts_what_is_rendered(
    load: Load, tmp_path: Path, overrides: dict[str, str]
) -> None:
    done = checked(haproxy.config(host_of(load(overrides), "balancers").settings), tmp_path)
    assert (done.returncode, complaints(done)) == (0, [])


@needs_haproxy
def test_haproxy_refuses_a_line_it_does_not_know(load: Load, tmp_path: Path) -> None:
    found = load({"haproxy.global_extra": '["no-such-keyword"]'})
    done = checked(haproxy.config(host_of(found, "balancers").settings), tmp_path)
    assert done.returncode
    assert "no-such-keyword" in done.stderr


def test_haproxy_has_a_server_for_every_port_a_service_may_use_and_nothing_else(
    cluster: Cluster,
) -> None:
    text = haproxy_text(cluster)
    slots = [line.split()[1:3] for line in text.splitlines() if "    server-template " in line]
    settings = host_of(cluster, "balancers").settings
    assert slots == [
        [f"{name}-", f"{settings.ports(name)[0]}-{settings.ports(name)[-1]}"]
        for name in ("aktienanalyse-broker", "aktienanalyse-core", "aktienanalyse-events")
    ]
    assert "frontend" not in text.replace("\nfrontend aktienanalyse-", "\n")


def test_no_instance_is_named_by_a_deploy(cluster: Cluster) -> None:
    addresses = [one.address for one in cluster.group("apps")]
    balancers = [haproxy.config(host_of(cluster, "balancers").settings), *nginx_configs(cluster)]
    for config in balancers:
        for file in config.files:
            if file.path != nginx.ALLOWED:
                assert not [one for one in addresses if one in file.content]


def test_installing_asks_no_service_for_an_answer_as_there_may_be_no_instance_yet(
    cluster: Cluster,
) -> None:
    settings = host_of(cluster, "balancers").settings
    for config in (haproxy.config(settings), *nginx_configs(cluster)):
        assert {check["kind"] for check in config.health} <= {"unit", "haproxy"}
    urls = [check.get("url") for check in (*haproxy.checks(settings), *nginx.checks(settings))]
    assert "http://127.0.0.1:9100/health" in urls
    assert "http://127.0.0.1:80/health" in urls


def test_the_statistics_page_is_on_loopback_and_only_where_it_is_asked_for(
    cluster: Cluster, load: Load
) -> None:
    assert "stats uri" not in haproxy_text(cluster)
    assert "bind 127.0.0.1:9000" in haproxy_text(load({"haproxy.stats_port": "9000"}))


@needs_nginx
def test_nginx_accepts_what_is_rendered(cluster: Cluster, tmp_path: Path) -> None:
    done = checked(nginx_configs(cluster)[0], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_nginx
def test_nginx_accepts_headers_full_of_its_own_syntax(load: Load, tmp_path: Path) -> None:
    header = "default-src 'self'; script-src \"x\" { } # \\ %"
    found = load({"nginx.headers.Content-Security-Policy": header})
    done = checked(nginx_configs(found)[0], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_nginx
def test_nginx_accepts_the_servers_that_are_written_for_the_agent(
    cluster: Cluster, tmp_path: Path
) -> None:
    config = nginx_configs(cluster)[0]
    servers = nginx_upstreams.text_of([(8401, "192.0.2.1"), (8402, "fd00::1")])
    conf, seed = config.files
    done = checked(replace(config, files=(conf, replace(seed, content=servers))), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_nginx
def test_nginx_refuses_a_header_with_a_variable_it_does_not_know(
    load: Load, tmp_path: Path
) -> None:
    found = load({"nginx.headers.X-Price": "$unknown_price"})
    assert 'unknown "unknown_price" variable' in checked(nginx_configs(found)[0], tmp_path).stderr


def test_the_files_of_servers_are_the_agents_once_they_are_there(cluster: Cluster) -> None:
    config = nginx_configs(cluster)[0]
    seeds = {file.path: file.content for file in config.files if file.seed}
    assert seeds.keys() == {f"{nginx.SERVERS}/aktienanalyse_frontend_upstream.servers"}
    assert all(nginx.NO_SERVER in content for content in seeds.values())


def test_the_agent_may_name_app_hosts_and_the_ports_of_services_that_nginx_balances(
    cluster: Cluster,
) -> None:
    files = {file.path: file.content for file in nginx_configs(cluster)[1].files}
    ports = host_of(cluster, "balancers").settings.ports("aktienanalyse-frontend")
    assert json.loads(files[nginx.ALLOWED]) == {
        "addresses": sorted(one.address for one in cluster.group("apps")),
        "upstreams": {"aktienanalyse_frontend_upstream": [ports[0], ports[-1]]},
    }


def test_a_new_app_host_reloads_no_balancer(load: Load, cluster: Cluster) -> None:
    text = (REPOSITORY / "inventory").read_text()
    more = load(inventory="more", text=text + 'apps += [("app-3", {"address": "192.0.2.33"})]\n')
    assert haproxy_text(more) == haproxy_text(cluster)
    assert nginx_configs(more)[0] == nginx_configs(cluster)[0]
    assert nginx_configs(more)[1] != nginx_configs(cluster)[1]
    assert nginx_configs(more)[1].activation.unit is None


def test_the_unit_that_applies_servers_is_sandboxed(cluster: Cluster, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    (file,) = (one for one in nginx_configs(cluster)[1].files if one.path.endswith(APPLY_UNIT))
    path = tmp_path / APPLY_UNIT
    path.write_text(file.content)
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager"]
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def as_nginx_reads(token: str) -> str:
    """A double-quoted token of nginx.conf; everything up to its end must be inside."""
    assert token.startswith('"')
    read, position = "", 1
    while token[position] != '"':
        if token[position] == "\\" and token[position + 1] in "\"'\\":
            position += 1
        read += token[position]
        position += 1
    assert position == len(token) - 1
    return read


@pytest.fixture(scope="module")
def with_header(cluster: Cluster) -> Callable[[str], str]:
    """nginx.conf with one header of the given value."""
    host = host_of(cluster, "balancers")

    def with_header(value: str) -> str:
        changed = host.settings.nginx.model_copy(update={"headers": {"X-Sample": value}})
        settings = host.settings.model_copy(update={"nginx": changed})
        config, *_ = nginx.configs(cluster, replace(host, settings=settings))
        return config.files[0].content

    return with_header


@given(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=30)
       | st.text("\"'\\;{}#% a", max_size=12))  # fmt: skip
def test_a_header_is_sent_as_it_was_given(with_header: Callable[[str], str], value: str) -> None:
    text = with_header(value)
    (line,) = (line for line in text.split("\n") if "add_header" in line)
    token = line.strip().removeprefix("add_header X-Sample ").removesuffix(" always;")
    assert as_nginx_reads(token) == value


def test_gixy_finds_no_weakness_in_nginxs_configuration(cluster: Cluster, tmp_path: Path) -> None:
    gixy = Path(sys.executable).with_name("gixy")
    if not gixy.is_file():
        pytest.skip("gixy is not installed")
    path = tmp_path / "nginx.conf"
    path.write_text(nginx_text(cluster))
    done = subprocess.run([gixy, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "No issues found" in done.stdout


def test_every_location_has_an_upstream_that_nginx_knows(cluster: Cluster) -> None:
    text = nginx_text(cluster)
    used = {line.split("://")[1].strip("; ") for line in text.splitlines() if "proxy_pass" in line}
    declared = {line.split()[1] for line in text.splitlines() if "    upstream " in line}
    assert used == declared == {"aktienanalyse_core_backend", "aktienanalyse_frontend_upstream"}


def test_the_status_page_of_nginx_is_for_the_host_itself(load: Load) -> None:
    text = nginx_text(load({"nginx.status_port": "9006"}))
    (server,) = (one for one in text.split("server {") if "stub_status" in one)
    assert "listen 127.0.0.1:9006;" in server
    assert "access_log off;" in server  # the monitor's own requests are nobody's
