"""vivavoce: exported image classifiers that answer aloud and sit an oral exam.

The rooms, from the ground up: `vivavoce.artifacts` and `vivavoce.images` (what a model and what
images are), then `vivavoce.train`, `vivavoce.export`, `vivavoce.audit` and `vivavoce.serve`.
Importing this package imports none of them.
"""


def __getattr__(name: str) -> str:
    """Answer `vivavoce.__version__` from the installed metadata, only when somebody asks."""
    if name == "__version__":
        from importlib.metadata import version

        return version("vivavoce")
    raise AttributeError(f"module 'vivavoce' has no attribute {name!r}")
