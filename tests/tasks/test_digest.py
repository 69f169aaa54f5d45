"""The checksum of a generator is the same on every processor, and another one for every other generator."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.reference import gaussian_process as twin

from fastslow.tasks import gaussian_process, glyphs
from fastslow.tasks.digest import DECIMALS, draws_digest, reference
from fastslow.tasks.gaussian_process import SCALES, GaussianProcessConfig
from fastslow.tasks.glyphs import SPLITS, GlyphsConfig, class_key, class_numbers
from fastslow.tasks.strokes import SHAKES, SIZE, class_program, draw

MARGIN = 1e-4
"""Least distance of a draw from a place where rounding changes."""
GENERATORS = {"glyphs": glyphs, "gaussian process": gaussian_process}


@pytest.fixture(params=GENERATORS)
def generator(request: pytest.FixtureRequest):
    return GENERATORS[request.param]


def drawn_again(generator) -> np.ndarray:
    """The reference draws, not those kept from before."""
    return reference(generator.reference_draws.__wrapped__)()


def test_no_draw_is_near_to_where_rounding_changes(generator) -> None:
    draws = generator.reference_draws()
    place = draws * 10**DECIMALS
    assert np.abs(place - np.floor(place) - 0.5).min() / 10**DECIMALS > MARGIN
    assert len(draws) >= 36
    assert len(set(np.round(draws, DECIMALS))) > len(draws) // 2  # they say enough to tell generators apart


def test_drawings_are_right_to_a_tenth_of_the_margin() -> None:
    """The same pens and shakes in double precision: what processors differ by is smaller still."""
    numbers = jnp.concatenate([class_numbers(split, jnp.uint32(glyphs._REFERENCE), 4) for split in SPLITS])
    programs = jax.jit(jax.vmap(lambda number: class_program(class_key(number))))(numbers)
    shake = lambda key: jax.random.uniform(key, (SHAKES,), minval=-1.0, maxval=1.0)
    shakes = jax.vmap(shake)(jax.random.split(jax.random.key(glyphs._REFERENCE), len(numbers)))
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # constants of the program are single
        widened = lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf
        images = np.asarray(jax.jit(jax.vmap(draw))(*jax.tree.map(widened, (programs, shakes))))
    found = []
    for image in images:
        ink = image.sum()
        rows, columns = (sum(place * image.take(place, axis).sum() for place in range(SIZE)) for axis in (0, 1))
        found.append([ink / SIZE**2, rows / ink, columns / ink])
    np.testing.assert_allclose(glyphs.reference_draws(), np.ravel(found), rtol=0, atol=MARGIN / 10)


def test_streams_are_right_to_a_tenth_of_the_margin() -> None:
    """The same inputs and white noise, times the textbook's factor in double precision."""
    found = []
    for dimensions, split in zip(SCALES, range(3), strict=True):
        config = GaussianProcessConfig(dimensions=dimensions, length=6)
        keys = jax.random.split(jax.random.fold_in(jax.random.key(gaussian_process._REFERENCE), split))
        uniform = np.asarray(jax.random.uniform(keys[0], (6, dimensions)), np.float64)
        white = np.asarray(jax.random.normal(keys[1], (6, 1)), np.float64)
        inputs = config.reach * (2 * uniform - 1)
        covariance = twin.covariance(inputs, inputs, config.variance, config.length_scale)
        factor = np.linalg.cholesky(covariance + config.jitter * np.eye(6))
        found += [inputs.ravel(), (factor @ white).ravel()]
    np.testing.assert_allclose(gaussian_process.reference_draws(), np.concatenate(found), rtol=0, atol=MARGIN / 10)


def test_draws_are_those_of_every_setting_of_jax(generator) -> None:
    usual = generator.reference_draws()
    with jax.enable_x64(True), jax.default_prng_impl("rbg"), jax.default_matmul_precision("bfloat16"):
        np.testing.assert_array_equal(drawn_again(generator), usual)


def test_another_generator_has_another_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [draws_digest(one.reference_draws(), ()) for one in GENERATORS.values()]
    monkeypatch.setattr(glyphs, "class_key", lambda number: jax.random.fold_in(jax.random.key(8), number))
    kernel = gaussian_process.kernel
    monkeypatch.setattr(gaussian_process, "kernel", lambda config, a, b: kernel(config, 1.01 * a, 1.01 * b))
    for one, digest in zip(GENERATORS.values(), before, strict=True):
        assert draws_digest(drawn_again(one), ()) != digest


def test_checksums_that_stand_in_result_files() -> None:
    """They were the same under SSE4.2, AVX2 and AVX-512; another value means other data, or another checksum."""
    assert GlyphsConfig().build().digest.startswith("bd6c07e8369e3c34")
    assert GaussianProcessConfig().build().digest.startswith("41cbb59b141ba0ad")


def test_settings_change_the_checksum_and_sizes_do_not() -> None:
    glyph = {GlyphsConfig(jitter=jitter).build().digest for jitter in (0.0, 0.5, 1.0, 1.5)}
    assert len(glyph) == 4
    assert GlyphsConfig(way=20, shot=3, queries=2).build().digest in glyph
    base = GaussianProcessConfig(dimensions=2, length=9)
    changes = [{"dimensions": 3}, {"scale": 1.0}, {"variance": 2.0}, {"jitter": 0.1}, {"reach": 1.0}]
    process = {replace(base, **change).build().digest for change in [{}, *changes]}
    assert len(process) == 6
    assert replace(base, length=5, scale=1.5).build().digest in process


def test_the_checksum_is_of_two_decimals_and_the_settings() -> None:
    one = draws_digest(np.array([0.1234, -0.001]), (1, "a"))
    assert len(bytes.fromhex(one)) == 32
    assert draws_digest(np.array([0.1249, 0.004]), (1, "a")) == one
    others = [([0.1251, 0.0], (1, "a")), ([0.12, 0.01], (1, "a")), ([0.12, 0.0], (2, "a")), ([0.12], (1, "a"))]
    assert one not in {draws_digest(np.array(draws), settings) for draws, settings in others}
