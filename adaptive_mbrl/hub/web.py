"""Files from a web server, by HTTP or HTTPS and nothing else."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO

from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.hub.archives import unpack
from adaptive_mbrl.hub.layout import LIMITS, MAX_TENSORS, SUMS_FILE, copy_limited, read_sums, sha256
from adaptive_mbrl.hub.places import Address

TIMEOUT = 30.0
"""Longest silence of a server [s]."""


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows a redirection, but from HTTPS to HTTPS only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.startswith("https:"):
            raise urllib.error.URLError(f"it is redirected to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _opener() -> urllib.request.OpenerDirector:
    """Python's usual opener would read ftp:// and file:// addresses, too."""
    opener = urllib.request.OpenerDirector()
    handlers = (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirect(),
        urllib.request.HTTPErrorProcessor(),
    )
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def fetch_address(address: Address, folder: Path) -> None:
    """Write the files of a checkpoint into an empty folder.

    Raises:
        CheckpointError: the server does not answer or has no such file, or it is too large or not the one that was meant.
    """
    if address.is_archive:
        archive = folder.with_name(f"{folder.name}.archive")
        try:
            _download(address.url, archive, MAX_TENSORS)
            _require_pin(archive, address)
            unpack(archive, folder, address.url)
        finally:
            archive.unlink(missing_ok=True)
        return
    base = address.url.rstrip("/")
    _download(f"{base}/{SUMS_FILE}", folder / SUMS_FILE, LIMITS[SUMS_FILE])
    _require_pin(folder / SUMS_FILE, address)
    for name in read_sums(folder / SUMS_FILE, base):
        _download(f"{base}/{name}", folder / name, LIMITS[name])


def _download(url: str, path: Path, limit: int) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "adaptive-mbrl"})
    try:
        with _opener().open(request, timeout=TIMEOUT) as answer:
            copy_limited(answer, path, limit, url)
    except urllib.error.HTTPError as error:
        raise CheckpointError(f"{url}: the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise CheckpointError(f"{url}: {error.reason}") from error
    except (http.client.HTTPException, OSError) as error:
        raise CheckpointError(f"{url}: the connection broke: {error}") from error


def _require_pin(path: Path, address: Address) -> None:
    if address.sha256 is not None and sha256(path) != address.sha256:
        raise CheckpointError(f"{address.url}: has the SHA-256 {sha256(path)}; the one that was asked for: {address.sha256}")
