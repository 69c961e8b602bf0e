"""Splits: decided by content and seed, so that nothing that others do moves a photo from test to train."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from gaia.config.schema import Photos, Splits
from gaia.data import dataset, photos, splits

Bits = st.lists(st.integers(0, 2**12 - 1), min_size=1, max_size=40)  # few bits: near-duplicates and chains abound


def names(count: int) -> list[str]:
    return [f"{number * 7919 % 100_003:064x}" for number in range(count)]


def words(bits: list[int]) -> NDArray[np.uint64]:
    """Hashes of 256 bits; bit k stands in word k % 4."""
    hashes = np.zeros((len(bits), 4), dtype=np.uint64)
    for row, value in enumerate(bits):
        for k in range(12):
            hashes[row, k % 4] |= np.uint64((value >> k & 1) << (5 * k))
    return hashes


def groups_by_hand(bits: list[int], distance: int) -> list[set[int]]:
    groups: list[set[int]] = []
    for i, value in enumerate(bits):
        near = [g for g in groups if any((value ^ bits[j]).bit_count() <= distance for j in g)]
        groups = [g for g in groups if g not in near] + [{i}.union(*near)]
    return groups


def test_the_shares_are_those_asked_for_in_every_class() -> None:
    for label in ("a", "b"):
        found = [splits.split_of(f"{label}{i}", 1, 0.15, 0.25) for i in range(8000)]
        assert found.count("validation") / 8000 == pytest.approx(0.15, abs=0.015)
        assert found.count("test") / 8000 == pytest.approx(0.25, abs=0.015)
        assert set(found) == set(splits.SPLITS)


def test_the_split_depends_on_the_seed_and_on_no_machine() -> None:
    found = {seed: [splits.split_of(name, seed, 0.3, 0.3) for name in names(12)] for seed in (1, 2)}
    assert found[1] != found[2]
    assert "".join(split[1] for split in found[1]) == "arerrrereraa"  # [1]: t-r-ain, v-a-lidation, t-e-st


@given(st.text(), st.integers(0, 2**31), st.floats(0.01, 0.49), st.floats(0.01, 0.49), st.floats(0, 0.1))
def test_larger_shares_take_from_training_only(
    name: str, seed: int, validation: float, test: float, more: float
) -> None:
    before = splits.split_of(name, seed, validation, test)
    after = splits.split_of(name, seed, validation + more, test)
    assert after == before or (before, after) == ("train", "validation")


@given(Bits, st.integers(1, 4), st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_chains_of_near_duplicates_have_one_speaker_the_smallest_hash(
    bits: list[int], distance: int, block: int
) -> None:
    sha = names(len(bits))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "_BLOCK", block)  # so that chains cross the blocks
        found = splits.representatives(sha, words(bits), distance)
    expected = {i: min(sha[j] for j in group) for group in groups_by_hand(bits, distance) for i in group}
    assert found == [expected[i] for i in range(len(bits))]


@given(Bits, st.integers(0, 2**12 - 1), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_one_photo_more_moves_at_most_those_that_it_duplicates(
    bits: list[int], new: int, distance: int, random
) -> None:
    """The one limit of the design: what is linked to the new photo may get it as speaker, and so move; nothing else."""
    sha = names(len(bits) + 1)
    random.shuffle(sha)
    before = splits.representatives(sha[:-1], words(bits), distance)
    after = splits.representatives(sha, words([*bits, new]), distance)
    linked = next(group for group in groups_by_hand([*bits, new], distance) if len(bits) in group)
    moved = {i for i in range(len(bits)) if before[i] != after[i]}
    assert moved <= linked
    if linked == {len(bits)}:
        assert not moved


@given(Bits, st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_files_does_not_matter(bits: list[int], distance: int, random) -> None:
    sha, order = names(len(bits)), list(range(len(bits)))
    random.shuffle(order)
    found = splits.representatives(sha, words(bits), distance)
    shuffled = splits.representatives([sha[i] for i in order], words([bits[i] for i in order]), distance)
    assert shuffled == [found[i] for i in order]


def test_with_distance_0_or_without_hashes_contents_alone_count() -> None:
    sha = names(3)
    assert splits.representatives(sha, words([1, 1, 1]), 0) == sha
    assert splits.representatives(sha, None, 12) == sha
    assert splits.representatives([], words([]), 12) == []


GROUP = """
import resource
import numpy as np
from gaia.data.splits import representatives
random = np.random.default_rng(0).integers(0, 2**63, (10_000, 4), dtype=np.uint64)
alike = np.zeros((3_000, 4), dtype=np.uint64)
alike[:, 0] = np.arange(3_000)
representatives(["0"] * 9, random[:9], 12)
for hashes in (random, alike):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    representatives([f"{i:064x}" for i in range(len(hashes))], hashes, 12)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_grouping_takes_memory_for_the_photos_not_for_their_pairs() -> None:
    """All pairs of 10,000 hashes are 100 million; those of 3,000 photos that are all alike would take 144 MB."""
    out = subprocess.run([sys.executable, "-c", GROUP], capture_output=True, text=True, check=True).stdout
    assert max(map(float, out.split())) < 60


def blobs(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC)


def write_blobs(raw: Path) -> None:
    """Thirty different photos in each of two classes: a/00.png shows blobs(0), b/00.png blobs(100)."""
    for number, label in enumerate(("a", "b")):
        (raw / label).mkdir(parents=True)
        for i in range(30):
            blobs(100 * number + i).save(raw / label / f"{i:02d}.png")


def by_source(raw: Path, out: Path, seed: int = 1) -> dict[str, str]:
    config = Photos(
        kind="photos", image_size=32, classes=None, splits=Splits(validation=0.3, test=0.3), min_per_class=3,
        near_duplicates=32, framing="crop", max_quarantined=1.0, max_megapixels=10.0, min_side=8,
    )  # fmt: skip
    photos.prepare("line", raw, config, seed, None, out)
    return dict(dataset.load(out).table[["source", "split"]].to_numpy().tolist())


def test_photos_added_removed_renamed_or_relabelled_move_no_other(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_blobs(raw)
    before = by_source(raw, tmp_path / "out")
    (raw / "a" / "00.png").unlink()
    (raw / "a" / "01.png").rename(raw / "a" / "renamed.png")
    (raw / "a" / "02.png").rename(raw / "b" / "relabelled.png")
    for i in range(20):
        blobs(1000 + i).save(raw / "a" / f"!new{i}.png")
    after = by_source(raw, tmp_path / "out")
    assert after["a/renamed.png"] == before["a/01.png"]
    assert after["b/relabelled.png"] == before["a/02.png"]
    assert {s: split for s, split in before.items() if s in after} == {s: after[s] for s in before if s in after}
    assert by_source(raw, tmp_path / "out", seed=2) != after


def test_a_near_duplicate_joins_its_photo_and_moves_no_other(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_blobs(raw)
    before = by_source(raw, tmp_path / "out")
    for i in range(10):
        blobs(i).save(raw / "a" / f"{i:02d}-copy.jpg", quality=90)
    after = by_source(raw, tmp_path / "out")
    assert [after[f"a/{i:02d}.png"] for i in range(10)] == [after[f"a/{i:02d}-copy.jpg"] for i in range(10)]
    moved = {source for source in before if before[source] != after[source]}
    assert moved <= {f"a/{i:02d}.png" for i in range(10)}
    assert moved  # so it is: with a smaller hash, a copy speaks for its photo
