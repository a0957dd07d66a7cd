"""The commands as operators run them on a host, on a real ledger."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from stellwerk.cli import main
from stellwerk.database.logins import login_of
from stellwerk.instances import access
from stellwerk.scaling.duration import parse_duration
from tests.unit.instances.ledger_server import LEDGER, PASSWORD, LedgerServer
from tests.unit.scaling.clusters import document

INPUTS = {
    "cause": "x",
    "held": [{"by": "cooldown", "text": "120 s of the rest after an addition are left"}],
    "votes": [
        {
            "rule": "cpu_percent",
            "direction": "up",
            "text": "cpu_percent averaged 90 over 300 s, above 70",
            "missing": False,
        }
    ],
    "hosts": {"app-1": 2},
    "in_emergency": False,
}


@pytest.fixture
def host(
    shop: LedgerServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LedgerServer]:
    """db-1 with a shop that is wanted twice and was judged twice."""
    login = login_of(LEDGER, PASSWORD)
    shop.psql(f"CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}' IN ROLE {LEDGER}")
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(document(shop.address(LEDGER).host)))
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "postgresql.ledger").write_text(f"{PASSWORD}\n")
    monkeypatch.setattr(access, "FOLDER", tmp_path)
    monkeypatch.setenv("STELLWERK_OPERATOR", "anna on control")
    shop.psql("INSERT INTO stellwerk.desired VALUES ('shop', 'app-1', 2)")
    for before, minutes in ((1, 7), (2, 0)):
        shop.psql(
            "INSERT INTO stellwerk.scaling_decisions (at, service, before, after, sentence, inputs)"
            f" VALUES (now() - interval '{minutes} min', 'shop', {before}, 2,"
            f" 'shop was {before} and is 2.', '{json.dumps(INPUTS)}')"
        )
    yield shop
    shop.psql(f"DROP ROLE {login}")


def on_host(test: Callable[..., None]) -> Callable[..., None]:
    """A test that runs on db-1."""
    marked: Callable[..., None] = pytest.mark.programs(pytest.mark.usefixtures("host")(test))
    return marked


def run(*words: str) -> Result:
    result = CliRunner().invoke(main, ["scaling", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@on_host
def test_the_status_fits_80_columns_and_says_that_nobody_leads() -> None:
    shown = run("status")
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].split() == ["shop", "0", "2", "2-8", "-", "-", "7m", "by", "load"]
    assert "held back: 120 s of the rest" in lines[2]
    assert lines[-1] == "No scaler leads: numbers stay as they are."


@on_host
def test_the_status_names_agents_that_are_not_heard_of(host: LedgerServer) -> None:
    """Only those that ought to be there."""
    host.psql(
        "INSERT INTO stellwerk.agents (host, role, seen_at) VALUES"
        " ('app-1', 'apps', now() - interval '1 hour'), ('app-2', 'apps', now()),"
        " ('gone', 'apps', now() - interval '1 hour')"
    )
    assert run("status").output.splitlines()[-1] == "Agents that are not heard of: app-1."
    assert json.loads(run("status", "--json").output)["silent_agents"] == ["app-1"]


@on_host
def test_an_order_is_given_shown_and_ended() -> None:
    given = run("set", "shop", "5", "--for", "2h")
    assert given.exit_code == 0
    assert given.output.startswith("shop: set to 5 until ")
    assert "No scaler leads now; it is followed as soon as one does." in given.output
    (service,) = json.loads(run("status", "--json").output)["services"]
    assert (service["mode"], service["order"]["given_by"]) == ("set to 5", "anna on control")
    assert run("pause").output == "shop: paused.\n"
    assert "shop is paused by anna on control." in run("explain", "shop").output
    assert run("resume").output.startswith("shop: its rules decide again.\n")
    assert run("resume", "shop").output.startswith("shop: has no order to end.\n")


@on_host
def test_history_has_the_changes_and_with_all_every_judgement() -> None:
    (line,) = run("history").output.splitlines()
    assert line.endswith("Z  shop was 1 and is 2.")
    assert len(run("history", "shop", "--all").output.splitlines()) == 2
    (one,) = json.loads(run("history", "--json").output)
    assert (one["before"], one["votes"]) == (1, INPUTS["votes"])


@on_host
def test_an_explanation_has_every_rule_and_what_holds_it_back() -> None:
    said = run("explain", "shop").output
    for part in ("up: cpu_percent averaged 90", "120 s of the rest", "app-1: 2", "was 1 and is 2"):
        assert part in said
    assert json.loads(run("explain", "shop", "--json").output)["decision"]["hosts"] == {"app-1": 2}


@on_host
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("set", "shop", "17", "--for", "2h"), 1, "may have 16 instances at most"),
        (("set", "shop", "0", "--for", "2h"), 2, "0 is not in the range"),
        (("set", "shop", "3"), 2, "Missing option '--for'"),
        (("set", "shop", "3", "--for", "soon"), 2, "'soon' is no time such as"),
        (("set", "shp", "3", "--for", "2h"), 2, "did you mean shop?"),
        (("explain", "shp"), 2, "did you mean shop?"),
        (("pause", "shp"), 2, "did you mean shop?"),
        (("status", "--json", "--watch"), 2, "exclude each other"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: tuple[str, ...], code: int, said: str
) -> None:
    refused = run(*words)
    assert refused.exit_code == code
    assert said in refused.output


def test_a_simulation_runs_where_it_is_asked_for(tmp_path: Path) -> None:
    missing = tmp_path / "inventory"
    refused = run("simulate", "shop", "--trace", "t.csv", "--inventory", str(missing))
    assert refused.exit_code == 2
    assert str(missing) in refused.output


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400)]
)
def test_times_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "0m", "-1h", "31d", "1.5h", "2 h", "9999999d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|at most"):
        parse_duration(text)
