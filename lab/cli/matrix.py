"""`lab matrix`: judge every bundled variant and show promise x variant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lab.check.check import Options
from lab.check.variants import find, rows
from lab.cli.check import judge_variants
from lab.cli.options import (
    BoundFlag,
    BudgetFlag,
    JsonFlag,
    Names,
    PromiseFlag,
    RigFlag,
    SeedFlag,
    StoreFlag,
    prepare_file,
)
from lab.cli.reports import HTML, KINDS, ReportsFlag, chosen_reports, write_reports
from lab.records.result import exit_status
from lab.report.html import write_html
from lab.report.json import write_json
from lab.report.progress import filling_matrix
from lab.report.terminal import console, print_matrix
from lab.report.versions import labelled, print_versions
from lab.rig.capabilities import VARIABLE
from lab.rig.docker.containers import chosen_version
from lab.store import default_root

HtmlFlag = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page with the table and what is behind each cell."),
]
PostgresFlag = Annotated[
    str,
    typer.Option("--postgres", metavar="15,16,…", help="Compare these server versions, in containers (--rig docker)."),
]
SEVERAL_VERSIONS = "docker"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("matrix")(matrix)


def matrix(
    names: Names = None,
    promise: PromiseFlag = None,
    budget: BudgetFlag = None,
    seed: SeedFlag = 0,
    bound: BoundFlag = None,
    json: JsonFlag = None,
    html: HtmlFlag = None,
    store: StoreFlag = None,
    rig: RigFlag = "",
    postgres: PostgresFlag = "",
    report: ReportsFlag = HTML,
) -> int:
    """Judge every bundled variant, or those that are named, and print the table promise x variant.

    One directed plan for each moment, and no further ones for a promise that is seen to be broken. `lab check` runs all
    of them, cuts one request before each message, and searches at random, as --budget makes this do with what is left.
    """
    variants = [find(name) for name in dict.fromkeys(names or rows())]
    prepare_file("--json", json)
    prepare_file("--html", html)
    reports = chosen_reports(report, KINDS)
    versions = _versions(postgres)
    share = None if budget is None else budget / max(len(versions), 1)
    options = Options(
        promises=tuple(promise or ()), budget=share, seed=seed, bound=bound, search=0.0, cuts=False, brief=True
    )
    if versions:
        # Whoever asks for versions asks for the rig that has them, unless another one is named.
        servers = rig or os.environ.get(VARIABLE) or SEVERAL_VERSIONS
        found = {version: judge_variants(variants, options, store, servers, version) for version in versions}
        print_versions(console(), found)
        results = labelled(found)
    else:
        results = judge_variants(variants, options, store, rig, face=filling_matrix)
        print_matrix(console(), results)
    if json is not None:
        write_json(json, results)
    if html is not None:
        write_html(html, results)
    write_reports(reports, results, store or default_root(), console(), console(stderr=True))
    return exit_status(results)


def _versions(text: str) -> list[str]:
    """The versions in a list with commas, each once; raises BadInput."""
    return [chosen_version(each.strip()) for each in dict.fromkeys(text.split(","))] if text else []
