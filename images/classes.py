"""Names of the classes of well-known data sets, in the order of their labels, and the words said for them."""

from __future__ import annotations

from collections.abc import Sequence

_DIGITS = tuple("0123456789")
_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

CLASSES: dict[str, tuple[str, ...]] = {
    "digits": _DIGITS,
    "mnist": _DIGITS,
    "fashion-mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
    # Alphabetical: the order of the labels, unlike that of the 20 superclasses.
    "cifar100": (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
        "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
        "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
        "dinosaur",
        "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo",
        "keyboard",
        "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle",
        "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear",
        "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon",
        "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail",
        "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
        "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
        "willow_tree", "wolf", "woman", "worm",
    ),
}  # fmt: skip

SPOKEN: dict[str, dict[str, str]] = {"cifar10": {"automobile": "car"}}
"""Per data set, the words said that are not the class name."""


def spoken_words(classes: Sequence[str]) -> tuple[str, ...]:
    """The word said for each class.

    Those of a known data set when these are its classes (CIFAR-10's `automobile` says "car"), else the
    names themselves with spaces for underscores; a single digit says its name.
    """
    known = next((SPOKEN.get(name, {}) for name, own in CLASSES.items() if own == tuple(classes)), {})
    return tuple(known.get(name) or _word(name) for name in classes)


def plain_words(classes: Sequence[str]) -> tuple[str, ...]:
    """Each class name as words: spaces for underscores, lower case, a digit's name."""
    return tuple(_word(name) for name in classes)


def _word(name: str) -> str:
    if name in _DIGITS:
        return _DIGIT_WORDS[int(name)]
    # "T-shirt/top" offers a choice; the first will do.
    return " ".join(name.partition("/")[0].replace("_", " ").split()).lower()
