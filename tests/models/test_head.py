import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference.rounding import rounding

from fastslow.models.head import Head
from fastslow.tasks.targets import Categorical, Gaussian, MultiCategorical

pytestmark = pytest.mark.usefixtures("double")

KEY = jax.random.key(0)
TARGETS = {"categorical": Categorical(4), "multi-categorical": MultiCategorical(2, 5), "gaussian": Gaussian()}
every_target = pytest.mark.parametrize("kind", TARGETS)


@every_target
def test_equation_8_is_a_dense_layer(kind: str) -> None:
    head, m = Head(3, TARGETS[kind], key=KEY), np.array([0.3, -1.0, 2.0])
    weight, bias = np.array(head.linear.weight), np.array(head.linear.bias)
    assert weight.shape == (TARGETS[kind].outputs, 3)
    expected = [bias[c] + sum(weight[c, j] * m[j] for j in range(3)) for c in range(len(bias))]
    np.testing.assert_allclose(head(jnp.asarray(m)), expected, rtol=0, atol=rounding(4, scale=4, precision=np.float64))


@every_target
def test_loss_and_scores_are_the_targets(kind: str) -> None:
    target = TARGETS[kind]
    head, outputs = Head(3, target, key=KEY), jnp.asarray(np.random.default_rng(0).normal(size=target.outputs))
    expected = jnp.asarray([0.7]) if kind == "gaussian" else target.labels()[3]
    assert head.nll(outputs, expected) == target.nll(outputs, expected)
    assert head.scores(outputs, expected) == target.scores(outputs, expected)


@every_target
def test_the_layer_alone_is_trained(kind: str) -> None:
    head = Head(3, TARGETS[kind], key=KEY)
    assert [leaf.shape for leaf in jax.tree.leaves(head)] == [(TARGETS[kind].outputs, 3), (TARGETS[kind].outputs,)]
