from __future__ import annotations

import pytest

from lab.errors import BadInput
from lab.wire.rule import Rule
from lab.wire.standalone import address, announcement, loopback


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:6000", ("127.0.0.1", 6000)),
        ("[::1]:6000", ("::1", 6000)),
        ("db.example:5433", ("db.example", 5433)),
        ("db.example", ("db.example", 5432)),
        ("[::1]", ("::1", 5432)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert address(text, 5432) == expected


@pytest.mark.parametrize("text", ["", ":5432", "host:", "host:port", "host:65536", "host:-1", "host:٣"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadInput):
        address(text, 5432)


@pytest.mark.parametrize("text", ["0.0.0.0:6000", "192.0.2.1:6000", "[::]:6000", "10.0.0.1:0", "127.0.0.1"])
def test_only_loopback_is_listened_on(text: str) -> None:
    with pytest.raises(BadInput):
        loopback(text)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:0"])
def test_loopback_has_more_than_one_name(text: str) -> None:
    assert loopback(text) == ("127.0.0.1", 0)


def test_one_line_says_what_will_be_done() -> None:
    said = announcement("127.0.0.1:1", "127.0.0.1:2", [Rule.parse("commit-acked+0", "rst")])
    assert "rst (client and server) at commit-acked of any connection, before its first byte passes, once" in said
    assert "\n" not in said
