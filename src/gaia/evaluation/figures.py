"""The report's figures as inline SVG whose colours are CSS variables, so that they follow the page's mode."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageOps

from gaia.evaluation.importance import GRID, cell
from gaia.evaluation.metrics import Array

# Matplotlib draws with stand-in colours; `svg` replaces them by variables of the page. Blue and orange
# differ for colour-blind people, and solid and dashed lines for those who print in black and white.
INK, MUTED, RULE, BLUE, ORANGE, PAPER = (f"#1a000{i}" for i in range(1, 7))
VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", BLUE: "blue", ORANGE: "orange", PAPER: "paper"}

STYLE = {
    "svg.fonttype": "none",  # text stays text: crisp, in the page's font, and found by searching
    "svg.hashsalt": "gaia",  # the same ids in every run
    "text.parse_math": False,  # a label may contain dollar signs
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "lines.dash_capstyle": "round",
}
TICKS = np.linspace(0, 1, 5)
SQUARE = (3.3, 3.1)  # of the plots whose axes both go from 0 to 1; the width has labels to hold


def learning(history: pd.DataFrame, kept_epoch: int, quantity: str, alt: str) -> Markup:
    """`quantity` ("loss" or "accuracy") of the train and validation set by epoch, the epoch in the artifact marked.

    A column that is absent or empty is not drawn; with neither column the figure is empty text.
    """
    epochs = history["epoch"]
    names = {"validation": (BLUE, "-"), "train": (ORANGE, (0, (3, 1.6)))}
    drawn = {name: history.get(f"{name}_{quantity}") for name in names}
    present = {name: values for name, values in drawn.items() if values is not None and values.notna().any()}
    if not present:
        return Markup("")
    with canvas((4.7, 2.9)) as (figure, axes):
        for name, values in present.items():
            colour, line = names[name]
            marker = "o" if len(history) == 1 else ""  # one point makes no line
            axes.plot(epochs, values, color=colour, linestyle=line, marker=marker, markersize=5, label=name)
        kept = epochs == kept_epoch
        if kept.any() and "validation" in present:
            axes.axvline(kept_epoch, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
            axes.plot(
                epochs[kept], present["validation"][kept], "o", color=BLUE, markersize=7,
                markeredgecolor=PAPER, markeredgewidth=1.5, label=f"in the artifact, epoch {kept_epoch}",
            )  # fmt: skip
        axes.set(xlabel="epoch", ylabel=quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.margins(x=0.02)
        if quantity == "loss":
            axes.set_ylim(bottom=0)
        else:
            axes.set_ylim(top=min(1.005, axes.get_ylim()[1]))
        figure.legend(loc="outside upper left", ncols=3, labelcolor=INK, borderaxespad=0)
        return svg(figure, f"learning-{quantity}", alt)


def roc(curve: pd.DataFrame, answer: tuple[float, float] | None, alt: str) -> Markup:
    """True against false positives (`curves.roc`); `answer` is the (fpr, tpr) of the answers given."""
    with canvas(SQUARE) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
        axes.text(0.6, 0.56, "guessing", color=MUTED, fontsize=8, rotation=45, rotation_mode="anchor", va="top")
        axes.fill_between(curve["fpr"], curve["tpr"], color=BLUE, alpha=0.12, linewidth=0)
        axes.plot(curve["fpr"], curve["tpr"], color=BLUE, clip_on=False)
        _unit_square(axes, "false positive rate", "true positive rate", answer)
        return svg(figure, "roc", alt)


def precision_recall(curve: pd.DataFrame, base: float | None, answer: tuple[float, float] | None, alt: str) -> Markup:
    """Precision against recall (`curves.precision_recall`); `base` is the share of positive items."""
    with canvas(SQUARE) as (figure, axes):
        if base is not None:
            axes.axhline(base, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
            axes.text(0.03, base - 0.02, "guessing", color=MUTED, fontsize=8, va="top")
        axes.fill_between(curve["recall"], curve["precision"], color=BLUE, alpha=0.12, linewidth=0)
        axes.plot(curve["recall"], curve["precision"], color=BLUE, clip_on=False)
        _unit_square(axes, "recall", "precision", answer)
        return svg(figure, "precision-recall", alt)


def calibration(table: pd.DataFrame, alt: str) -> Markup:
    """Accuracy against confidence (`curves.calibration`), a dot per bin, its area growing with the items."""
    with canvas(SQUARE) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
        axes.text(0.1, 0.14, "as sure as it should be", color=MUTED, fontsize=8, rotation=45, rotation_mode="anchor")
        axes.vlines(table["predicted"], table["predicted"], table["observed"], color=ORANGE, linewidth=1.6)
        area = 25 + 175 * table["n"] / table["n"].max()
        axes.scatter(
            table["predicted"], table["observed"], area, color=BLUE, edgecolor=PAPER, linewidth=1.2,
            clip_on=False, zorder=3,
        )  # fmt: skip
        _unit_square(axes, "confidence", "accuracy", None)
        return svg(figure, "calibration", alt)


def heat_map(importance: pd.DataFrame, photo: Array, alt: str) -> Markup:
    """The mean photo (uint8 [h, w, 3]) in grey, and over each cell of the grid its importance in orange."""
    values = dict(zip(importance["feature"], importance["importance"], strict=True))
    top = max(1e-9, *values.values())
    grey = ImageOps.autocontrast(Image.fromarray(photo).convert("L")).resize((320, 320), Image.Resampling.BICUBIC)
    dark = np.repeat(np.asarray(grey)[:, :, None] * 0.5, 3, axis=2).astype(np.uint8)  # white stays readable
    with canvas((3.6, 3.6), layout=None) as (figure, axes):
        axes.imshow(dark, extent=(0, GRID, GRID, 0), interpolation="none")
        for row in range(GRID):
            for column in range(GRID):
                value = values.get(cell(row, column), 0.0)
                heat = 0.8 * max(0.0, value / top)
                axes.fill_between([column, column + 1], row, row + 1, color="#d55e00", alpha=heat, linewidth=0)
                axes.text(column + 0.5, row + 0.5, f"{value:.3f}", color="#ffffff", ha="center", va="center")
        axes.vlines(range(1, GRID), 0, GRID, color="#ffffff", alpha=0.25, linewidth=0.6)
        axes.hlines(range(1, GRID), 0, GRID, color="#ffffff", alpha=0.25, linewidth=0.6)
        axes.set_axis_off()
        return svg(figure, "importance", alt)


@contextmanager
def canvas(
    size: tuple[float, float], layout: Literal["constrained"] | None = "constrained"
) -> Iterator[tuple[Figure, Axes]]:
    """A figure of `size` inches in the page's style, and its axes, to draw on and hand to `svg`."""
    # "default" first: a matplotlibrc on this machine must not change the report
    with style.context(["default", STYLE]):
        figure = Figure(figsize=size, layout=layout)
        yield figure, figure.subplots() if layout else figure.add_axes((0, 0, 1, 1))


def _unit_square(axes: Axes, x: str, y: str, answer: tuple[float, float] | None) -> None:
    if answer is not None:
        axes.plot(
            *answer,
            "o",
            color=ORANGE,
            markersize=8,
            markeredgecolor=PAPER,
            markeredgewidth=1.5,
            clip_on=False,
        )
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1), xticks=TICKS, yticks=TICKS, aspect="equal")
    axes.set_xticklabels(labels := [f"{100 * tick:.0f}\N{NARROW NO-BREAK SPACE}%" for tick in TICKS])
    axes.set_yticklabels(labels)


def svg(figure: Figure, name: str, alt: str) -> Markup:
    """The figure as inline SVG; `name` makes its ids the page's only ones, `alt` says what it shows."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = file.getvalue()
    text = text[text.index("<svg") :]  # the page has its own doctype
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)  # the page decides on the size
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)  # ids are unique in the page
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return Markup(text.replace("<svg", f'<svg class="figure" role="img" aria-label="{escape(alt)}"', 1))
