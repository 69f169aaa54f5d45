"""The embeddings there are; a new one is one more row."""

from .conv import ConvConfig
from .flatten import FlattenConfig
from .lookup import LookupConfig

EmbedConfig = ConvConfig | FlattenConfig | LookupConfig
