"""The corpus of addresses and URLs that point inside: none gets through."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.outside import may_connect, target_of

INSIDE = [
    *(
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0." + "0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
    ),
    *("192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.127.255.255"),
    *("100.100.100.200", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::7f00:1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe"),
    *("::ffff:10.0.0.1", "::ffff:0:7f00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2001:20::1", "2002:7f00:1::"),
    *("2002:a9fe:a9fe::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1"),
    *("ff02::1", "3fff::1", "5f00::1"),
]
OUTSIDE = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "100.128.0.1", "2606:4700::1111", "2a00:1450::5"]
NOT_EVEN_IF_NAMED = [
    *("169.254.169.254", "::ffff:169.254.169.254", "0.0.0." + "0", "::", "224.0.0.1", "ff02::1"),
    *("255.255.255.255", "fe80::1", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"),
]
TRICKS = [
    *("http://2130706433/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/"),
    *("https://017700000001/", "https://0177.0.0.1/", "https://127.1/", "https://127.0.1/"),
    *("https://0/", "https://1.1.1.1.0x7f/", "https://[::ffff:a9fe:a9fe]/", "https://[::1]/"),
    *("https://[::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[::ffff:127.0.0.1]/"),
    *("https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/"),
    *("https://intranet/", "https://127.0.0.1.:443/", "https://169.254.169.254/latest/meta-data/"),
    *("https://good.example@127.0.0.1/", "https://127.0.0.1@good.example/"),
    *("https://good.example\\@127.0.0.1/", "https://good.example#@127.0.0.1/", "https:///x"),
    *("https://good.example:80:90/", "https://good.example:0/", "https://good.example:99999/"),
    *("https://good.example /", "https://good.example\t/", "https://good.example/\r\nX: y"),
    *("https://good.example%2f@127.0.0.1/", "https://①②⑦.⓪.⓪.①/", "https://\uff4cocalhost/"),
    *("file:///etc/passwd", "gopher://127.0.0.1/", "ftp://good.example/", "//good.example/"),
    *("javascript:alert(1)", "", "https://", "https://./", "https://-a.example/", "https://a..b/"),
    *("http://good.example/", "HTTP://good.example/", "https://[1.2.3.4]/", "https://[::1"),
    *("https://good.example/a b", "https://good.example/é", "https://xn--a.example/\x00"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_no_inner_address_gets_through(address: str) -> None:
    assert not may_connect(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_outer_addresses_do(address: str) -> None:
    assert may_connect(address)


@pytest.mark.parametrize("address", NOT_EVEN_IF_NAMED)
def test_some_addresses_are_for_nobody(address: str) -> None:
    assert not may_connect(address, is_named=True)


def test_hosts_that_are_named_may_be_inside() -> None:
    for address in ("127.0.0.1", "10.0.0.5", "::1", "fd12::1", "100.64.0.1"):
        assert may_connect(address, is_named=True)


@pytest.mark.parametrize("url", TRICKS)
def test_no_url_leads_inside_or_is_read_in_two_ways(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        target_of(url)
    assert "good.example" not in str(caught.value)


def test_plain_urls_are_read() -> None:
    target = target_of("https://Hooks.Acme.com:8443/a/b?key=1")
    assert (target.host, target.port, target.path) == ("hooks.acme.com", 8443, "/a/b?key=1")
    assert target.host_header == "hooks.acme.com:8443"
    assert "key" not in target.shown
    assert target_of("https://[2606:4700::1111]/x").host_header == "[2606:4700::1111]"
    assert target_of("https://hooks.acme.com").path == "/"


def test_a_host_that_is_named_may_be_inside_and_without_tls() -> None:
    named = {"hooks", "10.0.0.5", "::1"}
    assert target_of("http://hooks:8080/x", named).is_named
    assert target_of("http://10.0.0.5/", named).is_named
    assert target_of("http://[::1]/", named).is_named
    with pytest.raises(ValueError, match="inside"):
        target_of("https://10.0.0.6/", named)


@given(st.integers(0, 2**32 - 1))
def test_whatever_the_library_calls_private_is_inside(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    if not address.is_global or address.is_multicast:
        assert not may_connect(str(address))
        assert not may_connect(f"::ffff:{address}")


@given(st.integers(0, 2**128 - 1))
def test_the_same_of_ipv6(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    if not address.is_global or address.is_multicast:
        assert not may_connect(str(address))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/x"):
        try:
            target = target_of(url)
        except ValueError:
            continue
        assert target.host.isascii()
        assert "." in target.host or ":" in target.host
