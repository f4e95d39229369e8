"""The words whose BERT and GloVe vectors the authors of Chen et al. 2021 released for CIFAR-100.

Their word list follows the 20 superclasses while CIFAR-100's labels are alphabetical, so in the released
arrays label k belongs to another class than k: `as_released` keeps that order, else each class has its own.
"""

from __future__ import annotations

from ...errors import VivavoceError
from ...images.classes import CLASSES

_SUPERCLASSES = """
    beaver dolphin otter seal whale
    aquarium_fish flatfish ray shark trout
    orchid poppy rose sunflower tulip
    bottle bowl can cup plate
    apple mushroom orange pear sweet_pepper
    clock keyboard lamp telephone television
    bed chair couch table wardrobe
    bee beetle butterfly caterpillar cockroach
    bear leopard lion tiger wolf
    bridge castle house road skyscraper
    cloud forest mountain plain sea
    camel cattle chimpanzee elephant kangaroo
    fox porcupine possum raccoon skunk
    crab lobster snail spider worm
    baby boy girl man woman
    crocodile dinosaur lizard snake turtle
    hamster mouse rabbit shrew squirrel
    maple_tree oak_tree palm_tree pine_tree willow_tree
    bicycle bus motorcycle pickup_truck train
    lawn_mower rocket streetcar tank tractor
"""
SUPERCLASS_ORDER = tuple(_SUPERCLASSES.split())
"""CIFAR-100's classes, five of each superclass after another."""

_SAID_OTHERWISE = {
    "orchid": "orchids", "poppy": "poppies", "rose": "roses", "sunflower": "sunflowers", "tulip": "tulips",
    "bottle": "bottles", "bowl": "bowls", "can": "cans", "cup": "cups", "plate": "plates",
    "apple": "apples", "mushroom": "mushrooms", "orange": "oranges", "pear": "pears",
    "sweet_pepper": "sweet peppers", "keyboard": "computer keyboard", "maple_tree": "maple",
    "oak_tree": "oak", "palm_tree": "palm", "pine_tree": "pine", "willow_tree": "willow",
}  # fmt: skip


def released_words(classes: tuple[str, ...], as_released: bool) -> tuple[str, ...] | None:
    """The authors' word for each class of CIFAR-100, or None for other classes.

    Args:
        classes: class names.
        as_released: in the order of the superclasses, as the released arrays are.

    Raises:
        VivavoceError: released labels are asked for, but not of CIFAR-10 or CIFAR-100.
    """
    if classes != CLASSES["cifar100"]:
        if as_released and classes != CLASSES["cifar10"]:
            raise VivavoceError("labels as released exist for the classes of cifar10 and cifar100 only")
        return None
    order = SUPERCLASS_ORDER if as_released else classes
    return tuple(_SAID_OTHERWISE.get(name, name.replace("_", " ")) for name in order)
