"""What a command leaves to be read beside what it prints: which reports, and where they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.errors import BadInput, LabError
from lab.records.record import Record
from lab.records.verdict import Finding
from lab.report.terminal import short
from lab.store import CASES, CheckFolder, slug, unwritable

HTML, NONE = "html", "none"
KINDS = (HTML, NONE)
ReportFlag = Annotated[
    str, typer.Option("--report", metavar="|".join(KINDS), help="What to write beside the evidence in the store.")
]


def chosen_reports(text: str) -> frozenset[str]:
    """The reports that are asked for; raises BadInput for one that there is not."""
    asked = frozenset(part.strip() for part in text.split(",") if part.strip()) or frozenset({NONE})
    for kind in sorted(asked - set(KINDS)):
        raise BadInput(f"--report {kind}: there is no such report", f"choose from {', '.join(KINDS)}")
    return asked - {NONE}


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


def draw_pages(kinds: frozenset[str], root: Path, errors: Console) -> None:
    """Draw what is new in a store, and say in one line where to begin reading.

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
    say_where(errors, written.index)


def say_where(out: Console, index: Path) -> None:
    """Where to begin reading, in one line."""
    out.print(f"report: {short(str(index))}", markup=False, soft_wrap=True)
