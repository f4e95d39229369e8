"""What goes wrong with a request, and the HTTP status that says so."""

from __future__ import annotations

from ...errors import VivavoceError
from ...images.imageset import DamagedImage, ImageError, TooManyPixels


class RequestError(VivavoceError):
    """A request that is answered with an error status and one line."""

    def __init__(self, status: int, message: str, close: bool = False) -> None:
        """`close`: the rest of the request is not read, so the connection has to end."""
        super().__init__(message)
        self.status, self.close = status, close


class Busy(RequestError):
    """More work than the server takes on; come back later."""

    def __init__(self, message: str = "busy: too many requests are waiting; try again in a second") -> None:
        super().__init__(503, message)


def of_image(error: ImageError) -> RequestError:
    """The status for an image that was refused."""
    if isinstance(error, TooManyPixels):
        return RequestError(413, str(error))
    return RequestError(422 if isinstance(error, DamagedImage) else 415, str(error))
