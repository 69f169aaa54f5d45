"""A 3×3 convolution that stays fast where every task of a batch has a kernel of its own.

`vmap` over kernels makes of a convolution a grouped one, whose backward pass takes XLA some thirty times as long on a
CPU as the same work by matrix products. Here kernels under `vmap` meet patches of the images in a batched matrix
product; a kernel that all share is convolved as ever.

A convolution is linear in images and in kernel, so its gradients are convolutions and correlations again: two functions
are closed under differentiation, to any order (backwards; forward-mode differentiation is not defined).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

Images = Float[Array, "images height columns channels_in"]
Filtered = Float[Array, "images height columns channels"]
Kernel = Float[Array, "3 3 channels_in channels"]


@jax.custom_vjp
def convolve(x: Images, kernel: Kernel) -> Filtered:
    """`y[i, j] = Σ_ab x[i + a − 1, j + b − 1] · kernel[a, b]`, zeros around the images."""
    return _convolve(x, kernel)


@jax.custom_vjp
def correlate(x: Images, y: Filtered) -> Kernel:
    """`Σ_ij x[i + a − 1, j + b − 1]ᵀ · y[i, j]`, over all images: the gradient of `convolve` in its kernel."""
    return _correlate(x, y)


def _transposed(kernel: Kernel) -> Float[Array, "3 3 channels channels_in"]:
    """The kernel that takes a gradient at the outputs back to the images."""
    return jnp.swapaxes(kernel[::-1, ::-1], 2, 3)


convolve.defvjp(
    lambda x, kernel: (convolve(x, kernel), (x, kernel)),
    lambda kept, y: (convolve(y, _transposed(kept[1])), correlate(kept[0], y)),
)
correlate.defvjp(
    lambda x, y: (correlate(x, y), (x, y)),
    lambda kept, kernel: (convolve(kept[1], _transposed(kernel)), convolve(kept[0], kernel)),
)


def _plain(x: Images, kernel: Kernel) -> Filtered:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


_convolve = custom_vmap(_plain)


@custom_vmap
def _correlate(x: Images, y: Filtered) -> Kernel:
    kernel = jax.ShapeDtypeStruct((3, 3, x.shape[3], y.shape[3]), x.dtype)
    return jax.linear_transpose(lambda kernel: _plain(x, kernel), kernel)(y)[0]


@_convolve.def_vmap
def _(size: int, batched: list[bool], x: Array, kernel: Array) -> tuple[Array, bool]:
    if not batched[1]:
        y = _convolve(x.reshape(-1, *x.shape[2:]), kernel)
        return y.reshape(*x.shape[:2], *y.shape[1:]), True
    return _each(lambda x, kernel: _patches(x) @ kernel.reshape(-1, kernel.shape[3]), size, batched, x, kernel), True


@_correlate.def_vmap
def _(size: int, batched: list[bool], x: Array, y: Array) -> tuple[Array, bool]:
    def of_one(x: Images, y: Filtered) -> Kernel:
        # one axis to sum over: of three, one of them of size 1, XLA 0.10.1 may make a program that crashes on CPUs
        flat = _patches(x).reshape(-1, 9 * x.shape[3]).T @ y.reshape(-1, y.shape[3])
        return flat.reshape(3, 3, x.shape[3], y.shape[3])

    return _each(of_one, size, batched, x, y), True


def _each(function: Callable[..., Array], size: int, batched: list[bool], *arrays: Any) -> Array:
    axes = tuple(0 if there else None for there in batched)
    return jax.vmap(function, axes, axis_size=size)(*arrays)


def _patches(x: Images) -> Float[Array, "images height columns patch"]:
    """The 3×3 surroundings of each pixel, row by row, as one vector."""
    _, height, columns, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, a : a + height, b : b + columns] for a in range(3) for b in range(3)]
    return jnp.concatenate(shifted, axis=3)


__all__ = ["convolve", "correlate"]
