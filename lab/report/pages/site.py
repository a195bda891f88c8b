"""The pages of a store by their path, drawn when they are asked for: what is answered, without how it travels.

A path is compared with those of the pages that there are; no name of a file is ever made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.errors import BadInput
from lab.report.pages.page import case_page, check_page, index_page, nothing_page, table_page, unreadable_page
from lab.report.pages.render import INDEX, STYLE, style
from lab.report.pages.shelf import DAMAGED, CheckEntry, TableEntry, damage, open_shelf

HTML = "text/html; charset=utf-8"
CSS = "text/css; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """An HTTP status, a content type and a body."""

    status: int
    kind: str
    body: bytes


def answer(root: Path, path: str) -> Answer:
    """What `path` shows of the store; it begins with a slash and is quoted as in a URL. Never raises for the store."""
    if path == f"/{STYLE}":
        return Answer(200, CSS, style().encode())
    try:
        shelf = open_shelf(root)
    except BadInput as nothing:
        return _page(nothing_page(str(nothing))) if path in ("/", f"/{INDEX}") else _missing()
    wanted = path.removeprefix("/")
    if wanted in ("", INDEX):
        return _page(index_page(shelf, live=True))
    for entry in shelf.entries():
        if wanted == entry.page:
            return _page(_entry_page(entry))
        if wanted.startswith(f"{entry.place}/"):
            return _case(entry, wanted)
    return _missing()


def _entry_page(entry: CheckEntry | TableEntry) -> str:
    if isinstance(entry, CheckEntry):
        return check_page(entry, live=True)
    try:
        return table_page(entry)
    except DAMAGED as error:
        return unreadable_page(entry.folder.name, damage(error))


def _case(entry: CheckEntry | TableEntry, wanted: str) -> Answer:
    case = entry.case_at(wanted)
    if case is None:
        return _missing()
    try:
        return _page(case_page(case, entry))
    except DAMAGED as error:
        return _page(unreadable_page(case.name, damage(error)))


def _page(text: str) -> Answer:
    return Answer(200, HTML, text.encode(errors="replace"))


def _missing() -> Answer:
    return Answer(404, PLAIN, b"there is no such page\n")
