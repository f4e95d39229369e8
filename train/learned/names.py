"""The objectives of the adaptive-label paper's comparison; importing this is cheap."""

OBJECTIVES: dict[str, str] = {
    "std": "cross-entropy on one-hot labels",
    "static": "Huber loss to fixed word vectors",
    "lwr": "learning with retrospection, as its own paper",
    "lwr-port": "the same as the adaptive-label authors' code has it",
    "labelembed": "label embedding network, as its own paper",
    "labelembed-port": "the same as the adaptive-label authors' code has it, faults included",
    "lwal": "adaptive labels: the class means of the network's own outputs",
}
"""Name -> what it is."""
