"""A store as pages: what they show, and what they do with a store that comes from a stranger."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from lab.errors import BadInput, StoreUnwritable
from lab.judging.judge import judge
from lab.records.landing import Landing
from lab.records.plan import Begin, End, Read
from lab.records.result import encode_results
from lab.records.variant import Variant
from lab.records.verdict import Verdict
from lab.report.pages.folder import report_case, report_store
from lab.report.pages.page import case_page, index_page
from lab.report.pages.shelf import open_shelf
from lab.report.pages.story import Story
from lab.report.pages.wire import draw_wire, items
from lab.store import STRIP, TABLE, Store
from unit.histories import ok, record
from unit.stored import BROKEN, CUTS, DIFFERS, JOURNAL, MINE, hostile_store, result, store_of_every_kind, stored, told

VOIDS = {"meta", "br", "wbr", "link", "path", "rect", "circle"}


class Page(HTMLParser):
    """A page's links, identifiers and text; raises where a tag is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []
        assert len(self.ids) == len(set(self.ids)), "identifiers occur once"

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object", "img", "style"), tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name != "style", "a policy without inline styles holds"
            if name == "href":
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOIDS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOIDS:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOIDS:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pages(out: Path) -> dict[str, Page]:
    """Every page of a report, each of its links followed."""
    found = {str(path.relative_to(out)): Page(path.read_text()) for path in sorted(out.rglob("*.html"))}
    for name, page in found.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            assert "://" not in target, link
            if target == "data:,":
                continue
            path = Path(os.path.normpath(Path(name).parent / unquote(target))) if target else Path(name)
            assert (out / path).is_file(), f"{name} leads to {link}"
            if anchor:
                assert unquote(anchor) in found[str(path)].ids, f"{name} leads to {link}"
    return found


def test_report_has_an_index_a_page_for_the_check_and_one_for_the_case(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    written = report_store(tmp_path)
    found = pages(tmp_path / "report")
    stamp = folder.path.name
    assert list(found) == ["index.html", f"mine/{stamp}/0001-recovers.html", f"mine/{stamp}/index.html"]
    assert written.index == tmp_path / "report" / "index.html"
    assert written.damaged == []
    assert "✗ broken" in found["index.html"].text
    assert "<b>dead</b>" in found[f"mine/{stamp}/index.html"].text, "what a backend says is text"


def test_case_page_says_what_was_broken_how_to_see_it_again_and_what_became_of_each_row(tmp_path: Path) -> None:
    log = "1970-01-01 00:16:40.000 UTC [77] user=a db=b app=lab-run LOG:  unexpected EOF\n\tsecond line\n"
    stored(tmp_path, log=log)
    report_store(tmp_path)
    text = next(page.text for name, page in pages(tmp_path / "report").items() if "0001" in name)
    for part in (
        "after the heal t0 got an error",
        "step 7, marked below",
        "2 of 2 runs agree",
        "lab replay",
        "lab shrink",
        "limit-data is applied",
        "no answer to Query COMMIT",
        "in doubt",
        "yes (committed)",
        "unexpected EOF",
        "at most 1 sessions, 1 idle in a transaction, 3 locks",
    ):
        assert part in text, part
    assert "second line" not in text, "further lines quote statements and rows"


def test_judges_steps_are_marked_in_timeline_wire_and_census() -> None:
    made = told()
    seven = msgspec.structs.replace(BROKEN, steps=(4,))
    story = Story(made, [seven])
    assert [row.step for row in story.rows if row.named] == [4]
    at_commit = [item for item in items(made.journal) if 75 <= item.time <= 80]
    assert at_commit
    assert str(draw_wire(story, items(made.journal)).markup()).count('class="named"') >= 1


def test_rows_are_in_order_and_skipped_calls_are_one() -> None:
    rows = Story(told(), [BROKEN]).rows
    assert [row.time for row in rows] == sorted(row.time for row in rows)
    assert [row.text for row in rows if "skipped" in row.text] == ["skipped: 8 read –"]
    assert [row.kind for row in rows if row.landing] == ["strike", "heal"]


def test_fault_that_did_not_land_is_said_to_prove_nothing(tmp_path: Path) -> None:
    landing = Landing(kind="sever", step=3, time=35, landed=False, evidence="nothing was seen of it")
    made = msgspec.structs.replace(told(), void="not seen to land: sever", landings=(landing,))
    folder = Store(tmp_path).open("mine", 0)
    folder.keep("void", made, judge(made))
    report_store(tmp_path)
    text = next(page.text for name, page in pages(tmp_path / "report").items() if "void" in name)
    assert "This run proves nothing" in text
    assert "was not seen to land" in text


def test_page_is_small_and_quick(tmp_path: Path) -> None:
    stored(tmp_path)
    check = open_shelf(tmp_path).checks[0]
    case_page(check.cases[0], check)
    page = case_page(check.cases[0], check)
    assert len(page.encode()) < 200_000


def test_long_run_stays_a_small_page(tmp_path: Path) -> None:
    lines = [ok(step, on="7@1") for _ in range(300) for step in (Begin("t0"), Read("t0"), End("t0"))]
    journal = JOURNAL[1:3] * 2000
    made = msgspec.structs.replace(record(*lines, variant=MINE), journal=journal)
    Store(tmp_path).open("mine", 0).keep("long", made, [BROKEN])
    report_store(tmp_path)
    (page,) = (tmp_path / "report").rglob("long.html")
    assert page.stat().st_size < 200_000


def test_index_reads_no_history(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    for name in ("history.jsonl", "events.jsonl", "journal.jsonl", "census.json", "run.json", "server.log"):
        (folder.path / "cases/0001-recovers" / name).unlink()
    (folder.path / "kept.jsonl").write_bytes(b"no JSON\n")
    assert "✗ broken" in index_page(open_shelf(tmp_path))


def test_index_says_at_how_many_moments_what_was_replaced_and_how_long_it_took(tmp_path: Path) -> None:
    found = result()
    info = msgspec.structs.replace(found.variant, notes=("NAME: replaced, the server is the lab's",))
    Store(tmp_path).open("mine", 0).finish(encode_results([msgspec.structs.replace(found, variant=info)]))
    page = index_page(open_shelf(tmp_path))
    text = " ".join(Page(page).text.split())
    assert "✗ broken 1 of 2 moments" in text
    assert 'title="at COMMIT"' in page
    for part in ("NAME: replaced", "1.5 s", "seed 7", "Django 5.2", "psycopg2"):
        assert part in text


def test_second_report_draws_what_is_new_only(tmp_path: Path) -> None:
    stored(tmp_path)
    assert report_store(tmp_path).drawn == 3
    assert report_store(tmp_path).drawn == 1  # the index
    stored(tmp_path)
    assert report_store(tmp_path).drawn == 3


def test_check_that_is_not_over_says_so(tmp_path: Path) -> None:
    stored(tmp_path, over=False)
    report_store(tmp_path)
    found = pages(tmp_path / "report")
    assert "Not over" in found["index.html"].text
    assert "1 cases stored" in found["index.html"].text


def test_versions_of_a_server_are_compared(tmp_path: Path) -> None:
    for version, verdict in (("15", Verdict.KEPT), ("17", Verdict.BROKEN)):
        Store(tmp_path).open("mine", 0).finish(encode_results([result(verdict=verdict, postgresql=version)]))
    text = Page(index_page(open_shelf(tmp_path))).text
    assert "mine, PostgreSQL 15" in text
    assert "mine, recovers, at COMMIT: 15 kept; 17 broken" in text


def test_versions_have_a_page_whose_cells_lead_to_a_run_in_each_corner(tmp_path: Path) -> None:
    store_of_every_kind(tmp_path)
    report_store(tmp_path)
    found = pages(tmp_path / "report")
    page = found["mine/versions-x/index.html"]
    assert "What differs between versions" in page.text
    for words in ("✓ kept in 1, ✗ broken in 1", "Not told apart", "no such pair", "Django 5.2.19, Python 3.13.0"):
        assert words in page.text
    assert [link for link in page.links if "0001" in link] == ["../../mine/versions-x/0001-recovers.html"]
    index = found["index.html"]
    assert "mine, recovers, at COMMIT: 5.2/psycopg2 kept; 5.2/psycopg broken" in index.text
    assert "mine/versions-x/index.html" in index.links


def test_matrix_over_versions_that_agree_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "versions" / "corners-1"
    folder.mkdir(parents=True)
    (folder / TABLE).write_text(json.dumps({**DIFFERS, "differences": []}))
    report_store(tmp_path)
    found = pages(tmp_path / "report")
    assert "No verdict differs between versions" in found["versions/corners-1/index.html"].text
    assert "No verdict differs." in found["index.html"].text


def test_lone_case_has_a_page_beside_it_or_where_it_is_wanted(tmp_path: Path) -> None:
    folder = stored(tmp_path / "store")
    plan = folder.path / "cases/0001-recovers/plan.json"
    assert report_case(plan, tmp_path / "out").index == tmp_path / "out" / "index.html"
    assert "lab replay" in pages(tmp_path / "out")["index.html"].text
    assert report_case(plan).index == plan.parent / "report" / "index.html"


def test_explorations_have_pages_whose_cells_lead_to_examples(tmp_path: Path) -> None:
    store_of_every_kind(tmp_path)
    written = report_store(tmp_path)
    assert len(written.damaged) == 1
    found = pages(tmp_path / "report")
    cuts = found["mine/cuts-x/index.html"]
    assert "../../mine/cuts-x/0001-recovers.html" in cuts.links
    assert "durable (not claimed)" in cuts.text
    assert "1 void" in cuts.text
    orders = found["mine/interleavings-x/index.html"]
    assert "2 of 70 orders of rollback, close, at most 1 preemptions" in orders.text
    assert "Order 0110" in orders.text
    assert "✗ broken atomic" in " ".join(orders.text.split())
    timeouts = found["mine/timeouts-x/index.html"]
    assert "A client that waits for an answer does not notice blackout" in timeouts.text
    assert "not within 20 s" in timeouts.text
    assert "hunter2" not in timeouts.text
    assert "Single runs" in found["mine/replays/index.html"].text
    index = found["index.html"]
    for name in ("cuts-x", "interleavings-x", "timeouts-x", "replays"):
        assert f"mine/{name}/index.html" in index.links


def test_check_page_has_the_strips_of_its_cuts_with_a_link_to_each_example(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    (folder.path / STRIP).write_text(json.dumps(CUTS))
    report_store(tmp_path)
    page = pages(tmp_path / "report")[f"mine/{folder.path.name}/index.html"]
    assert "2 points in 2 ways, 1 void" in page.text
    assert "query-sent" in page.text
    assert "durable (not claimed)" in page.text
    assert page.links.count(f"../../mine/{folder.path.name}/0001-recovers.html") >= 3  # evidence, a cell, the class


@pytest.mark.parametrize("text", ["[]", "{", '{"kind": "cuts"}', '{"kind": "cuts", "points": 7}', "[" * 100_000])
def test_strips_that_are_none_cost_nothing_else(tmp_path: Path, text: str) -> None:
    folder = stored(tmp_path)
    (folder.path / STRIP).write_text(text)
    report_store(tmp_path)
    page = pages(tmp_path / "report")[f"mine/{folder.path.name}/index.html"]
    assert "The strips of its cuts cannot be read" in page.text
    assert "recovers" in page.text


def test_case_page_has_a_table_of_what_the_tap_did(tmp_path: Path) -> None:
    stored(tmp_path)
    report_store(tmp_path)
    text = next(page.text for name, page in pages(tmp_path / "report").items() if "0001" in name)
    assert "What the tap did" in text
    assert "drop-reply at commit-acked" in text
    assert "CommandComplete, 0 of its bytes passed" in text


@pytest.mark.parametrize("text", ["[]", "{", '{"kind": "cuts"}', '{"kind": "new"}', "[" * 100_000])
def test_table_that_is_none_costs_its_own_page_only(tmp_path: Path, text: str) -> None:
    store_of_every_kind(tmp_path)
    (tmp_path / "mine" / "cuts-x" / TABLE).write_text(text)
    report_store(tmp_path)
    found = pages(tmp_path / "report")
    assert (
        "cannot be" in found["mine/cuts-x/index.html"].text or "does not know" in found["mine/cuts-x/index.html"].text
    )


# -- a store from a stranger ----------------------------------------------------------------------------------------


def test_hostile_names_and_texts_are_text(tmp_path: Path) -> None:
    hostile_store(tmp_path)
    report_store(tmp_path)
    found = pages(tmp_path / "report")  # the parser refuses scripts and handlers
    assert len(found) == 4


def test_hostile_folder_names_stay_inside(tmp_path: Path) -> None:
    root = tmp_path / "store"
    folder = stored(root)
    os.rename(folder.path / "cases/0001-recovers", folder.path / 'cases/"><b>&%2e%2e')
    os.rename(root / "mine", root / "x%2f..%2fy")
    report_store(root, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "store"]
    assert len(pages(tmp_path / "out")) == 3


def test_evidence_outside_the_check_is_no_link(tmp_path: Path) -> None:
    folder = stored(tmp_path, over=False)
    folder.finish(encode_results([result(MINE, "../../../../etc/passwd/plan.json", "javascript:alert(1)/plan.json")]))
    report_store(tmp_path)
    links = [link for page in pages(tmp_path / "report").values() for link in page.links]
    assert not any("passwd" in link or "script" in link for link in links)


def test_links_in_a_store_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("1970-01-01 00:16:40.000 UTC [1] LOG:  hunter2\n")
    root = tmp_path / "store"
    case = stored(root).path / "cases/0001-recovers"
    (case / "server.log").unlink()
    (case / "server.log").symlink_to(secret / "file")
    (root / "linked").symlink_to(secret)
    written = report_store(root)
    assert len(written.damaged) == 1
    assert "hunter2" not in "".join(page.text for page in pages(root / "report").values())
    (tmp_path / "else").mkdir()
    (root / "linked-report").symlink_to(tmp_path / "else")
    with pytest.raises(BadInput, match="is a link"):
        report_store(root, root / "linked-report")


def test_pipe_in_a_store_does_not_hang(tmp_path: Path) -> None:
    case = stored(tmp_path).path / "cases/0001-recovers"
    (case / "history.jsonl").unlink()
    os.mkfifo(case / "history.jsonl")
    assert len(report_store(tmp_path).damaged) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("plan.json", "{"),
        ("plan.json", '{"version": 99, "steps": [], "variant": {"name": "x"}}'),
        ("history.jsonl", "[" * 100_000),
        ("history.jsonl", '{"time": "soon"}\n'),
        ("verdicts.json", '{"findings": [{"promise": 1}]}'),
        ("census.json", "\xff"),
        ("run.json", "null"),
    ],
)
def test_broken_or_newer_case_costs_its_own_page_only(tmp_path: Path, file: str, text: str) -> None:
    folder = stored(tmp_path)
    (folder.path / "cases/0001-recovers" / file).write_text(text, encoding="latin-1")
    written = report_store(tmp_path)
    assert len(written.damaged) == 1
    found = pages(tmp_path / "report")
    assert "cannot be" in "".join(page.text for page in found.values())
    assert "✗ broken" in found["index.html"].text


def test_case_of_an_older_lab_is_drawn(tmp_path: Path) -> None:
    folder = stored(tmp_path, log="2026-01-01 00:00:00.000 UTC [1] LOG:  hello\n")
    run = folder.path / "cases/0001-recovers/run.json"
    values = json.loads(run.read_text())
    del values["began"]
    run.write_text(json.dumps(values))
    report_store(tmp_path)
    text = next(page.text for name, page in pages(tmp_path / "report").items() if "0001" in name)
    assert "older than the lab's note of the wall clock" in text
    assert "hello" in text


def test_secrets_are_in_no_page(tmp_path: Path) -> None:
    variant = Variant(name="mine", engine="my.engine", options={"password": "hunter2"}, settings={"API_KEY": "hunter2"})
    stored(tmp_path, variant, log="2026-01-01 00:00:00.000 UTC [1] STATEMENT:  INSERT INTO t VALUES ('hunter2')\n")
    report_store(tmp_path)
    for path in (tmp_path / "report").rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes(), path


@pytest.mark.parametrize("make", [lambda _: None, lambda root: root.mkdir(), lambda root: root.write_text("")])
def test_what_is_no_store_is_one_line(tmp_path: Path, make: Any) -> None:
    root = tmp_path / "store"
    make(root)
    with pytest.raises(BadInput, match="is no store"):
        report_store(root)


def test_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    stored(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable):
        report_store(tmp_path, tmp_path / "file" / "below")


def test_two_thousand_cases_are_indexed_without_their_histories(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    case = folder.path / "cases/0001-recovers"
    for number in range(2000):
        copy = folder.path / f"cases/{number:04d}-more"
        copy.mkdir()
        for name in ("plan.json", "verdicts.json"):
            os.link(case / name, copy / name)
    begun = time.process_time()
    page = index_page(open_shelf(tmp_path))
    assert "✗ broken" in page
    assert time.process_time() - begun < 5.0, "some hundred times what it takes"
