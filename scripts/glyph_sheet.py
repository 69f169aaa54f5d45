"""Draws a sheet of glyphs: a row for each class, a column for each drawing.

Run as `python scripts/glyph_sheet.py`; it writes `docs/figures/glyphs.png`.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from fastslow.tasks.glyphs import SPLITS, class_key, class_numbers
from fastslow.tasks.strokes import class_program, render

DEFAULT = Path(__file__).resolve().parent.parent / "docs" / "figures" / "glyphs.png"


def sheet(first: int, classes: int, drawings: int, split: str) -> np.ndarray:
    """Drawings `[classes, drawings, SIZE, SIZE]` of neighbouring classes of a split."""
    numbers = class_numbers(split, jnp.uint32(first), classes)
    keys = jax.random.split(jax.random.key(first), (classes, drawings))

    def row(number, keys):
        program = class_program(class_key(number))
        return jax.vmap(lambda key: render(program, key))(keys)

    return np.asarray(jax.jit(jax.vmap(row))(numbers, keys))


def page(images: np.ndarray, zoom: int, gap: int = 2) -> Image.Image:
    """Lays drawings out on one page, dark ink on white paper."""
    padded = np.pad(images, ((0, 0), (0, 0), (gap, gap), (gap, gap)))
    rows, columns, side, _ = padded.shape
    paper = 255 - np.round(255 * padded.transpose(0, 2, 1, 3).reshape(rows * side, columns * side))
    image = Image.fromarray(paper.astype(np.uint8))
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.BICUBIC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT)
    parser.add_argument("--first", type=int, default=0, help="number of the first class within its split")
    parser.add_argument("--classes", type=int, default=12)
    parser.add_argument("--drawings", type=int, default=12)
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--zoom", type=int, default=2)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    images = sheet(options.first, options.classes, options.drawings, options.split)
    page(images, options.zoom).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
