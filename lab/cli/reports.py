"""What a command leaves to be read beside what it prints: which reports, and where they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.errors import BadInput, LabError
from lab.records.record import Record
from lab.records.result import Result
from lab.records.verdict import Finding
from lab.report import github
from lab.report.junit import junit
from lab.report.markdown import markdown
from lab.report.terminal import short
from lab.store import CASES, CheckFolder, slug, unwritable, write

FOLDER = "report"
"""What a store's own report is called, inside it."""
HTML, JUNIT, GITHUB, MARKDOWN, NONE = "html", "junit", "github", "markdown", "none"
PAGES = (HTML, NONE)
KINDS = (HTML, JUNIT, GITHUB, MARKDOWN, NONE)
ReportFlag = Annotated[
    str, typer.Option("--report", metavar="|".join(PAGES), help="What to write beside the evidence in the store.")
]
ReportsFlag = Annotated[
    str,
    typer.Option(
        "--report",
        metavar=",".join(KINDS),
        help="What to write into report/ of the store: pages, JUnit XML, Markdown; github: the step's summary, "
        "and annotations on stdout.",
    ),
]


def chosen_reports(text: str, kinds: Sequence[str] = PAGES) -> frozenset[str]:
    """The reports that are asked for, with commas between them; raises BadInput for one that is not of these kinds."""
    asked = frozenset(part.strip() for part in text.split(",") if part.strip()) or frozenset({NONE})
    for kind in sorted(asked - set(kinds)):
        raise BadInput(f"--report {kind}: there is no such report", f"choose from {', '.join(kinds)}")
    return asked - {NONE}


def write_reports(
    asked: frozenset[str],
    results: Sequence[Result],
    root: Path,
    out: Console,
    errors: Console,
    suffix: str = "",
    *,
    quiet: bool = False,
) -> None:
    """Write the reports of a check: files in the store's report folder, annotations on `out`; pages come last.

    `suffix` tells the files of several processes apart. One that cannot be written says so on `errors` and costs no
    verdict. `quiet`: where they are is not said.
    """
    folder = root / FOLDER
    try:
        if asked & {JUNIT, MARKDOWN}:
            with unwritable(folder):
                folder.mkdir(parents=True, exist_ok=True)
        if JUNIT in asked:
            _write(folder / f"junit{suffix}.xml", junit(results), errors, quiet)
        if MARKDOWN in asked:
            _write(folder / f"report{suffix}.md", markdown(results).encode(), errors, quiet)
        if GITHUB in asked:
            for line in github.commands(results):
                out.print(line, markup=False, highlight=False, soft_wrap=True)
            _summarise(results)
    except LabError as error:
        errors.print(f"no report: {error}", markup=False, soft_wrap=True)
    draw_pages(asked, root, errors, quiet=quiet)


def _write(path: Path, data: bytes, errors: Console, quiet: bool) -> None:
    write(path, data)
    if not quiet:
        say_where(errors, path)


def _summarise(results: Sequence[Result]) -> None:
    """Append to the step's summary, where this runs in a step."""
    path = os.environ.get(github.VARIABLE)
    if not path:
        return
    with unwritable(Path(path)), Path(path).open("ab") as file:
        file.write(github.summary(results, github.LIMIT - file.tell()).encode())


def keep_run(root: Path, group: str, record: Record, findings: Sequence[Finding], name: str = "") -> Path:
    """Store one run of no check below `root`, in the variant's folder `group`; the path of its plan.

    One of the same name is replaced. Raises StoreUnwritable.
    """
    folder = root.absolute() / slug(record.plan.variant.name, keep="._") / group
    with unwritable(folder):
        (folder / CASES).mkdir(parents=True, exist_ok=True)
    return CheckFolder(root.absolute(), folder).keep(name or record.plan.title or "plan", record, findings)


def folder_of(plans: Iterable[Path]) -> Path | None:
    """An exploration's folder, by the plans of its examples; None where it has none."""
    return next((plan.parents[2] for plan in plans), None)


def draw_pages(kinds: frozenset[str], root: Path, errors: Console, *, quiet: bool = False) -> None:
    """Draw what is new in a store, and say in one line where to begin reading, unless `quiet`.

    A report that cannot be written says so and costs no verdict.
    """
    if HTML not in kinds:
        return
    from lab.report.pages.folder import report_store

    try:
        written = report_store(root)
    except LabError as error:
        errors.print(f"no report: {error}", markup=False, soft_wrap=True)
        return
    if not quiet:
        say_where(errors, written.index)


def say_where(out: Console, index: Path) -> None:
    """Where to begin reading, in one line."""
    out.print(f"report: {short(str(index))}", markup=False, soft_wrap=True)
