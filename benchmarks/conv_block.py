"""Three convolution blocks, forward and backward: the printed order of operations against ours, in one run.

    python benchmarks/conv_block.py [--images 160] [--repeats 12] [--out benchmarks/conv_block.jsonl]

One CPU device for each core, images shared among them. Nothing else should run on the machine meanwhile.
"""

import argparse
import json
import time
from pathlib import Path

from fastslow.training.parallel import cpu_devices

cpu_devices()

import jax
import jax.numpy as jnp

from fastslow.models.conv import EPSILON, ConvBlock
from fastslow.training.parallel import copy_to, episode_mesh, replicate, shard
from fastslow.training.provenance import environment


def convolve(block, x):
    """The convolution alone, every second pixel kept so that shapes stay those of a block."""
    x = jax.lax.conv_general_dilated(x, block.kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return x[:, : x.shape[1] // 2 * 2 : 2, : x.shape[2] // 2 * 2 : 2]


def printed(block, x):
    """Convolution, batch normalisation, ReLU, then a maximum over strided views."""
    x = jax.lax.conv_general_dilated(x, block.kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
    x = jax.nn.relu((x - mean) * (block.scale / jnp.sqrt(variance + EPSILON)) + block.shift)
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    top = jnp.maximum(x[:, ::2, ::2], x[:, ::2, 1::2])
    return jnp.maximum(top, jnp.maximum(x[:, 1::2, ::2], x[:, 1::2, 1::2]))


def ours(block, x):
    """The library's block."""
    return block(x, None)[0]


def measure(apply, images: int, repeats: int) -> float:
    """Median milliseconds of a forward and backward pass."""
    keys = jax.random.split(jax.random.key(0), 4)
    blocks = [ConvBlock(c, 64, key=k) for c, k in zip((1, 64, 64), keys, strict=False)]
    mesh, _ = episode_mesh(images)

    @jax.jit
    def step(blocks, x):
        def loss(blocks):
            y = shard(x, mesh)
            for block in blocks:
                y = apply(block, y)
            return jnp.mean(y**2)

        return replicate(jax.value_and_grad(loss)(blocks), mesh)

    blocks, x = copy_to((blocks, jax.random.normal(keys[3], (images, 28, 28, 1))), mesh)
    jax.block_until_ready(step(blocks, x))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(step(blocks, x))
        times.append(time.perf_counter() - start)
    return 1000 * sorted(times)[repeats // 2]


def main() -> None:
    """Measures each order and writes the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    options = parser.parse_args()
    lines = []
    for apply in (printed, ours, convolve):
        milliseconds = round(measure(apply, options.images, options.repeats), 1)
        row = {"order": apply.__name__, "images": options.images, "step_ms_median": milliseconds, **environment()}
        lines.append(json.dumps(row))
        print(lines[-1], flush=True)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
