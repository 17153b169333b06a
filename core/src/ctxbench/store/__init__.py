"""The results store: a DuckDB file with the tables ``runs``, ``trials``, ``scores`` and ``pages``, and views over them."""

from ctxbench.store import formats
from ctxbench.store.migrations import latest as schema_version
from ctxbench.store.pages import image_folder
from ctxbench.store.query import Rows, Table
from ctxbench.store.store import Store, StoredTrial, Verdict

__all__ = ["Rows", "Store", "StoredTrial", "Table", "Verdict", "formats", "image_folder", "schema_version"]
