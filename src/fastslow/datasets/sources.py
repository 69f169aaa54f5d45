"""All data sets of tracks by name, and a user's own file."""

from typing import Literal

from .._checks import Described, bad, check_choice
from .ind import load_ind
from .own_tracks import Columns, load_own_tracks
from .sind import load_sind
from .stanford_drone import load_stanford_drone
from .tracks import Tracks, Unit
from .vru import load_vru

Source = Literal["vru", "stanford-drone", "sind", "ind", "file"]
SOURCES: tuple[Source, ...] = ("vru", "stanford-drone", "sind", "ind", "file")


def load_tracks(source: Source, path: str | None, *, columns: Columns, unit: Unit) -> Tracks:
    """Loads a data set of tracks.

    Args:
        source: which one; `file` is a table of the user's own.
        path: its folder, or the file; without it `FASTSLOW_DATA`.
        columns: names of the columns of a user's own file.
        unit: of positions; of the data sets one alone has pixels.

    Raises:
        UserError: a source that is none, data that cannot be found or read, or a unit that they do not have.
    """
    check_choice("source", source, SOURCES)
    check_choice("unit", unit, ("m", "px"))
    if source == "stanford-drone":
        return load_stanford_drone(path, unit=unit)
    if source == "file":
        if path is None:
            raise bad("data", got=None, expected="the path of a file with tracks", hint="name it by --data")
        return load_own_tracks(path, columns, unit=unit)
    if unit != "m":
        raise bad("unit", got=Described(f"{unit} for source {source}"), expected="m, the unit of its positions")
    return {"vru": load_vru, "sind": load_sind, "ind": load_ind}[source](path)


__all__ = ["SOURCES", "Source", "load_tracks"]
