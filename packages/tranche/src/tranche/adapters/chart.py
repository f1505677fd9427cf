"""Curves as an SVG file, by pygal: a small library of Python alone, which a browser shows as it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pygal
from pygal.style import CleanStyle

from tranche.ports import Fault

WIDTH: Final = 960
HEIGHT: Final = 480


class ChartFault(Fault):
    """The file could not be written."""


def draw(
    path: Path, curves: Mapping[str, Sequence[tuple[float, float]]], *, title: str, x: str, y: str
) -> None:
    """Write the curves, points of x and y by name, to an SVG file.

    Raises:
        ChartFault: the folder is not there, or is not ours to write to.
    """
    chart = pygal.XY(
        title=title,
        x_title=x,
        y_title=y,
        show_dots=False,
        width=WIDTH,
        height=HEIGHT,
        range=(0, 100),
        legend_at_bottom=True,
        legend_at_bottom_columns=1,
        truncate_legend=-1,
        style=CleanStyle(font_family="sans-serif", stroke_width=2),
        js=[],  # nothing to fetch: it is shown where there is no network, too
    )
    for name, points in curves.items():
        chart.add(name, list(points))
    try:
        path.write_bytes(chart.render())
    except OSError as error:
        raise ChartFault(
            f"the chart could not be written to {path}: {error.strerror}; give another file"
        ) from error
