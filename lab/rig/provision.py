"""What `make setup` does once the packages are there: Toxiproxy and the PostgreSQL template into the cache.

    python -m lab.rig.provision

Says nothing when both are cached. `tools/setup.sh` reads the exit status: 0 ready, NEEDS_GO when only Go is missing
(it then fetches one into a throw-away folder and asks again), else that of the LabError whose line was printed.
"""

from __future__ import annotations

import sys

from lab.errors import LabError
from lab.rig.embedded.rig import Rig
from lab.rig.machine import cache, process
from lab.rig.postgres import binaries, template
from lab.rig.toxiproxy import binary

NEEDS_GO = 69
"""EX_UNAVAILABLE of sysexits.h."""


def main() -> int:
    """Provision; returns the exit status."""
    try:
        has_toxiproxy = binary.find() is not None
        if has_toxiproxy and _has_template():
            return 0
        if not has_toxiproxy and binary.find_go() is None:
            return NEEDS_GO
        with Rig(_say):  # caches what it lacks, and shows that the servers run here
            _say("PostgreSQL and Toxiproxy have started once and are ready")
    except LabError as error:
        _say(str(error))
        return error.status
    return 0


def _has_template() -> bool:
    key = template.key(binaries.find(), process.unprivileged())
    return (cache.folder() / key).is_dir()


def _say(line: str) -> None:
    print(f"setup: {line}", file=sys.stderr, flush=True)  # noqa: T201 - a program of its own, for make


if __name__ == "__main__":
    sys.exit(main())
