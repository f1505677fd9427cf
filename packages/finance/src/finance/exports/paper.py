"""Pages that a company sends: letters, tables, page numbers.

The fonts are in the file, and Bengali letters are joined as the script wants it (HarfBuzz). A letter that the fonts
do not have is told by its Unicode number, with a note: never an empty box that says nothing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import as_file, files
from typing import Final

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.fonts import FontFace

from finance.money import BASE, Money, decimals

LATIN, BENGALI = "Lato", "HindSiliguri"
"""Lato's figures are all of one width, as columns of them need; its letters are Latin, Greek and Cyrillic."""
FONTS: Final = {
    (LATIN, ""): files("fontpkg_lato") / "files" / "Lato-Regular.ttf",
    (LATIN, "B"): files("fontpkg_lato") / "files" / "Lato-Bold.ttf",
    (BENGALI, ""): files("fontpkg_hind_siliguri") / "files" / "HindSiliguri-Regular.ttf",
    (BENGALI, "B"): files("fontpkg_hind_siliguri") / "files" / "HindSiliguri-Bold.ttf",
}
JOINERS: Final = frozenset("\u200c\u200d")
"""They have no letter of their own, and say how others join."""
GREY: Final = 110
WIDTH_MM: Final = 174
TEXTS_MM: Final = 40
"""What texts of a table have at least."""
SIZES_PT: Final = (8.5, 8.0, 7.5, 7.0, 6.5, 6.0, 5.5)
SIDE_MM, TOP_MM, FOOT_MM = 18, 16, 22
UNPRINTABLE: Final = "Letters that this document's fonts do not have are told by their Unicode numbers."


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column of a table. `right` is for figures, and as wide as they are; texts share the rest by their parts."""

    title: str
    part: int = 0
    right: bool = False


@cache
def letters() -> frozenset[str]:
    """What the fonts can print in both of their styles."""
    has: dict[str, set[str]] = {"": set(), "B": set()}
    for (_, style), place in FONTS.items():
        with as_file(place) as path, TTFont(path, lazy=True) as font:
            has[style] |= {chr(one) for one in font.getBestCmap() if chr(one).isprintable()}
    return frozenset(has[""] & has["B"]) | JOINERS


def printable(text: str) -> str:
    """The text as it can be printed: blanks for what ends a line, numbers for letters that are not there."""
    known = letters()
    flat = re.sub(r"\s+", " ", text)
    return "".join(one if one in known else f"[U+{ord(one):04X}]" for one in flat)


def grouped(amount: Money) -> str:
    """An amount as people write it: taka in lakhs and crores (12,34,567.00; CLDR, bn), others in thousands."""
    places = decimals(amount.currency)
    digits = f"{abs(amount.minor):0{places + 1}d}"
    whole, rest = digits[:-places], digits[-places:]
    head, tail = whole[:-3], whole[-3:]
    step = 2 if amount.currency == BASE else 3
    groups = [head[max(end - step, 0) : end] for end in range(len(head), 0, -step)]
    sign = "-" if amount.minor < 0 else ""
    return f"{sign}{','.join([*reversed(groups), tail])}.{rest}"


def longest(place: int, field: Field, rows: Sequence[Sequence[str]]) -> list[str]:
    """The texts of a column that may be its widest: figures have one width, so those of the most letters are."""
    most = max((len(row[place]) for row in rows), default=0)
    return [*field.title.split(), *{row[place] for row in rows if len(row[place]) == most}][:20]


class Paper(FPDF):
    """A4 pages. `foot` stands at the foot of each, with its number and how many there are."""

    def __init__(self, *, title: str, author: str, creator: str, foot: str, made_at: datetime) -> None:
        super().__init__(format="A4")
        self._foot = printable(foot)
        self.odd = False
        for (family, style), place in FONTS.items():
            with as_file(place) as path:
                self.add_font(family, style, str(path))
        self.set_fallback_fonts([BENGALI], exact_match=False)
        self.set_title(title)
        self.set_author(author)
        self.set_creator(creator)
        self.set_creation_date(made_at.astimezone(UTC))
        self.set_margins(SIDE_MM, TOP_MM, SIDE_MM)
        self.set_auto_page_break(True, FOOT_MM)
        self.add_page()

    def footer(self) -> None:
        """What the library asks for at the end of each page."""
        self.set_text_shaping(
            use_shaping_engine=False
        )  # the number of pages is filled in later, and is not shaped
        self.set_y(-FOOT_MM + 8)
        self.set_font(LATIN, "", 7.5)
        self.set_text_color(GREY)
        self.cell(WIDTH_MM - 34, 4, self._foot)
        self.cell(34, 4, f"Page {self.page_no()} of {{nb}}", align="R")
        self.set_text_color(0)

    def told(self, text: str) -> str:
        """The text as it can be printed, remembering whether something could not."""
        shown = printable(text)
        self.odd = self.odd or "[U+" in shown
        self.set_text_shaping(use_shaping_engine=not shown.isascii())
        return shown

    def say(
        self, text: str, *, size: float = 9, bold: bool = False, right: bool = False, grey: bool = False
    ) -> None:
        """A line of its own, or more where it is long."""
        self.set_font(LATIN, "B" if bold else "", size)
        self.set_text_color(GREY if grey else 0)
        self.multi_cell(
            0, size * 0.5, self.told(text), align="R" if right else "L", new_x="LMARGIN", new_y="NEXT"
        )
        self.set_text_color(0)

    def beside(self, left: Iterable[tuple[str, bool]], right: Sequence[tuple[str, str]]) -> None:
        """A block of lines on the left (text, bold), named values on the right."""
        top = self.get_y()
        for text, bold in left:
            self.set_font(LATIN, "B" if bold else "", 9.5)
            self.multi_cell(WIDTH_MM * 0.55, 5, self.told(text), align="L", new_x="LMARGIN", new_y="NEXT")
        bottom = self.get_y()
        self.set_y(top)
        for name, value in right:
            self.set_x(SIDE_MM + WIDTH_MM * 0.55)
            self.set_font(LATIN, "", 9.5)
            self.set_text_color(GREY)
            self.cell(WIDTH_MM * 0.15, 5, self.told(name))
            self.set_text_color(0)
            self.set_font(LATIN, "B", 9.5)
            self.multi_cell(WIDTH_MM * 0.3, 5, self.told(value), align="R", new_x="LMARGIN", new_y="NEXT")
        self.set_y(max(bottom, self.get_y()) + 5)

    def grid(
        self, fields: Sequence[Field], rows: Sequence[Sequence[str]], *, bold: frozenset[int] = frozenset()
    ) -> None:
        """A table whose titles stand on every page; the rows of these numbers are bold."""
        shown = [[printable(cell) for cell in row] for row in rows]
        self.odd = self.odd or any("[U+" in cell for row in shown for cell in row)
        self.set_text_shaping(use_shaping_engine=not all(cell.isascii() for row in shown for cell in row))
        self.set_draw_color(200)
        with self.table(
            col_widths=self._widths(fields, shown),
            text_align=tuple("RIGHT" if one.right else "LEFT" for one in fields),
            borders_layout="HORIZONTAL_LINES",
            headings_style=FontFace(emphasis="BOLD", fill_color=(240, 242, 245)),
            line_height=4.6,
            padding=(1.1, 1.2),
            v_align="TOP",
        ) as table:
            table.row([one.title for one in fields])
            for number, row in enumerate(shown):
                table.row(row, style=FontFace(emphasis="BOLD") if number in bold else None)
        self.ln(3)

    def _widths(self, fields: Sequence[Field], rows: Sequence[Sequence[str]]) -> tuple[float, ...]:
        """Of each column, in mm; with letters small enough that no figure is broken over two lines."""
        for size in SIZES_PT:
            self.set_font(LATIN, "B", size)
            figures = [
                max(self.get_string_width(text) for text in longest(place, one, rows)) + 3.4
                if one.right
                else 0
                for place, one in enumerate(fields)
            ]
            left_mm = WIDTH_MM - sum(figures)
            if left_mm >= TEXTS_MM:
                break
        self.set_font(LATIN, "", size)
        parts = sum(one.part for one in fields if not one.right)
        return tuple(
            wide if one.right else max(left_mm, TEXTS_MM / 2) * one.part / parts
            for one, wide in zip(fields, figures, strict=True)
        )

    def sums(self, lines: Sequence[tuple[str, str, bool]]) -> None:
        """Totals on the right: a name, an amount, and whether it is bold. They stay together on a page."""
        if self.get_y() + 5.5 * len(lines) > self.h - FOOT_MM:
            self.add_page()
        for name, amount, bold in lines:
            self.set_font(LATIN, "B" if bold else "", 9.5)
            if bold:
                self.set_draw_color(120)
                self.set_x(SIDE_MM + WIDTH_MM * 0.5)
                self.cell(WIDTH_MM * 0.5, 0, "", border="T", new_x="LMARGIN", new_y="NEXT")
            self.set_x(SIDE_MM + WIDTH_MM * 0.5)
            self.cell(WIDTH_MM * 0.25, 5.5, self.told(name))
            self.cell(WIDTH_MM * 0.25, 5.5, amount, align="R", new_x="LMARGIN", new_y="NEXT")
        self.ln(4)

    def finished(self) -> bytes:
        """The whole document."""
        if self.odd:
            self.say(UNPRINTABLE, size=7.5, grey=True)
        return bytes(self.output())
