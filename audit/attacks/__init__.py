"""Attacks: each turns images into adversarial images in a ball and sees only a `Target`."""
