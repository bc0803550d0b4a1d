"""A page is served: by whom, under which address, and until when. The server is viser's, which brings its whole page along."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.viewing.same_origin import LOOPBACK, same_origin_only

if TYPE_CHECKING:
    import viser

LEFT_WIDTH, RIGHT_WIDTH = 340, 420
"""Widths of the two columns beside the scene [pixels]."""


class Page(NamedTuple):
    """A page with a scene between two columns.

    Attributes:
        server: what serves it; elements are added to its `gui` and its `scene`.
        controls: the left column, what one can do.
        readings: the right column, what one can read. Add elements within `with page.readings:`.
        address: what to type into the browser.
    """

    server: viser.ViserServer
    controls: viser.MainPanelHandle
    readings: viser.GuiTabHandle
    address: str


@contextlib.contextmanager
def served_page(title: str, host: str, port: int, readings: str = "Readings") -> Iterator[Page]:
    """Serve a page until the block ends, and print its address.

    Args:
        title: what the left column is called.
        host: address that the server listens on.
        port: its port.
        readings: what the right column is called.

    Raises:
        ConfigError: viser is not installed, the port is in use, or this machine has no such address.
    """
    extra_package("viser", "view")
    require_free(host, port)
    server = _make_server(title, host, port)
    try:
        server.gui.configure_theme(show_logo=False, show_share_button=False)
        server.gui.main_panel.dock_left()
        server.gui.main_panel.set_width(LEFT_WIDTH)
        panel = server.gui.add_panel()
        panel.dock_right()
        panel.set_width(RIGHT_WIDTH)
        page = Page(server, server.gui.main_panel, panel.add_tab(readings), address_of(host, port))
        print(f"Open {page.address} in a browser; Ctrl-C ends this command.", flush=True)
        if host not in LOOPBACK:
            print(f"Everybody who can reach {host}:{port} can use this page and its buttons.", flush=True)
        yield page
    finally:
        with contextlib.redirect_stdout(io.StringIO()):
            server.stop()


def address_of(host: str, port: int) -> str:
    """What to type into a browser on this machine, or on another one if `host` is an address that others see."""
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def require_free(host: str, port: int) -> None:
    """Refuse a port that another program listens on; viser would take the next free one without saying so.

    Raises:
        ConfigError: the port is in use, may not be used, or this machine has no such address.
    """
    try:
        _bind(host, port)
    except OSError as error:
        why = error.strerror or str(error)
        free = _next_free(host, port)
        hint = f"; port {free} is free: --port {free}" if free else "; is --host an address of this machine?"
        raise ConfigError(f"{host}:{port}: {why.lower()}{hint}") from error


def _next_free(host: str, port: int) -> int | None:
    for candidate in range(max(port + 1, 1024), min(port + 101, 65536)):
        with contextlib.suppress(OSError):
            _bind(host, candidate)
            return candidate
    return None


def _bind(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind, protocol) as probe:
        # as the server does it, so that the remains of closed connections do not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _make_server(title: str, host: str, port: int) -> viser.ViserServer:
    import viser

    class Server(viser.ViserServer):
        """Without the tunnel to a public server that any client of viser's may ask for."""

        def request_share_url(self, verbose: bool = True) -> str | None:
            return None

    # viser announces itself with a box, which would tell the address a second time
    with contextlib.redirect_stdout(io.StringIO()), same_origin_only(loopback=host in LOOPBACK):
        server = Server(host=host, port=port, label=title, verbose=False)
        if server.get_port() != port:
            server.stop()
            raise ConfigError(f"{host}:{port}: another program has just taken this port; give another one: --port {port + 1}")
    return server
