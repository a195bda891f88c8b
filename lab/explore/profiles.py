"""How much is searched: dev, ci and nightly, as Hypothesis profiles of the lab's own.

Hypothesis's built-in `ci` profile is derandomized and would draw the same examples for ever; a project's own `dev` or
`ci` profile is its own business. Ours are therefore called `lab-dev`, `lab-ci` and `lab-nightly` there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

from lab.errors import UnknownName
from lab.rig.machine.cache import folder

VARIABLE = "LAB_PROFILE"


@dataclass(frozen=True)
class Profile:
    """`examples` plans at most for each search, and `seconds` for one that looks for anything that is broken."""

    name: str
    examples: int
    seconds: float

    def settings(self) -> settings:
        """The Hypothesis profile `lab-<name>`, registered: random, without deadlines, examples in the lab's cache."""
        name = f"lab-{self.name}"
        settings.register_profile(
            name,
            max_examples=self.examples,
            deadline=None,
            derandomize=False,
            database=example_database(),
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        )
        return settings.get_profile(name)


PROFILES = {
    each.name: each
    for each in (
        Profile("dev", examples=200, seconds=4.0),
        Profile("ci", examples=400, seconds=6.0),
        Profile("nightly", examples=50_000, seconds=900.0),
    )
}


def profile(name: str = "") -> Profile:
    """The profile of that name, else `$LAB_PROFILE`, else `ci` where CI says `true`, else `dev`; raises UnknownName."""
    name = name or os.environ.get(VARIABLE, "") or ("ci" if os.environ.get("CI", "").lower() == "true" else "dev")
    if name not in PROFILES:
        raise UnknownName(f"there is no profile {name!r}", f"known: {', '.join(PROFILES)}")
    return PROFILES[name]


def example_database() -> ExampleDatabase:
    """The examples of earlier searches, in the lab's cache folder."""
    return DirectoryBasedExampleDatabase(folder() / "examples")
