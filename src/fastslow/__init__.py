"""Neural memory networks: slow learning by gradient, fast learning by writing to a memory."""

from .zoo.load import load

__all__ = ["__version__", "load"]

__version__ = "0.1.0"
