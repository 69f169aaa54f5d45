"""The checksum of parameters sees every bit, and nothing else."""

import jax.numpy as jnp
import numpy as np

from fastslow.training.fingerprint import named_arrays, params_sha256


def params() -> dict:
    return {"layer": {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}, "name": "x", "scale": np.float32([2])}


def test_equal_parameters_have_equal_checksums() -> None:
    assert params_sha256(params()) == params_sha256(dict(reversed(params().items())))
    assert params_sha256(params()) == params_sha256({**params(), "layer": {"weight": jnp.arange(6.0).reshape(2, 3)}})
    assert len(params_sha256(params())) == 64


def test_a_bit_a_type_a_shape_or_a_name_changes_it() -> None:
    weight = params()["layer"]["weight"]
    flipped = weight.copy()
    flipped.view(np.uint32)[1, 2] ^= 1
    minus_zero = weight.copy()
    minus_zero[0, 0] = -0.0
    others = [{"weight": x} for x in (flipped, minus_zero, weight.reshape(3, 2), weight.view(np.int32))]
    others.append({"weights": weight})
    sums = {params_sha256({**params(), "layer": layer}) for layer in others}
    assert len(sums | {params_sha256(params())}) == 6


def test_names_are_paths() -> None:
    assert list(named_arrays(params())) == ["layer.weight", "scale"]
