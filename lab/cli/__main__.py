"""`python -m lab.cli`: the command line without its installed script."""

from __future__ import annotations

from lab.cli import main

if __name__ == "__main__":
    main()
