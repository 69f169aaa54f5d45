"""Ctrl-C: the update that runs is finished and saved before the run ends."""

import signal
import threading
from types import FrameType


class Interrupt:
    """While entered, the first Ctrl-C is only noted; a second one ends the program as usual.

    Attributes:
        requested: whether there was one.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous = None

    def __enter__(self) -> "Interrupt":
        # Python lets the main thread alone handle signals; elsewhere whoever started the thread takes care of them.
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _note(self, _: int, __: FrameType | None) -> None:
        self.requested = True
        self.__exit__()
