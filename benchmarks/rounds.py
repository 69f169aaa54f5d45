"""Ways of doing the same, each in a process of its own, that take their turn in rounds."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def timed(step: Callable[[], object], steps: int) -> dict[str, Any]:
    """Seconds of the first call, and milliseconds of each after the second."""
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start))
    return {"first_seconds": round(first, 2), "times": times}


def pooled(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """One line of all rounds of a way: the median and the fastest of all its steps, and each round's median."""
    each = [sorted(one.pop("times")) for one in rounds]
    times = sorted(chain(*each))
    return rounds[0] | {
        "rounds": len(rounds),
        "step_ms_median": round(statistics.median(times), 2),
        "step_ms_fastest": round(times[0], 2),
        "step_ms_medians": [round(statistics.median(one), 2) for one in each],
    }


def run(
    file: str, doc: str | None, ways: tuple[str, ...], measure: Callable[[str, int], dict[str, Any]], steps: int
) -> int:
    """Runs every way, one after the other in each round, and writes a line for each.

    Args:
        file: the benchmark's own.
        doc: what it says of itself.
        ways: their names.
        measure: times one of them in this process, by its name and a number of steps.
        steps: how many by default.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(file).with_suffix(".jsonl"))
    parser.add_argument("--way", choices=ways, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps({"way": options.way, "cores": cores(), **measure(options.way, options.steps)}))
        return 0
    load = round(os.getloadavg()[0], 2)
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way in ways:
            command = [sys.executable, file, "--way", way, "--steps", str(options.steps)]
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[way].append(json.loads(told.strip().splitlines()[-1]))
    lines = [json.dumps(pooled(each) | {"load": load}) for each in found.values()]
    print("\n".join(lines))
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0
