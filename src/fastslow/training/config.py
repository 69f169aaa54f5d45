"""How long and how often: the settings of one training run, and configurations as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from cattrs import ClassValidationError, transform_error
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.preconf.json import make_converter

from .._checks import UserError, bad, check_choice, check_positive

T = TypeVar("T")
OverSeeds = Literal["auto", "unroll", "vmap"]


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training loop, the same for every learner and task."""

    steps: int = 1000
    """Updates to make, counted from the start of the run. On `--resume` it may grow; a schedule over all updates then
    follows the larger number, so the run is not the one that had it from the start."""
    batch: int = 32
    """Episodes in one update."""
    seed: int = 0
    """First seed; a seed sets the initial parameters and all the episodes of one repetition."""
    seeds: int = 1
    """Repetitions: seeds `seed`, `seed + 1`, … are trained side by side."""
    log_every: int = 50
    """Updates between two reports; a report is the mean over the updates since the last multiple of this."""
    validate_every: int = 250
    """Updates between two validations, after which the best parameters so far are remembered."""
    validation_episodes: int = 200
    """Episodes of one validation, the same ones each time and for each seed."""
    validation_seed: int = 20201112
    """Seed of the validation episodes; not one that is trained with, nor that of the test episodes."""
    checkpoint_every: int = 250
    """Updates between two checkpoints; one more is written at the end and on an interrupt."""
    over_seeds: OverSeeds = "auto"
    """How seeds run side by side: `unroll` (one after another in one program), `vmap` (as one more axis), or `auto`:
    `unroll` on CPU, where convolutions under `vmap` over weights are several times slower, and `vmap` elsewhere."""

    def __post_init__(self) -> None:
        positive = ("steps", "batch", "seeds", "log_every", "validate_every", "validation_episodes", "checkpoint_every")
        for name in positive:
            check_positive(name, getattr(self, name))
        for name in ("seed", "validation_seed"):
            if getattr(self, name) < 0:
                raise bad(name, came=getattr(self, name), wanted="0 or more")
        check_choice("over_seeds", self.over_seeds, ("auto", "unroll", "vmap"))

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        """The seeds of the run."""
        return tuple(range(self.seed, self.seed + self.seeds))


def _exactly(kind: type) -> Any:
    """A reader that takes JSON values of one type as they are, where cattrs would convert `3.7` to 3."""
    accepted = (int, float) if kind is float else (kind,)

    def read(value: Any, _: Any) -> Any:
        if type(value) not in accepted:
            raise TypeError(f"got {value!r}, wanted {kind.__name__}")
        return kind(value)

    return read


_converter = make_converter(forbid_extra_keys=True)
for _kind in (bool, int, float, str):
    _converter.register_structure_hook(_kind, _exactly(_kind))


def to_json(config: Any) -> dict[str, Any]:
    """A configuration as plain values that `json.dumps` takes."""
    return _converter.unstructure(config)


def from_json(kind: type[T], data: Mapping[str, Any]) -> T:
    """Rebuilds a configuration from plain values; the inverse of `to_json`.

    Args:
        kind: dataclass of the configuration; its fields may be dataclasses again.
        data: what `to_json` gave.

    Returns:
        The configuration.

    Raises:
        UserError: where a field is unknown, missing, or holds a value of the wrong type; the field is named.
    """
    try:
        return _converter.structure(data, kind)
    except ClassValidationError as error:
        raise UserError(f"{kind.__name__}: {'; '.join(transform_error(error, format_exception=_reason))}.") from error


def _reason(error: BaseException, kind: Any) -> str:
    if isinstance(error, ForbiddenExtraKeysError):
        return f"unknown field {', '.join(sorted(map(repr, error.extra_fields)))}"
    if isinstance(error, KeyError):
        return f"field {error.args[0]!r} is missing"
    if get_origin(kind) is Literal:
        return f"wanted one of {', '.join(map(str, get_args(kind)))}"
    return str(error).removesuffix(".")
