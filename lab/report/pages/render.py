"""Templates that escape whatever they are given, and the one style sheet."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lab.records.result import PromiseResult
from lab.records.verdict import Verdict
from lab.report.pages import words
from lab.report.terminal import headline, ran_on, sentence
from lab.report.verdict_mark import MARKS, mark, moment_mark

INDEX = "index.html"
STYLE = "report.css"


@cache
def environment() -> Environment:
    """The templates, with what all of them may use."""
    made = Environment(
        loader=PackageLoader("lab", "report/pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(breaks=_breaks, shown=words.shown, ms=words.milliseconds, headline=headline, sentence=sentence)
    made.filters.update(ran_on=ran_on)
    made.globals.update(mark=mark, moment_mark=moment_mark, legend=MARKS, css=_css, letter_css=_letter_css)
    made.globals.update(broken=Verdict.BROKEN, where=_where)
    return made


def style() -> str:
    """The style sheet that all pages share."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), STYLE)[0]


def render(template: str, **context: Any) -> str:
    """A page. `up` is the way from it to the index, `live` whether a browser shall ask for it again."""
    return environment().get_template(template).render(style=STYLE, index=INDEX, **context)


def _css(word: str) -> str:
    """The class of a mark's word."""
    return {"n/a": "na"}.get(word, word)


def _breaks(name: str) -> Markup:
    """A name that may be broken after each underscore."""
    return Markup("_<wbr>").join(escape(part) for part in name.split("_"))


def _where(promise: PromiseResult) -> list[str]:
    """The moments at which a promise is broken, or unknown where that is the worst; [] where it is neither."""
    if promise.verdict not in (Verdict.BROKEN, Verdict.UNKNOWN):
        return []
    return [moment for moment, verdict in promise.moments.items() if verdict is promise.verdict]


def _letter_css(letter: str) -> str:
    """The class of a cell of a strip."""
    calm = {".": "calm", "e": "calm-error", "?": "calm-doubt", "-": "void"}
    return calm.get(letter) or f"cut{ord(letter[:1] or 'A') % 6}"
