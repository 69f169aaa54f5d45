"""The members of a configuration's unions, on disk and on the command line: one row each."""

from ..learners.autoencoder import ReconstructionConfig
from ..learners.base import AbstractLearnerConfig
from ..learners.fine_tune import FineTuneConfig
from ..learners.in_context import InContextConfig
from ..learners.supervised import SupervisedConfig
from ..models.autoencoder import AutoencoderConfig
from ..models.base import AbstractModelConfig
from ..models.classifier import ClassifierConfig
from ..models.embedder import EmbedderConfig
from ..models.network import NetworkConfig
from ..tasks.base import AbstractTaskConfig
from ..tasks.gaussian_process import GaussianProcessConfig
from ..tasks.glyphs import GlyphsConfig
from ..tasks.omniglot import OmniglotConfig
from ..tasks.omniglot_stream import OmniglotStreamConfig

TASKS = (
    GlyphsConfig,
    OmniglotConfig,
    OmniglotStreamConfig,
    GaussianProcessConfig,
)
MODELS = (
    NetworkConfig,
    ClassifierConfig,
    EmbedderConfig,
    AutoencoderConfig,
)
LEARNERS = (
    FineTuneConfig,
    InContextConfig,
    SupervisedConfig,
    ReconstructionConfig,
)
MEMBERS: dict[type, tuple[type, ...]] = {
    AbstractTaskConfig: TASKS,
    AbstractModelConfig: MODELS,
    AbstractLearnerConfig: LEARNERS,
}
"""The members of each open union; your own members work from Python without standing here."""
