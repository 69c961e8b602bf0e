"""A threshold may be a rule: chosen on validation, a number in the contract, and no answer where there is none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edited import complaint, param
from gaia.config.compose import compose_lines
from gaia.config.schema import ThresholdRule
from gaia.config.stored import dump
from gaia.errors import GaiaError
from gaia.evaluation.thresholds import choose

RULES: list[dict[str, Any]] = [
    {"maximise": "f1"}, {"recall_at_precision": 0.5}, {"cost": {"missed": 10, "false_alarm": 1}},
]  # fmt: skip


def chosen(rule: dict[str, Any], truth: list[int], shares: list[float]) -> float:
    """The threshold for class 1, given what it is and how probable it was called."""
    positive = np.array(shares, dtype=np.float32)
    asked = ThresholdRule.model_validate(rule)
    return choose("line", asked, np.array(truth), np.stack([1 - positive, positive], axis=1), 1).value


def counts(at: float, truth: list[int], shares: list[float]) -> tuple[int, int, int]:
    """Found, missed and false alarms."""
    said, actual = np.array(shares, dtype=np.float32) >= at, np.array(truth) == 1
    return int((said & actual).sum()), int((~said & actual).sum()), int((said & ~actual).sum())


def worth(rule: dict[str, Any], found: int, missed: int, false: int) -> float:
    """The more, the better: what each rule says, written down once more."""
    if "cost" in rule:
        return -10 * missed - false
    if "maximise" in rule:
        return 2 * found / (2 * found + missed + false)
    return found if found and found / (found + false) >= rule["recall_at_precision"] else -math.inf


items = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 99)), min_size=2, max_size=30)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: next(iter(rule)))
@given(items=items)
def test_no_other_threshold_does_better_on_validation(rule: dict[str, Any], items: list[tuple[int, int]]) -> None:
    truth, shares = [t for t, _ in items], [p / 100 for _, p in items]
    others = np.arange(0.005, 1, 0.01)
    best = max(worth(rule, *counts(at, truth, shares)) for at in others) if len(set(truth)) > 1 else -math.inf
    if best == -math.inf:
        with pytest.raises(GaiaError, match="evaluation.threshold"):
            chosen(rule, truth, shares)
        return
    at = chosen(rule, truth, shares)
    assert 0 < at < 1
    assert worth(rule, *counts(at, truth, shares)) == pytest.approx(best)


def test_dear_misses_lower_the_threshold_and_dear_alarms_raise_it() -> None:
    truth, shares = [0, 1, 0, 1], [0.1, 0.3, 0.6, 0.9]
    dear = [chosen({"cost": {"missed": m, "false_alarm": f}}, truth, shares) for m, f in ((10, 1), (1, 10))]
    assert dear == [pytest.approx(0.2), pytest.approx(0.75)]


def test_of_equals_the_threshold_nearest_to_a_half_is_taken() -> None:
    assert chosen({"maximise": "f1"}, [0, 1], [0.2, 0.8]) == pytest.approx(0.5)


def test_a_precision_that_none_reaches_is_a_sentence_with_the_one_that_can_be_had() -> None:
    with pytest.raises(GaiaError) as caught:
        chosen({"recall_at_precision": 0.9}, [1, 0, 1], [0.2, 0.9, 0.8])
    [problem] = caught.value.problems
    assert problem.found == (
        "line: evaluation.threshold.recall_at_precision is 0.9, and no threshold reaches more than 0.667 on validation"
    )
    assert problem.mend == "ask for less, or set a number"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: next(iter(rule)))
def test_a_rule_is_composed_as_it_is_written(here: Path, rule: dict[str, Any]) -> None:
    param("cultures.evaluation.threshold", rule)
    composed = compose_lines()["cultures"]
    assert dump(composed)["evaluation"]["threshold"] == rule
    assert type(composed).model_validate(dump(composed)) == composed


def test_a_rule_may_stand_in_an_option_and_a_line_may_set_a_number_instead(here: Path) -> None:
    Path("conf/evaluation/wet.yaml").write_text("defaults:\n  - default\n\nthreshold: {maximise: f1}\n")
    param("cultures.evaluation", {"use": "wet", "positive": "contaminated"})
    assert dump(compose_lines()["cultures"])["evaluation"]["threshold"] == {"maximise": "f1"}
    param("cultures.evaluation.threshold", 0.3)
    assert compose_lines()["cultures"].evaluation.threshold == 0.3


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (1.5, "lines.cultures.evaluation.threshold is 1.5; it should be less than 1."),
        ({"maximize": "f1"}, "lines.cultures.evaluation.threshold.maximize is an unknown key"),
        ({"maximise": "recall"}, "evaluation.threshold.maximise is 'recall'; it should be 'f1'"),
        ({"cost": {"missed": 10}}, "evaluation.threshold.cost.false_alarm is missing; give it a value"),
        ({}, "lines.cultures.evaluation.threshold names no rule; give a number, or one of maximise, "),
        ({"maximise": "f1", "recall_at_precision": 0.9},
         "evaluation.threshold names maximise and recall_at_precision; give a number, or one of"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_a_sentence(here: Path, value: Any, sentence: str) -> None:
    param("cultures.evaluation.threshold", value)
    assert sentence in complaint()


def test_a_threshold_where_there_are_three_classes_is_refused_and_the_default_is_not(here: Path) -> None:
    param("cultures.data.classes", ["a", "b", "contaminated"])
    assert compose_lines()["cultures"].evaluation.threshold == 0.5
    for asked in (0.6, {"maximise": "f1"}):
        param("cultures.evaluation.threshold", asked)
        assert "lines.cultures.evaluation.threshold is set, and there are 3 classes; with more than two the most" in (
            complaint()
        )
    three = np.full((4, 3), 1 / 3)
    assert choose("line", 0.5, np.zeros(4), three, 0).value == 0.5
    with pytest.raises(GaiaError, match="there are 3 classes; with more than two the most probable is the answer"):
        choose("line", 0.6, np.zeros(4), three, 0)


def test_the_folders_of_a_photo_line_are_counted_as_classes_before_anything_is_prepared(here: Path) -> None:
    for name in ("dandelion", "grass", "moss"):
        Path("data/raw/demo_plants", name).mkdir(parents=True)
    compose_lines()
    param("plants.evaluation.threshold", 0.7)
    assert "lines.plants.evaluation.threshold is set, and there are 3 classes" in complaint()
