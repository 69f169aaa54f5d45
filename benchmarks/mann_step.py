"""One training step of a memory-augmented network: ours against plain PyTorch, eager and compiled, in one run.

    pip install -e ".[bench]"
    python benchmarks/mann_step.py [--steps 40] [--rounds 5] [--out benchmarks/mann_step.jsonl]

LSTM of 200 units, memory 128×40, 4 reads, 50 steps in time, 16 episodes, one-hot labels of 5 classes, Adam. All three
take one batch of the same sizes from memory: drawing episodes is left out. Each is a process of its own with the same
cores; PyTorch's threads are pinned to their number, ours are as many CPU devices. All take their turn in each round, so
that a machine that grows slower does so for all of them. Nothing else should run meanwhile: `load` is the machine's
before the first of them.
"""

import sys
from dataclasses import replace
from functools import partial

from rounds import cores, run, timed

BATCH, TIME, PIXELS, CLASSES = 16, 50, 400, 5
HIDDEN, SLOTS, WIDTH, HEADS = 200, 128, 40, 4
WAYS = ("fastslow", "fastslow-plain-unroll", "torch-eager", "torch-compile")


def ours(steps: int, cores: int, plain: bool) -> dict[str, object]:
    """Our learner's update, episodes sharded over one CPU device for each core."""
    from fastslow.training.parallel import copy_to, cpu_devices, episode_mesh, replicate, shard

    cpu_devices(cores)
    import jax
    import jax.numpy as jnp

    from fastslow.cells import unroll
    from fastslow.configs.presets import stream
    from fastslow.optim.config import AdamConfig
    from fastslow.tasks.base import Inputs, SequenceEpisode
    from fastslow.tasks.omniglot_stream import OmniglotStreamConfig
    from fastslow.training.provenance import environment

    if plain:  # the test twin of the unroll that recovers states from the ones after them
        unroll.unroll_reversible = unroll.unroll_plain
    learner = replace(stream(OmniglotStreamConfig(), steps), optimizer=AdamConfig()).build()
    keys = jax.random.split(jax.random.key(0), 3)
    mesh, _ = episode_mesh(BATCH)
    labels = jax.random.randint(keys[0], (BATCH, TIME), 0, CLASSES)
    targets = jax.nn.one_hot(labels, CLASSES)
    late = jnp.roll(targets, 1, axis=1).at[:, 0].set(0)
    episodes = SequenceEpisode(
        inputs=Inputs(jax.random.uniform(keys[1], (BATCH, TIME, 20, 20)), late),
        targets=targets,
        mask=jnp.ones((BATCH, TIME), bool),
        axis_index=jnp.ones((BATCH, TIME), jnp.int32),
    )
    state = copy_to(learner.init(key=keys[2]), mesh)
    episodes = jax.jit(lambda e: shard(e, mesh))(episodes)

    @partial(jax.jit, donate_argnums=0)  # as training does
    def update(state: object, episodes: SequenceEpisode) -> object:
        return replicate(learner.update(state, episodes, key=jax.random.key(1)), mesh)

    held = [state]

    def step() -> None:
        held[0], _ = jax.block_until_ready(update(held[0], episodes))

    return {**timed(step, steps), **environment()}


def theirs(steps: int, cores: int, compiled: bool) -> dict[str, object]:
    """The network as it is usually written in PyTorch: modules, and a Python loop over time."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(cores)
    torch.manual_seed(0)

    class Mann(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.controller = nn.LSTMCell(PIXELS + CLASSES + HEADS * WIDTH, HIDDEN)
            self.keys = nn.Linear(HIDDEN, HEADS * WIDTH)
            self.gates = nn.Linear(HIDDEN, HEADS)
            self.head = nn.Linear(HIDDEN + HEADS * WIDTH, CLASSES)

        def step(self, x, hidden, cell, memory, read, attention, usage):
            hidden, cell = self.controller(torch.cat([x, read.flatten(1)], 1), (hidden, cell))
            keys = torch.tanh(self.keys(cell)).view(-1, HEADS, WIDTH)
            gates = torch.sigmoid(self.gates(cell)).unsqueeze(2)
            unused = torch.topk(usage, HEADS, largest=False).indices
            spare = torch.zeros_like(usage).scatter(1, unused, 1.0).unsqueeze(1)
            write = gates * attention + (1 - gates) * spare
            keep = torch.ones_like(usage).scatter(1, unused[:, :1], 0.0).unsqueeze(2)
            memory = memory * keep + write.transpose(1, 2) @ keys
            similar = functional.normalize(keys, dim=2) @ functional.normalize(memory, dim=2).transpose(1, 2)
            attention = torch.softmax(similar, 2)
            read = attention @ memory
            usage = 0.99 * usage + (attention.sum(1) + write.sum(1)).detach()
            return self.head(torch.cat([hidden, read.flatten(1)], 1)), hidden, cell, memory, read, attention, usage

    model = Mann()
    one = torch.compile(model.step) if compiled else model.step
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    labels = torch.randint(0, CLASSES, (BATCH, TIME))
    late = functional.one_hot(labels, CLASSES).float().roll(1, 1)
    late[:, 0] = 0
    xs = torch.cat([torch.rand(BATCH, TIME, PIXELS), late], 2)

    def step() -> None:
        usage = torch.zeros(BATCH, SLOTS)
        usage[:, 0] = 1
        state = (
            torch.zeros(BATCH, HIDDEN),
            torch.zeros(BATCH, HIDDEN),
            torch.full((BATCH, SLOTS, WIDTH), 1e-6),
            torch.zeros(BATCH, HEADS, WIDTH),
            usage.unsqueeze(1).repeat(1, HEADS, 1),
            usage,
        )
        logits = []
        for t in range(TIME):
            answer, *state = one(xs[:, t], *state)
            logits.append(answer)
        loss = functional.cross_entropy(torch.stack(logits, 1).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()

    from fastslow.training.provenance import hardware

    return {**timed(step, steps), "versions": {"torch": torch.__version__}, "hardware": hardware()}


def measure(way: str, steps: int) -> dict[str, object]:
    """Times one way in this process."""
    if way.startswith("fastslow"):
        found = ours(steps, cores(), plain=way != "fastslow")
    else:
        found = theirs(steps, cores(), compiled=way == "torch-compile")
    return {"batch": BATCH, "time": TIME, **found}


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, WAYS, measure, steps=40))
