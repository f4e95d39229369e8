"""Training: label representations, encoders, the loop."""
