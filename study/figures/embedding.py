"""The encoder's outputs, and where t-SNE puts them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...console import need
from ...train.model import Classifier

PERPLEXITY = 30.0
BATCH = 128


@torch.no_grad()
def encode(model: Classifier, images: Tensor) -> np.ndarray:
    """What the encoder makes of images [N, 3, H, W] in 0..1, in inference mode: float32 [N, features]."""
    model.eval()
    parts = [model.encoder((batch - model.mean) / model.std) for batch in images.split(BATCH)]
    return torch.cat(parts).numpy()


def place(features: np.ndarray) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008) of features [N, F] to the plane: float32 [N, 2].

    Scikit-learn's, from the principal components, with seed 0 and perplexity 30, or a third of the images
    where they are few. Where a network answers all images alike there are no components, and the beginning
    is random.
    """
    need("sklearn", "train", "t-SNE")
    from sklearn.manifold import TSNE

    begin = "pca" if np.ptp(features, axis=0).max() > 0 else "random"
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    return TSNE(perplexity=perplexity, init=begin, random_state=0).fit_transform(features)
