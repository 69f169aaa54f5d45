"""The members of a configuration's unions, on disk and on the command line: one row each."""

from ..cells.base import AbstractCellConfig
from ..cells.controllers import AbstractControllerConfig
from ..cells.feedforward import FeedForwardConfig
from ..cells.lstm import LSTMConfig
from ..cells.mann import MANNConfig
from ..cells.nmn import NMNConfig
from ..learners.autoencoder import ReconstructionConfig
from ..learners.base import AbstractLearnerConfig
from ..learners.fast_slow import FastSlowConfig
from ..learners.fine_tune import FineTuneConfig
from ..learners.in_context import InContextConfig
from ..learners.maml import MAMLConfig
from ..learners.maml_plus_plus import MAMLPlusPlusConfig
from ..learners.matching import MatchingConfig
from ..learners.metanet import MetaNetConfig
from ..learners.online import OnlineConfig
from ..learners.pair import PairConfig
from ..learners.pretrained import PretrainedConfig
from ..learners.prototypes import PrototypesConfig
from ..learners.supervised import SupervisedConfig
from ..memory.base import AbstractMemoryConfig
from ..memory.least_used import LeastUsedConfig
from ..memory.ntm import NTMConfig
from ..memory.slots import AbstractSlotsConfig, KeyValueSlotsConfig, SoftSlotsConfig
from ..memory.threshold import ThresholdSlotsConfig
from ..models.any_way import AnyWayConfig
from ..models.augmented import AugmentedConfig
from ..models.augmented_paths import AugmentedPathsConfig
from ..models.autoencoder import AutoencoderConfig
from ..models.base import AbstractModelConfig
from ..models.classifier import ClassifierConfig
from ..models.conv import ConvConfig
from ..models.embedder import EmbedderConfig
from ..models.embedding import AbstractEmbeddingConfig
from ..models.flatten import FlattenConfig
from ..models.lookup import LookupConfig
from ..models.lstm import LSTMEmbeddingConfig
from ..models.network import NetworkConfig
from ..models.path_predictor import PathPredictorConfig
from ..tasks.base import AbstractTaskConfig
from ..tasks.gaussian_process import GaussianProcessConfig
from ..tasks.glyphs import GlyphsConfig
from ..tasks.omniglot import OmniglotConfig
from ..tasks.omniglot_stream import OmniglotStreamConfig
from ..tasks.rare_digits import RareDigitsConfig
from ..tasks.tracks import TracksConfig
from ..tasks.tracks_in_turn import TracksInTurnConfig

TASKS = (
    GlyphsConfig,
    OmniglotConfig,
    OmniglotStreamConfig,
    GaussianProcessConfig,
    RareDigitsConfig,
    TracksConfig,
    TracksInTurnConfig,
)
MODELS = (
    NetworkConfig,
    ClassifierConfig,
    EmbedderConfig,
    AutoencoderConfig,
    AnyWayConfig,
    AugmentedConfig,
    PathPredictorConfig,
    AugmentedPathsConfig,
)
LEARNERS = (
    FineTuneConfig,
    InContextConfig,
    SupervisedConfig,
    ReconstructionConfig,
    PrototypesConfig,
    MAMLConfig,
    FastSlowConfig,
    MatchingConfig,
    MAMLPlusPlusConfig,
    MetaNetConfig,
    PretrainedConfig,
    OnlineConfig,
    PairConfig,
)
CELLS = (
    NMNConfig,
    MANNConfig,
    LSTMConfig,
    FeedForwardConfig,
)
CONTROLLERS = (
    LSTMConfig,
    FeedForwardConfig,
)
SLOTS = (
    SoftSlotsConfig,
    KeyValueSlotsConfig,
    ThresholdSlotsConfig,
)
MEMORIES = (
    LeastUsedConfig,
    NTMConfig,
)
EMBEDDINGS = (
    ConvConfig,
    FlattenConfig,
    LookupConfig,
    LSTMEmbeddingConfig,
)
MEMBERS: dict[type, tuple[type, ...]] = {
    AbstractTaskConfig: TASKS,
    AbstractModelConfig: MODELS,
    AbstractLearnerConfig: LEARNERS,
    AbstractCellConfig: CELLS,
    AbstractControllerConfig: CONTROLLERS,
    AbstractSlotsConfig: SLOTS,
    AbstractMemoryConfig: MEMORIES,
    AbstractEmbeddingConfig: EMBEDDINGS,
}
"""The members of each union; your own members work from Python without a row here."""
