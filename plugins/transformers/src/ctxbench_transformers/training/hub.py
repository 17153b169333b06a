"""Puts a folder on the Hugging Face hub."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ctxbench import CtxbenchError, UsageError


def check_repository(repository: str) -> None:
    """Refuse what is no name of a repository.

    Raises:
        UsageError: it is not ``OWNER/NAME``.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(f"--push-to-hub: {' '.join(str(error).split())}") from None
    if "/" not in repository:
        raise UsageError(f"--push-to-hub: write OWNER/NAME, not {repository!r}")


def push(folder: Path, repository: str, *, private: bool) -> str:
    """Upload a folder's files into a repository, which is made if it is not there, and return its address.

    The token is that of the environment (``HF_TOKEN``) or of ``hf auth login``.

    Args:
        private: make a private repository; one that is there and public is refused.

    Raises:
        CtxbenchError: no token, no network, the hub refuses, or the repository holds other weights. The folder stays as it is.
    """
    from huggingface_hub import HfApi, get_token

    kept = f"{folder} is kept; upload it later with: {shlex.join(['hf', 'upload', repository, str(folder)])}"
    token = None
    try:
        token = get_token()
        if token is None:
            raise CtxbenchError("no token: log in with hf auth login, or set HF_TOKEN")
        api = HfApi(token=token, library_name="ctxbench")
        url = str(api.create_repo(repository, private=private or None, exist_ok=True))
        _check(api.repo_info(repository), folder, private)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload of ctxbench train export")
    except Exception as error:
        said = " ".join(str(error).split())[:400] or type(error).__name__
        if token:  # no message of the hub's client has it today
            said = said.replace(token, "***")
        raise CtxbenchError(f"--push-to-hub: {repository}: {said}. {kept}") from None
    return url


def _check(there: Any, folder: Path, private: bool) -> None:
    """Refuse a repository that is open to all though a private one was asked for, and one whose other weights would be read."""
    if private and there.private is False:
        raise CtxbenchError("the repository is there and public; --private is for a new one")
    names = {file.rfilename for file in there.siblings or ()}
    loaded = {name for name in names if "/" not in name and (name.endswith((".safetensors", ".safetensors.index.json")))}
    foreign = sorted((loaded | names & {"adapter_config.json"}) - {path.name for path in folder.iterdir()})
    if foreign:
        raise CtxbenchError(
            f"the repository holds {', '.join(foreign)}, which programs would load with this; remove it there, or name another"
        )
