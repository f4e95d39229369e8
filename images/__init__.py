"""Every source of images: uint8 or lazily read here, float32 [N, C, H, W] in 0..1 batch by batch."""

from .fit import Fit
from .imageset import ImageSet
from .matching import match
from .pairs import paired
from .sources import open_images

__all__ = ["Fit", "ImageSet", "match", "open_images", "paired"]
