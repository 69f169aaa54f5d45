"""Neural memory networks: slow learning by gradient, fast learning by writing to a memory."""

__version__ = "0.1.0"
