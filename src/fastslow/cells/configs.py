"""The cells there are; a new one is one more row."""

from .feedforward import FeedForwardConfig
from .lstm import LSTMConfig
from .mann import MANNConfig
from .nmn import NMNConfig

CellConfig = NMNConfig | MANNConfig | LSTMConfig | FeedForwardConfig
