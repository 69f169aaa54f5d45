"""What does not go together is refused in one sentence by the part that knows why, before a number is computed."""

from dataclasses import replace

import jax
import optax
import pytest
from tests.cells.tiny import as_users_come
from tests.learners.tiny import CONV, FEED_FORWARD, LSTM, MANN, SPEC, nmn
from tests.sentences import refused

from fastslow.learners.autoencoder import ReconstructionConfig
from fastslow.learners.fine_tune import FineTuneConfig
from fastslow.learners.in_context import InContextConfig
from fastslow.learners.structure import require, require_controllers, structure
from fastslow.learners.supervised import SupervisedConfig
from fastslow.models.autoencoder import AutoencoderConfig
from fastslow.models.classifier import ClassifierConfig
from fastslow.models.embedder import EmbedderConfig
from fastslow.models.flatten import FlattenConfig
from fastslow.synthetic.regimes import FeedbackConfig

STREAMS = replace(SPEC, kind="streams", episode="sequence")
PADDED = replace(STREAMS, padded=True)
BOTH = FeedbackConfig("both", regression=1.0)
THROUGH = replace(BOTH, reach="through")
FLAT_MANN = replace(MANN, embed=FlattenConfig())
META, TRUE = FeedbackConfig("meta"), FeedbackConfig()
WRITE = nmn("write", "key-value")


def build(config, model, spec=SPEC) -> None:
    config.build(model, spec, optax.sgd(0.1), batch=4)


@pytest.mark.parametrize(
    ("config", "model", "spec"),
    [
        *((InContextConfig(TRUE), model, SPEC) for model in (WRITE, nmn("input"), MANN, LSTM, FEED_FORWARD)),
        *((InContextConfig(path), WRITE, SPEC) for path in (BOTH, THROUGH, replace(BOTH, regime="synthetic"))),
        (InContextConfig(BOTH, outer_step="summed"), WRITE, SPEC),
        *((FineTuneConfig(path), nmn(), SPEC) for path in (TRUE, BOTH, THROUGH, META)),
        (FineTuneConfig(META, query_memory="post-support"), WRITE, SPEC),
        (FineTuneConfig(META, support_order="stream"), WRITE, SPEC),
        *((SupervisedConfig(), model, STREAMS) for model in (WRITE, nmn(), MANN, LSTM, FEED_FORWARD)),
        (SupervisedConfig(), FLAT_MANN, PADDED),
        *((SupervisedConfig(persistent=True), model, STREAMS) for model in (MANN, nmn())),
        (ReconstructionConfig(), AutoencoderConfig(), STREAMS),
    ],
)
def test_what_goes_together_passes(config, model, spec) -> None:
    build(config, model, spec)


with as_users_come():
    REFUSED = [
        # regimes and protocols
        (InContextConfig(META), WRITE, SPEC, "regime meta with learner in-context: .* takes none; use learner fine-"),
        (InContextConfig(replace(BOTH, regression=0.0)), WRITE, SPEC, "regression: got 0.0, .* use regression 1.0"),
        (InContextConfig(TRUE, outer_step="summed"), WRITE, SPEC, "outer step summed: .* use outer step own"),
        (InContextConfig(THROUGH, outer_step="summed"), WRITE, SPEC, "outer step summed: .* use outer step own"),
        (
            InContextConfig(BOTH, outer_step="added"),
            WRITE,
            SPEC,
            "outer_step: got 'added', expected one of own, summed",
        ),
        (InContextConfig(TRUE, statistics="batch"), WRITE, SPEC, "statistics: got 'batch', expected one of running"),
        (FineTuneConfig(replace(META, reach="through")), nmn(), SPEC, "regime meta with reach through: .* use reach"),
        (FineTuneConfig(META, rate=-0.1), nmn(), SPEC, "rate: got -0.1"),
        (FineTuneConfig(META, rate=float("nan")), nmn(), SPEC, "rate: got nan"),
        (FineTuneConfig(META, steps=0), nmn(), SPEC, "steps: got 0"),
        (FineTuneConfig(META, support_order="sorted"), nmn(), SPEC, "support_order: got 'sorted'"),
        (FineTuneConfig(META, query_memory="none"), nmn(), SPEC, "query_memory: got 'none'"),
        (FineTuneConfig(META, statistics="batch"), nmn(), SPEC, "statistics: got 'batch'"),
        # where labels enter
        (InContextConfig(TRUE), nmn("none"), SPEC, "in-context with label input none: .* use label input write or"),
        (FineTuneConfig(TRUE), nmn("input"), SPEC, "fine-tune with label input input: .* use label input none or"),
        (FineTuneConfig(TRUE), nmn("write"), SPEC, "label input write with support order independent .* use label"),
        # cells
        (FineTuneConfig(TRUE), LSTM, SPEC, "cell: got 'lstm', expected a cell with controllers, .* learner fine-tune"),
        (FineTuneConfig(TRUE), MANN, SPEC, "cell: got 'mann', expected a cell with controllers, .* learner fine-tune"),
        (InContextConfig(BOTH), MANN, SPEC, "cell: got 'mann', expected a cell with controllers, .* for regime both"),
        (SupervisedConfig(persistent=True), LSTM, STREAMS, "persistent: got True, .* cell lstm has no memory to keep"),
        (
            SupervisedConfig(),
            MANN,
            PADDED,
            "embed: got 'conv', expected one without batch normalisation, such as flatten",
        ),
        (
            SupervisedConfig(persistent=True),
            FLAT_MANN,
            PADDED,
            "persistent: got True, expected False where .* are padded",
        ),
        # models
        (
            InContextConfig(TRUE),
            ClassifierConfig(CONV),
            SPEC,
            "model: got 'classifier', expected one with embed and cell",
        ),
        (
            FineTuneConfig(TRUE),
            EmbedderConfig(CONV),
            SPEC,
            "model: got 'embedder', expected one with embed and cell and",
        ),
        (
            SupervisedConfig(),
            AutoencoderConfig(),
            STREAMS,
            "model: got 'autoencoder', expected one with embed and cell",
        ),
        (ReconstructionConfig(), MANN, STREAMS, "model: got 'network', expected one with encoder and decoder, which"),
        # tasks
        (InContextConfig(TRUE), WRITE, STREAMS, "learner: got 'in-context', expected one for sequence episodes, which"),
        (
            FineTuneConfig(TRUE),
            nmn(),
            STREAMS,
            "learner: got 'fine-tune', expected one for sequence episodes, which task",
        ),
        (
            SupervisedConfig(),
            MANN,
            SPEC,
            "learner: got 'supervised', expected one for few-shot episodes, which task marks",
        ),
        (ReconstructionConfig(), AutoencoderConfig(), SPEC, "learner: got 'reconstruction', expected one for few-shot"),
        (SupervisedConfig(), LSTM, replace(STREAMS, shape=(5,)), "embed: got 'conv', expected flatten or lookup"),
    ]


@pytest.mark.parametrize(("config", "model", "spec", "why"), REFUSED)
def test_what_does_not_go_together_is_refused(config, model, spec, why: str) -> None:
    with refused(why):
        build(config, model, spec)


def test_a_structure_has_shapes_in_place_of_arrays() -> None:
    found, built = structure(MANN, SPEC), MANN.build(SPEC, key=jax.random.key(0))
    leaves = jax.tree.leaves(found)
    assert leaves
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
    assert [leaf.shape for leaf in leaves] == [leaf.shape for leaf in jax.tree.leaves(built)]


def test_required_parts_are_named() -> None:
    assert require(MANN, SPEC, "learner x", "embed", "cell").head.linear.weight.shape[0] == 3
    with refused("model: got 'network', expected one with cell and memories, which learner x works with"):
        require(MANN, SPEC, "learner x", "cell", "memories")


def test_controllers_are_found() -> None:
    cell = require_controllers(nmn(), SPEC, "learner x")
    assert cell.controllers.write.out_size == 5
    with refused("cell: got 'feed-forward', expected a cell with controllers, such as nmn, for learner x"):
        require_controllers(FEED_FORWARD, SPEC, "learner x")
