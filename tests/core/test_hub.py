"""Checkpoints that are pushed and pulled: by folder, archive, a real web server and a real local Hub."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from adaptive_mbrl import cli
from adaptive_mbrl.canary import make_canary
from adaptive_mbrl.checkpoint import CHECKPOINT_FILES, FORMAT_VERSION, Checkpoint, Description, load_checkpoint, save_checkpoint
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.diagnosis import Diagnosis, DiagnosisConfig, size_of
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError, ConfigError
from adaptive_mbrl.hub import layout, pull_checkpoint, push_checkpoint
from adaptive_mbrl.hub.layout import LIMITS, SUMS_FILE, write_sums
from adaptive_mbrl.hub.places import Address, Repository, name_of, place_of
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.planning import ICEMConfig
from adaptive_mbrl.planning.learned_reward import LearnedReward, LearnedRewardConfig
from adaptive_mbrl.planning.learned_termination import LearnedTermination, LearnedTerminationConfig
from adaptive_mbrl.planning.value import ValueConfig, ValueFunction
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_RULES, POINT_WINDOW, point_episodes
from tests.core.local_hub import running_hub

FILES = ["README.md", "SHA256SUMS", "canary.safetensors", "checkpoint.yaml", "weights.safetensors"]


@pytest.fixture(scope="module")
def checkpoint(trained: MetaTrainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the point mass, with a canary."""
    description = Description(FORMAT_VERSION, POINT, (), (), POINT_MODEL, POINT_RULES, ICEMConfig(), POINT_WINDOW, {"steps": 1})
    episodes = point_episodes(4, seed=9)
    dataset = EpisodeDataset(POINT, episodes[:2], episodes[2:], POINT_WINDOW, POINT_OUTER.query)
    windows = dataset.held_out(4)
    assert windows is not None
    folder = tmp_path_factory.mktemp("made") / "point"
    save_checkpoint(folder, Checkpoint(description, trained.adapter, make_canary(trained.adapter, windows)))
    return folder


@pytest.fixture
def pushed(checkpoint: Path, tmp_path: Path) -> Path:
    """The checkpoint as it is pushed into a folder; a test may change it."""
    push_checkpoint(checkpoint, str(tmp_path / "pushed" / "point"))
    return tmp_path / "pushed" / "point"


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder on the loopback interface: serve(folder) -> its address."""
    servers = []

    def start(folder: Path) -> str:
        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def same(a: Path, b: Path) -> bool:
    first, second = (load_file(folder / "weights.safetensors") for folder in (a, b))
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["there", "there.tar.gz", "there.tgz", "there.zip"])
def test_what_is_pushed_is_pulled(checkpoint: Path, tmp_path: Path, name: str):
    assert push_checkpoint(checkpoint, str(tmp_path / name)) == str(tmp_path / name)

    pulled = pull_checkpoint(str(tmp_path / name), tmp_path / "pulled")

    assert sorted(path.name for path in pulled.iterdir()) == FILES
    assert same(pulled, checkpoint)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["pulled", name])


@pytest.fixture
def learned(checkpoint: Path, tmp_path: Path) -> Path:
    """The checkpoint with every further network that its robot can have."""
    whole = load_checkpoint(checkpoint)
    settings = {
        "value": ValueConfig(hidden=(4,)),
        "learned_reward": LearnedRewardConfig(hidden=(4,)),
        "learned_termination": LearnedTerminationConfig(hidden=(4,)),
        "diagnosis": DiagnosisConfig(("actuator_gain",), hidden=(4,)),
    }
    networks = {
        "value": ValueFunction(POINT, settings["value"]),
        "learned_reward": LearnedReward(POINT, settings["learned_reward"]),
        "learned_termination": LearnedTermination(POINT, settings["learned_termination"]),
        "diagnosis": Diagnosis(settings["diagnosis"], size_of(whole.adapter.prior(1))),
    }
    about = dataclasses.replace(whole.description, **settings)
    save_checkpoint(tmp_path / "learned", Checkpoint(about, whole.adapter, whole.canary, **networks))
    return tmp_path / "learned"


def test_every_network_of_a_checkpoint_is_pushed_and_pulled(learned: Path, tmp_path: Path):
    assert {path.name for path in learned.iterdir()} == set(CHECKPOINT_FILES)
    push_checkpoint(learned, str(tmp_path / "there.zip"))

    pulled = pull_checkpoint(str(tmp_path / "there.zip"), tmp_path / "pulled")

    assert {path.name for path in pulled.iterdir()} == {*CHECKPOINT_FILES, "README.md", SUMS_FILE}
    for name in CHECKPOINT_FILES:
        assert digest(pulled / name) == digest(learned / name)
    card = (pulled / "README.md").read_text()
    assert "maximises a reward that was learned from the rewards of episodes. Where episodes end was learned, too." in card


@pytest.mark.parametrize("key", ["value", "diagnosis", "learned_reward", "learned_termination"])
def test_a_giant_of_any_kind_is_refused_before_memory_is_taken_for_it(learned: Path, tmp_path: Path, key: str):
    push_checkpoint(learned, str(tmp_path / "pushed"))
    about = yaml.safe_load((tmp_path / "pushed" / "checkpoint.yaml").read_text())
    about[key]["hidden"] = [10**12]
    changed(tmp_path / "pushed", "checkpoint.yaml", yaml.safe_dump(about).encode(), hashed=True)

    file = f"{key.removeprefix('learned_')}.safetensors"
    with pytest.raises(CheckpointError, match=f"its description asks for a larger network than its {file} holds"):
        pull_checkpoint(str(tmp_path / "pushed"), tmp_path / "out")


def test_a_copy_that_nobody_could_pull_is_not_pushed(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adaptive_mbrl.hub.push.CHECKPOINT_FILES", ("checkpoint.yaml",))

    with pytest.raises(CheckpointError, match=r"weights\.safetensors: missing"):
        push_checkpoint(checkpoint, str(tmp_path / "there"))

    assert list(tmp_path.iterdir()) == []


def test_the_hashes_are_those_of_sha256sum(pushed: Path):
    checked = subprocess.run(["sha256sum", "--check", "--strict", SUMS_FILE], cwd=pushed, capture_output=True, text=True)

    assert checked.returncode == 0
    assert checked.stdout.count(": OK") == len(FILES) - 1


def test_the_card_says_what_the_checkpoint_is_and_is_found_by_the_hub(pushed: Path):
    _, metadata, text = (pushed / "README.md").read_text().split("---\n", 2)

    about = yaml.safe_load(metadata)
    assert about["library_name"] == "adaptive-mbrl"
    assert {"robotics", f"robot:{POINT.name}"} <= set(about["tags"])
    assert all(f"| {channel.name} | {channel.unit} |" in text for channel in (*POINT.obs, *POINT.action))
    assert "| steps | 1 |" in text


def test_a_card_that_is_there_is_kept_and_gets_the_metadata_once(checkpoint: Path, tmp_path: Path):
    own = shutil.copytree(checkpoint, tmp_path / "own")
    (own / "README.md").write_text("# Mine\n")

    push_checkpoint(own, str(tmp_path / "first"))
    push_checkpoint(tmp_path / "first", str(tmp_path / "second"))

    card = (tmp_path / "second" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: adaptive-mbrl\n")
    assert card.endswith("---\n\n# Mine\n")
    assert card.count("library_name") == 1


def test_other_files_beside_a_checkpoint_are_not_pushed(checkpoint: Path, tmp_path: Path):
    own = shutil.copytree(checkpoint, tmp_path / "own")
    (own / "optimiser.safetensors").write_bytes(b"")

    push_checkpoint(own, str(tmp_path / "there"))

    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == FILES


@pytest.mark.parametrize("form", ["folder", "folder/", "archive"])
def test_a_web_server_is_pulled_from(
    checkpoint: Path, pushed: Path, tmp_path: Path, serve: Callable[[Path], str], form: str, monkeypatch: pytest.MonkeyPatch
):
    push_checkpoint(checkpoint, str(pushed.parent / "point.tar.gz"))
    base = serve(pushed.parent)
    source, pinned = {
        "folder": (f"{base}/point", pushed / SUMS_FILE),
        "folder/": (f"{base}/point/", pushed / SUMS_FILE),
        "archive": (f"{base}/point.tar.gz", pushed.parent / "point.tar.gz"),
    }[form]
    monkeypatch.chdir(tmp_path)

    assert pull_checkpoint(source) == Path("runs/pulled/point")
    assert pull_checkpoint(f"{source}#sha256={digest(pinned)}", Path("pinned")) == Path("pinned")
    with pytest.raises(CheckpointError, match=f"has the SHA-256 {digest(pinned)}; the one that was asked for: {'0' * 64}"):
        pull_checkpoint(f"{source}#sha256={'0' * 64}", Path("other"))

    assert same(Path("pinned"), checkpoint)
    assert not Path("other").exists()


def test_a_server_that_does_not_have_it_is_one_line(tmp_path: Path, serve: Callable[[Path], str]):
    base = serve(tmp_path)

    with pytest.raises(CheckpointError, match=f"^{base}/nowhere/SHA256SUMS: the server answered 404 File not found$"):
        pull_checkpoint(f"{base}/nowhere", tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"^http://127.0.0.1:9/a.zip: .*refused"):
        pull_checkpoint("http://127.0.0.1:9/a.zip", tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def changed(folder: Path, name: str, content: bytes, *, hashed: bool) -> None:
    (folder / name).write_bytes(content)
    if hashed:
        write_sums(folder)


def breaks_weights(folder: Path) -> None:
    size = (folder / "weights.safetensors").stat().st_size
    changed(folder, "weights.safetensors", b"\xff" * size, hashed=True)


def predicts_otherwise(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    save_file({name: tensor * 1.1 for name, tensor in weights.items()}, folder / "weights.safetensors")
    write_sums(folder)


def describes_a_giant(folder: Path) -> None:
    about = yaml.safe_load((folder / "checkpoint.yaml").read_text())
    about["model"]["hidden"] = [10**12]
    changed(folder, "checkpoint.yaml", yaml.safe_dump(about).encode(), hashed=True)


def repeats_itself(folder: Path) -> None:
    layers = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 12))
    text = (folder / "checkpoint.yaml").read_text()
    changed(folder, "checkpoint.yaml", f"l0: &l0 [x]\n{layers}{text}".encode(), hashed=True)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed file": (lambda f: changed(f, "README.md", b"x", hashed=False), "changed since it was pushed: README.md"),
    "a missing file": (lambda f: (f / "canary.safetensors").unlink(), "in SHA256SUMS, but missing: canary.safetensors"),
    "a file too many": (lambda f: changed(f, "value.safetensors", b"", hashed=False), "not in SHA256SUMS: value.safetensors"),
    "no hashes": (lambda f: (f / SUMS_FILE).unlink(), "has no SHA256SUMS"),
    "hashes that are none": (lambda f: changed(f, SUMS_FILE, b"\xff\n", hashed=False), "SHA256SUMS, line 1"),
    "a pickle": (lambda f: changed(f, "model.pkl", b"", hashed=False), "'model.pkl' is no file of a checkpoint"),
    "a hashed pickle": (lambda f: changed(f, "model.pkl", b"", hashed=True), "'model.pkl' is no file of a checkpoint"),
    "broken weights": (breaks_weights, "weights.safetensors: damaged"),
    "other predictions": (predicts_otherwise, "predictions differ from those in canary.safetensors"),
    "an endless description": (repeats_itself, "checkpoint.yaml: refers to parts of itself with '*'"),
    "a description that is no YAML": (lambda f: changed(f, "checkpoint.yaml", b"a: [", hashed=True), "checkpoint.yaml"),
    "a giant": (describes_a_giant, "its description asks for a larger network than its weights.safetensors holds"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_gets_no_place(pushed: Path, tmp_path: Path, damage: str):
    harm, message = DAMAGE[damage]
    harm(pushed)

    with pytest.raises(CheckpointError) as error:
        pull_checkpoint(str(pushed), tmp_path / "out" / "point")

    assert message in str(error.value)
    assert str(error.value).startswith(str(pushed))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_listed_file_that_is_none_of_ours_is_never_asked_for(pushed: Path, tmp_path: Path, serve: Callable[[Path], str]):
    (pushed / SUMS_FILE).write_text(f"{'0' * 64}  ../secret\n")

    with pytest.raises(CheckpointError, match=r"'\.\./secret' is no file of a checkpoint; allowed: SHA256SUMS, "):
        pull_checkpoint(f"{serve(pushed.parent)}/point", tmp_path / "out")


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for info, content in members:
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def link(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


def zip_of(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return path


def cut(path: Path) -> Path:
    tar_of(path, (tarfile.TarInfo("README.md"), os.urandom(9000)))
    path.write_bytes(path.read_bytes()[:5000])
    return path


def plain(path: Path) -> Path:
    path.write_bytes(b"no archive at all")
    return path


ARCHIVES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a path upwards": (lambda p: tar_of(p / "a.tgz", (tarfile.TarInfo("../../evil.py"), b"")), "'evil.py' is no file of a"),
    "an absolute path": (lambda p: zip_of(p / "a.zip", "/etc/cron.d/evil", b""), "'evil' is no file of a checkpoint"),
    "a link": (lambda p: tar_of(p / "a.tgz", (link("README.md"), b"")), "'README.md': allowed: plain files, each once"),
    "a file twice": (lambda p: tar_of(p / "a.tgz", *[(tarfile.TarInfo("README.md"), b"")] * 2), "plain files, each once"),
    "two folders": (
        lambda p: tar_of(p / "a.tgz", (tarfile.TarInfo("a/README.md"), b""), (tarfile.TarInfo("b/checkpoint.yaml"), b"")),
        "all in one folder",
    ),
    "a small archive of much": (
        lambda p: zip_of(p / "a.zip", "README.md", b"\0" * (LIMITS["README.md"] + 1)),
        "'README.md' has 1,048,577 bytes; allowed: 1,048,576",
    ),
    "half an archive": (lambda p: cut(p / "a.tar.gz"), "damaged archive"),
    "no archive": (lambda p: plain(p / "a.zip"), "damaged archive"),
}


@pytest.mark.parametrize("archive", ARCHIVES)
def test_an_archive_writes_nothing_but_files_of_a_checkpoint(tmp_path: Path, archive: str):
    make, message = ARCHIVES[archive]
    path = make(tmp_path)

    with pytest.raises(CheckpointError, match=message):
        pull_checkpoint(str(path), tmp_path / "out")

    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_is_not_believed_what_it_says_of_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adaptive_mbrl.hub.archives.MAX_TENSORS", 1 << 16)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(b"\0" * (1 << 20)))

    with pytest.raises(CheckpointError, match="has more than 65,536 bytes"):
        pull_checkpoint(str(path), tmp_path / "out")


def test_a_server_is_not_believed_what_it_says_of_a_size(
    pushed: Path, tmp_path: Path, serve: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("adaptive_mbrl.hub.web.LIMITS", {**layout.LIMITS, "weights.safetensors": 100})

    with pytest.raises(CheckpointError, match=r"'weights\.safetensors' has more than 100 bytes"):
        pull_checkpoint(f"{serve(pushed.parent)}/point", tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "place", "name"),
    [
        ("hf://a/b", Repository("a/b"), "b"),
        ("hf://a/b.c@v1.0", Repository("a/b.c", "v1.0"), "b.c"),
        ("https://x.org/a/b.tar.gz?x=1", Address("https://x.org/a/b.tar.gz?x=1"), "b"),
        (f"https://x.org/a/#sha256={'a' * 64}", Address("https://x.org/a/", "a" * 64), "a"),
        ("http://x.org", Address("http://x.org"), "checkpoint"),
        ("a/b.zip", Path("a/b.zip"), "b"),
    ],
)
def test_words_and_places(text: str, place: Path | Address | Repository, name: str):
    assert place_of(text) == place
    assert name_of(place) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hf://a", "names no repository of the Hub; allowed: hf://OWNER/NAME"),
        ("hf:a/b", "names no repository of the Hub"),
        ("ftp://a/b", "is no address that can be read; allowed: https://, http:// and hf://, or a folder"),
        ("file:///etc/passwd", "is no address that can be read"),
        ("https:///a", "is no address that can be read"),
        ("https://a/b#md5=0", "'#md5=0' is no hash; allowed: #sha256= and 64 digits"),
    ],
)
def test_a_word_that_is_no_place_is_refused(text: str, message: str):
    with pytest.raises(ConfigError, match=message):
        place_of(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("push cartpole https://a/b", "a web server cannot be pushed to; allowed: hf://OWNER/NAME, or a folder or archive"),
        ("push cartpole hf://a/b@main", "a revision is made by the Hub; allowed: hf://a/b"),
        ("push cartpole new --private", "--private: 'new' is no repository of the Hub"),
        ("push cartpole .", "exists already; allowed: a new name"),
        ("push cartpol new", "no such checkpoint folder"),
        ("pull nowhere", "nowhere: no such folder or archive"),
        ("pull nowhere --out .", "exists already; allowed: a new name, which --out gives"),
        (
            "fine-tune hf://a/b --episodes e --out o",
            "hf://a/b: is not on this machine; fetch it with 'adaptive-mbrl pull hf://a/b'",
        ),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)

    assert cli.main(arguments.split()) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_hub_its_name_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    with pytest.raises(AdaptiveMBRLError, match=r"pip install 'adaptive-mbrl\[hub\]'"):
        pull_checkpoint("hf://a/b", tmp_path / "out")


PROGRAM = """
import json, sys
from adaptive_mbrl.cli import main
print(json.dumps([main(words) for words in json.loads(sys.argv[1])]))
"""
"""The Hub's client reads its environment when it is imported, so it has processes of its own here."""


def in_process(commands: list[list[str]], home: Path, **environment: str) -> tuple[list[int], str]:
    """Exit codes of commands that run in one new process, and what they said on stderr."""
    used = {"HF_HOME": str(home), "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        capture_output=True,
        text=True,
        env={**os.environ, **used, **environment},
        check=True,
    )
    return json.loads(result.stdout.splitlines()[-1]), result.stderr


@pytest.mark.slow
def test_the_hub_is_pushed_to_and_pulled_from_and_its_cache_used_without_a_network(checkpoint: Path, tmp_path: Path):
    home, cached = tmp_path / "home", tmp_path / "cached"
    with running_hub() as hub:
        hub.repositories["other/pickled"] = []
        hub.commit("other/pickled", {"model.pkl": b"", "README.md": b""})
        hub.repositories["other/empty"] = []
        hub.commit("other/empty", {})
        codes, said = in_process(
            [
                ["push", str(checkpoint), "hf://me/point", "--private"],
                ["push", str(checkpoint), "hf://me/point"],
                ["pull", "hf://me/point", "--out", str(tmp_path / "pulled")],
                ["pull", "hf://other/pickled", "--out", str(tmp_path / "no")],
                ["pull", "hf://other/empty", "--out", str(tmp_path / "no")],
                ["pull", "hf://me/nothing", "--out", str(tmp_path / "no")],
                ["pull", "hf://me/point@v7", "--out", str(tmp_path / "no")],
            ],
            home,
            HF_ENDPOINT=hub.url,
        )
        (_, first), (_, second), *_ = hub.repositories["me/point"]

    assert codes == [0, 0, 0, 2, 2, 2, 2]
    assert sorted({**first, **second}) == [".gitattributes", *FILES]
    assert hub.private == {"me/point"}
    assert same(tmp_path / "pulled", checkpoint)
    assert not [request for request in hub.requests if request.startswith("GET /other/pickled/resolve/")]
    assert [line for line in said.splitlines() if line.startswith("error:")] == [
        f"error: hf://other/pickled: 'model.pkl' is no file of a checkpoint; allowed: {', '.join(LIMITS)}",
        "error: hf://other/empty: has no SHA256SUMS; allowed: a checkpoint that 'adaptive-mbrl push' wrote, "
        "or one in whose folder 'sha256sum *.* > SHA256SUMS' was run",
        "error: hf://me/nothing: no such repository, or it is not open to you; who may see it logs in with 'hf auth login'",
        "error: hf://me/point@v7: has no revision 'v7'".replace("@v7", ""),
    ]

    # now the Hub is gone
    commands = [["pull", "hf://me/point", "--out", str(cached)], ["pull", "hf://me/nothing", "--out", str(tmp_path / "no")]]
    codes, said = in_process(commands, home, HF_ENDPOINT=hub.url)

    assert codes == [0, 2]
    assert same(cached, checkpoint)
    assert "error: hf://me/nothing: the Hub cannot be reached, and this revision is not in the cache" in said
    assert not (tmp_path / "no").exists()
