"""Which noun and sense of WordNet a class is."""

from __future__ import annotations

from collections.abc import Sequence

from .wordnet import WordNet

NOT_ONE = {"T-shirt/top", "Ankle boot"}
"""Classes of Fashion-MNIST that the adaptive-label paper leaves out: WordNet has no one noun for them."""

ANIMALS = {
    "otter": 2, "skunk": 4, "weasel": 2, "tiger": 2, "leopard": 2, "dalmatian": 2, "chihuahua": 3,
    "raccoon": 2,
}  # fmt: skip
"""Senses of AwA2's animals that are not the first: the first is a fur, a person, ... (the paper's choice)."""

AWA2 = (
    "spider_monkey", "gorilla", "chimpanzee", "rabbit", "elephant", "otter", "skunk", "weasel", "fox", "wolf",
    "giant_panda", "raccoon", "tiger", "lion", "leopard", "dalmatian", "collie", "squirrel", "bobcat",
    "siamese_cat", "german_shepherd", "persian_cat", "chihuahua",
)  # fmt: skip
"""The 23 animals of AwA2 that the paper compares, in its order."""


def find_synsets(wordnet: WordNet, classes: Sequence[str]) -> dict[int, int]:
    """The synset of each class that is a noun of WordNet: index of the class -> synset.

    A class is looked up by its name. Its sense is the first; of AwA2's animals, when all classes are among
    them, that which is the animal.
    """
    names = [name.lower().replace(" ", "_").replace("+", "_") for name in classes]
    animals = ANIMALS if set(names) <= set(AWA2) else {}
    found = {}
    for k, name in enumerate(names):
        synset = None if classes[k] in NOT_ONE else wordnet.synset(name, animals.get(name, 1))
        if synset is not None:
            found[k] = synset
    return found
