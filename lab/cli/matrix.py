"""`lab matrix`: judge every bundled variant and show promise x variant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.check import Options
from lab.check.variants import find, rows
from lab.cli.check import judge_variants
from lab.cli.options import BoundFlag, BudgetFlag, JsonFlag, Names, PromiseFlag, SeedFlag, StoreFlag, prepare_file
from lab.records.result import exit_status
from lab.report.html import write_html
from lab.report.json import write_json
from lab.report.terminal import console, print_matrix

HtmlFlag = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page with the table and what is behind each cell."),
]


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
) -> int:
    """Judge every bundled variant, or those that are named, and print the table promise x variant.

    Directed plans only, and of a promise that is seen to be broken no further ones: `lab check` looks at every moment,
    cuts one request before each message, and searches at random, as --budget makes this do for what is left of it.
    """
    variants = [find(name) for name in dict.fromkeys(names or rows())]
    prepare_file("--json", json)
    prepare_file("--html", html)
    options = Options(
        promises=tuple(promise or ()), budget=budget, seed=seed, bound=bound, search=0.0, cuts=False, brief=True
    )
    results = judge_variants(variants, options, store)
    print_matrix(console(), results)
    if json is not None:
        write_json(json, results)
    if html is not None:
        write_html(html, results)
    return exit_status(results)
