"""How this lab was installed, and so what a person does about a part that is missing."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = (Path(__file__).resolve().parents[3] / "tools" / "setup.sh").is_file()
"""Whether it runs from its repository, where `make setup` sees to everything."""


def remedy(packages: str, *, checkout: bool = CHECKOUT) -> str:
    """What to do where something of `packages`, as pip takes them, is missing."""
    return "run make setup" if checkout else f"pip install {packages}"
