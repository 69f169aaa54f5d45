"""Characters of an invented alphabet: a class is a program of pen strokes, a drawing is one hand's rendering of it.

A stroke is a pen path of fixed speed, given by its heading, its length and how it turns on the way. Strokes hang on
earlier ones: end to end, at the middle, crossing, or apart. A hand perturbs all of these numbers, then slants, turns,
stretches and moves the whole. Ink is a function of the distance to the path, so a drawing is a pure function of the
program and a key. Units: the program's lengths are relative to each other, angles are radians, the image's are pixels.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .._typing import Key, Scalar

SIZE = 28
"""Rows and columns of a drawing."""
STROKES = 5
"""Most strokes of a character; the least is 2."""
SEGMENTS = 10
"""Straight pieces of a stroke's path."""
EDGE = 1.0
"""Pixels over which ink fades into paper."""
MOST_JITTER = 1.5
"""Above it a drawing could leave its frame."""

_PEN_SHAKES, _PAGE_SHAKES = 10, 7
SHAKES = STROKES * _PEN_SHAKES + _PAGE_SHAKES
"""Numbers that tell one drawing of a character from another."""
_COUNT_ODDS = (0.15, 0.4, 0.3, 0.15)
_KIND_ODDS = {"straight": 0.28, "arc": 0.28, "loop": 0.12, "wave": 0.10, "corner": 0.14, "hook": 0.08}
# Eighths of a full turn from one stroke to the next: never along the same line.
_BEARINGS = np.array([1, 2, 3, 5, 6, 7], np.float32)
# Where strokes meet: point of the earlier path, point of the later one.
_START, _MIDDLE, _END = 0, SEGMENTS // 2, SEGMENTS
_MEETINGS = np.array(
    [[_END, _START], [_START, _START], [_MIDDLE, _START], [_MIDDLE, _MIDDLE], [_END, _MIDDLE], [_END, _END]], np.int32
)


class StrokeProgram(eqx.Module):
    """One character, as commands to a pen; row `j` of every array is stroke `j`.

    Attributes:
        present: which strokes are written; the first always is.
        heading: mean direction of the pen; 0 points right, π/2 down.
        length: length of the path.
        turn: total turning, spread evenly over the path.
        wave: how far the heading swings out and back, which bends the path into an S.
        corner: turning at one point.
        corner_at: where on the path that point is, 0 … 1.
        on_first: whether the stroke hangs on the first stroke rather than on the one before it.
        parent_at: where on that stroke it hangs, as weights over the points of the path.
        own_at: by which of its own points it hangs, likewise.
        offset: x and y from that place to that point; 0 where the strokes meet.
    """

    present: Bool[Array, " strokes"]
    heading: Float[Array, " strokes"]
    length: Float[Array, " strokes"]
    turn: Float[Array, " strokes"]
    wave: Float[Array, " strokes"]
    corner: Float[Array, " strokes"]
    corner_at: Float[Array, " strokes"]
    on_first: Bool[Array, " strokes"]
    parent_at: Float[Array, "strokes points"]
    own_at: Float[Array, "strokes points"]
    offset: Float[Array, "strokes 2"]


def _pick(u: Float[Array, "..."], odds: Sequence[float]) -> Int[Array, "..."]:
    """Turns uniform numbers in [0, 1) into indices with the given odds."""
    below = jnp.cumsum(jnp.asarray(odds[:-1], jnp.float32))
    return jnp.sum(u[..., None] >= below.reshape((1,) * u.ndim + (-1,)), axis=-1)


def class_program(class_key: Key) -> StrokeProgram:
    """Draws the program of one class.

    Args:
        class_key: the class; equal keys give equal programs.

    Returns:
        A character of 2 to 5 strokes.
    """
    u = jax.random.uniform(class_key, (13, STROKES))
    count = 2 + _pick(u[0, 0], _COUNT_ODDS)
    kinds = _pick(u[1], tuple(_KIND_ODDS.values()))
    arc, loop, wave, corner, hook = (kinds == index for index in range(1, len(_KIND_ODDS)))
    side = jnp.where(u[2] < 0.5, -1.0, 1.0)
    turn = jnp.where(arc, 1.0 + 2.2 * u[3], jnp.where(hook, 0.4 + 0.9 * u[3], jnp.where(loop, 4.8 + 1.6 * u[3], 0.0)))
    length = 0.5 + 0.7 * u[4] + jnp.where(loop, 0.8, jnp.where(corner | wave, 0.3, 0.0))
    # Scripts prefer upright, level and diagonal pens.
    bearing = jnp.asarray(_BEARINGS)[(len(_BEARINGS) * u[5]).astype(jnp.int32)]
    bearing = jnp.cumsum(bearing.at[0].set(jnp.floor(8 * u[5, 0])))
    meeting = jnp.asarray(_MEETINGS)[(len(_MEETINGS) * u[6]).astype(jnp.int32)]
    apart = u[7] < 0.3
    meeting = jnp.where(apart[:, None], _MIDDLE, meeting)
    away = (0.35 + 0.4 * u[8])[:, None] * _direction(2 * np.pi * u[9])
    return StrokeProgram(
        present=jnp.arange(STROKES) < count,
        heading=bearing * (np.pi / 4) + 0.5 * (u[10] - 0.5),
        length=length,
        turn=side * turn,
        wave=side * jnp.where(wave, 1.2 + 0.8 * u[3], 0.0),
        corner=side * jnp.where(corner | hook, 1.3 + u[11], 0.0),
        corner_at=jnp.where(hook, 0.75, 0.3 + 0.4 * u[3]),
        on_first=u[12] < 0.4,
        parent_at=jax.nn.one_hot(meeting[:, 0], SEGMENTS + 1),
        own_at=jax.nn.one_hot(meeting[:, 1], SEGMENTS + 1),
        offset=jnp.where(apart[:, None], away, 0.0),
    )


def _direction(angle: Float[Array, "..."]) -> Float[Array, "... 2"]:
    """Unit vectors of angles."""
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def pen_paths(program: StrokeProgram, shake: Float[Array, "strokes 10"]) -> Float[Array, "strokes points 2"]:
    """Walks the pen along every stroke, as one hand does.

    Args:
        program: the character.
        shake: how the hand strays, ten numbers in [-jitter, jitter] for each stroke; 0 gives the program itself.

    Returns:
        Points of the paths, `SEGMENTS + 1` a stroke. A stroke that is not written repeats the first one.
    """
    u = (np.arange(SEGMENTS, dtype=np.float32) + 0.5)[None] / SEGMENTS
    heading = program.heading + 0.11 * shake[:, 0]
    length = program.length * (1.0 + 0.12 * shake[:, 1])
    turn = program.turn * (1.0 + 0.10 * shake[:, 2]) + 0.10 * shake[:, 3]
    corner = program.corner * (1.0 + 0.10 * shake[:, 4])
    wobble = shake[:, 5:8] @ jnp.cos(np.pi * np.arange(1, 4, dtype=np.float32)[:, None] * u)
    pen = (
        heading[:, None]
        + turn[:, None] * (u - 0.5)
        + program.wave[:, None] * jnp.cos(2 * np.pi * u)
        + corner[:, None] * jnp.where(u > program.corner_at[:, None], 0.5, -0.5)
        + 0.08 * wobble
    )
    steps = _direction(pen) * (length / SEGMENTS)[:, None, None]
    paths = jnp.pad(jnp.cumsum(steps, axis=1), ((0, 0), (1, 0), (0, 0)))
    offset = program.offset + 0.05 * shake[:, 8:10]

    placed = [paths[0]]
    for j in range(1, STROKES):  # a stroke hangs on earlier ones, so the chain has a fixed, short order
        parent = jnp.where(program.on_first[j], placed[0], placed[j - 1])
        path = paths[j] + (program.parent_at[j] @ parent - program.own_at[j] @ paths[j] + offset[j])[None]
        placed.append(jnp.where(program.present[j], path, placed[0]))
    return jnp.stack(placed)


def ink(paths: Float[Array, "strokes points 2"], radius: Scalar) -> Float[Array, "28 28"]:
    """Draws paths with a round pen whose edge is soft.

    Args:
        paths: points that the pen joins by straight lines, in pixels; x runs along columns, y along rows.
        radius: distance from the path at which ink has faded to a half, in pixels.

    Returns:
        Ink in [0, 1] at the centre of each pixel; exactly 0 from `radius + EDGE / 2` on.
    """
    x = jnp.tile(jnp.arange(SIZE, dtype=jnp.float32), SIZE)
    y = jnp.repeat(jnp.arange(SIZE, dtype=jnp.float32), SIZE)

    def distance_squared(path: Float[Array, "points 2"]) -> Float[Array, " pixels"]:
        along, middle = path[1:] - path[:-1], (path[1:] + path[:-1]) / 2
        length = jnp.sqrt(jnp.sum(along**2, axis=-1))
        # A pen that does not move leaves a dot: any direction will do.
        unit = jnp.where(length[:, None] > 0, along / jnp.maximum(length, 1e-12)[:, None], jnp.array([[1.0, 0.0]]))
        nearest = jnp.full(SIZE * SIZE, jnp.inf)
        # Unrolled, this is one fused loop over pixels: several times faster than a minimum over an axis of segments.
        for (ux, uy), (mx, my), half in zip(unit, middle, length / 2, strict=True):
            beside = ux * (y - my) - uy * (x - mx)
            beyond = jnp.maximum(jnp.abs(ux * (x - mx) + uy * (y - my)) - half, 0.0)
            nearest = jnp.minimum(nearest, beside**2 + beyond**2)
        return nearest

    distance = jnp.sqrt(jnp.min(jax.vmap(distance_squared)(paths), axis=0))
    return jnp.clip((radius - distance) / EDGE + 0.5, 0.0, 1.0).reshape(SIZE, SIZE)


def on_page(
    paths: Float[Array, "strokes points 2"], shake: Float[Array, " 6"], radius: Scalar
) -> Float[Array, "strokes points 2"]:
    """Turns, slants and stretches the paths, then fits them into the frame at a size and place of their own.

    Args:
        paths: points of each stroke, in the program's units.
        shake: numbers in [-jitter, jitter] for angle, shear, stretch, size, x and y.
        radius: of the pen, in pixels.

    Returns:
        The paths in pixels, all ink inside the frame.
    """
    angle, shear, stretch = 0.20 * shake[0], 0.14 * shake[1], 1.0 + 0.12 * shake[2]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.array([[cos, sin], [-sin, cos]])
    slant = jnp.array([[stretch, 0.0], [shear, 1.0 / stretch]])
    points = paths @ (slant @ turn)
    low, high = jnp.min(points, axis=(0, 1)), jnp.max(points, axis=(0, 1))
    middle, half = (low + high) / 2, (high - low) / 2
    room = (SIZE - 1) / 2 - radius - EDGE / 2
    scale = room * (0.8 + 0.12 * shake[3]) / jnp.max(half)
    free = room - scale * half
    place = (SIZE - 1) / 2 + jnp.clip(2.5 * shake[4:6], -free, free)
    return (points - middle[None, None]) * scale + place[None, None]


def draw(program: StrokeProgram, shake: Float[Array, " shakes"]) -> Float[Array, "28 28"]:
    """Draws a character as a hand that strays by `shake` does.

    Args:
        program: the character.
        shake: `SHAKES` numbers in [-jitter, jitter].

    Returns:
        The image, ink = 1 on paper = 0.
    """
    page, pen = shake[:_PAGE_SHAKES], shake[_PAGE_SHAKES:].reshape(STROKES, _PEN_SHAKES)
    radius = 1.0 + 0.3 * page[0]
    return ink(on_page(pen_paths(program, pen), page[1:], radius), radius)


def render(program: StrokeProgram, key: Key, *, jitter: float = 1.0) -> Float[Array, "28 28"]:
    """Draws a character once more.

    Args:
        program: the character.
        key: the drawing; equal keys give equal drawings.
        jitter: how far the hand strays, 0 … MOST_JITTER; 0 gives the same drawing for every key.

    Returns:
        The image, ink = 1 on paper = 0.
    """
    return draw(program, jitter * jax.random.uniform(key, (SHAKES,), minval=-1.0, maxval=1.0))
