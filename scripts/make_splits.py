"""Makes the split files of `fastslow.datasets.splits` from the names of Omniglot's classes.

    python scripts/make_splits.py [FOLDER WITH OMNIGLOT]

Draws order the names by a hash of seed and name, so they come out alike on every machine and version.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fastslow.datasets.omniglot import load_omniglot

FOLDER = Path(__file__).parents[1] / "src" / "fastslow" / "datasets" / "splits"
TRAIN, VALIDATION = 1200, 50
SEED_RANDOM, SEED_VALIDATION = 20200, 20201
VINYALS_VALIDATION = ("Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)")


def draw(names: Sequence[str], count: int, seed: int) -> set[str]:
    """`count` of the names, by seed."""
    return set(sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())[:count])


def arrange(names: Sequence[str], train_side: set[str], validation: set[str]) -> str:
    """The JSON text of a split, each side in the data set's order."""
    sides = {
        "train": [name for name in names if name in train_side - validation],
        "validation": [name for name in names if name in validation],
        "test": [name for name in names if name not in train_side],
    }
    return json.dumps(sides, indent=0) + "\n"


def build(names: Sequence[str]) -> dict[str, str]:
    """Text of every split file, by the split's name.

    Args:
        names: all 1,623 classes in the data set's order.
    """
    first = set(names[:TRAIN])
    drawn = draw(names, TRAIN, SEED_RANDOM)
    background = {name for name in names if name.startswith("images_background/")}
    by_alphabet = {name for name in first if name.split("/")[1] in VINYALS_VALIDATION}
    return {
        "omniglot_1200_423": arrange(names, first, draw(names[:TRAIN], VALIDATION, SEED_VALIDATION)),
        "omniglot_1200_423_random": arrange(names, drawn, draw(sorted(drawn), VALIDATION, SEED_VALIDATION)),
        "omniglot_vinyals": arrange(names, first, by_alphabet),
        "omniglot_background_evaluation": arrange(
            names, background, draw(sorted(background), VALIDATION, SEED_VALIDATION)
        ),
    }


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else None
    for name, text in build(load_omniglot(path).names).items():
        (FOLDER / f"{name}.json").write_bytes(text.encode())
        print(FOLDER / f"{name}.json")


if __name__ == "__main__":
    main()
