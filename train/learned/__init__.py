"""Labels that are learned while the classifier is (Yu & Verma), and what they are compared with."""
