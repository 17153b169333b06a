"""Files in object storage and behind web addresses, through DuckDB's extension httpfs where it is installed.

Credentials come from DuckDB's own persistent secrets, or from where AWS's tools look for them (environment, profiles, the machine's role).
None is taken from an address, and none is kept.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from ctxbench.errors import CtxbenchError
from ctxbench.files import write_whole

if TYPE_CHECKING:
    import duckdb

S3 = ("s3", "s3a", "s3n")
SCHEMES = (*S3, "gs", "gcs", "r2", "https", "http")
SHARED = "CTXBENCH_REMOTE_FILES"
"""The environment variable by which worker processes know where this process keeps what it has fetched."""

_HELD = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")


def is_remote(path: str) -> bool:
    """Whether a path is an address: ``s3://``, ``gs://``, ``gcs://``, ``r2://``, ``https://`` or ``http://``."""
    return path.partition("://")[0].lower() in SCHEMES and "://" in path


@attrs.frozen
class Remote:
    """A connection that can reach other machines. It holds no database."""

    connection: duckdb.DuckDBPyConnection

    def read(self, url: str) -> bytes:
        """The content of a file.

        Raises:
            CtxbenchError: it cannot be read.
        """
        with _told(url):
            rows = self.connection.execute("SELECT content FROM read_blob(?)", [_escaped(url)]).fetchall()
        if len(rows) != 1:
            raise CtxbenchError(f"{url}: no such file")
        return bytes(rows[0][0])

    def write(self, url: str, file: Path) -> None:
        """Copy a file there.

        Raises:
            CtxbenchError: it cannot be written.
        """
        target = url.replace("'", "''")
        with _told(url):
            self.connection.execute(f"COPY (SELECT content FROM read_blob(?)) TO '{target}' (FORMAT blob)", [_escaped(str(file))])

    def find(self, pattern: str) -> list[str]:
        """The addresses that fit a pattern, sorted.

        Raises:
            CtxbenchError: they cannot be listed, as behind https.
        """
        with _told(pattern):
            return sorted(url for (url,) in self.connection.execute("SELECT file FROM glob(?)", [pattern]).fetchall())


@contextlib.contextmanager
def connected(url: str) -> Iterator[Remote]:
    """A connection for an address and others like it.

    Raises:
        CtxbenchError: the extension is not installed, or the address holds something that has no place there.
    """
    import duckdb

    _check(url)
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        if not _load(connection, "httpfs"):
            version = duckdb.__version__
            raise CtxbenchError(
                f"{url}: needs DuckDB's extension httpfs, which is not installed for DuckDB {version}; install it once, where there is a"
                " network: python -c \"import duckdb; duckdb.execute('INSTALL httpfs; INSTALL aws')\""
                f" (or, if PyPI has it: pip install duckdb-extension-httpfs=={version} duckdb-extension-aws=={version})"
            )
        if urlsplit(url).scheme.lower() in S3:
            _credentials(connection, url)
        yield Remote(connection)


def _check(url: str) -> None:
    """Refuse addresses that carry more than a place: they would go into configs, stores and logs."""
    try:
        parts = urlsplit(url)
        inside = parts.username is not None or parts.password is not None or re.search(r"[?&][^/?&]*=", url) is not None
    except ValueError:
        raise CtxbenchError(f"{url.partition('?')[0]}: no address that can be read") from None
    if inside:
        place = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        raise CtxbenchError(f"{place}: an address may hold no credentials or parameters; {_WHERE}")


_WHERE = "put credentials into the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, ...) or a persistent secret of DuckDB's"


def _load(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Load an extension that DuckDB has installed, or that a package of PyPI holds for this version of DuckDB."""
    import duckdb

    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    places = [Path(place) for place in found.submodule_search_locations or ()] if found is not None else []
    files = [place / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension" for place in places]
    for wanted in [name, *(f"'{file.as_posix()}'" for file in files if file.is_file())]:
        with contextlib.suppress(duckdb.Error):
            connection.execute(f"LOAD {wanted}")
            return True
    return False


def _credentials(connection: duckdb.DuckDBPyConnection, url: str) -> None:
    """Use the user's persistent secret if there is one for this address, else what AWS's tools would use.

    ``AWS_ENDPOINT_URL_S3`` and ``AWS_ENDPOINT_URL`` count as they do there, for servers other than AWS. A public bucket needs nothing.
    """
    import duckdb

    if connection.execute("SELECT count(*) FROM which_secret(?, 's3')", [url]).fetchall()[0][0]:
        return
    given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    endpoint = urlsplit(given)
    settings = {"endpoint": endpoint.netloc + endpoint.path.rstrip("/"), "url_style": "path"} if endpoint.netloc else {}
    encrypted = "false" if endpoint.scheme == "http" else "true"
    if _load(connection, "aws"):
        options = "".join(f", {name} '{value}'" for name, value in settings.items())
        with contextlib.suppress(duckdb.Error):  # no credentials anywhere
            connection.execute(f"CREATE SECRET (TYPE s3, PROVIDER credential_chain{options}, use_ssl {encrypted})")
            return
    for name, value in settings.items():  # httpfs itself reads AWS_ACCESS_KEY_ID and its like
        connection.execute(f"SET s3_{name} = '{value}'")
    if settings:
        connection.execute(f"SET s3_use_ssl = {encrypted}")


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Make one line of DuckDB's errors."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        text = " ".join(str(error).partition("\nLINE ")[0].split())
        for name in _HELD:
            if secret := os.environ.get(name):
                text = text.replace(secret, "***")
        hint = f"; {_WHERE}" if re.search(r"\b40[13]\b|[Ff]orbidden|[Dd]enied", text) else ""
        raise CtxbenchError(f"{url}: {text[:300]}{hint}") from None


def _escaped(path: str) -> str:
    """A path that DuckDB takes for itself and for no pattern."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path)


def fetched(url: str) -> Path:
    """A local copy of a file, which this process and its workers fetch once, and which is gone when it ends.

    Raises:
        CtxbenchError: it cannot be read.
    """
    path = _folder() / (hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest() + "".join(Path(urlsplit(url).path).suffixes[-2:]))
    if not path.exists():
        with connected(url) as remote:
            write_whole(path, remote.read(url))
    return path


def listed(pattern: str) -> list[str]:
    """The addresses that a pattern means, sorted.

    Raises:
        CtxbenchError: they cannot be listed.
    """
    with connected(pattern) as remote:
        return remote.find(pattern)


def _folder() -> Path:
    if not (given := os.environ.get(SHARED)):
        given = os.environ[SHARED] = tempfile.mkdtemp(prefix="ctxbench-remote-")
        atexit.register(_clean, given, os.getpid())
    return Path(given)


def _clean(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked worker has the same list of what to do at its end
        shutil.rmtree(folder, ignore_errors=True)


__all__ = ["Remote", "connected", "fetched", "is_remote", "listed"]
