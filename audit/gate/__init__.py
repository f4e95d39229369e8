"""The gate: compares an exported file with an earlier audit, image by image."""
