"""The gate: an exported file against an earlier audit, image by image."""
