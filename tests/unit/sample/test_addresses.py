"""Where an instance listens when its unit does not say."""

import ipaddress

from stellwerk.sample.addresses import own_addresses


def test_loopback_comes_first_and_each_address_once() -> None:
    addresses = own_addresses()
    assert addresses[0] == "127.0.0.1"
    assert len(set(addresses)) == len(addresses)
    assert all(ipaddress.ip_address(address) for address in addresses)
