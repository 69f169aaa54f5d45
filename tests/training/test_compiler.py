"""Options of the compiler: on CPUs, by what a task's episodes are; nothing where JAX compiles with least effort."""

import jax
import pytest
from tests.training.toy import blobs

from fastslow.tasks.gaussian_process import GaussianProcessConfig
from fastslow.training.compiler import EFFORT, NO_EMITTERS, compiler_options
from fastslow.training.parallel import episode_mesh


@pytest.fixture
def _usual_effort():
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.usefixtures("_usual_effort")
def test_sequences_keep_the_emitters_of_fused_loops():
    mesh, _ = episode_mesh(2)
    assert compiler_options(blobs(), mesh) == EFFORT | NO_EMITTERS
    assert compiler_options(GaussianProcessConfig().build().train, mesh) == EFFORT


@pytest.mark.usefixtures("_usual_effort")
def test_a_compiler_takes_the_options():
    mesh, _ = episode_mesh(1)
    double = jax.jit(lambda x: 2 * x, compiler_options=compiler_options(blobs(), mesh))
    assert double(3) == 6


def test_least_effort_is_left_alone():
    mesh, _ = episode_mesh(1)
    assert jax.config.read("jax_disable_most_optimizations")
    assert compiler_options(blobs(), mesh) is None
