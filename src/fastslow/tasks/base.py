"""What a task is: a pure function from a random key to an episode of fixed shape, and what it says of itself."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int, Num

from .._checks import bad
from .._typing import Key
from ..metrics import Metric
from .targets import AbstractTarget

Episode = TypeVar("Episode")
EpisodeKind = Literal["few-shot", "sequence"]


class Examples(eqx.Module):
    """Labelled examples, in the order in which they are shown.

    Attributes:
        inputs: images in [0, 1] with ink = 1, or vectors; one row an example.
        labels: class of each example, `0 … way - 1`, or the numbers to predict, one row an example.
    """

    inputs: Num[Array, "items ..."]
    labels: Num[Array, "items ..."]


class FewShotEpisode(eqx.Module):
    """One N-way S-shot task: a labelled support set and queries of the same classes.

    Attributes:
        support: labelled examples.
        query: examples to name, or to predict.
        classes: the number of the class under each label, among all those of the split; `None` where they have none.
        groups: the number of a group that each query belongs to, such as a motion class; `None` where there are none.
    """

    support: Examples
    query: Examples
    classes: Int[Array, " way"] | None = None
    groups: Int[Array, " query"] | None = None


class Inputs(eqx.Module):
    """All that a network is shown, step by step.

    Attributes:
        x: `x_t`: images in [0, 1] with ink = 1, vectors, or class numbers of tokens.
        label: what it is shown beside `x_t`, such as the previous target `y_{t-1}`; no columns where that is nothing.
    """

    x: Num[Array, "time ..."]
    label: Float[Array, "time label"]


class SequenceEpisode(eqx.Module):
    """One sequence of inputs with a target for each.

    Attributes:
        inputs: what the network is shown.
        targets: `y_t`, what the head is to predict: one-hot rows, class numbers, or real numbers.
        mask: the loss mask: true at the steps that are learned from and measured.
        axis_index: where each step stands on the task's labelled axis (`TaskSpec.axis`), such as how many inputs of its
            class have been shown, this one included.
    """

    inputs: Inputs
    targets: Num[Array, "time ..."]
    mask: Bool[Array, " time"]
    axis_index: Int[Array, " time"]


@dataclass(frozen=True)
class TaskSpec:
    """What a model, a learner and a result need to know of a task; it is known before any data is loaded.

    Attributes:
        kind: the task's name, for messages.
        episode: what its episodes are.
        shape: of one input `x_t`; empty for a token.
        target: the distribution of its targets.
        label: numbers that a network is shown beside each input.
        metrics: what its episodes are measured by, in the order of a table.
        tokens: size of the vocabulary where inputs are class numbers of tokens.
        padded: whether training episodes may end in padding.
        train_way: classes of a training episode, where they are others than `label`.
        train_classes: all classes that training episodes draw from, where these are numbered.
    """

    kind: str
    episode: EpisodeKind
    shape: tuple[int, ...]
    target: AbstractTarget
    label: int
    metrics: tuple[Metric, ...]
    tokens: int | None = None
    padded: bool = False
    train_way: int | None = None
    train_classes: int | None = None

    @property
    def monitor(self) -> Metric:
        """The metric by which the best parameters are chosen."""
        return self.target.monitor

    @property
    def chance(self) -> float | None:
        """What guessing gives; None where guessing has no meaning."""
        return self.target.chance

    def require(self, episode: EpisodeKind, learner: str, *, any_way: bool = False) -> None:
        """Refuses a learner of other episodes than the task's.

        Args:
            episode: what the learner learns from.
            learner: its name.
            any_way: whether it serves any number of classes.

        Raises:
            UserError: naming the learner and the task.
        """
        if self.train_way is not None and not any_way:
            expected = f"none for learner {learner}, which is bound to one number of classes"
            raise bad("train_way", got=self.train_way, expected=expected)
        if self.episode != episode:
            raise bad("learner", got=learner, expected=f"one for {self.episode} episodes, which task {self.kind} has")
        if any_way and self.chance is None:
            raise bad("learner", got=learner, expected=f"one that predicts numbers, as task {self.kind} has no classes")


class AbstractTask(eqx.Module, Generic[Episode]):
    """Draws episodes. Arrays it needs (a data set) are fields, so that it travels through `jit` as an argument.

    Attributes:
        sequential: whether its episodes are sequences, through which networks go step by step.
    """

    sequential: ClassVar[bool] = False

    @abstractmethod
    def sample(self, key: Key, step: Int[Array, ""]) -> Episode:
        """Draws one episode, on the device, inside the compiled step.

        Args:
            key: randomness of this episode alone.
            step: number of the update it is drawn for; serves curricula and rare batches.
        """

    def size(self) -> int | None:
        """How many episodes there are; None where they are drawn without end."""
        return None

    def at(self, index: Int[Array, ""]) -> Episode:
        """The episode of a number, where there is a finite number of them.

        Raises:
            UserError: the task draws its episodes.
        """
        raise bad("at", got=index, expected=f"a task of finite data; {type(self).__name__} draws its episodes")


@dataclass(frozen=True)
class AbstractTaskConfig(ABC):
    """The settings of a task: a frozen dataclass with a field `kind`, its name."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The settings of a member; `kind` is its name."""

    @property
    @abstractmethod
    def spec(self) -> TaskSpec:
        """What is known of the task before its data are loaded."""

    @abstractmethod
    def build(self) -> "TaskSplits":
        """Loads the data and builds the three tasks.

        Raises:
            UserError: data that cannot be found, or settings that do not fit each other.
        """


@dataclass(frozen=True, eq=False)
class TaskSplits:
    """Three tasks that share no class, and what names their data in a result file.

    Attributes:
        train: episodes that parameters are trained on.
        validation: episodes that a checkpoint or a setting is chosen by.
        test: episodes that are reported.
        name: the data set, as in `glyphs` or `omniglot`.
        split: which split of its classes this is.
        digest: hexadecimal SHA-256 of its content: of the arrays, or of fixed draws of its generator.
        scheme: how the digest is taken.
    """

    train: AbstractTask
    validation: AbstractTask
    test: AbstractTask
    name: str
    split: str
    digest: str
    scheme: str

    @property
    def data(self) -> Mapping[str, str]:
        """The `data` entry of a result row."""
        return {"name": self.name, "split": self.split, "digest": self.digest, "scheme": self.scheme}
