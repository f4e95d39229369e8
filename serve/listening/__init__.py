"""The automatic listener, and what it heard of a model."""
