"""Families of images as timm models: `import ensembudget.timm`, then `timm.create_model("vgg", width=40)`."""

from typing import Any

import torch
from timm.models import is_model, model_entrypoint, register_model
from torch import Generator, nn

from .catalog import FAMILIES
from .families._build import describe, materialise
from .families._layers import set_dropout
from .records import Task


def register() -> None:
    """Registers every family of images that can be used; a second time changes nothing."""
    for family, part in FAMILIES.usable().items():
        if "images" in part.tasks and not is_model(timm_name(family)):
            register_model(_entrypoint(family))


def timm_name(family: str) -> str:
    """What timm calls a family: its own name, or with a prefix where timm has a model of that name.

    >>> timm_name("vgg"), timm_name("resnet18")
    ('vgg', 'ensembudget_resnet18')
    """
    taken = is_model(family) and model_entrypoint(family).__module__ != __name__
    return f"ensembudget_{family}" if taken else family


def _entrypoint(name: str) -> Any:
    def create(
        pretrained: bool = False,
        *,
        width: int,
        num_classes: int = 10,
        in_chans: int = 3,
        img_size: int = 32,
        drop_rate: float = 0.0,
        members: int = 1,
        pretrained_cfg: object = None,
        pretrained_cfg_overlay: object = None,
        cache_dir: object = None,
        **options: int | bool | str,
    ) -> nn.Module:
        if pretrained:
            raise ValueError(
                f"there are no pretrained weights of {name!r}: it is made to be trained at any width."
            )
        network = describe(
            name, width, Task(num_classes, in_chans, img_size), members=members, options=options
        )
        # timm users expect torch.manual_seed to decide the weights.
        seeds = torch.randint(2**62, (members,)).tolist()
        materialise(network, [Generator().manual_seed(seed) for seed in seeds])
        set_dropout(network, drop_rate)
        network.num_classes = num_classes  # type: ignore[assignment]
        return network

    create.__name__ = create.__qualname__ = timm_name(name)
    create.__doc__ = FAMILIES.summary(name)
    return create


register()
