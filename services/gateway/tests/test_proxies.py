"""Where a client comes from, and what its limits are counted by: neither is the client's to choose."""

from __future__ import annotations

import pytest

from polis.gateway.admission import Admission
from polis.gateway.config import GatewaySettings
from polis.gateway.http import Exchange
from polis.gateway.proxies import Proxies
from polis.proto import Refused
from polis.proto.contract import operation_of
from polis.proto.identity import SignIn
from polis.proto.problems import Overloaded
from polis.service.actor import ANONYMOUS

PROXY, OUTER = "192.0.2.1", "192.0.2.2"


def coming(peer: str, forwarded: str = "") -> Exchange:
    headers = {b"x-forwarded-for": forwarded.encode()} if forwarded else {}
    return Exchange("GET", "/", b"", headers, peer=peer, secure=False)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        (PROXY, "", PROXY),
        (PROXY, "198.51.100.1", "198.51.100.1"),
        (PROXY, "198.51.100.9, 198.51.100.1", "198.51.100.1"),
        (PROXY, f"198.51.100.9, 198.51.100.1, {OUTER}", "198.51.100.1"),
        (PROXY, f"{PROXY}, 198.51.100.1, {OUTER}, {PROXY}", "198.51.100.1"),
        (PROXY, OUTER, OUTER),
        (PROXY, "198.51.100.1:50123", "198.51.100.1"),
        (PROXY, "[2001:db8::1]:50123", "2001:db8::1"),
        (PROXY, "[2001:db8::1]", "2001:db8::1"),
        (PROXY, "2001:db8::1", "2001:db8::1"),
        (PROXY, "unknown", "unknown"),
    ],
)
def test_the_last_that_no_trusted_proxy_has_is_the_clients(peer, forwarded, address):
    assert Proxies(f"{PROXY},{OUTER}").address(coming(peer, forwarded)) == address


def test_proxies_of_a_whole_network_are_trusted():
    proxies = Proxies("10.0.0.0/8, fd00::/8")

    assert proxies.address(coming("10.9.8.7", "198.51.100.1, 10.1.1.1")) == "198.51.100.1"
    assert proxies.address(coming("fd00::1", "198.51.100.1")) == "198.51.100.1"
    assert proxies.address(coming("::ffff:10.9.8.7", "198.51.100.1")) == "198.51.100.1"
    assert proxies.address(coming("11.0.0.1", "198.51.100.1")) == "11.0.0.1"


@pytest.mark.parametrize(
    ("peer", "site"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:1::1", "2001:db8:0:1::"),
        ("2001:db8:0:1:ffff::9", "2001:db8:0:1::"),
        ("2001:db8:0:2::1", "2001:db8:0:2::"),
        ("", ""),
    ],
)
def test_of_an_ipv6_address_the_first_half_tells_where_somebody_is(peer, site):
    assert Proxies("").site(coming(peer)) == site


def test_who_has_many_addresses_at_one_site_has_one_bucket():
    admission = Admission(GatewaySettings(credentials_rate=1, credentials_burst=2), Proxies(PROXY))

    def sign_in(host: int) -> None:
        admission.take(coming(PROXY, f"2001:db8::{host}"), operation_of(SignIn), ANONYMOUS)

    sign_in(1)
    sign_in(2)
    with pytest.raises(Refused) as refused:
        sign_in(3)

    assert isinstance(refused.value.problem, Overloaded)
