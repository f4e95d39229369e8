"""Changes without an adversary: published corruptions, light, colour, geometry, file formats, and shifts."""
