"""Which classes train, which choose the checkpoint, which are scored once: as data, never drawn at run time.

Names of classes are those of `Omniglot.names`. Validation classes are set aside within the training side, so a method
trained on train + validation together sees exactly the training side that is usually quoted.

| split                            | train | validation | test | what it is                                          |
| -------------------------------- | ----- | ---------- | ---- | --------------------------------------------------- |
| `omniglot_1200_423`              | 1,150 | 50         | 423  | classes 1–1200, 1201–1623 in the data set's order   |
| `omniglot_1200_423_random`       | 1,150 | 50         | 423  | a random draw of the same sizes                     |
| `omniglot_vinyals`               | 1,028 | 172        | 423  | the public lists known as the Vinyals split         |
| `omniglot_background_evaluation` | 914   | 50         | 659  | the data set's two folders, as its authors meant it |

**The Vinyals split.** Vinyals et al. 2016 give only the sizes 1,200/423. The lists that later work shares under this
name (with prototypical networks, and class by class in Torchmeta's `train.json`, `val.json`, `test.json`) are: test,
the last 423 classes in order, which is the test side of `omniglot_1200_423`; validation, the five alphabets Armenian,
Bengali, Early_Aramaic, Hebrew and Mkhedruli_(Georgian); train, all others. The file here is those lists without the
rotations. Alphabets are disjoint but for one: Gurmukhi has characters 1–41 in train and 42–45 in test.

`scripts/make_splits.py` makes the files; the draws are by stored seeds.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from .._checks import bad

_PACKAGE = "fastslow.datasets"


@dataclass(frozen=True)
class Split:
    """Names of classes on each side; the three share none.

    Attributes:
        name: of the split.
        train: classes that training sees.
        validation: classes on which a checkpoint is chosen.
        test: classes that are scored once.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @cached_property
    def sha256(self) -> str:
        """Checksum of the three lists."""
        return hashlib.sha256(json.dumps([self.train, self.validation, self.test]).encode()).hexdigest()


def split_names() -> tuple[str, ...]:
    """Names of the splits that ship with the package."""
    folder = files(_PACKAGE).joinpath("splits")
    return tuple(sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json")))


@cache
def load_split(name: str) -> Split:
    """Loads a split by name.

    Raises:
        UserError: for an unknown name, listing those that exist.
    """
    known = split_names()
    if name not in known:
        raise bad("split", got=name, expected=f"one of {', '.join(known)}")
    text = files(_PACKAGE).joinpath("splits", f"{name}.json").read_text(encoding="utf-8")
    return Split(name, **{side: tuple(classes) for side, classes in json.loads(text).items()})
