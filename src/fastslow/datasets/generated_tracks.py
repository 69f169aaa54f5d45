"""Paths of road users that do not exist: steady, starting, stopping and turning, at the speeds of walking and cycling.

Speed and heading are smooth functions of time, with slow random changes; a walker's path sways at its steps; measured
positions are some centimetres off. Paths come in scenes: each has its own share of cyclists and of each motion, its own
spread of headings and speeds, and its own errors of measurement. All ranges are ours, within what is known of people on
foot and on bicycles.
"""

import numpy as np
from jaxtyping import Float, Int

from .._checks import check_integer
from .tracks import RATE, Track, Tracks

MOTIONS = ("moving", "starting", "stopping", "turning left", "turning right")
COMMON = (4.0, 1.0, 1.0, 1.0, 1.0)
"""How common each motion is, as a Dirichlet distribution of a scene's shares."""
IN_SCENE = 40
"""Paths of a scene."""
MOST = 1_000_000
"""Most paths."""

SPEED, SPREAD, LEAST = np.array([1.4, 4.5]), np.array([0.3, 1.3]), np.array([0.6, 1.5])
"""m/s on foot and by bicycle: mean, standard deviation, and minimum."""
RAMP = np.array([[0.6, 1.8], [1.5, 4.0]])
"""Seconds from standing to that speed, or the reverse."""
TURN = np.array([[0.6, 2.5], [1.0, 3.0]])
"""Seconds that a turn takes."""
SWAY = np.array([0.05, 0.03])
"""Metres to either side with each step, at most."""
STEPS = (0.8, 1.1)
"""Sways a second."""
ANGLE = (np.pi / 6, np.pi / 1.6)
"""Radians of a turn."""
WANDER, UNEVEN, CORRELATED = (0.02, 0.2), (0.02, 0.2), 1.0
"""Standard deviations of a scene's headings, rad, and speeds, as a share; correlation time of both in seconds."""
JITTER, DRIFT, FAST = (0.0, 0.02), (0.0, 0.1), 0.4
"""Metres by which a scene's measured positions are off: each by itself, and slowly; correlation time of the latter in
seconds."""


def generated_tracks(
    count: int, agent: str = "generated", *, points: int = 100, seed: int = 0, rate: float = RATE
) -> Tracks:
    """Generates paths.

    Args:
        count: how many.
        agent: the kind of road user that they are said to be of.
        points: positions of each.
        seed: other seeds give other paths.
        rate: positions a second.

    Raises:
        UserError: a number out of its range.
    """
    check_integer("count", count, most=MOST, reason="all of them are held in memory at once")
    check_integer("points", points, least=2, most=MOST, reason="all of them are held in memory at once")
    check_integer("seed", seed, least=0, reason="seeds are not negative")
    rng = np.random.default_rng(seed)
    scene = np.arange(count) // IN_SCENE
    scenes = int(scene[-1]) + 1
    by_scene = lambda values: values[scene]
    kind = (rng.random(count) < by_scene(rng.uniform(-0.5, 1.5, scenes))).astype(np.int64)
    shares = np.cumsum(rng.dirichlet(COMMON, scenes), axis=1)
    motion = np.minimum(np.sum(rng.random(count)[:, None] > by_scene(shares), axis=1), len(MOTIONS) - 1)
    seconds = np.arange(points) / rate
    spread = [by_scene(rng.uniform(*limits, scenes))[:, None] for limits in (WANDER, UNEVEN, JITTER, DRIFT)]
    places = _paths(rng, kind, motion, seconds, *spread)
    return Tracks(
        "generated",
        "m",
        tuple(
            Track(f"generated {scene[n]}", str(n), agent, MOTIONS[motion[n]], seconds, places[n]) for n in range(count)
        ),
    )


def _paths(
    rng: np.random.Generator,
    kind: Int[np.ndarray, " paths"],
    motion: Int[np.ndarray, " paths"],
    seconds: Float[np.ndarray, " points"],
    wander: Float[np.ndarray, "paths 1"],
    uneven: Float[np.ndarray, "paths 1"],
    jitter: Float[np.ndarray, "paths 1"],
    drift: Float[np.ndarray, "paths 1"],
) -> Float[np.ndarray, "paths points 2"]:
    """Positions of road users: the integral of their velocity, their sway, and errors of measurement."""
    count, step = len(kind), seconds[1]
    one = lambda low, high: rng.uniform(low, high, count)[:, None]
    moment = one(0, seconds[-1])
    name = np.array(MOTIONS)[motion][:, None]
    ramp = _rise(seconds, moment, one(*RAMP[kind].T))
    share = np.select([name == "starting", name == "stopping"], [ramp, 1 - ramp], 1.0)
    mean = np.maximum(rng.normal(SPEED[kind], SPREAD[kind]), LEAST[kind])[:, None]
    speed = mean * share * (1 + uneven * _slow(rng, count, seconds))
    turned = one(*ANGLE) * _rise(seconds, moment, one(*TURN[kind].T))
    side = np.select([name == "turning left", name == "turning right"], [1, -1], 0)
    heading = one(-np.pi, np.pi) + side * turned + wander * _slow(rng, count, seconds)
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=2)
    aside = np.stack([-ahead[..., 1], ahead[..., 0]], axis=2)
    sway = share * one(0, SWAY[kind]) * np.sin(2 * np.pi * (one(*STEPS) * seconds + one(0, 1)))
    places = np.cumsum(speed[..., None] * ahead * step, axis=1) + sway[..., None] * aside
    off = np.stack([_slow(rng, count, seconds, FAST) for _ in range(2)], axis=2)
    return places + drift[..., None] * off + jitter[..., None] * rng.normal(size=places.shape)


def _rise(
    seconds: Float[np.ndarray, " points"], middle: Float[np.ndarray, "paths 1"], duration: Float[np.ndarray, "paths 1"]
) -> Float[np.ndarray, "paths points"]:
    """From 0 to 1, smoothly, within a duration around a moment."""
    share = np.clip((seconds - middle) / duration + 0.5, 0, 1)
    return share**2 * (3 - 2 * share)


def _slow(
    rng: np.random.Generator, count: int, seconds: Float[np.ndarray, " points"], alike: float = CORRELATED
) -> Float[np.ndarray, "paths points"]:
    """Random walks that are drawn back to zero: variance 1, correlated over some seconds."""
    keep = np.exp(-seconds[1] / alike)
    found = rng.normal(size=(count, len(seconds)))
    for i in range(1, len(seconds)):
        found[:, i] = keep * found[:, i - 1] + np.sqrt(1 - keep**2) * found[:, i]
    return found


__all__ = ["MOTIONS", "generated_tracks"]
