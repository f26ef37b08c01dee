"""Networks with weights that keep every channel alive, and their logits with one state or another."""

import math

import numpy as np
import torch
from torch import Generator, nn
from torch.func import functional_call

from ensembudget.families._build import describe, materialise
from ensembudget.records import Task

TASK = Task(5, 2, 8)

# Every family, the options that change how its channels hang together, and its groups of channels at width
# k: sizes in multiples of k, and how many of each.
CASES = [
    ("wide_resnet", {"depth": 10}, {1: 2, 2: 2, 4: 2}),
    ("wide_resnet", {"depth": 16}, {1: 3, 2: 3, 4: 3}),
    ("wide_resnet", {"depth": 16, "invariance": "practical"}, {1: 3, 2: 3, 4: 3}),
    ("wide_resnet", {"depth": 10, "invariance": "full"}, {1: 2, 2: 2, 4: 2}),
    ("vgg", {"depth": 11}, {1: 1, 2: 1, 4: 2, 8: 6}),
    ("vgg", {"depth": 16}, {1: 2, 2: 2, 4: 3, 8: 8}),
    ("vgg", {"depth": 11, "batch_norm": True}, {1: 1, 2: 1, 4: 2, 8: 6}),
    ("vgg", {"depth": 11, "batch_norm": True, "invariance": "practical"}, {1: 1, 2: 1, 4: 2, 8: 6}),
    ("vgg", {"depth": 11, "batch_norm": True, "invariance": "full"}, {1: 1, 2: 1, 4: 2, 8: 6}),
    ("convnet", {"invariance": "practical"}, {1: 1, 2: 1, 4: 1, 8: 1}),
    ("convnet", {"invariance": "full"}, {1: 1, 2: 1, 4: 1, 8: 1}),
    ("resnet18", {"invariance": "practical"}, {1: 3, 2: 3, 4: 3, 8: 3}),
    ("resnet18", {"invariance": "full"}, {1: 3, 2: 3, 4: 3, 8: 3}),
]


def called(case):
    """How a test of this case is called."""
    return "-".join([case[0], *map(str, case[1].values())])


def family(name, options, width, task=TASK, seed=0):
    """A network of a family with its initial weights, in double precision."""
    network = describe(name, width, task, options=options)
    return materialise(network, [Generator().manual_seed(seed)]).double()


def lively(network, seed=0):
    """A state of a network in which no two channels are alike and none is dead."""
    generator = Generator().manual_seed(seed)
    made = {}
    for name, tensor in network.state_dict(keep_vars=True).items():
        if tensor in made:
            continue  # two layers share it
        new = made[tensor] = tensor.detach().clone()
        if tensor.ndim > 1:
            new.normal_(0, math.sqrt(2 / tensor[0].numel()), generator=generator)
        elif tensor.is_floating_point():
            # Running means below zero keep what batch norm gives above it.
            low, high = (-1, 0) if name.endswith("running_mean") else (0.5, 1.5)
            new.uniform_(low, high, generator=generator)
    return {name: made[tensor] for name, tensor in network.state_dict(keep_vars=True).items()}


def logits(network: nn.Module, state, task=TASK, *, training=False, samples=6):
    """On images that are the same for every state; the network and the state are left as they are."""
    generator = Generator().manual_seed(1)
    shape = samples, task.channels, task.image_size, task.image_size
    images = torch.randn(shape, dtype=torch.float64, generator=generator)
    own = {name: tensor.clone() for name, tensor in state.items()}
    with torch.no_grad():
        return functional_call(network.train(training), own, (images,), tie_weights=False)


def random_orders(found, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.permutation(channels.size) for channels in found.channels]
