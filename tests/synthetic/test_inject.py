"""Injection: an identity that changes the cotangent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference.rounding import rounding

from fastslow.synthetic.inject import injection

OUTPUT, SYNTHETIC, COTANGENT = (
    jnp.asarray([1.0, -2.0, 0.1]),
    jnp.asarray([0.5, 0.0, 3.0]),
    jnp.asarray([7.0, 1.0, -1.0]),
)


@pytest.mark.parametrize("keep", [True, False])
def test_the_output_stays_as_it_is(keep: bool) -> None:
    assert (injection(keep)(OUTPUT, SYNTHETIC) == OUTPUT).all()


@pytest.mark.parametrize(("keep", "expected"), [(True, COTANGENT + SYNTHETIC), (False, SYNTHETIC)])
def test_the_cotangent_that_goes_on(keep: bool, expected: jax.Array) -> None:
    _, vjp = jax.vjp(injection(keep), OUTPUT, SYNTHETIC)
    to_output, to_synthetic = vjp(COTANGENT)
    assert (to_output == expected).all()
    assert (to_synthetic == 0).all()


def test_an_outer_loop_differentiates_the_injected_gradient() -> None:
    """The gradient at `w` is `s(w)` in place of `2 w`: its derivative by `w` is that of `s`, and finite."""
    perturb = injection(False)
    inner = lambda w, s: jnp.sum(perturb(w, s) ** 2)
    gradient = lambda w: jax.grad(inner)(w, jnp.sin(w))
    np.testing.assert_allclose(jax.jacobian(gradient)(OUTPUT), np.diag(np.cos(OUTPUT)), rtol=rounding(8))
