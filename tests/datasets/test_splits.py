"""Splits are data: exact sizes, no class on two sides, and the script makes the very same files."""

import json
from collections import Counter
from contextlib import ExitStack
from itertools import combinations

import pytest

from fastslow._checks import UserError
from fastslow.datasets import omniglot
from fastslow.datasets.splits import load_split, split_names

SIZES = {
    "omniglot_1200_423": (1150, 50, 423),
    "omniglot_1200_423_random": (1150, 50, 423),
    "omniglot_background_evaluation": (914, 50, 659),
    "omniglot_vinyals": (1028, 172, 423),
}


def all_names() -> list[str]:
    """The 1,623 classes in the data set's order, from the split files alone."""
    split = load_split("omniglot_1200_423")
    return sorted({*split.train, *split.validation, *split.test}, key=lambda name: name.split("/"))


def alphabets(names: tuple[str, ...]) -> set[str]:
    return {name.rpartition("/")[0] for name in names}


def test_the_splits_that_ship():
    assert dict.fromkeys(split_names()) == dict.fromkeys(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_and_no_class_on_two_sides(name):
    split = load_split(name)
    sides = (split.train, split.validation, split.test)
    assert tuple(len(side) for side in sides) == SIZES[name]
    for one, other in combinations(sides, 2):
        assert not set(one) & set(other)
    assert sorted(set().union(*sides)) == sorted(all_names())  # with the sizes: nothing twice, nothing left out
    order = {name: place for place, name in enumerate(all_names())}
    for side in sides:
        assert [order[name] for name in side] == sorted(order[name] for name in side)


def test_first_1200_classes_train():
    split, names = load_split("omniglot_1200_423"), all_names()
    assert len(names) == 1623
    assert {*split.train, *split.validation} == set(names[:1200])
    assert split.test == tuple(names[1200:])


def test_the_random_draw_is_another_one():
    split = load_split("omniglot_1200_423_random")
    first = set(all_names()[:1200])
    kept = len(first & set(split.test))
    assert 250 < kept < 370  # 313 expected of a fair draw, with a standard deviation of 8
    assert len(alphabets(split.test)) == 50


def test_background_and_evaluation():
    split = load_split("omniglot_background_evaluation")
    assert {name.split("/")[0] for name in split.train + split.validation} == {"images_background"}
    assert {name.split("/")[0] for name in split.test} == {"images_evaluation"}


def test_the_vinyals_lists():
    split = load_split("omniglot_vinyals")
    counts = Counter(name.split("/")[1] for name in split.validation)
    assert counts == {"Armenian": 41, "Bengali": 46, "Early_Aramaic": 22, "Hebrew": 22, "Mkhedruli_(Georgian)": 41}
    assert split.test == load_split("omniglot_1200_423").test
    assert not alphabets(split.validation) & alphabets(split.train + split.test)
    assert alphabets(split.train) & alphabets(split.test) == {"images_evaluation/Gurmukhi"}
    shared = [name.split("/")[2] for name in split.test if "/Gurmukhi/" in name]
    assert shared == ["character42", "character43", "character44", "character45"]


def test_the_script_makes_the_very_same_files(root):
    from scripts.make_splits import FOLDER, build

    texts = build(all_names())
    assert set(texts) == set(SIZES)
    for name, text in texts.items():
        assert (root / "src" / "fastslow" / "datasets" / "splits" / f"{name}.json").read_bytes() == text.encode()
        assert list(json.loads(text)) == ["train", "validation", "test"]
    assert root / "src" / "fastslow" / "datasets" / "splits" == FOLDER


def test_names_are_those_of_the_real_data(real_data):
    if not (real_data / "omniglot").is_dir() and not (real_data / "images_background.zip").is_file():
        pytest.skip(f"no Omniglot in {real_data}")
    with ExitStack() as stack:
        archives = omniglot._open(stack, real_data, omniglot.OFFICIAL)
        listed = [omniglot._classes(*pair) for pair in zip(archives, omniglot.OFFICIAL, strict=True)]
    names = [drawings[0].rpartition("/")[0] for part in listed for _, drawings in part]
    assert names == all_names()


def test_checksum_tells_splits_apart():
    sums = {load_split(name).sha256 for name in SIZES}
    assert len(sums) == len(SIZES)
    assert load_split("omniglot_vinyals").sha256 in sums
    assert all(len(value) == 64 for value in sums)


@pytest.mark.parametrize("name", ["omniglot", "../omniglot_vinyals", ""])
def test_an_unknown_name_lists_those_there_are(name):
    with pytest.raises(UserError, match=r"omniglot_1200_423, omniglot_1200_423_random, .*omniglot_vinyals") as error:
        load_split(name)
    assert repr(name) in str(error.value)
