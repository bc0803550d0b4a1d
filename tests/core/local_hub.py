"""The endpoints of the Hugging Face Hub that its client uses for pushing and pulling, on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


class LocalHub(ThreadingHTTPServer):
    """Repositories in memory; every commit keeps all of its files.

    Attributes:
        repositories: for each repository its commits, the newest last: their hash and their files.
        large: uploaded contents of large files, by SHA-256.
        private: repositories that were made so that only their owner sees them.
        requests: the method and path of each request.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.repositories: dict[str, list[tuple[str, Files]]] = {}
        self.large: dict[str, bytes] = {}
        self.private: set[str] = set()
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, name: str, files: Files) -> str:
        """Add a commit and return its hash."""
        content = json.dumps([name, len(self.repositories[name]), sorted(files)]).encode()
        commit = hashlib.sha1(content).hexdigest()
        self.repositories[name].append((commit, files))
        return commit

    def revision(self, name: str, revision: str) -> tuple[str, Files]:
        """The commit that a branch or a hash names."""
        commits = self.repositories[name]
        return commits[-1] if revision == "main" else next(c for c in commits if c[0] == revision)

    def has_revision(self, name: str, revision: str) -> bool:
        return revision == "main" or revision in [commit for commit, _ in self.repositories[name]]


@contextmanager
def running_hub() -> Iterator[LocalHub]:
    hub = LocalHub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: LocalHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match path.strip("/").split("/"):
            case ["api", "repos", "create"]:
                self._create(json.loads(body))
            case ["api", "validate-yaml"]:
                self._json({"errors": [], "warnings": []})
            case ["upload", digest]:
                assert hashlib.sha256(body).hexdigest() == digest
                self.server.large[digest] = body
                self._send(b"")
            case ["api", "models", owner, name, *rest] if f"{owner}/{name}" in self.server.repositories:
                self._api(f"{owner}/{name}", rest, body)
            case [_, _, "info", "lfs", "objects", "batch"]:
                self._batch(json.loads(body))
            case [owner, name, "resolve", revision, file] if f"{owner}/{name}" in self.server.repositories:
                self._file(*self.server.revision(f"{owner}/{name}", revision), file)
            case _:
                self._missing("RepoNotFound")

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.server.repositories:
            self._json({"url": f"{self.server.url}/{name}"}, 409)
            return
        if wanted.get("visibility") == "private" or wanted.get("private"):
            self.server.private.add(name)
        self.server.repositories[name] = []
        self.server.commit(name, {".gitattributes": b"*.safetensors filter=lfs\n"})
        self._json({"url": f"{self.server.url}/{name}"})

    def _api(self, name: str, rest: list[str], body: bytes) -> None:
        match rest:
            case ["revision", revision] if not self.server.has_revision(name, revision):
                self._missing("RevisionNotFound")
            case [] | ["revision", _]:
                commit, files = self.server.revision(name, rest[1] if rest else "main")
                siblings = [{"rfilename": f, "size": len(c)} for f, c in files.items()]
                self._json({"id": name, "sha": commit, "siblings": siblings})
            case ["tree", revision]:
                _, files = self.server.revision(name, revision)
                self._json([_entry(file, content) for file, content in files.items()])
            case ["preupload", _]:
                modes = [
                    {"path": f["path"], "uploadMode": _mode(f["path"]), "shouldIgnore": False} for f in json.loads(body)["files"]
                ]
                self._json({"files": modes})
            case ["commit", _]:
                self._commit(name, [json.loads(line) for line in body.splitlines()])

    def _batch(self, wanted: dict[str, Any]) -> None:
        objects = [
            {**about, "actions": {"upload": {"href": f"{self.server.url}/upload/{about['oid']}"}}} for about in wanted["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        files = dict(self.server.revision(name, "main")[1])
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.server.large[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        commit = self.server.commit(name, files)
        self._json({"commitUrl": f"{self.server.url}/{name}/commit/{commit}", "commitOid": commit, "success": True})

    def _file(self, commit: str, files: Files, name: str) -> None:
        content = files[name]
        digest = hashlib.sha256(content).hexdigest()
        self._send(content, headers={"ETag": f'"{digest}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"})

    def _missing(self, what: str) -> None:
        self._send(b"{}", 404, {"X-Error-Code": what})

    def _json(self, content: Any, code: int = 200) -> None:
        self._send(json.dumps(content).encode(), code, {"Content-Type": "application/json"})

    def _send(self, content: bytes, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _mode(path: str) -> str:
    return "lfs" if path.endswith(".safetensors") else "regular"


def _entry(name: str, content: bytes) -> dict[str, Any]:
    """A file as the Hub lists it; of a large one the object's name is that of a pointer to it."""
    pointer = hashlib.sha1(content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": pointer}
    if _mode(name) == "lfs":
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry
