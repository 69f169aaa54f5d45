"""Neural memory networks: slow learning by gradient, fast learning by writing to a memory."""

import lazy_loader

# `__init__.pyi` lists the public names and where each is defined; a name is imported when it is first used
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
