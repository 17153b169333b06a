"""What the record of a training and its log tell, as paragraphs of Markdown for the model card."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ctxbench.statistics import wilson
from ctxbench_transformers import provenance
from ctxbench_transformers.settings import flat
from ctxbench_transformers.training.config import TrainConfig

UNKNOWN = "not known"
_PLACES = ("name", "model", "data", "output", "device", "report_to")
"""Settings that say where, and not what; the base and the data have places of their own in the card."""


def config(record: dict[str, Any]) -> dict[str, Any]:
    """The settings of the training, as far as the record has them."""
    return dict(record.get("training_config") or {})


def value(given: Any) -> str:
    """A setting for people: text as it is, other values as JSON."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def languages(record: dict[str, Any]) -> list[str] | None:
    """The languages of the training data; ``None`` if they are not known."""
    counted = record.get("data_languages")
    return list(counted) if counted else list((record.get("data_config") or {}).get("languages") or ()) or None


def data(record: dict[str, Any]) -> list[str]:
    """The data: fingerprint, records, codecs, tasks, languages, the config that made it, and what earlier trainings saw."""
    counts = record.get("data_records") or {}
    lines = [f"- fingerprint: {_code(record.get('data_fingerprint'))}"]
    splits = {"train": "for training", "validation": "for validation"}
    lines.append(f"- records: {_counts({splits.get(name, name): n for name, n in (counts.get('split') or {}).items()})}")
    lines += [f"- by {key}: {_counts(counts.get(key))}" for key in ("codec", "task")]
    counted = record.get("data_languages") or {}
    lines.append(f"- languages: {_counts(counted) if counted else ', '.join(languages(record) or ()) or UNKNOWN}")
    blocks = ["\n".join(lines)]
    sets = [f"- {some['covers']} (fingerprint `{some['fingerprint']}`)" for some in record.get("training_data") or ()]
    if len(sets) > 1:
        blocks.append("\n".join(["Data sets that these weights have seen, the first one first:", "", *sets]))
    if record.get("earlier_unknown"):
        blocks.append(f"What its base was trained on before is {UNKNOWN}.")
    if record.get("adapter_base_fingerprint"):
        before = f"fingerprint `{record['adapter_base_fingerprint']}`"
        blocks.append(f"The adapter had been trained on another base model ({before}) before it went on upon this one.")
    made = record.get("data_config")
    return [
        *blocks,
        f"The config that made the data:\n\n```yaml\n{_yaml(made)}```" if made else f"The config that made the data is {UNKNOWN}.",
    ]


def _yaml(made: dict[str, Any]) -> str:
    """A data set's config without the places on the disk of whoever made it."""
    import yaml

    shown = {key: [Path(name).name for name in item] if key == "files" else item for key, item in made.items() if key != "output"}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)


def _counts(counts: dict[str, int] | None) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items()) if counts else UNKNOWN


def layouts(record: dict[str, Any]) -> list[str]:
    """The options of each codec whose pages it was trained on."""
    known = record.get(provenance.LAYOUTS)
    if known is None:
        return [f"They are {UNKNOWN}."]
    lines = [f"- `{codec}`: {', '.join(f'`{k}={value(v)}`' for k, v in given.items()) or 'its defaults'}" for codec, given in known.items()]
    trained = _names((record.get("data_config") or {}).get("codecs") or ())
    lines += [f"- `{codec}`: in several layouts, which the config above lists" for codec in trained if codec not in known]
    return ["\n".join(lines) or "The data name no codec: their pages came as they were."]


def _names(components: Iterable[Any]) -> list[str]:
    """The names of a config's components, each once."""
    return list(dict.fromkeys(str(some["name"] if isinstance(some, dict) else some) for some in components))


def scores(record: dict[str, Any]) -> list[str]:
    """Shares of right answers by codec and task, with their number and Wilson's interval."""
    found = record.get("validation")
    if not found:
        never = config(record).get("evaluate_every") == 0
        return ["It was not evaluated while it was trained (`evaluate_every: 0`)." if never else f"They are {UNKNOWN}."]
    cells = list(found.get("cells") or ())
    rows = [(cell["codec"], cell["task"], cell) for cell in cells]
    if len(cells) != 1:
        rows.append(("all", "all", found))
    lines = ["| codec | task | n | right | equal | loss |", "|---|---|---|---|---|---|"]
    for codec, task, some in rows:
        numbers = [some.get("n", UNKNOWN), _rate(some, "score"), _rate(some, "exact"), _number(some.get("loss"))]
        lines.append(f"| {_cell(codec)} | {_cell(task)} | {' | '.join(map(str, numbers))} |")
    blocks = [
        f"Answers to validation records, generated greedily with the weights of step {found.get('step', UNKNOWN)}: the share that is right "
        "by the task's own score, and the share that equals the expected answer, each with Wilson's 95 % interval; and the loss a token of "
        "the expected answers.",
        "\n".join(lines),
    ]
    if any(_partial(some, key) for _, _, some in rows for key in ("score", "exact")):
        blocks.append("A mean of scores between 0 and 1 is no share of answers: its interval is rather too wide.")
    if flat(config(record)).get("early_stopping.patience"):
        blocks.append("Early stopping chose this step by these records, so the numbers are somewhat better than those of fresh ones.")
    return blocks


def _rate(cell: dict[str, Any], key: str) -> str:
    mean, n = cell.get(key), cell.get("n")
    if mean is None:
        return UNKNOWN
    if not n or not 0 <= mean <= 1:
        return f"{mean:.4g} (no interval)"
    low, high = wilson(mean * n, n)
    return f"{100 * mean:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _partial(cell: dict[str, Any], key: str) -> bool:
    """Whether a mean is no share of answers."""
    mean, n = cell.get(key), cell.get("n")
    return mean is not None and bool(n) and 0 <= mean <= 1 and not math.isclose(mean * n, round(mean * n), abs_tol=1e-6)


def training(record: dict[str, Any], log: Sequence[dict[str, Any]]) -> list[str]:
    """Steps, losses at the end, and the settings that are not the defaults."""
    steps = record.get("steps")
    kept = [line for line in log if steps is None or line["step"] <= steps]
    lines = [
        f"- steps: {UNKNOWN if steps is None else steps}",
        f"- processes: {record.get('processes', UNKNOWN)}",
        f"- training loss: {_loss(kept, 'loss')}",
        f"- validation loss: {_validation_loss(record, kept)}",
    ]
    return ["\n".join(lines), *_settings(record)]


def _loss(log: Sequence[dict[str, Any]], key: str) -> str:
    line = next((line for line in reversed(log) if key in line), None)
    return f"{_number(line[key])} at step {line['step']}" if line else UNKNOWN


def _validation_loss(record: dict[str, Any], log: Sequence[dict[str, Any]]) -> str:
    found = record.get("validation") or {}
    logged = _loss(log, "val_loss")
    return f"{_number(found['loss'])} at step {found.get('step', UNKNOWN)}" if logged == UNKNOWN and "loss" in found else logged


def _settings(record: dict[str, Any]) -> list[str]:
    given = config(record)
    if not given:
        return [f"Its settings are {UNKNOWN}."]
    defaults = flat(TrainConfig().plain())
    unused = ("lora.", "quantization.") if given.get("method") == "full" else () if given.get("method") == "qlora" else ("quantization.",)
    shown = {key: some for key, some in flat(given).items() if key not in _PLACES and not key.startswith(unused)}
    differing = {key: some for key, some in shown.items() if some != defaults.get(key)}
    if not differing:
        return ["All settings are the defaults of `ctxbench train`."]
    if "chat_template" in differing:
        differing["chat_template"] = "one of its own, in the record"
    rows = [f"| `{key}` | {_cell(value(some))} | {_cell(value(defaults.get(key)))} |" for key, some in differing.items()]
    head = "Settings other than the defaults of `ctxbench train`:"
    return ["\n".join([head, "", "| setting | here | default |", "|---|---|---|", *rows])]


def changes(record: dict[str, Any]) -> list[str]:
    """Settings that were changed when the run went on after an interrupt or after its end."""
    found = record.get("changes")
    if found is None:
        return [f"They are {UNKNOWN}."]
    if not found:
        return ["No setting was changed when the run went on, if it ever did."]
    return ["\n".join(f"- after step {some['step']}: `{some['key']}` {value(some['old'])} -> {value(some['new'])}" for some in found)]


def _code(text: Any) -> str:
    return f"`{text}`" if text else UNKNOWN


def _number(number: float | None) -> str:
    return UNKNOWN if number is None else f"{number:.4f}"


def _cell(text: str) -> str:
    """Text as a cell of a table holds it."""
    return " ".join(str(text).split()).replace("|", "\\|")
