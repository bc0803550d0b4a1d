"""A page is only for itself: pages of other sites in the same browser may not use the connection that it is served over.

A browser lets every page open a websocket to any address, this machine's own included. Without a check, a site that a user
happens to have open could press the buttons of a robot's page. Browsers say in the header `Origin` which page asks.
"""

from __future__ import annotations

import contextlib
import http
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_allowed(headers: Any, *, loopback: bool) -> bool:
    """Whether a connection may be opened.

    Args:
        headers: those of the request, by name; a program that is no browser sends no `Origin`.
        loopback: whether the page is served for this machine only. Its name must then be one of this machine's own, because any
            site can let a name of its own point here.
    """
    host, origin = str(headers.get("Host", "")), headers.get("Origin")
    if loopback and urlsplit(f"//{host}").hostname not in LOOPBACK:
        return False
    return origin is None or urlsplit(str(origin)).netloc == host


@contextlib.contextmanager
def same_origin_only(*, loopback: bool) -> Iterator[None]:
    """Let the server that is made within the block refuse what `is_allowed` refuses; viser has no setting for it.

    Args:
        loopback: as of `is_allowed`.
    """
    import websockets.asyncio.server as server

    serve = server.serve

    def serve_checked(*args: Any, process_request: Callable[[Any, Any], Any] | None = None, **settings: Any) -> Any:
        def checked(connection: Any, request: Any) -> Any:
            if not is_allowed(request.headers, loopback=loopback):
                return connection.respond(http.HTTPStatus.FORBIDDEN, "This page may only be used from itself.\n")
            return None if process_request is None else process_request(connection, request)

        return serve(*args, process_request=checked, **settings)

    server.serve = serve_checked  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        server.serve = serve  # type: ignore[misc]
