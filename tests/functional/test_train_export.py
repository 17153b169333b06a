"""``ctxbench train export`` without the weights' arithmetic: what is copied, what is refused, and what goes to the hub."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

import ctxbench
from ctxbench import contamination
from ctxbench_cli.main import cli
from ctxbench_transformers.training import export as export_module

TOKEN = "hf_secretsecretsecretsecret"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a finished run, as ``ctxbench train`` leaves it, with everything that is not to be handed out."""
    folder = tmp_path / "run"
    collector = contamination.Collector()
    collector.add("one two three four five six seven eight nine")
    record = {
        "training_data": [collector.data("f", "one context").plain()],
        "data_fingerprint": "f",
        "training_config": {"name": "toy", "method": "lora", "model": "/nowhere/base", "lora": {"r": 2, "alpha": 4}},
        "base_model": None,
        "model_fingerprint": "0" * 32,
        "steps": 1,
    }
    written = {
        "adapter_config.json": json.dumps({"peft_type": "LORA"}),
        "ctxbench_training.json": json.dumps(record),
        "chat_template.jinja": "{{ messages }}",
        "log.jsonl": '{"step": 1, "loss": 0.625}\n',
        "README.md": "of the run",
        "checkpoints/step-00000001/state.json": "{}",
        "tensorboard/events": "",
        "notes.txt": "",
    }
    for name, text in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    save_file({"a": np.ones(3, np.float32)}, folder / "adapter_model.safetensors")
    return folder


def call(*arguments: str | Path) -> Result:
    """The command ``ctxbench train`` as a user types it."""
    ctxbench.load_plugins().manager.add_commands(cli)
    return CliRunner().invoke(cli, ["train", *map(str, arguments)])


def names(folder: Path) -> set[str]:
    """What a folder holds."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


ADAPTER = {"adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "ctxbench_training.json", "README.md"}


def test_an_adapter_is_handed_out_without_what_the_run_needed(run: Path, tmp_path: Path) -> None:
    """Checkpoints are several times the adapter; a file left out or changed is another adapter. The log comes when asked for."""
    before = {name: (run / name).read_bytes() for name in names(run) if (run / name).is_file()}
    done = call("export", run, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["kind"], said["dtype"]) == ("adapter", None)
    assert said["bytes"] == sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert names(tmp_path / "out") == ADAPTER
    assert all((tmp_path / "out" / name).read_bytes() == before[name] for name in ADAPTER - {"README.md"})
    assert "training loss: 0.6250 at step 1" in (tmp_path / "out" / "README.md").read_text()
    assert {name: (run / name).read_bytes() for name in before} == before
    assert call("export", run, "-o", tmp_path / "logged", "--log").exit_code == 0
    assert names(tmp_path / "logged") == ADAPTER | {"log.jsonl"}
    assert call("export", tmp_path / "out", "-o", tmp_path / "again").exit_code == 0  # what was handed out is a result too


def test_a_whole_model_is_handed_out_as_it_is(run: Path, tmp_path: Path) -> None:
    """Shards go with their index, which a loader needs; there is nothing in it to merge."""
    (run / "adapter_config.json").unlink()
    (run / "adapter_model.safetensors").rename(run / "model-00001-of-00001.safetensors")
    for name in ("config.json", "model.safetensors.index.json", "tokenizer.json"):
        (run / name).write_text("{}")
    assert call("export", run, "-o", tmp_path / "out").exit_code == 0
    assert names(tmp_path / "out") == {
        *("config.json", "model.safetensors.index.json", "tokenizer.json", "model-00001-of-00001.safetensors"),
        *("chat_template.jinja", "ctxbench_training.json", "README.md", "notes.txt"),
    }
    merged = call("export", run, "-o", tmp_path / "merged", "--merge")
    assert (merged.exit_code, merged.output) == (
        2,
        f"error: --merge: {run} holds a whole model, and no adapter to merge; leave --merge out\n",
    )


def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(run: Path, tmp_path: Path) -> None:
    """Each is a mistake that users make; none may leave a folder that looks like a result."""
    out = tmp_path / "out"

    def refused(*arguments: str | Path) -> tuple[int, str]:
        done = call("export", *arguments)
        assert done.output.startswith("error: ")
        assert done.output.count("\n") == 1
        assert not out.exists()
        return done.exit_code, done.output

    assert refused(tmp_path / "no", "-o", out) == (2, f"error: {tmp_path / 'no'}: no such folder; give the output of ctxbench train\n")
    code, said = refused(run / "tensorboard", "-o", out)
    assert (code, "no finished run" in said) == (2, True)
    code, said = refused(run, "-o", run / "checkpoints")
    assert (code, said) == (2, f"error: -o: {run / 'checkpoints'} exists; give another folder\n")
    for option in (("--dtype", "float16"), ("--base", "x"), ("--trust-remote-code",)):
        assert refused(run, "-o", out, *option) == (2, f"error: {option[0]} goes with --merge\n")
    assert refused(run, "-o", out, "--private") == (2, "error: --private goes with --push-to-hub\n")
    code, said = refused(run, "-o", out, "--push-to-hub", "alone")
    assert (code, "write OWNER/NAME, not 'alone'" in said) == (2, True)
    assert refused(run, "-o", out, "--push-to-hub", "a/b/c")[0] == 2
    code, said = refused(run, "-o", out, "--merge")
    assert (code, said) == (1, "error: base model '/nowhere/base': no such folder; or give the base's folder with --base\n")
    code, said = refused(run, "-o", run / "log.jsonl" / "out")
    assert (code, "Not a directory" in said) == (1, True)
    (run / "adapter_model.safetensors").unlink()
    code, said = refused(run, "-o", out)
    assert (code, "has no adapter_model.safetensors" in said) == (1, True)
    (run / "ctxbench_training.json").unlink()
    code, said = refused(run, "-o", out)
    assert (code, "not finished; go on with: ctxbench train CONFIG --resume latest" in said) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_base_that_should_not_be_merged_into_is_refused(run: Path, tmp_path: Path) -> None:
    """Code of strangers, weights in 4 bit, another model of the same shape: each would run, or be written, without a word."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps({"quantization_config": {"load_in_4bit": True}}))
    shutil.copyfile(run / "adapter_model.safetensors", base / "model.safetensors")
    options = (run, "-o", tmp_path / "out", "--merge")
    done = call("export", *options, "--base", base)
    assert (done.exit_code, "are quantised" in done.output) == (1, True)
    (base / "config.json").write_text("{}")
    record = json.loads((run / "ctxbench_training.json").read_text())
    record["training_config"]["model"] = str(base)
    (run / "ctxbench_training.json").write_text(json.dumps(record))
    done = call("export", *options)
    assert (done.exit_code, f"another model than the base that {run} was trained on" in done.output) == (1, True)
    record["training_config"]["trust_remote_code"] = True
    (run / "ctxbench_training.json").write_text(json.dumps(record))
    done = call("export", *options)
    assert (done.exit_code, "--trust-remote-code lets that run" in done.output) == (1, True)


def test_an_interrupt_leaves_nothing_half_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the last moment, when all files are there but their names are not on the disk yet."""
    seen: list[str] = []

    def interrupted(path: Path) -> None:
        seen.append(path.name)
        if len(seen) == len(ADAPTER) + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_module.export(run, tmp_path / "out")
    assert {*seen[:-1]} == ADAPTER
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_train_is_still_a_command_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first argument that names no other command is the config, wherever options stand; help tells of both."""
    monkeypatch.chdir(tmp_path)
    shown = call("--help").output
    assert "Usage: ctxbench train [OPTIONS] CONFIG\n" in shown.replace("cli ", "ctxbench ")
    assert " train export [OPTIONS] FOLDER\n" in shown
    assert "  export  Write what a run left in FOLDER" in shown
    assert "Usage: cli train export [OPTIONS] FOLDER\n" in call("export", "--help").output
    missing = "error: {}: No such file or directory\n"
    assert call("--set", "lr=1", "export", "--estimate").output == missing.format("export")
    assert call("./export").output == missing.format("export")
    assert call("exports").output == missing.format("exports")
    assert (call().exit_code, call("export").exit_code) == (2, 2)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as an upload asks for: the repository, its files' metadata, and one commit with all files."""

    private: bool | None = None
    files: dict[str, bytes]
    tokens: set[str | None]
    created: list[dict[str, Any]]

    def answer(self, value: Any, code: int = 200) -> None:
        """JSON."""
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """A repository's description."""
        assert self.path.startswith("/api/models/me/toy")
        self.answer({"id": "me/toy", "private": self.private, "siblings": [{"rfilename": name} for name in self.files]})

    def do_POST(self) -> None:
        """Everything that writes."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.tokens.add(self.headers["Authorization"])
        if self.path == "/api/repos/create":
            self.created.append(json.loads(body))
            type(self).private = self.created[-1].get("visibility") == "private" if self.private is None else self.private
            self.answer({"url": f"{self.server.address}/me/toy"})
        elif self.path == "/api/validate-yaml":
            header = json.loads(body)["content"].split("---\n")[1]
            self.answer({"errors": [], "warnings": []} if "library_name: peft" in header else {"errors": [{"message": header}]})
        elif self.path == "/api/models/me/toy/preupload/main":
            paths = [file["path"] for file in json.loads(body)["files"]]
            self.answer({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]})
        elif self.path == "/api/models/me/toy/commit/main":
            lines = [json.loads(line) for line in body.splitlines()]
            self.files.update({v["path"]: base64.b64decode(v["content"]) for v in (line["value"] for line in lines) if "path" in v})
            self.answer({"commitUrl": f"{self.server.address}/me/toy/commit/1", "commitOid": "1"})
        else:
            self.answer({"error": self.path}, 404)

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub on this machine, and a user who is logged in there."""

    class Here(Hub):
        files: dict[str, bytes] = {}  # noqa: RUF012 - of this test alone
        tokens: set[str | None] = set()  # noqa: RUF012
        created: list[dict[str, Any]] = []  # noqa: RUF012

    server = HTTPServer(("127.0.0.1", 0), Here)
    server.address = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)  # type: ignore[attr-defined] # HF_ENDPOINT, when it is imported
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield Here
    server.shutdown()
    server.server_close()


def test_a_folder_goes_to_the_hub(run: Path, tmp_path: Path, hub: type[Hub]) -> None:
    """The hub's own client against a server: the repository as asked for, every file and no other, the token in no output."""
    done = call("export", run, "-o", tmp_path / "out", "--push-to-hub", "me/toy", "--private")
    assert done.exit_code == 0, done.output
    assert "/me/toy" in done.stdout
    assert [(made["organization"], made["name"], made["visibility"]) for made in hub.created] == [("me", "toy", "private")]
    assert hub.files == {name: (tmp_path / "out" / name).read_bytes() for name in ADAPTER}
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.output
    assert not any(TOKEN.encode() in path.read_bytes() for path in (tmp_path / "out").iterdir())


def test_what_the_hub_refuses_keeps_the_folder(run: Path, tmp_path: Path, hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    """No token, no network, weights there that would be read with these, a public repository: one line, and nothing goes up."""

    def refused(name: str, *options: str) -> str:
        done = call("export", run, "-o", tmp_path / name, "--push-to-hub", "me/toy", *options)
        assert done.exit_code == 1
        said = done.stderr
        assert said.startswith("error: --push-to-hub: me/toy: ")
        assert said.endswith(f"{tmp_path / name} is kept; upload it later with: hf upload me/toy {tmp_path / name}\n")
        assert TOKEN not in done.output
        assert names(tmp_path / name) == ADAPTER
        return said

    hub.files["model.safetensors.index.json"] = b""
    assert "holds model.safetensors.index.json" in refused("mixed")
    assert list(hub.files) == ["model.safetensors.index.json"]
    hub.private = False
    assert "there and public" in refused("public", "--private")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    refused("unreachable")

    def said_it(*_: Any, **__: Any) -> None:
        raise OSError(f"refused: Bearer {TOKEN}")

    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.HfApi.create_repo", said_it)
        assert "refused: Bearer ***" in refused("telling")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert "no token: log in with hf auth login, or set HF_TOKEN" in refused("nobody")
