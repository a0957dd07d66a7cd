"""No secret of the settings, and no line that looks like one, is shown."""

from pathlib import Path

from deploys.seeing.masking import HIDDEN, Masking, masking_of
from stellwerk.settings.cluster import load_cluster

REPOSITORY = Path(__file__).parents[3]
INVENTORY = 'all = [("one", {"address": "192.0.2.1"})]\napps = databases = ["one"]\n'
SERVICE = """
_small = {"max_instances": 1, "memory": "64MB"}
services = {
    "shop": {
        **_small, "port_base": 8100, "command": ["/usr/bin/shop"],
        "environment": {"KEY": "planted-value"},
    },
    "open": {**_small, "port_base": 8200, "environment": {"LEVEL": "everything"}},
}
"""


def test_secrets_and_the_environment_of_services_with_credentials_are_hidden(
    tmp_path: Path,
) -> None:
    (tmp_path / "inventory").write_text(INVENTORY)
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data" / "services.py").write_text(SERVICE)
    secrets = tmp_path / "secrets.yaml"
    secrets.write_text("services: {shop: {credentials: {token: planted-token}}}\n")
    secrets.chmod(0o600)
    cluster = load_cluster(tmp_path / "inventory", [tmp_path / "group_data"])
    masking = masking_of(cluster)
    (host,) = cluster.hosts.values()
    for secret in (
        "planted-value",
        "planted-token",
        host.settings.postgresql.passwords.app.get_secret_value(),
    ):
        assert masking.line(f"KEY: {secret}") == HIDDEN
        assert secret not in masking.sentence(f"the server says {secret} is wrong")
    assert masking.line("LEVEL: everything") == "LEVEL: everything"


def test_lines_that_may_hold_a_secret_are_hidden() -> None:
    masking = Masking(frozenset())
    for line in (
        "user admin insecure-password s3cret",
        "stats auth admin:s3cret",
        "proxy_set_header Authorization x",
        "API_KEY=x",
        "  Token: x",
    ):
        assert masking.line(line) == HIDDEN
    for line in ("maxconn 4096", "server app-1 192.0.2.1:8101 check", "author: me"):
        assert masking.line(line) == line
