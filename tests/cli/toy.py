"""The command line with a small task in place of generated characters, which take long to compile.

As a program it is `fastslow` with that task: `python toy.py train smoke …`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from fastslow.tasks.base import AbstractTask, Examples, FewShotEpisode, TaskSplits

PLACE = "fastslow.tasks.glyphs.GlyphsConfig.build"
"""What builds the task that is replaced."""
DATA = {"name": "bars", "split": "5 each", "digest": "0" * 64, "scheme": "draws-sha256"}


class Bars(AbstractTask):
    """Five classes, each a bar at its own height; a drawing has noise. A split starts its bars at another row."""

    first: int = eqx.field(static=True)

    def sample(self, key, step):
        noise = 0.1 * jax.random.uniform(key, (10, 28, 28))
        rows = self.first + 5 * jnp.arange(5)
        bars = (jnp.arange(28)[None] == rows[:, None]).astype(jnp.float32)
        images = jnp.concatenate([bars, bars])[:, :, None] * jnp.ones((1, 1, 28)) * 0.9 + noise
        labels = jnp.arange(5)
        return FewShotEpisode(Examples(images[:5], labels), Examples(images[5:], labels))


def bars():
    """Its three splits."""
    return TaskSplits(Bars(0), Bars(1), Bars(2), **DATA)


def put_in_place(replace):
    """Makes the task of generated characters the small one; `replace` sets a dotted name to a value."""
    replace(PLACE, lambda config: bars())


if __name__ == "__main__":
    import pkgutil
    import sys

    from fastslow.cli.main import main

    def replace(name, value):
        owner, _, attribute = name.rpartition(".")
        setattr(pkgutil.resolve_name(owner), attribute, value)

    put_in_place(replace)
    sys.exit(main())
