"""Makes a release from a run folder and the result files of its evaluation.

    python scripts/release.py RUN RESULT... NAME [--note TEXT] [--out FOLDER]

Writes `config.json`, `params.npz` and `card.md` to `src/fastslow/zoo/releases/NAME`, or to FOLDER/NAME. The parameters
are those that did best on validation classes, of the one seed that the result files measured; every figure of the card
comes from the result files and the run folder. A note says what the files cannot.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from fastslow._checks import UserError, bad
from fastslow.configs.config import Config
from fastslow.configs.json import to_json
from fastslow.configs.presets import PRESETS
from fastslow.estimators.readouts import head_classes
from fastslow.results.row import ResultRow, read_rows
from fastslow.results.tables import table
from fastslow.tasks.paths import Path as PathTarget
from fastslow.training.fingerprint import SCHEME
from fastslow.training.folder import read_json
from fastslow.training.metrics import read_metrics
from fastslow.zoo.saved import Saved, load_run, write_release

FOLDER = Path(__file__).parents[1] / "src" / "fastslow" / "zoo" / "releases"
NORMALISES = {
    "running": "running averages from training; nothing in an answer depends on the other queries (not transductive)",
    "support": "statistics of the support set; no answer depends on the other queries (not transductive)",
    "episode": "statistics of support and queries together, so answers depend on the other queries (transductive)",
}
CLASSES = (
    "trained on the split's training classes, chosen on its validation classes, measured on its test classes, none of "
    "which took part in training or choice"
)
USE = (
    "Meant for research on few-shot learning, and for single handwritten characters or drawings as simple: dark "
    "strokes on light paper or the reverse, one in the middle of each image. Photographs, words, and drawings in "
    "which colour or size matters are outside of what it learned. {limits} Probabilities rank the classes and "
    "were not calibrated. It has seen drawings by few people, and may serve other hands and scripts less well: "
    "measure it on your own data before you rely on it, and do not let it alone decide anything about a person."
)
OMNIGLOT = (
    "Trained on drawings of the Omniglot data set (Lake, Salakhutdinov and Tenenbaum 2015, "
    "https://github.com/brendenlake/omniglot), which is under the MIT licence. No drawing is part of this release. "
    "The parameters are under the licence of fastslow, MIT."
)
LICENCES = {
    "omniglot": OMNIGLOT,
    "omniglot-stream": OMNIGLOT,
    "tracks": "Trained on paths that fastslow generates, and on paths of the SinD data set (Xu et al. 2022, "
    "https://github.com/SOTIF-AVLab/SinD), which is under CC0 1.0. No path is part of this release. The parameters are "
    "under the licence of fastslow, MIT.",
    "glyphs": "Trained on characters that fastslow generates. The parameters are under the licence of fastslow, MIT.",
}


def matching(saved: Saved, rows: list[ResultRow]) -> tuple[int, list[ResultRow]]:
    """The place of the seed that a result file measured, and the file's rows about it alone.

    Raises:
        UserError: where no row is about exactly one seed's parameters of this run.
    """
    metrics = [metric.name for metric in saved.config.task.spec.metrics]
    for index, digest in enumerate(saved.digests):
        found = [row for row in rows if row.params_digest["values"] == [digest] and row.metric in metrics]
        if found:
            return index, found
    got = sorted({digest[:12] for row in rows for digest in row.params_digest["values"]})
    expected = (
        f"{' or '.join(metrics)} of one seed's best parameters of the run ({', '.join(d[:12] for d in saved.digests)})"
    )
    raise bad("result", got=", ".join(got) or "no rows", expected=expected, hint="evaluate the run first")


def command(config: Config) -> str:
    """The command that trains this configuration: the nearest preset, and what differs from it."""
    mine = flat(to_json(config))

    def differing(preset: str) -> dict[str, Any]:
        theirs = flat(to_json(PRESETS[preset].config))
        return {name: value for name, value in mine.items() if theirs.get(name) != value}

    preset = min(PRESETS, key=lambda name: len(differing(name)))
    settings = ", ".join(f"{name} = {value}" for name, value in differing(preset).items())
    return f"`fastslow train {preset}`" + (f", with {settings}" if settings else "")


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names, without the place of the data."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        elif f"{prefix}{name}" != "task.data":
            found[prefix + name] = value
    return found


def duration(seconds: float) -> str:
    """A time for people."""
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def card(
    saved: Saved, name: str, index: int, rows: list[ResultRow], last: dict[str, Any], trained_on: str, note: str = ""
) -> str:
    """Text of the model's card.

    Args:
        saved: the run.
        name: of the release.
        index: place of the released seed.
        rows: what was measured of it.
        last: the last line of the run's metrics.
        trained_on: the machine of the run.
        note: what the files cannot say.
    """
    config, row = saved.config, rows[0]
    spec = config.task.spec
    words = path_words(name, config) if isinstance(spec.target, PathTarget) else WORDS[spec.episode](name, config)
    facts = {
        "data": f"{row.data['name']}, split {row.data['split']}; {row.data['scheme']} {row.data['digest']}",
        **({} if spec.chance is None else {"classes": CLASSES}),
        **words.facts,
        "trained by": command(config),
        "seed": f"{saved.seeds[index]} (of {config.training.seeds} trained)",
        "updates": f"{last['step']:,} of {config.training.batch} episodes",
        "training time": f"{duration(last['seconds'])} on {trained_on}",
        "parameters": f"{SCHEME} {saved.digests[index]}",
        "measured with": ", ".join(f"{program} {version}" for program, version in row.versions.items()),
        "measured at commit": ", ".join(dict.fromkeys(row.commit or "not recorded" for row in rows)),
        **({"note": note} if note else {}),
    }
    told = "\n".join(f"| {fact} | {text} |" for fact, text in facts.items())
    return f"""# {name}

{words.what}

{table(rows)}

| | |
| --- | --- |
{told}

## Use and limits

{fill(words.use, 120)}

## Licence

{LICENCES[config.task.kind]}
"""


@dataclass(frozen=True)
class Words:
    """What a card says of a kind of model. Attributes: `what` it is, `facts` of its training, its `use` and limits."""

    what: str
    facts: dict[str, str]
    use: str


def few_shot_words(name: str, config: Config) -> Words:
    """Of a model that was trained on few-shot episodes."""
    task: Any = config.task
    learner: Any = config.learner
    way, most = task.train_way or task.way, head_classes(config)
    rest = "more go by the nearest class mean in its embedding"
    limit = (
        f"Its own head tells at most {most} classes apart; {rest}."
        if most
        else "Its own head tells any number of classes apart."
    )
    return Words(
        what="A neural memory network with synthetic gradients that names small drawings of classes it has never seen, "
        f'from a few\nlabelled examples of each. Load it with `fastslow.load("{name}")`, or use it as\n'
        f'`fastslow.estimators.FewShotClassifier("{name}")`.',
        facts={
            "task": f"{way}-way {task.shot}-shot, {task.queries} queries a class, all in random order",
            "training drawings": changes(task),
            "learner": ", ".join(stated(config.learner.facts)),
            "normalisation": NORMALISES[learner.statistics],
        },
        use=USE.format(limits=f"Images are brought to 28×28 grey levels, so fine detail is lost. {limit}"),
    )


def changes(task: Any) -> str:
    """How training drawings differ from the data set's."""
    strengths = {name: getattr(task, name, 0) for name in ("warp", "augment")}
    found = [f"{name} {strength:g}" for name, strength in strengths.items() if strength]
    if getattr(task, "generated", 0):
        found.append(f"{task.generated:,} generated characters beside the data set's")
    return ", ".join(found) or "as they are"


def stated(facts: Mapping[str, object]) -> list[str]:
    """Facts in words, but for those that the card states elsewhere."""
    return [
        f"{name} {value}" if name != "protocol" else f"{value}"
        for name, value in facts.items()
        if name != "transductive"
    ]


def stream_words(name: str, config: Config) -> Words:
    """Of a model that was trained on streams of characters.

    Raises:
        UserError: it was trained on something else.
    """
    task, cell = config.task, getattr(config.model, "cell", None)
    if not (hasattr(task, "classes") and hasattr(cell, "controller") and hasattr(cell, "memory")):
        expected = "a network trained on few-shot episodes, or one with a memory on streams of characters"
        raise bad("run", got=f"{config.describe()}, on {task.kind}", expected=expected)
    controller, memory = cell.controller, cell.memory
    chosen = [f"{label} {getattr(memory, name)}" for name, label in CHOICES.items() if hasattr(memory, name)]
    heads = f"{memory.kind} memory {memory.slots}×{memory.width}, {memory.heads} heads"
    more = {
        "one-hot": f"It holds {task.classes} classes, as many as it has labels, and was trained on {task.length} "
        "examples in a stream; it takes more examples, and this card does not measure how well.",
        "strings": f"It was trained on {task.classes} classes and {task.length} examples in a stream; it takes more of "
        "either, and names them the worse the more they are, as the first table shows.",
    }
    return Words(
        what="A memory-augmented network that names small drawings one after the other, and learns each class from the"
        f' first\nexample of it that it is told about. Load it with `fastslow.load("{name}")`, or use it as\n'
        f'`fastslow.estimators.OnlineOneShot("{name}")`.',
        facts={
            "task": f"streams of {task.length} drawings of {task.classes} classes in random order, each with the label "
            f"of the one before; labels are {task.labels}",
            "network": ", ".join(
                [cell.kind, f"{controller.kind} controller of {controller.hidden} units", heads, *chosen]
            ),
        },
        use=USE.format(limits=f"Images are brought to 20×20 grey levels, so fine detail is lost. {more[task.labels]}"),
    )


def path_words(name: str, config: Config) -> Words:
    """Of a model that was trained on paths of road users."""
    task: Any = config.task
    seconds = [f"{frames / task.rate:g} seconds" for frames in (task.observed, task.predicted)]
    learned = f"at most {task.training} of its {task.learned}s" + (
        f" and {task.generated:,} generated paths" if task.generated else ""
    )
    return Words(
        what=f"A neural memory network that predicts the next {seconds[1]} of a road user's path from {seconds[0]}, "
        f'as it is or adapted\nto some paths. Load it with `fastslow.load("{name}")`, or use it as\n'
        f'`fastslow.estimators.PathPredictor("{name}")`.',
        facts={
            "task": f"{task.observed} positions at {task.rate:g} a second are shown and {task.predicted} predicted, in "
            f"{task.unit}; episodes of {task.shots} paths to learn from and {task.queries} to predict",
            "trained on": learned,
            "learner": ", ".join(stated(config.learner.facts)),
        },
        use="Meant for research on the prediction of paths. Whether it is ahead of constant velocity depends on the "
        "place, as the table shows: compare both on your own data before you use it. "
        "It knows nothing of the place, of other road users, or of what people intend. Let no vehicle and no decision "
        "about a person depend on it.",
    )


WORDS: Mapping[str, Callable[[str, Config], Words]] = {"few-shot": few_shot_words, "sequence": stream_words}
"""What a card says, by the episodes that the model was trained on."""
CHOICES = {"strength": "key strength", "written": "written"}
"""Choices of a memory that a card names, where it has them."""


def make(run: Path, results: list[Path], name: str, out: Path, note: str = "") -> Path:
    """Makes a release and returns its folder.

    Args:
        run: the run folder.
        results: result files of its evaluation.
        name: of the release.
        out: folder of releases.
        note: for the card.

    Raises:
        UserError: for a run or result that cannot be read, or that do not belong together.
    """
    saved = load_run(run)
    index, rows = matching(saved, [row for result in results for row in read_rows(result)])
    reports = list(read_metrics(run / "metrics.jsonl"))
    if not reports:
        raise bad("run", got=str(run), expected="a run with reports in its metrics.jsonl")
    machine = read_json(run / "environment.json")
    trained_on = f"{machine['machine']}, {machine['devices']} devices"
    write_release(saved, out / name, card(saved, name, index, rows, reports[-1], trained_on, note), index)
    return out / name


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("results", metavar="result", type=Path, nargs="+")
    parser.add_argument("name")
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    try:
        print(make(given.run, given.results, given.name, given.out, given.note))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
