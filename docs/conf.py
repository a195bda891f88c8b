"""The documentation's site: `make docs` writes build/docs; a warning or a dead link ends it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import generated  # what is written from the code

project = "The connection lab"
author = "The connection lab's authors"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_last_updated_fmt = None
smartquotes = False  # flags keep their two hyphens
myst_heading_anchors = 4
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # a block of JSON with … in it
pygments_style = "friendly"
pygments_dark_style = "monokai"

# `-b linkcheck`, of the nightly workflow: the addresses outside.
linkcheck_timeout = 20
linkcheck_retries = 3
linkcheck_anchors = False
linkcheck_rate_limit_timeout = 60


def setup(_app: object) -> None:
    """Write the reference before Sphinx looks for its pages."""
    generated.write(Path(__file__).resolve().parent / "reference")
