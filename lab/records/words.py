"""Words that several floors share: of a connection its sides and directions, and what can be done to it; of numbers."""

from __future__ import annotations

from typing import Final, Literal

Side = Literal["client", "server"]
"""One of the two ends of a connection."""
Sides = Literal["both", "client", "server"]
"""Which of the two ends something concerns; what a fault takes as its parameter `sides`."""

Direction = Literal["upstream", "downstream"]
"""Toxiproxy's words: upstream is towards the server, downstream towards the client."""
TOWARDS: Final[dict[Direction, Side]] = {"upstream": "server", "downstream": "client"}

Way = Literal["fin", "rst", "stall", "half-close", "drop-reply", "split", "delay"]
"""What the wire tap can do to a connection when a moment comes."""
WAYS: Final[dict[Way, str]] = {
    "fin": "close in good order: the peer reads the end of the stream",
    "rst": "reset: the peer reads ECONNRESET",
    "stall": "pass nothing on to the peer, neither bytes nor the end, until resumed or cut",
    "half-close": "tell the peer that nothing more comes (shutdown of the write side), but keep taking what it sends",
    "drop-reply": "swallow what the server sends from there on, the end too, and keep the connection open",
    "split": "pass on in segments of one byte from there on",
    "delay": "a stall that resumes by itself",
}
"""Every way and what the side that is hit sees of it."""

DEFAULT_DELAY_MS: Final = 100
"""How long the way `delay` holds back, unless it is told."""


def count(number: int, noun: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
