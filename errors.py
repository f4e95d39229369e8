"""The one exception that is meant for the person at the keyboard."""


class VivavoceError(Exception):
    """Bad input or usage, told in one line that says what is wrong and what to do.

    Commands print the message without a traceback and exit with status 2.
    """
