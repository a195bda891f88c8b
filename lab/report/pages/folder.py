"""A report as files: an index, a page for each check, for each stored case and for each exploration, one style sheet.

Nothing is written twice: a page that is younger than what it was drawn from stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from lab.errors import BadInput
from lab.report.pages.page import case_page, check_page, index_page, table_page, unreadable_page
from lab.report.pages.render import INDEX, STYLE, style
from lab.report.pages.shelf import DAMAGED, CaseEntry, CheckEntry, TableEntry, damage, lone_case, open_shelf
from lab.store import unwritable, write

FOLDER = "report"
"""What a store's own report is called, inside it."""


@dataclass
class Written:
    """What came of it: where to begin reading, how many pages were drawn, and what could not be read."""

    index: Path
    drawn: int = 0
    damaged: list[str] = field(default_factory=list)


def report_store(root: Path, out: Path | None = None) -> Written:
    """Write a store's report into `out`, its own folder by default. Raises BadInput, StoreUnwritable."""
    shelf = open_shelf(root)
    place = _Place(out or root / FOLDER)
    for entry in shelf.entries():
        if entry.damage:
            place.written.damaged.append(f"{entry.folder}: {entry.damage}")
        if place.has(entry):
            continue
        for case in entry.cases:
            place.case(case, entry)
        # Last: where it is there, the pages of its cases are.
        place.put(entry.page, check_page(entry) if isinstance(entry, CheckEntry) else _table(entry, place.written))
    place.put(INDEX, index_page(shelf))
    return place.written


def report_case(plan: Path, out: Path | None = None) -> Written:
    """Write the page of one stored plan, beside it by default. Raises BadInput, StoreUnwritable."""
    entry = lone_case(plan)
    place = _Place(out or entry.folder / FOLDER)
    try:
        place.put(INDEX, case_page(entry))
    except DAMAGED as error:
        raise BadInput(f"{entry.folder} cannot be drawn: {damage(error)}", "give a case that this lab stored") from None
    return place.written


class _Place:
    """The folder that a report goes to. Links in it are not followed: it may be inside a stranger's store."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.written = Written(out / INDEX)
        self._folder(out)
        self._fresh = self._restyle()

    def put(self, page: str, text: str) -> None:
        """Write a page whole."""
        path = self._path(page)
        write(path, text.encode(errors="replace"))
        self.written.drawn += 1

    def has(self, entry: CheckEntry | TableEntry) -> bool:
        """Whether a finished check's page is there and younger than its verdicts: then nothing of it has changed."""
        if not self._fresh or not isinstance(entry, CheckEntry) or entry.result is None:
            return False
        path = self._path(entry.page)
        return path.exists() and path.stat().st_mtime >= (entry.folder / "verdicts.json").stat().st_mtime

    def case(self, case: CaseEntry, entry: CheckEntry | TableEntry) -> None:
        """The page of a case, unless it is there and younger than the case."""
        path = self._path(case.page)
        if self._fresh and path.exists() and path.stat().st_mtime >= case.folder.stat().st_mtime:
            return
        try:
            text = case_page(case, entry)
        except DAMAGED as error:
            why = damage(error)
            self.written.damaged.append(f"{case.folder}: {why}")
            text = unreadable_page(case.name, why)
        self.put(case.page, text)

    def _path(self, page: str) -> Path:
        path = self._out.joinpath(*map(unquote, page.split("/")))
        self._folder(path.parent)
        return path

    def _folder(self, path: Path) -> None:
        if path.is_symlink():
            raise BadInput(f"{path} is a link", "remove it, or choose another folder with --out")
        with unwritable(path):
            path.mkdir(parents=True, exist_ok=True)

    def _restyle(self) -> bool:
        """Write the style sheet; whether the one that was there is the same: else older pages are of another lab."""
        path, now = self._out / STYLE, style().encode()
        if path.is_file() and not path.is_symlink() and path.read_bytes() == now:
            return True
        write(path, now)
        return False


def _table(entry: TableEntry, written: Written) -> str:
    try:
        return table_page(entry)
    except DAMAGED as error:
        written.damaged.append(f"{entry.folder}: {damage(error)}")
        return unreadable_page(entry.folder.name, damage(error))
