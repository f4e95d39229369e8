"""Answers: an image in, the class spoken out."""
