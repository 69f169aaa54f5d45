"""The digest of parameters depends on every bit, and on nothing else."""

import jax.numpy as jnp
import numpy as np

from fastslow.training.fingerprint import SCHEME, named_arrays, params_digest, tree_digest


def params() -> dict:
    return {"layer": {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}, "name": "x", "scale": np.float32([2])}


def test_equal_parameters_have_equal_digests() -> None:
    assert tree_digest(params()) == tree_digest(dict(reversed(params().items())))
    assert tree_digest(params()) == tree_digest({**params(), "layer": {"weight": jnp.arange(6.0).reshape(2, 3)}})
    assert len(tree_digest(params())) == 64


def test_a_bit_a_type_or_a_shape_changes_it() -> None:
    weight = params()["layer"]["weight"]
    flipped = weight.copy()
    flipped.view(np.uint32)[1, 2] ^= 1
    minus_zero = weight.copy()
    minus_zero[0, 0] = -0.0
    others = [{"weight": x} for x in (flipped, minus_zero, weight.reshape(3, 2), weight.view(np.int32))]
    sums = {tree_digest({**params(), "layer": layer}) for layer in others}
    assert len(sums | {tree_digest(params())}) == 5


def test_the_name_of_a_field_does_not_change_it() -> None:
    weight = params()["layer"]["weight"]
    assert tree_digest({**params(), "layer": {"weights": weight}}) == tree_digest(params())


def test_a_result_row_states_the_scheme() -> None:
    assert params_digest([params(), params()]) == {"scheme": SCHEME, "values": [tree_digest(params())] * 2}


def test_names_are_paths() -> None:
    assert list(named_arrays(params())) == ["layer.weight", "scale"]
