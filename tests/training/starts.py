"""A program that trains in child processes, which may be killed; `tests/end_to_end/test_kill_resume.py` runs it.

It reads one line of JSON from standard input for each start of a run, forks a child that trains, and prints the child's
number and, when the child has ended, its exit code. Forking saves the imports; JAX itself starts in the child alone.
"""

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

import jax
from tests.training.toy import blobs, softmax

from fastslow.training.config import TrainingConfig
from fastslow.training.fingerprint import tree_digest
from fastslow.training.folder import RunFolder
from fastslow.training.loop import fit, run_to_end
from fastslow.training.parallel import cpu_devices
from fastslow.training.report import Report

CONFIG = TrainingConfig(
    steps=1200, batch=8, log_every=8, validate_every=400, validation_episodes=8, checkpoint_every=40
)


def start(folder: str, resume: bool, pace: float) -> None:
    """One start of a run.

    Args:
        folder: the run folder; beside it is written at which step each start began and what the run ended with.
        resume: whether to continue.
        pace: seconds to rest at each report.
    """

    def watch(report: Report) -> None:
        if not report.metrics:
            with Path(f"{folder}.began").open("a") as file:
                file.write(json.dumps({"step": report.step, "notices": report.notices}) + "\n")
        time.sleep(pace)

    with RunFolder(Path(folder), asdict(CONFIG), resume=resume) as opened:
        state = run_to_end(fit(softmax(), blobs(), CONFIG, validation=blobs(), folder=opened), watch)
    Path(f"{folder}.sha256").write_text(tree_digest(state))


def main() -> None:
    cpu_devices(2)
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_compilation_cache_dir", sys.argv[1])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                start(**json.loads(line))
                code = 0
            finally:
                os._exit(code)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
