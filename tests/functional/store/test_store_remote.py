"""Object storage: what is written there is what comes back, credentials stay where they are, and a missing extension is one line.

The first half runs everywhere. The second needs DuckDB's httpfs and aws (``INSTALL httpfs; INSTALL aws``, or the packages
``duckdb-extension-httpfs`` and ``duckdb-extension-aws`` of DuckDB's own version) and a server that speaks S3 (``pip install
'moto[server]'``), and is skipped without them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from store_records import failure, run_record, trial

from ctxbench import ConfigError, CtxbenchError, load_plugins, remote
from ctxbench.store import Store
from ctxbench.texts import find_files
from ctxbench_cli.main import cli

SECRET = "planted/Zq8+xW3vB6nM1secret"


@pytest.fixture(autouse=True)
def nothing_fetched(monkeypatch):
    monkeypatch.setenv(remote.SHARED, "")
    yield
    if folder := os.environ.get(remote.SHARED):
        remote._clean(folder, os.getpid())


@pytest.fixture
def full(tmp_path):
    """Three trials and one failure."""
    path = tmp_path / "s.duckdb"
    with Store.open(path) as store:
        store.start_run(run_record())
        store.append("r1", [*(trial(i, prediction='</script>"\n\x00|语') for i in range(3)), failure(11)])
        store.finish_run("r1", "finished", {"finished": 4, "errors": 1})
    return path


def call(*args):
    done = CliRunner().invoke(cli, [str(arg) for arg in args])
    return done, done.output


@pytest.fixture
def no_httpfs(monkeypatch, tmp_path):
    """A user without extensions, neither of DuckDB's own nor of PyPI."""
    real = importlib.util.find_spec
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name.startswith("duckdb_ext") else real(name, *rest))


@pytest.mark.parametrize(
    "words",
    [
        ("store", "export", "-o", "s3://bucket/runs", "--store"),
        ("store", "import", "s3://bucket/runs/trials.parquet", "--store"),
        ("sql", "summary", "--store"),
    ],
    ids=["export", "import", "sql"],
)
def test_without_httpfs_one_line_says_how_to_install_it(no_httpfs, full, words):
    """Nothing is downloaded behind the user's back, and the store stays as it is."""
    before = full.read_bytes()
    target = "s3://bucket/runs" if words[0] == "sql" else full
    done, _ = call(*words, target)
    assert isinstance(done.exception, (CtxbenchError, SystemExit))
    assert done.exit_code == 1
    message = done.output.strip().splitlines()[-1] if done.output.strip() else str(done.exception)
    assert "s3://bucket/runs: needs DuckDB's extension httpfs, which is not installed for DuckDB " in message
    assert "duckdb.execute('INSTALL httpfs; INSTALL aws')" in message
    assert full.read_bytes() == before


def test_data_without_httpfs(no_httpfs):
    """A task whose data are behind an address says what is missing where it is made."""
    with pytest.raises(ConfigError, match=r"https://host/a\.jsonl: needs DuckDB's extension httpfs"):
        load_plugins().task("transcribe", path="https://host/a.jsonl", column="text")


@pytest.mark.parametrize(
    "url",
    [
        f"s3://AKIA:{SECRET}@bucket/x.parquet".replace("/Zq8", "Zq8"),
        f"s3://bucket/x.parquet?s3_secret_access_key={SECRET}",
        f"https://host/x.parquet?X-Amz-Signature={SECRET}&X-Amz-Date=1",
    ],
)
def test_an_address_with_credentials_is_refused_and_not_repeated(url):
    """They would end in the config, the store and the log."""
    with pytest.raises(CtxbenchError, match="an address may hold no credentials or parameters; put credentials into the env") as caught:
        find_files([url])
    assert SECRET[8:] not in str(caught.value)


def test_what_is_an_address():
    """A path of this machine stays one."""
    assert [remote.is_remote(path) for path in ("s3://b/x", "S3://b/x", "https://h/x", "gs://b")] == [True] * 4
    assert [remote.is_remote(path) for path in ("s3:/b/x", "a/s3.parquet", "file:///x", "C:\\x", "./https", "")] == [False] * 6


def test_trackers_write_here(full):
    """``--to`` has nothing to do with object storage, and ``--live`` asks a store on this machine."""
    assert call("store", "export", "--to", "wandb", "-o", "s3://b/x", "--store", full)[0].exit_code == 2
    assert call("sql", "runs", "--live", "--store", "s3://b/x")[0].exit_code == 2


@pytest.fixture
def bucket(monkeypatch):
    """An S3-compatible server of somebody else's on this machine, with the bucket ``bucket``; the environment has the credentials."""
    boto3 = pytest.importorskip("boto3", reason="moto[server] is not installed")
    servers = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    import duckdb

    with duckdb.connect() as connection:
        if not (remote._load(connection, "httpfs") and remote._load(connection, "aws")):
            pytest.skip("DuckDB's extensions httpfs and aws are not installed")
    server = servers.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("ACCESS_KEY_ID", "AKIAPLANTED"), ("SECRET_ACCESS_KEY", SECRET), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    yield client
    server.stop()


def put(client, **files):
    for name, data in files.items():
        client.put_object(Bucket="bucket", Key=name.replace("__", "/").replace("_", "."), Body=data)


def test_what_is_exported_comes_back(bucket, full, tmp_path):
    """All four tables and the card go there; another store takes them, twice without adding anything twice; ``sql`` asks them there."""
    done, output = call("store", "export", "-o", "s3://bucket/runs/one", "--store", full)
    assert done.exit_code == 0, output
    keys = {item["Key"] for item in bucket.list_objects_v2(Bucket="bucket")["Contents"]}
    assert keys == {f"runs/one/{name}" for name in ("runs.parquet", "trials.parquet", "scores.parquet", "pages.parquet", "README.md")}
    assert "s3://bucket/runs/one/trials.parquet: 4 rows" in output
    other = tmp_path / "other.duckdb"
    _, first = call("store", "import", "s3://bucket/runs/one", "--store", other)
    _, second = call("store", "import", "s3://bucket/runs/one/trials.parquet", "--store", other)
    assert "4 trials added" in first
    assert "0 trials added" in second
    wanted = "SELECT * FROM trials ORDER BY trial_id"
    with Store.open_read_only(full) as a, Store.open_read_only(other) as b:
        assert a.query(wanted).rows == b.query(wanted).rows
    query = "SELECT trial_id, status, prediction FROM results ORDER BY trial_id"
    here = call("sql", query, "--format", "json", "--store", full)[1]
    there = call("sql", query, "--format", "json", "--store", "s3://bucket/runs/one/")[1]
    assert json.loads(there) == json.loads(here)
    assert len(json.loads(there)) == 4
    (tmp_path / "t.csv").write_text("")
    assert call("store", "export", "results", "--format", "csv", "-o", "s3://bucket/t.csv", "--store", full)[0].exit_code == 0
    assert bucket.get_object(Bucket="bucket", Key="t.csv")["Body"].read().count(b"trial_id") == 1


def test_data_from_object_storage(bucket, tmp_path):
    """Texts of a pattern, of a folder and of one file are those that were put there; a table's column is read as from this machine."""
    put(bucket, docs__a_txt=b"one two", docs__sub__b_txt="drei vier ü".encode(), docs__c_md=b"five", docs___hidden_txt=b"no")
    found = find_files(["s3://bucket/docs/**"])
    assert [file.label for file in found] == ["a.txt", "c.md", "sub/b.txt"]
    assert found[2].path.read_bytes() == "drei vier ü".encode()
    assert [file.label for file in find_files(["s3://bucket/docs/*.txt", "s3://bucket/docs/c.md"])] == [
        "bucket/docs/a.txt",
        "bucket/docs/c.md",
    ]
    assert [file.label for file in find_files(["s3://bucket/docs/"])] == ["a.txt", "c.md", "sub/b.txt"]
    put(bucket, t_jsonl=b'{"text": "a long line of words to restore"}\n')
    local = tmp_path / "t.jsonl"
    local.write_bytes(b'{"text": "a long line of words to restore"}\n')
    there = load_plugins().task("transcribe", path="s3://bucket/t.jsonl", column="text")
    here = load_plugins().task("transcribe", path=str(local), column="text")
    assert there.sample(0, 1).context == here.sample(0, 1).context == "a long line of words to restore"
    assert there.fingerprint == here.fingerprint


def test_a_file_is_fetched_once_for_a_run_and_its_workers(bucket):
    """The copy is found again through the environment, as a worker finds it, though the object has changed; it is gone afterwards."""
    put(bucket, a_txt=b"one")
    first = remote.fetched("s3://bucket/a.txt")
    put(bucket, a_txt=b"two")
    assert remote.fetched("s3://bucket/a.txt") == first
    assert hashlib.sha256(first.read_bytes()).hexdigest() == hashlib.sha256(b"one").hexdigest()
    remote._clean(os.environ[remote.SHARED], os.getpid())
    assert not first.exists()


def test_what_is_wrong_there_is_one_line_without_the_key(bucket, full, tmp_path):
    """A missing object, a missing bucket and a damaged table are told with their address; nothing is changed, and no key is shown."""
    put(bucket, bad__runs_parquet=b"x", bad__trials_parquet=b"x", bad__scores_parquet=b"x", bad__pages_parquet=b"x")
    for url in ("s3://bucket/none", "s3://nobucket/x", "s3://bucket/bad"):
        done, output = call("store", "import", url, "--store", full)
        assert done.exit_code == 1
        message = output + str(done.exception)
        assert url in message
        assert SECRET not in message
        assert "Traceback" not in output
    with pytest.raises(CtxbenchError, match=r"s3://bucket/none/\*: no file fits this pattern"):
        find_files(["s3://bucket/none/*"])
    with Store.open_read_only(full) as store:
        assert store.query("SELECT count(*) FROM trials").rows == [(4,)]
    assert not any(SECRET.encode() in path.read_bytes() for path in Path(tmp_path).rglob("*") if path.is_file())
