"""The figures of a search's page, in the style of a line's report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator
from optuna.distributions import BaseDistribution, CategoricalDistribution

from gaia.evaluation.figures import BLUE, INK, MUTED, ORANGE, PAPER, RULE, canvas, svg
from gaia.sweeps.space import Space

Trial = dict[str, Any]  # a trial of the search's document: see search.document


def progress(trials: list[Trial], best: Trial, metric: str, least: bool) -> Markup:
    """Each finished trial's value by its number, and the best so far."""
    done = [trial for trial in trials if trial["value"] is not None]
    with canvas((4.7, 2.9)) as (figure, axes):
        pick = min if least else max
        reached: list[float] = []
        for trial in done:
            reached.append(pick([trial["value"], *reached[-1:]]))
        numbers = [trial["number"] for trial in done]
        axes.step(numbers, reached, where="post", color=MUTED, linewidth=1)
        axes.scatter(numbers, [trial["value"] for trial in done], 22, color=BLUE, zorder=3)
        _mark(axes, best["number"], best["value"])
        axes.set(xlabel="trial", ylabel=f"{metric}, validation")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return svg(figure, "progress", f"{metric} of each finished trial; the best is trial {best['number']}.")


def curves(trials: list[Trial], best: Trial, metric: str) -> Markup:
    """The metric on the validation split by epoch, of all trials over each other; dotted: stopped early."""
    with canvas((4.7, 2.9)) as (figure, axes):
        for trial in trials:
            epochs, reached = [int(e) for e in trial["history"]], list(trial["history"].values())
            if not epochs or trial["number"] == best["number"] or trial["same_as"] is not None:
                continue
            stopped = trial["state"] == "stopped"
            axes.plot(
                epochs, reached, color=MUTED if stopped else BLUE, alpha=0.5, linewidth=1,
                linestyle=(0, (1, 1.5)) if stopped else "-", marker="o" if len(epochs) == 1 else "", markersize=3,
            )  # fmt: skip
        epochs = [int(e) for e in best["history"]]
        axes.plot(
            epochs, list(best["history"].values()), color=ORANGE, marker="o" if len(epochs) == 1 else "", markersize=5
        )  # fmt: skip
        axes.set(xlabel="epoch", ylabel=f"{metric}, validation")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.margins(x=0.02)
        return svg(figure, "curves", f"Learning curves of all trials; that of trial {best['number']} stands out.")


def parallel(trials: list[Trial], best: Trial, space: Space, metric: str) -> Markup:
    """Parallel coordinates: an axis for each setting that has a choice, the value last; a line for each trial."""
    done = [trial for trial in trials if trial["value"] is not None]
    scales = [(name, *_scale(kind)) for name, kind in space.items() if not kind.single()]
    reached = [trial["value"] for trial in done]
    low, high = min(reached), max(reached)
    span = high - low or 1.0
    scales.append(
        (metric, lambda value: (value - low) / span, [(low, f"{low:.3g}"), (high, f"{high:.3g}")][: 1 + (low < high)])
    )
    with canvas((9.6, 3.2)) as (figure, axes):
        axes.set_axis_off()
        for trial in trials:
            if trial["value"] is None:
                heights = [
                    place(trial["settings"][name]) for name, place, _ in scales[:-1] if name in trial["settings"]
                ]
                axes.plot(heights, color=MUTED, alpha=0.35, linewidth=1, linestyle=(0, (1, 1.5)))
        for trial in sorted(done, key=lambda trial: trial["number"] == best["number"]):
            point = {**trial["settings"], metric: trial["value"]}
            heights = [place(point[name]) for name, place, _ in scales]
            chosen = trial["number"] == best["number"]
            axes.plot(
                heights, color=ORANGE if chosen else BLUE, alpha=1 if chosen else 0.35, linewidth=2 if chosen else 1
            )
        for x, (name, place, ticks) in enumerate(scales):
            axes.vlines(x, 0, 1, color=RULE, linewidth=1.2)
            axes.text(x, 1.08, name, color=INK, ha="center", va="bottom")
            last = x == len(scales) - 1
            for value, text in ticks:
                axes.text(x + (0.03 if last else -0.03), place(value), text, color=MUTED, fontsize=8,
                          ha="left" if last else "right", va="center",
                          bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.8})  # fmt: skip
        axes.set(xlim=(-0.35, len(scales) - 0.65), ylim=(-0.06, 1.16))
        return svg(figure, "parallel", f"Settings of each trial and its {metric}; trial {best['number']} stands out.")


def _scale(kind: BaseDistribution) -> tuple[Callable[[Any], float], list[tuple[Any, str]]]:
    """Where a value stands on its axis, 0..1, and the values that are named there."""
    if isinstance(kind, CategoricalDistribution):
        places = [(choice, i / (len(kind.choices) - 1)) for i, choice in enumerate(kind.choices)]
        return (
            lambda value: next(at for choice, at in places if choice == value and type(choice) is type(value)),
            [(choice, "null" if choice is None else str(choice)) for choice in kind.choices],
        )
    low, high, log = kind.low, kind.high, kind.log  # type: ignore[attr-defined]
    bent: Callable[[float], float] = math.log if log else float
    middle = math.sqrt(low * high) if log else (low + high) / 2
    return (
        lambda value: (bent(value) - bent(low)) / (bent(high) - bent(low)),
        [(low, f"{low:.3g}"), (middle, f"{middle:.3g}"), (high, f"{high:.3g}")],
    )


def _mark(axes: Any, x: float, y: float) -> None:
    axes.plot(x, y, "o", color=ORANGE, markersize=8, markeredgecolor=PAPER, markeredgewidth=1.5, zorder=4)
