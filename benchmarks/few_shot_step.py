"""Whole updates of few-shot learners, 5-way 1-shot: ours against plain PyTorch with `torch.func`, in one run.

    pip install -e ".[bench]"
    python benchmarks/few_shot_step.py [--steps 15] [--rounds 3] [--out benchmarks/few_shot_step.jsonl]

Eight episodes with three queries of each class; three convolution blocks of 64 filters, a linear layer to 64 numbers of
fixed length, batch statistics, Adam, gradients clipped to 10. MAML is of second order with five inner steps. PyTorch
runs it by `vmap` over the episodes and by a loop over them. All take one batch of the same sizes from memory. Each is a
process of its own with the same cores. Nothing else should run meanwhile.
"""

import sys
from functools import partial
from itertools import pairwise

from rounds import cores, run, timed

BATCH, WAY, QUERIES, STEPS, RATE = 8, 5, 15, 5, 0.4
OURS = ("fastslow-maml", "fastslow-prototypes", "fastslow-joined")
THEIRS = (
    "torch-maml-vmap",
    "torch-maml-loop",
    "torch-maml-vmap-compiled",
    "torch-prototypes",
    "torch-prototypes-compiled",
)


def ours(name: str, steps: int) -> dict[str, object]:
    """Our learner's update, episodes sharded over one CPU device for each core."""
    from fastslow.training.parallel import copy_to, cpu_devices, episode_mesh, replicate, shard

    cpu_devices(cores())
    import jax
    import jax.numpy as jnp

    import fastslow as fs
    from fastslow.learners.fast_slow import FastSlowConfig
    from fastslow.learners.maml import MAMLConfig
    from fastslow.learners.prototypes import PrototypesConfig
    from fastslow.models.any_way import AnyWayConfig
    from fastslow.models.conv import ConvConfig
    from fastslow.tasks.base import Examples, FewShotEpisode
    from fastslow.training.provenance import environment

    parts = {
        "maml": (fs.ClassifierConfig(ConvConfig()), MAMLConfig(steps=STEPS, rate=RATE)),
        "prototypes": (fs.EmbedderConfig(ConvConfig()), PrototypesConfig()),
        "joined": (AnyWayConfig(), FastSlowConfig()),
    }
    model, config = parts[name]
    spec = fs.OmniglotConfig(way=WAY).spec
    learner = config.build(model, spec, fs.AdamConfig().build(1000), batch=BATCH)
    keys = jax.random.split(jax.random.key(0), 4)
    mesh, _ = episode_mesh(BATCH)

    def examples(key: jax.Array, each: int) -> Examples:
        labels = jnp.broadcast_to(jnp.tile(jnp.arange(WAY), each), (BATCH, WAY * each))
        return Examples(jax.random.uniform(key, (BATCH, WAY * each, 28, 28)), labels)

    episodes = FewShotEpisode(examples(keys[0], 1), examples(keys[1], QUERIES // WAY))
    episodes = jax.jit(lambda e: shard(e, mesh))(episodes)
    held = [copy_to(learner.init(key=keys[2]), mesh)]

    @partial(jax.jit, donate_argnums=0)  # as training does
    def update(state: object, episodes: FewShotEpisode) -> object:
        return replicate(learner.update(state, episodes, key=keys[3]), mesh)

    def step() -> None:
        held[0], _ = jax.block_until_ready(update(held[0], episodes))

    return {**timed(step, steps), **environment()}


def theirs(name: str, steps: int) -> dict[str, object]:
    """The same as a plain PyTorch script."""
    import torch
    from torch import nn
    from torch.func import grad, grad_and_value, vmap
    from torch.nn import functional

    torch.set_num_threads(cores())
    torch.manual_seed(0)
    sizes = (1, 64, 64, 64)
    params = {"project.weight": torch.randn(64, 576) / 24, "project.bias": torch.zeros(64)}
    params |= {"head.weight": torch.randn(WAY, 64) / 8, "head.bias": torch.zeros(WAY)}
    for i, (a, b) in enumerate(pairwise(sizes)):
        params[f"{i}.kernel"] = torch.randn(b, a, 3, 3) * (2 / (9 * a)) ** 0.5
        params[f"{i}.scale"], params[f"{i}.shift"] = torch.ones(b), torch.zeros(b)
    params = {name: nn.Parameter(value) for name, value in params.items()}
    optimizer = torch.optim.Adam(params.values(), lr=1e-3)

    def embed(p, x):
        for i in range(3):
            x = functional.conv2d(x, p[f"{i}.kernel"], padding=1)
            x = functional.batch_norm(x, None, None, p[f"{i}.scale"], p[f"{i}.shift"], training=True)
            x = functional.max_pool2d(functional.relu(x), 2)
        x = functional.linear(x.flatten(1), p["project.weight"], p["project.bias"])
        return x / (x.square().mean(1, keepdim=True) + 1e-5).sqrt()

    def loss_of(p, x, y):
        return functional.cross_entropy(functional.linear(embed(p, x), p["head.weight"], p["head.bias"]), y)

    def after_steps(p, sx, sy, qx, qy):
        slow = {name: value for name, value in p.items() if name.endswith(("scale", "shift"))}
        fast = {name: value for name, value in p.items() if name not in slow}
        for _ in range(STEPS):
            slopes = grad(lambda f: loss_of({**slow, **f}, sx, sy))(fast)
            fast = {name: value - RATE * slopes[name] for name, value in fast.items()}
        return loss_of({**slow, **fast}, qx, qy)

    def maml_by_vmap(p, *episodes):
        return vmap(after_steps, in_dims=(None, 0, 0, 0, 0))(p, *episodes).mean()

    def maml_by_loop(p, *episodes):
        return torch.stack([after_steps(p, *each) for each in zip(*episodes, strict=True)]).mean()

    def prototypes(p, sx, sy, qx, qy):
        images = torch.cat([sx, qx], 1)
        features = embed(p, images.flatten(0, 1)).unflatten(0, images.shape[:2])
        support, query = features[:, :WAY], features[:, WAY:]
        squares = query.square().sum(2)[:, :, None] + support.square().sum(2)[:, None]
        return functional.cross_entropy((2 * query @ support.mT - squares).flatten(0, 1), qy.flatten())

    chosen = {"maml-vmap": maml_by_vmap, "maml-loop": maml_by_loop, "prototypes": prototypes}
    gradient = grad_and_value(chosen[name.removesuffix("-compiled")])
    if name.endswith("-compiled"):
        gradient = torch.compile(gradient)
    labels = torch.arange(WAY)
    sx, qx = torch.rand(BATCH, WAY, 1, 28, 28), torch.rand(BATCH, QUERIES, 1, 28, 28)
    sy, qy = labels.expand(BATCH, WAY), labels.repeat(QUERIES // WAY).expand(BATCH, QUERIES)

    def step() -> None:
        slopes, _ = gradient({name: value.detach() for name, value in params.items()}, sx, sy, qx, qy)
        for name, value in params.items():
            value.grad = slopes[name]
        nn.utils.clip_grad_norm_(params.values(), 10.0)
        optimizer.step()

    from fastslow.training.provenance import hardware

    return {**timed(step, steps), "versions": {"torch": torch.__version__}, "hardware": hardware()}


def measure(way: str, steps: int) -> dict[str, object]:
    """Times one way in this process."""
    library, _, name = way.partition("-")
    return {"batch": BATCH, **(ours if library == "fastslow" else theirs)(name, steps)}


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, (*OURS, *THEIRS), measure, steps=15))
