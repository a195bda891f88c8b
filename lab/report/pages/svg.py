"""Shapes as SVG: real text, no script, no style of its own. What a class looks like says report.css, light and dark.

Every picture of the report is drawn here. A picture has a title and a description, which is what is read out where it
cannot be seen. Lengths are CSS pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

from markupsafe import Markup

GLYPH = 7.3
"""Width of a letter of the pictures' text at its size of 12 px, of the widest font in use (DejaVu Sans Mono: 7.22)."""


class Drawing:
    """A picture that grows; `markup()` is all of it. `name` makes its identifiers unique on the page."""

    def __init__(self, name: str, title: str, description: str, width: float = 0.0) -> None:
        self.width = width
        self.height = 0.0
        self._name = name
        self._title = title
        self._description = description
        self._parts: list[str] = []
        self._links = False
        self._hatched = False

    def grow(self, right: float, bottom: float) -> None:
        """Make room as far as that."""
        self.width, self.height = max(self.width, right), max(self.height, bottom)

    def rect(self, x: float, y: float, width: float, height: float, css: str, *, radius: float = 3) -> None:
        """A rectangle."""
        rx = f' rx="{radius:g}"' if radius else ""
        size = f'width="{max(width, 1):g}" height="{max(height, 1):g}"'
        self._add(f'<rect x="{x:g}" y="{y:g}" {size}{rx} class="{css}"', "rect")
        self.grow(x + width, y + height)

    def hatch(self, x: float, y: float, width: float, height: float) -> None:
        """Stripes over a rectangle."""
        self._hatched = True
        self._add(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{max(height, 1):g}" fill="url(#{self._name}-hatch)"',
            "rect",
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str, *, arrow: bool = False) -> None:
        """A line; with `arrow` its end has a head."""
        self._add(f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" class="{css}"', "path")
        if arrow:
            back = 6 if x2 > x1 else -6
            self._add(f'<path d="M{x2:g} {y2:g}l{-back:g} -4v8z" class="{css} head"', "path")
        self.grow(max(x1, x2), max(y1, y2))

    def path(self, points: list[tuple[float, float]], css: str) -> None:
        """A line through all of them."""
        self._add(f'<path d="M{" L".join(f"{x:g} {y:g}" for x, y in points)}" class="{css}"', "path")
        for x, y in points:
            self.grow(x, y)

    def dot(self, x: float, y: float, css: str, radius: float = 3.5) -> None:
        """A filled circle."""
        self._add(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{css}"', "circle")

    def text(
        self, x: float, y: float, text: str, css: str = "", *, anchor: str = "start", room: float = 0.0, tip: str = ""
    ) -> None:
        """A text with its base line at `y`; `room` is its width at most, what does not fit becomes its tip."""
        short = fit(text, room) if room else text
        at = "" if anchor == "start" else f' text-anchor="{anchor}"'
        hint = tip or (text if short != text else "")
        kind = f' class="{css}"' if css else ""
        self._add(f'<text x="{x:g}" y="{y:g}"{at}{kind}', "text", hint, short)
        width = len(short) * GLYPH
        self.grow(x + (width if anchor == "start" else width / 2 if anchor == "middle" else 0), y + 4)

    @contextmanager
    def link(self, href: str, label: str) -> Iterator[None]:
        """What is drawn inside leads there; `href` is one of the report's own, quoted already."""
        self._links = True
        self._parts.append(f'<a href="{escape(href)}" aria-label="{escape(label)}">')
        yield
        self._parts.append("</a>")

    def markup(self) -> Markup:
        """The picture, to be set into a page."""
        title, about = f"{self._name}-title", f"{self._name}-about"
        role = "group" if self._links else "img"  # what an image holds cannot be reached by keyboard
        width, height = round(self.width + 2), round(self.height + 8)
        return Markup(  # noqa: S704 - every text went through escape()
            f'<svg xmlns="http://www.w3.org/2000/svg" role="{role}" aria-labelledby="{title} {about}" '
            f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
            f'<title id="{title}">{escape(self._title)}</title><desc id="{about}">{escape(self._description)}</desc>'
            f"{self._pattern() if self._hatched else ''}{''.join(self._parts)}</svg>"
        )

    def _pattern(self) -> str:
        return (
            f'<defs><pattern id="{self._name}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><path d="M0 0V6" class="hatch"/></pattern></defs>'
        )

    def _add(self, head: str, name: str, tip: str = "", text: str = "") -> None:
        inside = (f"<title>{escape(tip)}</title>" if tip else "") + escape(text)
        self._parts.append(f"{head}>{inside}</{name}>" if inside else f"{head}/>")


def fit(text: str, room: float) -> str:
    """As much of the text as has room, with an ellipsis where some is missing."""
    letters = max(int(room / GLYPH), 2)
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"
