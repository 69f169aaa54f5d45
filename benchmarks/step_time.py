"""Time of one training step of each preset: compiling it, running it, on one device and on all, one seed and three.

    python benchmarks/step_time.py [PRESET ...] [--steps 30] [--out benchmarks/step_time.jsonl]

Prints one JSON line a measurement and writes them to a file. Each measurement is a process of its own, because the
number of devices is fixed when JAX starts; threads are left to XLA and the cores the process may use are recorded.
Nothing else should run on the machine meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path


def measure(preset: str, devices: int, seeds: int, how: str, steps: int) -> dict[str, object]:
    """Compiles and times the update of a preset in this process."""
    from fastslow.training.parallel import cpu_devices

    cpu_devices(devices)
    import jax

    from fastslow.configs.presets import find_preset
    from fastslow.training.parallel import copy_to, episode_mesh
    from fastslow.training.provenance import environment
    from fastslow.training.state import initial_state
    from fastslow.training.update import compile_update

    config = find_preset(preset).config
    config = replace(config, training=replace(config.training, seeds=seeds, over_seeds=how))
    learner, tasks = config.build(), config.task.build()
    mesh, _ = episode_mesh(config.training.batch)
    update = compile_update(learner, tasks.train, config.training, mesh)
    state = copy_to(initial_state(learner, tasks.train, config.training), mesh)
    start = time.perf_counter()
    state, losses = update(state)
    losses.block_until_ready()
    compiled = time.perf_counter() - start
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        state, losses = update(state)
        jax.block_until_ready(losses)
        times.append(time.perf_counter() - start)
    times.sort()
    return {
        "preset": preset,
        "devices": mesh.size,
        "seeds": seeds,
        "over_seeds": how if seeds > 1 else None,
        "batch": config.training.batch,
        "compile_seconds": round(compiled, 2),
        "step_ms_median": round(1000 * times[len(times) // 2], 2),
        "step_ms_fastest": round(1000 * times[0], 2),
        "steps": steps,
        **environment(),
    }


PRESETS = (
    "main",
    "omniglot-5way-1shot",
    "omniglot-5way-5shot",
    "omniglot-20way-1shot",
    "omniglot-20way-5shot",
    "paper-5way-1shot",
)
CASES = ((1, 1, "unroll"), (0, 1, "unroll"))
SEEDS = ((0, 3, "unroll"), (0, 3, "vmap"))
"""Devices (0: one for each core), seeds, how seeds run side by side. Several seeds are timed for the first preset
named; beside them, three runs of one seed take three times that one's time."""


def main() -> int:
    """Runs every case of every preset named and writes the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if options.case:
        devices, seeds, how = int(options.case[0]), int(options.case[1]), options.case[2]
        print(json.dumps(measure(options.presets[0], devices or cores, seeds, how, options.steps)))
        return 0
    lines = []
    for preset in options.presets:
        for case in CASES + (SEEDS if preset == options.presets[0] else ()):
            command = [sys.executable, __file__, preset, "--steps", str(options.steps), "--case", *map(str, case)]
            line = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            print(line, flush=True)
            lines.append(line)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
