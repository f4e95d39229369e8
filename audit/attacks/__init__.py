"""Attacks: each turns images into adversarial images inside a box, seeing only a target."""
