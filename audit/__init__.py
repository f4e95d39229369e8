"""The audit: attacks on an exported file, run on the file itself and without torch."""
