"""torchvision's networks as image encoders, for images of any size."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ..errors import VivavoceError

STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet, which its weights expect images normalised with."""

BACKBONES = {
    "resnet50": ("resnet50", "fc"),
    "efficientnet-b0": ("efficientnet_b0", "classifier"),
    "densenet121": ("densenet121", "classifier"),
    "mobilenet-v3-small": ("mobilenet_v3_small", "classifier"),
    "mobilenet-v3-large": ("mobilenet_v3_large", "classifier"),
}
"""Name here -> its builder's name in torchvision, and the layers that are its head."""

LEVELS = {
    "resnet50": ("layer1", "layer3", "layer4"),
    "efficientnet-b0": ("features.2", "features.5", "features.8"),
    "densenet121": ("features.denseblock1", "features.denseblock3", "features.denseblock4"),
    "mobilenet-v3-small": ("features.1", "features.8", "features.12"),
    "mobilenet-v3-large": ("features.3", "features.12", "features.16"),
}
"""Name here -> the layers whose maps are 4, 16 and 32 times smaller than the image."""


class Backbone(nn.Module):
    """A network of torchvision's without its head: images to the vector its head would get."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from ..console import need

        need("torchvision", "train", f"the encoder {name}")
        from torchvision import models

        builder, self.head = BACKBONES[name]
        self.name = name
        self.network = models.get_model(builder, weights=None)
        last = next(m for m in getattr(self.network, self.head).modules() if isinstance(m, nn.Linear))
        self.features = last.in_features
        setattr(self.network, self.head, nn.Identity())

    @property
    def levels(self) -> tuple[nn.Module, ...]:
        """An early, a middle and a late layer; their outputs are maps [N, C, h, w]."""
        return tuple(self.network.get_submodule(layer) for layer in LEVELS[self.name])

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images [N, 3, H, W], sides at least 32, to features [N, features]."""
        return torch.flatten(self.network(x), 1)

    def load(self, weights: str) -> None:
        """Take over pretrained weights, but for the head.

        Args:
            weights: `imagenet` (torchvision's own, downloaded once), or a `.safetensors`, `.pt` or `.pth`
                file with the state of this network.

        Raises:
            VivavoceError: the weights cannot be had, or are another network's.
        """
        state = self._download() if weights == "imagenet" else _read(Path(weights))
        state = {k: v for k, v in state.items() if not k.startswith(f"{self.head}.")}
        wanted = self.network.state_dict()
        wrong = [k for k in wanted if k not in state or state[k].shape != wanted[k].shape]
        if wrong or state.keys() - wanted.keys():
            odd = (wrong or sorted(state.keys() - wanted.keys()))[0]
            raise VivavoceError(
                f"{weights}: not the weights of torchvision's {self.name} ({odd} does not fit)"
            )
        self.network.load_state_dict(state)

    def _download(self) -> Mapping[str, Tensor]:
        from torchvision import models

        try:
            return models.get_model_weights(BACKBONES[self.name][0])["DEFAULT"].get_state_dict(progress=True)
        except (URLError, OSError) as error:
            raise VivavoceError(
                f"the ImageNet weights of {self.name} could not be downloaded ({error}); get them another "
                "way and give the file with --weights"
            ) from error


_NO_WEIGHTS = (SafetensorError, pickle.UnpicklingError, EOFError, LookupError, ValueError)
"""What reading a file raises that holds something else; torch's restricted reader is not choosy."""


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, "cpu", weights_only=True)
    except FileNotFoundError:
        raise VivavoceError(f"{path}: no such file of weights; give a path, or `imagenet`") from None
    except (OSError, RuntimeError, *_NO_WEIGHTS) as error:
        raise VivavoceError(f"{path}: weights that cannot be read ({type(error).__name__})") from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise VivavoceError(f"{path}: holds no plain state of a network (names and tensors)")
    return state
