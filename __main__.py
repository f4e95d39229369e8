"""`python -m vivavoce` is the command `vivavoce`."""

from .cli import main

main()
