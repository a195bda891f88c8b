"""Results as one HTML page that needs nothing else: the matrix, and behind each cell its moments and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from lab.records.result import Result
from lab.report.terminal import headline, promise_names, sentence, short
from lab.report.verdict_mark import MARKS, mark, moment_mark
from lab.store import write

TEMPLATE = "matrix.html"


def render_html(results: Sequence[Result]) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("lab", "report"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(headline=headline, sentence=sentence, short=short)
    return environment.get_template(TEMPLATE).render(
        results=results, promises=promise_names(results), mark=mark, moment_mark=moment_mark, legend=MARKS
    )


def write_html(path: Path, results: Sequence[Result]) -> None:
    """Write the page whole or not at all. Raises StoreUnwritable."""
    write(path, render_html(results).encode())
