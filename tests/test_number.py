"""The number follows from what changed: the weightiest reason decides, and every reason is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaia.errors import GaiaError
from gaia.registry.tags import Version
from gaia.versions import number
from gaia.versions.number import BUMPS, Change, Facts

FEATURES = [
    {"name": "species", "column": "species", "type": "category", "categories": ["oyster", "shiitake"]},
    {"name": "days", "column": "days_since", "type": "number"},
]
CO2 = {"name": "co2", "column": "co2_ppm", "type": "number"}
THRESHOLD = {"model": {"_target_": "torchvision.models.resnet18"}, "evaluation": {"threshold": 0.6}}
ARCHITECTURE = {"model": {"_target_": "torchvision.models.resnet50"}, "evaluation": {"threshold": 0.5}}
WEIGHTS = "data/raw/weights/x.safetensors"
FACTS = Facts(
    labels=["healthy", "contaminated"],
    input={"kind": "photo", "size": 64, "crop": "centred square"},
    data={"data/raw/own": "abc.dir", WEIGHTS: "def"},
    settings={"model": {"_target_": "torchvision.models.resnet18"}, "evaluation": {"threshold": 0.5}},
    code={"src/gaia/frameworks/loop.py": "1", "src/gaia/data": "2.dir"},
    packages={"numpy": "2.4.6", "torch": "2.15.0"},
)
TABLE = FACTS._replace(input={"kind": "table", "features": FEATURES})


def features(**changes: Any) -> dict[str, Any]:
    """The table's input, the first feature changed."""
    return {"kind": "table", "features": [{**FEATURES[0], **changes}, FEATURES[1]]}


STEPS = [
    (FACTS, {"labels": ["contaminated", "healthy"]}, "major", "labels: healthy, contaminated -> contaminated, healthy"),
    (FACTS, {"labels": ["healthy", "contaminated", "dry"]}, "major", "labels:"),
    (FACTS, {"input": {"kind": "photo", "size": 80, "crop": "centred square"}}, "major", "input: size: 64 -> 80"),
    (FACTS, {"input": {"kind": "photo", "size": 64, "crop": "none"}}, "major", "input: crop: centred square -> none"),
    (TABLE, {"input": features(column="race")}, "major", "input: species.column: species -> race"),
    (TABLE, {"input": {"kind": "table", "features": FEATURES[:1]}}, "major", "input: days is gone"),
    (TABLE, {"input": {"kind": "table", "features": [*FEATURES, CO2]}}, "major", "input: co2 is new"),
    (TABLE, {"input": features(categories=["oyster"])}, "major", "input: species no longer takes: shiitake"),
    (TABLE, {"input": features(order=["small", "large"])}, "major", 'input: species.order: ["small", "large"] is new'),
    (FACTS, {"data": FACTS.data | {"data/raw/own": "other.dir"}}, "minor", "data: data/raw/own changed"),
    (FACTS, {"data": FACTS.data | {WEIGHTS: "other"}}, "minor", f"data: {WEIGHTS} changed"),
    (FACTS, {"data": FACTS.data | {"data/raw/lookup.csv": "1"}}, "minor", "data: data/raw/lookup.csv is new"),
    (FACTS, {"data": {WEIGHTS: "def"}}, "minor", "data: data/raw/own is gone"),
    (FACTS, {"settings": THRESHOLD}, "minor", "evaluation.threshold: 0.5 -> 0.6"),
    (FACTS, {"settings": ARCHITECTURE}, "minor", "model._target_:"),
    (FACTS, {"code": {**FACTS.code, "src/gaia/data": "3.dir"}}, "patch", "code: src/gaia/data"),
    (FACTS, {"packages": {**FACTS.packages, "numpy": "2.5.0"}}, "patch", "packages: numpy: 2.4.6 -> 2.5.0"),
    (FACTS, {"packages": {"numpy": "2.4.6"}}, "patch", "packages: torch: 2.15.0 is gone"),
    (FACTS, {}, "patch", "trained once more from the same inputs"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "changed", "bump", "why"), STEPS)
def test_each_kind_of_change_has_its_step_and_its_reason(old: Facts, changed: dict, bump: str, why: str) -> None:
    found = number.change(old, old._replace(**changed))
    assert found.bump == bump
    assert len(found.why) == 1
    assert found.why[0].startswith(why)


def test_a_category_more_is_no_other_way_of_asking() -> None:
    more = TABLE._replace(
        input=features(categories=["enoki", "oyster", "shiitake"]), data=TABLE.data | {"data/raw/own": "more.dir"}
    )
    assert number.change(TABLE, more) == Change("minor", ["data: data/raw/own changed"])
    assert number.change(more, TABLE).bump == "major"


def test_the_same_data_in_another_place_are_no_other_data() -> None:
    moved = {"data/raw/renamed": "abc.dir", WEIGHTS: "def"}
    assert number.change(FACTS, FACTS._replace(data=moved)).bump == "patch"
    swapped = {"data/raw/own": "def", WEIGHTS: "abc.dir"}
    assert number.other_data(FACTS.data, swapped) == ["data/raw/own changed", f"{WEIGHTS} changed"]


@given(st.sets(st.sampled_from(range(len(STEPS) - 1))))
def test_the_weightiest_reason_decides_and_none_is_left_out(chosen: set[int]) -> None:
    steps = [STEPS[i] for i in chosen if STEPS[i][0] is FACTS]
    new = FACTS
    for _, changed, _, _ in steps:
        new = new._replace(**changed)
    found = number.change(FACTS, new)
    kinds = {key for _, changed, _, _ in steps for key in changed}
    weight = {"labels": "major", "input": "major", "data": "minor", "settings": "minor"}
    assert found.bump == max((weight.get(k, "patch") for k in kinds), key=BUMPS.index, default="patch")
    assert len(found.why) >= max(1, len(kinds))


VERSION = st.builds(Version, st.just("plants"), *[st.integers(0, 999_999)] * 3)


@given(VERSION, st.sampled_from(BUMPS))
def test_the_next_number_is_larger_and_resets_what_is_below(newest: Version, bump: Any) -> None:
    following = number.following(newest, bump)
    assert following > newest
    assert following.line == newest.line
    place = 3 - BUMPS.index(bump)
    assert following[place] == newest[place] + 1
    assert following[1:place] == newest[1:place]
    assert set(following[place + 1 :]) <= {0}


@given(st.sampled_from(BUMPS), st.sampled_from([None, *BUMPS]))
def test_a_larger_step_may_be_asked_for_never_a_smaller_one(bump: Any, asked: Any) -> None:
    found = Change(bump, ["a reason"])
    if asked and BUMPS.index(asked) < BUMPS.index(bump):
        with pytest.raises(GaiaError, match=f"this is a {bump} step \\(a reason\\)"):
            number.widened(found, asked)
        return
    wider = number.widened(found, asked)
    assert wider.bump == (asked or bump)
    assert wider.why[-1] == "a reason"
