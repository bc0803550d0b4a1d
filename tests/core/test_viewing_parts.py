"""Parts of live pages, without a browser: what they make of numbers, and who may listen where."""

from __future__ import annotations

import math
import re
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.viewing.bars import Bar, BarPanel, bars_html
from adaptive_mbrl.viewing.inbox import Inbox
from adaptive_mbrl.viewing.plots import Line, LivePlot
from adaptive_mbrl.viewing.same_origin import is_allowed
from adaptive_mbrl.viewing.serving import address_of, require_free, served_page
from adaptive_mbrl.viewing.status import Row, StatusTable, status_html

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def lefts(content: str) -> list[float]:
    return [float(x) for x in re.findall(r"left:([\d.]+)%", content)]


def test_a_bar_shows_zero_interval_value_and_truth_at_their_places():
    content = bars_html([Bar("bthigh", 0.5, -1, 1, interval=(0.0, 1.0), truth=-0.5)])

    # the line at zero, the interval, the value, the truth
    assert lefts(content) == [50, 50, 75, 25]
    assert "width:50.0%" in content
    assert ">0.50</div>" in content


def test_what_lies_outside_of_the_axis_is_at_its_end_and_what_is_unknown_is_not_drawn():
    assert lefts(bars_html([Bar("a", 7, -1, 1, interval=(-9, 9))])) == [50, 0, 100]
    assert lefts(bars_html([Bar("a", math.nan, -1, 1, interval=(math.nan, 1), truth=math.nan)])) == [50]
    assert "–" in bars_html([Bar("a", math.nan, -1, 1)])


def test_names_cannot_bring_markup_into_the_page():
    assert "<b>" not in bars_html([Bar("<b>", 0, 0, 1, unit="<b>")], note="<b>")
    assert "<b>" not in status_html([Row("<b>", "<b>")])


def test_events_are_done_in_order_by_the_thread_that_asks_for_them():
    inbox, done = Inbox(), []
    poster = threading.Thread(
        target=lambda: [inbox.callback(lambda i=i: done.append((i, threading.current_thread())))(None) for i in range(3)]
    )
    poster.start()
    poster.join()

    assert done == []
    assert inbox.work_off() == 3
    assert done == [(i, threading.current_thread()) for i in range(3)]
    assert inbox.work_off() == 0


def test_a_taken_port_is_refused_and_a_free_one_is_named(taken: int):
    with pytest.raises(ConfigError, match=rf"^{HOST}:{taken}: address already in use; port (\d+) is free: --port \1$") as caught:
        require_free(HOST, taken)

    require_free(HOST, int(str(caught.value).split()[-1]))


def test_an_address_of_another_machine_is_refused():
    # of the range that is kept free for documentation
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:8080: cannot assign .*; is --host an address of this machine\?"):
        require_free("192.0.2.1", 8080)


def test_addresses():
    assert address_of(HOST, 8080) == "http://127.0.0.1:8080"
    assert address_of("::1", 8080) == "http://[::1]:8080"
    assert address_of("0.0.0.0", 80) == f"http://{socket.gethostname()}:80"


def test_a_page_serves_its_parts_on_its_own_port_only(capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("viser")
    port = free_port()
    with served_page("Robot", HOST, port) as page:
        with page.readings:
            bars = BarPanel(page.server.gui, [Bar("gain", 1, 0, 2)], "A note.")
            table = StatusTable(page.server.gui)
            plot = LivePlot(page.server.gui, "speed", [Line("a", "#000000"), Line("b", "#ffffff", dashed=True)], seconds=2.0)
        for i in range(5):
            plot.append(float(i), (i, -i))
        bars.show([Bar("mass", 1, 0, 2)])
        table.show([Row("clock", "late", "bad")])
        plot.draw()
        assert page.server.get_port() == port
        # no client can make the page public
        assert page.server.request_share_url() is None
        with pytest.raises(ConfigError, match="in use"), served_page("Another", HOST, port):
            pass

    # the port is free again, and nothing but the address was said
    require_free(HOST, port)
    assert capsys.readouterr().out == f"Open http://{HOST}:{port} in a browser; Ctrl-C ends this command.\n"
    assert [x.tolist() for x in plot.columns()] == [[2, 3, 4], [2, 3, 4], [-2, -3, -4]]
    assert "A note." in bars._element.content
    assert "mass" in bars._element.content


def test_a_cleared_plot_begins_anew():
    pytest.importorskip("viser")
    with served_page("Robot", HOST, free_port()) as page:
        plot = LivePlot(page.server.gui, "speed", [Line("a", "#000000")])
        plot.append(9.0, [1.0])
        plot.clear()
        plot.append(0.0, [2.0])
        plot.draw()
        assert [x.tolist() for x in plot.columns()] == [[0.0], [2.0]]
        assert np.asarray(plot._element.data[1]).tolist() == [2.0]


def test_other_sites_in_the_same_browser_cannot_use_the_page():
    pytest.importorskip("viser")
    client = pytest.importorskip("websockets.sync.client")
    invalid = pytest.importorskip("websockets.exceptions").InvalidStatus
    port = free_port()
    own, protocols = f"http://{HOST}:{port}", ["viser-v1.1.1"]
    with served_page("Robot", HOST, port):
        for origin in (own, None):
            with client.connect(f"ws://{HOST}:{port}", origin=origin, subprotocols=protocols) as connection:
                assert connection.recv(timeout=60)
        for origin in ("http://elsewhere.example", f"http://{HOST}:{port + 1}", "null"):
            with pytest.raises(invalid, match="403"):
                client.connect(f"ws://{HOST}:{port}", origin=origin, subprotocols=protocols)
        # a name of another site that points to this machine
        with socket.create_connection((HOST, port)) as sock, pytest.raises(invalid, match="403"):
            client.connect(f"ws://elsewhere.example:{port}", sock=sock, subprotocols=protocols)


@pytest.mark.parametrize(
    ("headers", "loopback", "allowed"),
    [
        ({"Host": "robot.local:8080", "Origin": "http://robot.local:8080"}, False, True),
        ({"Host": "robot.local:8080", "Origin": "http://robot.local:8080"}, True, False),
        ({"Host": "robot.local:8080", "Origin": "http://elsewhere.example"}, False, False),
        # through a tunnel to another port
        ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, True, True),
        ({"Host": "[::1]:8080", "Origin": "http://[::1]:8080"}, True, True),
        ({"Host": "127.0.0.1:8080"}, True, True),
        ({}, True, False),
    ],
)
def test_who_may_connect(headers: dict[str, str], loopback: bool, allowed: bool):
    assert is_allowed(headers, loopback=loopback) == allowed


def test_a_plot_begins_where_there_is_a_number_and_no_line_begins_without_one():
    pytest.importorskip("viser")
    nan = math.nan
    with served_page("Robot", HOST, free_port()) as page:
        plot = LivePlot(page.server.gui, "error", [Line("a", "#000000"), Line("b", "#000000")])
        plot.append(0.0, [nan, nan])
        plot.draw()
        assert [x.tolist() for x in plot.columns()] == [[], [], []]
        for time, values in ((1.0, [1.0, nan]), (2.0, [nan, nan])):
            plot.append(time, values)
        assert [[str(y) for y in x] for x in plot.columns()] == [["1.0", "2.0"], ["1.0", "nan"], ["1.0", "nan"]]
        plot.append(3.0, [2.0, 5.0])
        plot.draw()
        assert [[str(y) for y in x] for x in plot.columns()] == [
            ["1.0", "2.0", "3.0"],
            ["1.0", "nan", "2.0"],
            ["5.0", "5.0", "5.0"],
        ]
