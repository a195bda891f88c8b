"""`lab campaign`: what is too long for a check, on as many workers as there are."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Annotated

import typer

from lab.campaign.campaign import run_campaign
from lab.campaign.cluster import Cluster, at, workers
from lab.campaign.corners import inside
from lab.campaign.keeping import Settings, open_campaign
from lab.campaign.kinds import KINDS, MEANING, chosen
from lab.campaign.verdicts import conclude
from lab.check.corners import Corner
from lab.cli.corners import DjangoFlag, OfflineFlag, YesFlag, chosen_corners, drivers_of
from lab.cli.options import (
    Names,
    OptionFlag,
    PathFlag,
    SeedFlag,
    SettingFlag,
    ShardFlag,
    StoreFlag,
    variants_of,
)
from lab.cli.reports import HTML, ReportFlag, chosen_reports, draw_pages
from lab.edition import edition
from lab.errors import BadInput
from lab.records.shard import parse
from lab.report.campaign import CampaignProgress, print_campaign
from lab.report.terminal import console, short
from lab.rig.machine.environments import VERSION, Environment
from lab.store import default_root

HoursFlag = Annotated[
    float | None, typer.Option("--hours", metavar="H", min=0.0, help="End after so many hours; it goes on next time.")
]
CasesFlag = Annotated[
    int | None,
    typer.Option("--cases", metavar="N", min=1, help="About so many cases in all, chosen evenly. Default: all."),
]
WorkersFlag = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, max=512, help="Workers on this machine. Default: its processors."),
]
ClusterFlag = Annotated[
    str, typer.Option("--cluster", metavar="ADDRESS", help="A Dask scheduler whose workers are used, tcp://host:8786.")
]
KindFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        metavar="|".join(KINDS),
        help="Only this; may be repeated. " + "; ".join(f"{kind}: {words}" for kind, words in MEANING.items()) + ".",
    ),
]
DriversFlag = Annotated[
    str, typer.Option("--driver", metavar="psycopg2,psycopg", help="The driver, or several to compare.")
]
PythonsFlag = Annotated[
    str, typer.Option("--python", metavar="3.11,3.13|PATH", help="Versions to compare, or the subjects' interpreter.")
]
PreemptionsFlag = Annotated[
    int | None,
    typer.Option(
        "--preemptions", metavar="N", min=0, help="Orders with at most so many preemptions. Default: all orders."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("campaign")(campaign_command)


def campaign_command(
    names: Names = None,
    hours: HoursFlag = None,
    cases: CasesFlag = None,
    cluster: ClusterFlag = "",
    number: WorkersFlag = None,
    kind: KindFlag = None,
    preemptions: PreemptionsFlag = None,
    path: PathFlag = None,
    django: DjangoFlag = "",
    driver: DriversFlag = "",
    python: PythonsFlag = "",
    offline: OfflineFlag = False,
    yes: YesFlag = False,
    setting: SettingFlag = None,
    option: OptionFlag = None,
    seed: SeedFlag = 0,
    shard: ShardFlag = "",
    report: ReportFlag = HTML,
    store: StoreFlag = None,
) -> int:
    """Run what is too long for a check, in slices, on the workers of this machine or of a Dask cluster.

    A stop, Ctrl-C too, keeps what is done; the same command goes on from the store. The result is the same whatever the
    number of workers. With --django, a version in --python, or several drivers, each variant is run in every
    combination of these, and what differs is printed with a plan.

    Exit status 1: a claimed promise is broken; 2: not all was run, or one is unknown.
    """
    reports = chosen_reports(report)
    compared = bool(django) or "," in driver or VERSION.fullmatch(python.partition(",")[0]) is not None
    kinds = chosen(kind or (), corners=compared)
    one = None if compared else next(iter(drivers_of(driver)), None)
    variants = variants_of(
        names, path=path, driver=one, python="" if compared else python, setting=setting, option=option
    )
    if cluster and number:
        raise BadInput("--cluster and --workers are given", "give one of them: a cluster has workers of its own")
    corners = chosen_corners(django, driver, python, offline, yes=yes) if compared else []
    settings = Settings(
        edition=edition(),
        variants=tuple(inside(variants, corners) if compared else variants),
        kinds=kinds,
        seed=seed,
        cases=cases,
        preemptions=preemptions,
        shard=parse(shard),
    )
    folder = open_campaign(store or default_root() / "campaign", settings)
    errors, out = console(stderr=True), console()
    stopped = False
    with CampaignProgress(errors) as face:
        try:
            with _cluster(cluster, number, face) as running:
                running.environments = _environments(corners)
                running.offline = offline
                if running.dashboard:
                    face.say(f"dashboard: {running.dashboard}")
                run_campaign(settings, folder, running, face, None if hours is None else hours * 3600)
        except KeyboardInterrupt:
            stopped = True
    what = conclude(folder)
    print_campaign(out, what, folder.root)
    errors.print(f"evidence: {short(str(folder.root))}", markup=False, soft_wrap=True)
    draw_pages(reports, folder.root, errors)
    if stopped:
        errors.print("stopped: the same command goes on from there", markup=False)
        return 130
    return what.status


def _environments(corners: list[Corner]) -> tuple[Environment, ...]:
    return tuple(dict.fromkeys(corner.environment for corner in corners))


def _cluster(address: str, number: int | None, face: CampaignProgress) -> AbstractContextManager[Cluster]:
    return at(address, face.say) if address else workers(number or os.cpu_count() or 1, face.say)
