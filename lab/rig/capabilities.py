"""What each rig can do, by its name; known without loading any of them."""

from __future__ import annotations

from collections.abc import Iterable

VARIABLE = "LAB_RIG"
"""The environment variable that names the rig to use."""
DEFAULT = "embedded"
_EVERYWHERE = frozenset({"proxy", "freeze", "terminate", "restart", "crash", "slots", "wire", "password"})

CAPABILITIES: dict[str, frozenset[str]] = {
    DEFAULT: _EVERYWHERE,
    "netns": _EVERYWHERE | {"loss", "link", "abort"},
    "docker": _EVERYWHERE | {"link", "limits", "versions"},
}
"""`RigProtocol.capabilities` says what each word means."""


def capable(needs: Iterable[str]) -> tuple[str, ...]:
    """The names of the rigs that can do all of this."""
    return tuple(name for name, words in CAPABILITIES.items() if words.issuperset(needs))


def remedy(needs: Iterable[str]) -> str:
    """What to do to have all of this."""
    others = capable(needs)
    return f"use --rig {' or '.join(others)}" if others else "no rig has all of it"
