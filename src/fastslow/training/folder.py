"""The run folder: who may use it, what was run in it, and on what machine."""

import contextlib
import json
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from filelock import FileLock, Timeout

from .. import __version__
from .._checks import Described, UserError, bad
from .files import parse_json, replace_text, writing
from .metrics import read_metrics

GROWING = ("steps", "training.steps")
"""Fields of a configuration that may be larger on `--resume`."""


class RunFolder:
    """A folder that one process at a time trains in. Use it in a `with` statement, which holds its lock.

    Attributes:
        path: the folder.
        resuming: whether a run in it is continued.
        notices: sentences for the user, gathered while it was opened.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], *, resume: bool = False, grow: bool = True) -> None:
        """Takes the folder for a run. A run that is in it is checked, and nothing of it is changed before `record`.

        Args:
            path: the folder; made where there is none.
            config: configuration of the whole run, as `to_json` gives it.
            resume: whether to continue the run that is in it.
            grow: whether it may then become longer than it was planned.

        Raises:
            UserError: where the folder cannot be written, is in use by another process, holds something and `resume`
                is false, holds a run with another configuration, or a file that cannot be read.
        """
        self.path = path
        self.resuming = False
        self.notices: list[str] = []
        self._config = config
        if not (path / ".lock").exists():
            self._check_use(resume)  # before anything is left in a folder that is refused
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / ".lock", timeout=0)
            try:
                self._lock.acquire()
            except Timeout:
                raise UserError(
                    f"{path}: in use by another process; wait for it to end, or choose another --out."
                ) from None
        try:
            self._check(resume, grow)
        except BaseException:
            self.close()
            raise

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    def _check_use(self, resume: bool) -> bool:
        """Whether the folder is in use by a run, and may be."""
        with writing(self.path):
            used = self.path.exists() and any(path.name != ".lock" for path in self.path.iterdir())
        if used and not resume:
            raise UserError(
                f"{self.path}: holds a run or other files; add --resume to continue the run, or choose another --out."
            )
        if used and not self.config.is_file():
            raise UserError(f"{self.path}: holds files but no config.json, so no run to resume; choose another --out.")
        return used

    def _check(self, resume: bool, grow: bool) -> None:
        self.resuming = self._check_use(resume)
        if not self.resuming:
            if resume:
                self.notices.append(f"{self.path} holds no run yet: starting from the beginning.")
            self._write_config()
            return
        self._compare(self._config, GROWING if grow else ())
        if self.checkpoints.exists() and not self.checkpoints.is_dir():
            raise UserError(f"{self.checkpoints}: is a file where a folder is expected; remove it and try again.")
        self._environment_before()
        read_metrics(self.metrics)

    def _write_config(self) -> None:
        replace_text(self.config, json.dumps(self._config, indent=2, ensure_ascii=False) + "\n")

    def _environment_before(self) -> dict[str, Any] | None:
        return read_json(self.environment) if self.resuming and self.environment.exists() else None

    def _compare(self, config: Mapping[str, Any], growing: tuple[str, ...]) -> None:
        stored = read_json(self.config)
        # Through JSON, so that a tuple and the list it was stored as are the same.
        now = dict(_fields(json.loads(json.dumps(config))))
        before, nothing = dict(_fields(stored)), Described("nothing")
        for name in sorted(before.keys() | now.keys()):
            got, expected = now.get(name, nothing), before.get(name, nothing)
            if got != expected and not (name in growing and type(got) is type(expected) is int and got > expected):
                more = ", or more" if name in growing else ""
                raise bad(
                    name,
                    got=got,
                    expected=f"{expected!r} as in {self.config}{more}",
                    hint="resume with the stored configuration, or choose another --out",
                )
            if got != expected:
                self.notices.append(
                    f"{name} grows from {expected} to {got}: step sizes now follow the schedule of the longer run, so "
                    "this is not the run that had it from the start."
                )

    def record(self, devices: int) -> tuple[str, ...]:
        """Writes down what is run and what it is computed with; called once all else of the run is checked.

        Args:
            devices: number of devices that share a batch.

        Returns:
            A sentence where a resumed run is computed with something else than before, which may change its numbers.
        """
        now = environment(devices)
        before = self._environment_before() or now
        self._write_config()
        replace_text(self.environment, json.dumps(now, indent=2) + "\n")
        changed = [f"{name} {before.get(name)} → {now[name]}" for name in now if before.get(name) != now[name]]
        if not changed:
            return ()
        return (
            f"Resumed with other versions or machines ({', '.join(changed)}): numbers may differ in the last digits.",
        )

    def close(self) -> None:
        """Lets other processes have the folder."""
        self._lock.release()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def environment(devices: int) -> dict[str, str | int]:
    """What the last digits of a number may depend on."""
    return {
        "fastslow": __version__,
        "jax": version("jax"),
        "jaxlib": version("jaxlib"),
        "machine": f"{platform.system()} {platform.machine()} {processor()}",
        "device": jax.devices()[0].device_kind,
        "devices": devices,
    }


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object of a run folder.

    Raises:
        UserError: where the file is missing or holds something else.
    """
    try:
        data = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); choose another run folder.") from error
    if not isinstance(data, dict):
        raise UserError(f"{path}: got {type(data).__name__}, expected a JSON object; choose another run folder.")
    return data


def _fields(data: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested JSON by its dotted name."""
    if isinstance(data, dict) and (data or not name):
        for key, value in data.items():
            yield from _fields(value, f"{name}.{key}" if name else key)
    else:
        yield name, data


def processor() -> str:
    """The processor's model, as far as the system says it."""
    with contextlib.suppress(OSError):  # no such file outside Linux
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
