"""Labels that are learned while the classifier is (Yu & Verma), and what they are compared with."""

from .aim import OBJECTIVES, Aim, make_aim

__all__ = ["OBJECTIVES", "Aim", "make_aim"]
