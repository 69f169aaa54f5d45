"""The front door, `fastslow.load`: it costs nothing until it is used."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fastslow.zoo.saved


def load(run_or_release: str | Path) -> "fastslow.zoo.saved.Saved":
    """Loads a trained model.

        model = fastslow.load("omniglot")
        adapted = model.learner.adapt(model.state(), Examples(images, labels), key=jax.random.key(0))
        log_probabilities = model.learner.predict(adapted, queries)

    Images are float32 `[items, 28, 28]` with ink = 1 (`fastslow.datasets.images.to_ink_28` brings others there), for a
    network on streams `[items, 20, 20]` (`to_thirds`, then `fastslow.tasks.omniglot_stream.as_shown`); labels int32
    `0 … way - 1`. For images of any kind and labels of any kind see `fastslow.estimators`.

    Args:
        run_or_release: name of a released model, or path of a run folder or of a release's folder.

    Returns:
        The model: its learner, the states of its seeds with the best parameters on validation classes, its
        configuration and its checksums.

    Raises:
        UserError: for an unknown name, a folder without a trained model, or a file that is damaged.
    """
    from .saved import load as load_saved

    return load_saved(run_or_release)
