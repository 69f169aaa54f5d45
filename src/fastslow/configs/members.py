"""The members of a configuration's unions: one row for each task, model, learner and optimizer."""

from ..learners.autoencoder import ReconstructionConfig
from ..learners.fine_tune import FineTuneConfig
from ..learners.in_context import InContextConfig
from ..learners.supervised import SupervisedConfig
from ..models.autoencoder import AutoencoderConfig
from ..models.classifier import ClassifierConfig
from ..models.embedder import EmbedderConfig
from ..models.network import NetworkConfig
from ..optim.config import OptimizerConfig
from ..tasks.gaussian_process import GaussianProcessConfig
from ..tasks.glyphs import GlyphsConfig
from ..tasks.omniglot import OmniglotConfig
from ..tasks.omniglot_stream import OmniglotStreamConfig

TaskConfig = GlyphsConfig | OmniglotConfig | OmniglotStreamConfig | GaussianProcessConfig
ModelConfig = NetworkConfig | ClassifierConfig | EmbedderConfig | AutoencoderConfig
LearnerConfig = FineTuneConfig | InContextConfig | SupervisedConfig | ReconstructionConfig

__all__ = ["LearnerConfig", "ModelConfig", "OptimizerConfig", "TaskConfig"]
