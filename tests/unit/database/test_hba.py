"""pg_hba.conf admits the declared roles from the declared addresses, and nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.database.hba import HbaError, render_hba


def rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_the_whole_file_for_a_small_cluster() -> None:
    entries = [("app", "10.0.0.2"), ("monitor", "fd00::1"), ("app", "10.0.0.10")]
    assert rules(render_hba("stock", entries)) == [
        "local all postgres peer",
        "local all all scram-sha-256",
        'host "stock" +"app" 10.0.0.2/32 scram-sha-256',
        'host "stock" +"app" 10.0.0.10/32 scram-sha-256',
        'host "stock" +"monitor" fd00::1/128 scram-sha-256',
    ]


def test_without_entries_only_the_socket_is_open() -> None:
    assert len(rules(render_hba("stock", []))) == 2


def test_with_tls_no_plain_connection_is_admitted() -> None:
    admitted = rules(render_hba("stock", [("app", "10.0.0.0/24")], tls=True))[2:]
    assert admitted == ['hostssl "stock" +"app" 10.0.0.0/24 scram-sha-256']


def test_names_that_are_keywords_lose_their_meaning() -> None:
    assert 'host "all" +"all" 10.0.0.1/32' in render_hba("all", [("all", "10.0.0.1")])


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.ip_addresses().map(str))))
def test_neither_order_nor_repetition_of_entries_matters(entries: list[tuple[str, str]]) -> None:
    assert render_hba("stock", entries) == render_hba("stock", [*reversed(entries), *entries])


@pytest.mark.parametrize("address", ["db-1", "10.0.0.1/24", "10.0.0.256", "0.0.0.0/0", "::/0", ""])
def test_what_is_no_address_of_the_cluster_is_refused(address: str) -> None:
    with pytest.raises(HbaError, match=r"pg_hba\.conf.*role app"):
        render_hba("stock", [("app", address)])


@pytest.mark.parametrize("name", ["", "a\nhost all all 0.0.0.0/0 trust", 'a" "b', "/^.*$"])
def test_a_name_cannot_widen_a_rule(name: str) -> None:
    with pytest.raises(HbaError):
        render_hba("stock", [(name, "10.0.0.1")])
    with pytest.raises(HbaError):
        render_hba(name, [("app", "10.0.0.1")])
