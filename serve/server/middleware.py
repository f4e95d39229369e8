"""Around every request: what is refused at once, counting, timing, the headers that every answer has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from .admission import check_request
from .errors import RequestError
from .replies import refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .hosts import Hosts
    from .service import Service

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


class Outermost:
    """The application as the server sees it."""

    def __init__(self, app: ASGIApp, service: Service, hosts: Hosts) -> None:
        self._app, self.service, self._hosts = app, service, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on unless it is refused, and count how it ended."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        status, start = 500, time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if self.service.stopping:
                    headers["Connection"] = "close"
            await send(message)

        try:
            await self._route(scope)(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            metrics = self.service.metrics
            metrics.requests.labels(route, status).inc()
            metrics.seconds.labels(route).observe(time.perf_counter() - start)
        return None

    def _route(self, scope: Scope) -> ASGIApp:
        """What answers a request: the application, or a refusal."""
        target = scope["raw_path"] + scope["query_string"]
        try:
            check_request(target, scope["headers"], self._hosts, self.service.limits)
        except RequestError as error:
            return refusal(error)
        return self._app
