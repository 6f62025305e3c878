"""Networks of keys: read once, compared as numbers, and no address in disguise gets in."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.networks import (
    Networks,
    address_of,
    client_text,
    network_text,
    networks_within,
)

ADDRESSES = st.ip_addresses()
NETWORKS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)),
    st.tuples(st.ip_addresses(v=6), st.integers(0, 128)),
).map(lambda pair: str(ipaddress.ip_network(pair, strict=False)))
PROXIES = Networks(("10.0.0.0/8", "2001:db8:1::/48"))


@given(ADDRESSES, st.lists(NETWORKS, min_size=1, max_size=4))
def test_an_address_is_in_exactly_the_networks_that_the_standard_library_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, texts: list[str]
) -> None:
    networks = Networks([network_text(text) for text in texts])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    plain = mapped or address
    expected = any(plain in ipaddress.ip_network(text) for text in networks.texts)
    assert (address_of(str(address)) in networks) == expected


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_ipv4_that_comes_as_ipv6_is_ipv4(address: ipaddress.IPv4Address, bits: int) -> None:
    networks = Networks((str(ipaddress.ip_network((address, bits), strict=False)),))
    for text in (str(address), f"::ffff:{address}", f"::FFFF:{address}"):
        assert address_of(text) in networks
    number = int(address)
    hexadecimal = f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"
    assert address_of(hexadecimal) in networks
    assert address_of(f"64:ff9b::{address}") not in networks
    if number > 1:  # ::1 and :: are addresses of their own in any reading
        assert address_of(f"::{address}") not in networks


@given(NETWORKS, NETWORKS, ADDRESSES)
def test_a_network_within_another_allows_nothing_that_the_other_does_not(
    inner: str, outer: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    inner, outer = network_text(inner), network_text(outer)
    assert networks_within([inner], [inner])
    assert networks_within([inner], [])
    assert not networks_within([], [outer])
    if networks_within([inner], [outer]) and address_of(str(address)) in Networks([inner]):
        assert address_of(str(address)) in Networks([outer])
    first = ipaddress.ip_network(inner)[0]
    if networks_within([inner], [outer]):
        assert address_of(str(first)) in Networks([outer])


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        (" 10.0.0.0/8 ", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_a_network_has_one_usual_form(text: str, usual: str) -> None:
    assert network_text(text) == usual
    assert network_text(usual) == usual


@pytest.mark.parametrize(
    "text",
    [
        *("", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "010.0.0.0/8", "example.com", "*", "::/129"),
        *("10.0.0.0/8,10.1.0.0/16", "fe80::1%eth0", "1", "10.0.0.0/-1", "1.2.3.4/24/8"),
    ],
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        network_text(text)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "192.0.2.1", "203.0.113.9"),  # nobody trusts this peer
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "1.1.1.1, 192.0.2.1", "192.0.2.1"),  # what is left of it the caller wrote
        ("10.0.0.1", "1.1.1.1, 192.0.2.1,10.0.0.2", "192.0.2.1"),
        ("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:1::5", " 2001:db8:9::1 ", "2001:db8:9::1"),
        ("10.0.0.1", "192.0.2.1:50443", "192.0.2.1"),
        ("10.0.0.1", "[2001:db8:9::1]:443", "2001:db8:9::1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),  # from within the proxies' own network
        ("10.0.0.1", "192.0.2.1, unknown", ""),
        ("10.0.0.1", "192.0.2.1,", ""),
        ("", "192.0.2.1", ""),
    ],
)
def test_only_trusted_proxies_say_whom_a_request_is_from(
    peer: str, forwarded: str, client: str
) -> None:
    assert client_text(peer, forwarded, PROXIES) == client


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_header_says_gives_an_address_or_nothing(peer: str, forwarded: str) -> None:
    client = client_text(peer, forwarded, PROXIES)
    assert client in {peer, ""} or address_of(client) is not None
    assert address_of("") is None
    assert address_of("nonsense") not in Networks(("0.0.0.0/0", "::/0"))
