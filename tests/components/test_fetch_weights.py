"""The script that fetches weights, run as the container runs it, against a hub on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.components.fake_hub import FakeHub, running_hub, sha256

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs in containers of Linux")

SCRIPTS = Path(__file__).parents[2] / "components" / "files"
# Four times what is read at once, so that half of it is on disk when the hub stops in the middle.
WEIGHTS = bytes(range(256)) * 16384
FILES = {
    "config.json": b'{"model_type": "qwen3"}', "model-00001-of-00002.safetensors": WEIGHTS,
    "model-00002-of-00002.safetensors": WEIGHTS[::-1], "tokenizer.json": b"{}" * 5000, "merges.txt": b"a b\n",
    # What must not be fetched: code, pickles, a second copy of the weights, the repository's own files.
    "modeling.py": b"import os", "pytorch_model.bin": b"\x80\x02" * 4000, "consolidated.safetensors": WEIGHTS,
    ".gitattributes": b"*", "README.md": b"#",
}  # fmt: skip
FIRST = "model-00001-of-00002.safetensors"
WANTED = {"config.json", FIRST, "model-00002-of-00002.safetensors", "tokenizer.json", "merges.txt"}
OTHER = "b" * 40


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub(files=dict(FILES)) as made:
        yield made


class Fetcher:
    """Runs the script on one volume."""

    def __init__(self, folder: Path, hub: FakeHub) -> None:
        self.volume, self.hub = folder / "volume", hub
        self.volume.mkdir()

    def order(self, **changes: Any) -> Path:
        artifact = {"source": self.hub.source, "revision": self.hub.revision, **changes.pop("artifact", {})}
        order = {
            "folder": str(self.volume), "endpoint": self.hub.endpoint, "keep": 0, "wait_seconds": 30,
            "retry_seconds": 0.001, "artifacts": [artifact], **changes,
        }  # fmt: skip
        path = self.volume.parent / f"order-{time.monotonic_ns()}.json"
        path.write_text(json.dumps(order), encoding="utf-8")
        return path

    def start(self, verb: str = "fetch", *, env: dict[str, str] | None = None, **changes: Any) -> subprocess.Popen[str]:
        return self.run_script(verb, str(self.order(**changes)), env=env)

    @staticmethod
    def run_script(*arguments: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
        plain = {key: value for key, value in os.environ.items() if "proxy" not in key.lower() and key != "HF_TOKEN"}
        return subprocess.Popen(
            [sys.executable, str(SCRIPTS / "fetch_weights.py"), *arguments], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**plain, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}, **more,
        )  # fmt: skip

    def __call__(self, verb: str = "fetch", **changes: Any) -> tuple[int, str]:
        return ended(self.start(verb, **changes))

    @property
    def place(self) -> Path:
        return self.volume / self.hub.source.replace("/", "--") / self.hub.revision

    @property
    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.place).as_posix(): path.read_bytes()
            for path in self.place.rglob("*") if path.is_file() and path.name != ".complete.json"
        }  # fmt: skip

    @property
    def complete(self) -> bool:
        return (self.place / ".complete.json").exists()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def fetcher(tmp_path: Path, hub: FakeHub) -> Fetcher:
    return Fetcher(tmp_path, hub)


def loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """One of the script's modules, in this process."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_weights_and_what_describes_them_are_fetched_and_nothing_that_carries_code(fetcher: Fetcher) -> None:
    code, said = fetcher()
    assert (code, fetcher.complete) == (0, True), said
    assert fetcher.files == {name: FILES[name] for name in WANTED}
    marker = json.loads((fetcher.place / ".complete.json").read_text(encoding="utf-8"))
    assert marker["revision"] == fetcher.hub.revision and marker["files"][FIRST] == [len(WEIGHTS), sha256(WEIGHTS)]


def test_what_is_complete_is_not_asked_for_again(fetcher: Fetcher) -> None:
    fetcher()
    fetcher.hub.seen.clear()
    assert fetcher() == (0, "org/model@aaaaaaaaaaaa: complete\n")
    assert fetcher.hub.seen == []


def test_a_token_goes_to_the_hub_and_nowhere_else(fetcher: Fetcher) -> None:
    fetcher.hub.token = "hf_token"
    assert fetcher(env={"HF_TOKEN": "hf_token"})[0] == 0
    assert {authorization for host, *_, authorization in fetcher.hub.seen if host == "cdn"} == {""}
    assert {authorization for host, *_, authorization in fetcher.hub.seen if host == "hub"} == {"Bearer hf_token"}


@pytest.mark.parametrize(
    ("env", "said"), [({}, "without a token nobody may"), ({"HF_TOKEN": "old"}, "the token may not")]
)
def test_a_gated_model_says_what_is_missing(fetcher: Fetcher, env: dict[str, str], said: str) -> None:
    fetcher.hub.token = "hf_token"
    code, text = fetcher(env=env)
    assert code == 1 and said in text and "licence" in text and "old" not in text


def test_killed_in_the_middle_it_goes_on_where_it_stopped(fetcher: Fetcher) -> None:
    fetcher.hub.half.add(FIRST)
    process = fetcher.start()
    part = fetcher.place.with_suffix(".parts") / f"{FIRST}.part"
    until(lambda: part.exists() and part.stat().st_size == len(WEIGHTS) // 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not fetcher.complete and FIRST not in fetcher.files, "what is not whole has not its own name"
    fetcher.hub.gate.set()
    fetcher.hub.seen.clear()
    code, said = fetcher()
    assert (code, fetcher.complete) == (0, True), said
    assert fetcher.hub.requests(FIRST) == [f"bytes={len(WEIGHTS) // 2}-"]
    assert fetcher.files == {name: FILES[name] for name in WANTED}
    assert not part.parent.exists()


def test_it_ends_at_once_when_it_is_told_to(fetcher: Fetcher) -> None:
    fetcher.hub.half.add(FIRST)
    process = fetcher.start()
    assert fetcher.hub.half_sent.wait(30)
    process.terminate()
    assert ended(process)[0] == 143


def test_a_resumed_part_that_is_not_of_this_file_is_found_out(fetcher: Fetcher) -> None:
    part = fetcher.place.with_suffix(".parts") / f"{FIRST}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    code, said = fetcher()
    assert (code, fetcher.files[FIRST]) == (0, WEIGHTS)
    assert "its checksum is wrong; once more from the beginning" in said
    assert fetcher.hub.requests(FIRST) == ["bytes=1000-", ""]


@pytest.mark.parametrize("name", [FIRST, "config.json"])
def test_wrong_content_is_never_given_its_name(fetcher: Fetcher, name: str) -> None:
    fetcher.hub.corrupt[name] = 99
    code, said = fetcher()
    assert code == 1 and f"{name}: its checksum is " in said
    assert name not in fetcher.files and not fetcher.complete


def test_content_that_was_wrong_once_is_asked_for_again(fetcher: Fetcher) -> None:
    fetcher.hub.corrupt[FIRST] = 1
    assert fetcher()[0] == 0 and fetcher.files[FIRST] == WEIGHTS


def test_a_hub_that_stumbles_is_asked_again(fetcher: Fetcher) -> None:
    fetcher.hub.answers = [503, 429, 500]
    assert fetcher()[0] == 0 and fetcher.complete


def test_a_hub_that_stays_away_ends_it_for_now(fetcher: Fetcher) -> None:
    fetcher.hub.answers = [503] * 999
    code, said = fetcher()
    assert code == 2 and "HTTP 503" in said and not fetcher.complete


def test_no_room_is_said_before_the_volume_is_full(fetcher: Fetcher) -> None:
    fetcher.hub.sizes[FIRST] = 1 << 60
    code, said = fetcher()
    assert code == 2 and "no room on the volume" in said and "weights.size" in said
    assert fetcher.hub.requests() == []


def test_a_volume_that_fills_up_leaves_nothing_that_looks_whole(fetcher: Fetcher) -> None:
    import resource

    limit = len(WEIGHTS) // 3
    process = fetcher.run_script(
        "fetch", str(fetcher.order()), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    )
    code, said = ended(process)
    assert code == 2 and "File too large" in said
    assert FIRST not in fetcher.files and not fetcher.complete


def test_two_at_once_fetch_everything_once(fetcher: Fetcher) -> None:
    fetcher.hub.half.add(FIRST)
    first = fetcher.start()
    assert fetcher.hub.half_sent.wait(30)
    second = fetcher.start()
    assert second.stdout and "another one fetches it; waiting" in second.stdout.readline()
    fetcher.hub.gate.set()
    assert ended(first)[0] == 0
    code, said = ended(second)
    assert (code, said) == (0, "org/model@aaaaaaaaaaaa: complete\n")
    assert sorted(path for host, path, *_ in fetcher.hub.seen if host == "cdn") == sorted(
        f"/{name}" if len(FILES[name]) > 4096 else name for name in WANTED
    )


def test_where_locks_are_unknown_each_writes_under_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    store = loaded("weight_store", monkeypatch)
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(95, "not supported")))
    monkeypatch.setattr(store.socket, "gethostname", lambda: "chat-7d9f-abcde")
    with store.locked(tmp_path / "org--model" / ("a" * 40)) as suffix:
        assert suffix == ".chat-7d9f-abcde.part"


def test_pinned_checksums_need_no_list_and_admit_nothing_else(fetcher: Fetcher) -> None:
    (fetcher.place).mkdir(parents=True)
    (fetcher.place / "model-extra.safetensors").write_bytes(b"planted")
    pins = {name: sha256(FILES[name]) for name in (FIRST, "config.json")}
    assert fetcher(artifact={"sha256": pins})[0] == 0
    assert set(fetcher.files) == set(pins)
    assert not [path for host, path, *_ in fetcher.hub.seen if "/api/" in path]


def test_pins_are_trusted_more_than_the_hub(fetcher: Fetcher) -> None:
    """A hub that lists and serves the same wrong content passes its own list, and no pin."""
    assert fetcher()[0] == 0
    pins = {name: sha256(FILES[name]) for name in (FIRST, "config.json")} | {"tokenizer.json": "0" * 64}
    code, said = fetcher(artifact={"sha256": pins})
    assert code == 1 and "tokenizer.json: its checksum is " in said


def test_another_revision_than_was_asked_for_is_refused(fetcher: Fetcher) -> None:
    fetcher.hub.commit = OTHER
    code, said = fetcher()
    assert code == 1 and "another revision" in said and not fetcher.complete


def test_a_revision_that_the_hub_has_not(fetcher: Fetcher) -> None:
    code, said = fetcher(artifact={"revision": OTHER})
    assert code == 1 and "no such repository, revision or file" in said


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/x.safetensors", "a/../../b.safetensors"])
def test_no_name_leads_out_of_the_folder(fetcher: Fetcher, name: str) -> None:
    fetcher.hub.files = {name: WEIGHTS}
    code, said = fetcher()
    assert code == 1 and "leads out of the folder" in said


def test_weights_that_could_carry_code_do_not_count(fetcher: Fetcher) -> None:
    fetcher.hub.files = {"config.json": b"{}", "pytorch_model.bin": WEIGHTS}
    code, said = fetcher()
    assert code == 1 and "no weights in safetensors" in said


def test_the_list_may_not_go_on_elsewhere(fetcher: Fetcher) -> None:
    endpoint, fetcher.hub.endpoint = fetcher.hub.endpoint, "http://elsewhere.example"
    order = fetcher.order(endpoint=endpoint)
    code, said = ended(fetcher.run_script("fetch", str(order), env={"HF_TOKEN": "t"}))
    assert code == 1 and "goes on at another host" in said


@pytest.mark.parametrize(("stated", "code"), [(16, 0), (8, 1)])
def test_an_adapters_rank_is_what_the_stack_file_says(fetcher: Fetcher, stated: int, code: int) -> None:
    fetcher.hub.files = {"adapter_model.safetensors": WEIGHTS, "adapter_config.json": b'{"r": 16}'}
    found, said = fetcher(artifact={"rank": stated})
    assert found == code, said
    assert code == 0 or "has rank 16, and the stack file says 8" in said


def test_a_model_is_no_adapter(fetcher: Fetcher) -> None:
    code, said = fetcher(artifact={"rank": 8})
    assert code == 1 and "no LoRA adapter" in said


def test_waiting_ends_when_the_other_one_is_done(fetcher: Fetcher) -> None:
    waiting = fetcher.start("wait", retry_seconds=0.01)
    assert waiting.stdout and "waiting for org/model" in waiting.stdout.readline()
    assert fetcher()[0] == 0
    assert ended(waiting)[0] == 0


def test_waiting_does_not_go_on_for_ever_and_asks_nobody(fetcher: Fetcher) -> None:
    code, said = fetcher("wait", wait_seconds=0)
    assert code == 2 and "look at the Job" in said
    assert fetcher.hub.seen == []


def test_older_revisions_make_room(fetcher: Fetcher) -> None:
    places = []
    for revision in ("1" * 40, "2" * 40, "3" * 40):
        fetcher.hub.revision = revision
        assert fetcher(keep=2)[0] == 0
        os.utime(fetcher.place / ".complete.json", (len(places), len(places)))
        places.append(fetcher.place)
    assert [place.exists() for place in places] == [False, True, True]


def test_a_proxy_of_the_environment_carries_everything(fetcher: Fetcher) -> None:
    """Nobody could resolve this host: the proxy, here the hub itself, is asked for the whole address."""
    order = fetcher.order(endpoint="http://hub.invalid")
    fetcher.hub.files = {"model.safetensors": b"w" * 100}
    code, said = ended(fetcher.run_script("fetch", str(order), env={"HTTP_PROXY": fetcher.hub.endpoint}))
    assert code == 0, said
    assert fetcher.files == {"model.safetensors": b"w" * 100}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_a_companys_certificates_are_trusted_where_they_are_stated(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with running_hub(tls=tls, files=dict(FILES)) as hub:
        fetcher = Fetcher(tmp_path, hub)
        code, said = fetcher(env={"SSL_CERT_FILE": "", "SSL_CERT_DIR": str(tmp_path / "none")})
        assert code == 2 and "certificate verify failed" in said.lower()
        code, said = fetcher(env={"SSL_CERT_FILE": str(certificate)})
        assert code == 0, said


def test_a_redirect_never_leaves_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    client = loaded("hub_client", monkeypatch)
    request = client.urllib.request.Request("https://hub.example/x")
    with pytest.raises(client.Never, match="without encryption"):
        client._Redirects().redirect_request(request, None, 302, "Found", {}, "http://cdn.example/x")


def test_sums_are_printed_as_the_stack_file_takes_them(fetcher: Fetcher) -> None:
    env = {"HF_ENDPOINT": fetcher.hub.endpoint}
    code, said = ended(fetcher.run_script("sums", "org/model", fetcher.hub.revision, env=env))
    assert code == 0
    assert said == "".join(f"{sha256(FILES[name])}  {name}\n" for name in sorted(WANTED))
    fetcher.hub.corrupt["config.json"] = 1
    code, said = ended(fetcher.run_script("sums", "org/model", fetcher.hub.revision, env=env))
    assert code == 1 and "not what the hub lists" in said


def test_other_arguments_explain_themselves(fetcher: Fetcher) -> None:
    code, said = ended(fetcher.run_script("help"))
    assert code == 1 and "fetch_weights.py fetch ORDER" in said
