"""`lab merge`: the stores of shards as one store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.campaign.join import is_campaign
from lab.campaign.join import join as join_campaign
from lab.campaign.verdicts import conclude
from lab.check.merge import merge, pieces
from lab.cli.options import JsonFlag, prepare_file
from lab.cli.reports import HTML, KINDS, ReportsFlag, chosen_reports, folder_of, write_reports
from lab.errors import BadInput
from lab.explore.cuts import CutTable, where
from lab.explore.join import Joined, join
from lab.explore.join import pieces as explored_pieces
from lab.records.result import exit_status
from lab.report.campaign import print_campaign
from lab.report.cuts import print_cuts
from lab.report.interleavings import print_interleavings
from lab.report.json import write_json
from lab.report.pages.tables import CUTS, ORDERS, keep_table
from lab.report.terminal import console, print_matrix, print_result, short
from lab.store import Store

Stores = Annotated[list[Path], typer.Argument(metavar="STORE…", help="The stores that shards have written, each once.")]
IntoFlag = Annotated[Path, typer.Option("--into", metavar="STORE", help="The store in which they are joined.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("merge")(merge_command)


def merge_command(stores: Stores, into: IntoFlag, json: JsonFlag = None, report: ReportsFlag = HTML) -> int:
    """Join the stores of shards into one, and print what the whole run would have printed.

    Stores of different commits, versions, variants or settings are refused, and shards that do not add up.

    Nothing is run, and the stores stay as they are.
    """
    prepare_file("--json", json)
    reports = chosen_reports(report, KINDS)
    for store in stores:
        if not store.is_dir():
            raise BadInput(f"{store} is no store: there is no such folder", "give the folder that --store named")
    if any(map(is_campaign, stores)):
        return _merge_campaign(stores, into)
    found, explored = pieces(stores), explored_pieces(stores)
    if not found and not explored:
        raise BadInput("these stores hold no shard", "give stores that were written with --shard")
    root = Store(into)
    results = [merge(each, root) for each in found.values()]
    out, errors = console(), console(stderr=True)
    broken = [_print_joined(out, join(each, root), root) for each in explored]
    if len(results) == 1:
        print_result(out, results[0])
    elif results:
        print_matrix(out, results)
    if json is not None:
        write_json(json, results)
    errors.print(f"evidence: {short(str(root.root))}", markup=False, soft_wrap=True)
    write_reports(reports, results, root.root, out, errors)
    return 1 if any(broken) else exit_status(results)


def _merge_campaign(stores: list[Path], into: Path) -> int:
    store = join_campaign(stores, into)
    what = conclude(store)
    print_campaign(console(), what, store.root)
    console(stderr=True).print(f"evidence: {short(str(store.root))}", markup=False, soft_wrap=True)
    return what.status


def _print_joined(out: Console, joined: Joined, store: Store) -> bool:
    """Print and keep an exploration's table; whether something that the variant claims is broken."""
    variant, found = joined.variant, joined.explored
    place = folder_of(each.path for each in found.examples.values())
    if isinstance(found.table, CutTable):
        print_cuts(out, variant, found, store.root)
        keep_table(place, CUTS, variant, found.table, **where(found))
    else:
        print_interleavings(out, variant, found, store.root)
        keep_table(place, ORDERS, variant, found.table, seconds=found.seconds)
    return any(map(variant.claimed, found.broken))
