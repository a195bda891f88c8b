"""`lab matrix`: judge every bundled variant and show promise x variant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lab.check.check import Options
from lab.check.claims import checked
from lab.check.corners import Corner, judge_corners
from lab.check.variants import find, missing_driver, rows
from lab.cli.check import judge_variants, rigs
from lab.cli.corners import DjangoFlag, DriversFlag, OfflineFlag, PythonsFlag, YesFlag, chosen_corners
from lab.cli.options import (
    BoundFlag,
    BudgetFlag,
    ClaimFlag,
    JsonFlag,
    Names,
    PromiseFlag,
    RigFlag,
    SeedFlag,
    ShardFlag,
    StoreFlag,
    prepare_file,
)
from lab.cli.reports import HTML, KINDS, ReportsFlag, chosen_reports, write_reports
from lab.errors import EXTRA, BadInput
from lab.records.result import Result, exit_status
from lab.records.shard import parse
from lab.records.variant import Variant
from lab.report.corners import as_record, print_corners
from lab.report.html import write_html
from lab.report.json import write_json
from lab.report.pages.tables import keep_versions
from lab.report.progress import filling_matrix, progress
from lab.report.terminal import console, print_matrix, short
from lab.report.versions import labelled, print_versions
from lab.rig.capabilities import VARIABLE
from lab.rig.docker.containers import chosen_version
from lab.rig.machine.install import remedy
from lab.store import Store, default_root

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
    claim: ClaimFlag = None,
    django: DjangoFlag = "",
    driver: DriversFlag = "",
    python: PythonsFlag = "",
    offline: OfflineFlag = False,
    yes: YesFlag = False,
    shard: ShardFlag = "",
) -> int:
    """Judge every bundled variant, or those that are named, and print the table promise x variant.

    One directed plan for each moment, and no further ones for a promise that is seen to be broken. `lab check` runs all
    of them, cuts one request before each message, and searches at random, as --budget makes this do with what is left.
    With --django, --driver or --python it judges them in each combination, and prints what differs, with a plan.
    """
    variants = [find(name) for name in dict.fromkeys(names or rows())]
    if not (names or django or driver or python):
        variants = _with_driver(variants)
    prepare_file("--json", json)
    prepare_file("--html", html)
    reports = chosen_reports(report, KINDS)
    servers_versions = _versions(postgres)
    share = None if budget is None else budget / max(len(servers_versions), 1)
    options = Options(
        promises=tuple(promise or ()),
        budget=share,
        seed=seed,
        bound=bound,
        search=0.0,
        cuts=False,
        brief=True,
        claims=checked(claim or ()),
        shard=parse(shard),
    )
    if shard and (postgres or django or driver or python):
        raise BadInput(
            "--shard does not go together with --postgres, --django, --driver and --python",
            "give each process other versions instead",
        )
    if django or driver or python:
        if postgres:
            raise BadInput("--postgres does not go together with --django, --driver and --python", "run it twice")
        results = _corners(variants, options, store, rig, chosen_corners(django, driver, python, offline, yes=yes))
    elif servers_versions:
        # Whoever asks for versions asks for the rig that has them, unless another one is named.
        servers = rig or os.environ.get(VARIABLE) or SEVERAL_VERSIONS
        found = {version: judge_variants(variants, options, store, servers, version) for version in servers_versions}
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


def _with_driver(variants: list[Variant]) -> list[Variant]:
    """Those whose driver is here; the others are named."""
    for each in variants:
        if absent := missing_driver(each):
            line = f"left out: {each.name}: {absent} is not installed; {remedy(EXTRA)}"
            console(stderr=True).print(line, markup=False, soft_wrap=True)
    return [each for each in variants if not missing_driver(each)]


def _versions(text: str) -> list[str]:
    """The versions in a list with commas, each once; raises BadInput."""
    return [chosen_version(each.strip()) for each in dict.fromkeys(text.split(","))] if text else []


def _corners(
    variants: list[Variant], options: Options, folder: Path | None, rig: str, corners: list[Corner]
) -> list[Result]:
    options.chosen()
    store, errors = Store(folder or default_root()), console(stderr=True)
    with rigs(rig, progress(errors)) as (shown, running, second):
        done = judge_corners(variants, corners, running, options, store, shown, second)
    print_corners(console(), done)
    if done.found:
        keep_versions(done.folder, as_record(done))
    errors.print(f"evidence: {short(str(store.root))}", markup=False, soft_wrap=True)
    return labelled(done.found, "")
