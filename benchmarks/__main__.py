"""``python -m benchmarks``: runs the quick benchmarks one after the other and names the long ones."""

from __future__ import annotations

import subprocess
import sys

QUICK = (
    ("benchmarks.store", "DuckDB: bulk appends against row-by-row inserts; summary of a million trials, against pandas"),
    ("benchmarks.cookbook", "the questions of docs/store.md, and whether their answers still hold"),
    ("benchmarks.ratios", "ratios split into compression of text and pixels, beside the same compression as plain text"),
    ("benchmarks.samples", "tasks: samples a CPU second, against counting their contexts once"),
    ("benchmarks.executor", "the pool of worker processes, against ProcessPoolExecutor"),
    ("benchmarks.codebook_aligned", "codebook, aligned pages: reference tokens for each visual token"),
)
LONG = (
    ("benchmarks.codebook --pages 1000", "codebook: bytes for each visual token and pages read, against QR, DataMatrix and Aztec"),
    ("benchmarks.codebook_reliability --order camera", "codebook: how often 1,000 full pages are read exactly"),
    (
        "benchmarks.codebook_fuzz --inputs 10000",
        "codebook: what the decoder does with broken pages; --codec codebook_external for the other",
    ),
    (
        "benchmarks.dictionaries CACHE",
        "codebook: bytes and reference tokens a code of the dictionaries, on held-out texts",
    ),
    ("benchmarks.hostile_images", "decode: CPU seconds and memory of crafted pictures"),
    ("benchmarks.ratios --read --samples 5", "the same, and what truncation keeps at equal tokens"),
    ("benchmarks.tiny_speed", "the embedded model: tokens a second in batches, against plain generate and the memory limit"),
    ("benchmarks.throughput", "the engine: how busy it keeps a model that takes a fixed time a batch; CPU seconds a prompt"),
    ("benchmarks.latency", "a model on one prompt of each codec: prefill, time a token, the whole against plain text"),
    ("benchmarks.contamination", "overlap of evaluated contexts with the training data of the embedded model; size of such records"),
    ("benchmarks.data_build", "ctxbench data build: CPU time of a record in the process that writes, and in the workers"),
    ("benchmarks.training", "ctxbench train: samples a second beside transformers' Trainer on the same records, and equal losses"),
    (
        "benchmarks.auxiliary_losses",
        "ctxbench train: a new adapter with a helper loss on its visual tokens, against the answers' loss alone",
    ),
    ("benchmarks.gpu_qwen2vl", "training and reading at Qwen2-VL-2B's size, on a GPU"),
    ("benchmarks.render_ocr", "render: error rate and CPU time of reading pages by their glyphs, against OCR; its thresholds"),
    ("benchmarks.servers", "servers of others: requests a second, answers and counts against the same weights in process"),
    (
        "benchmarks.vllm_in_process",
        "vLLM in process: answers and counts against transformers, with adapters; by the Python that holds vLLM",
    ),
    ("benchmarks.install", "download, time and disk of the smallest useful installation against the full one"),
    ("benchmarks.report", "report: seconds and size for 100,000 trials, against pandas"),
    ("benchmarks.harness", "the harness itself: samples a CPU second beside inspect_ai and lm-evaluation-harness; start; growth"),
    ("benchmarks.case_study", "docs/case-study.md: real documents through every carrier; goes on where it was interrupted"),
    ("benchmarks.everyday", "the embedded model on fifty documents as people have them, and what it guesses"),
    ("benchmarks.real_text TEXTS", "the embedded model on held-out real texts word for word, by kind, length and carrier"),
    ("benchmarks.wording", "the embedded model under other words of the prompt, held out of its training, and under wrong hints"),
    ("benchmarks.grid", "the embedded model on damaged pages of code, by whether their squares still stand on visual tokens"),
    ("benchmarks.readme --check", "every command of the README against the output that it shows"),
)


def main() -> None:
    """Run the quick ones."""
    for command, what in QUICK:
        print(f"\n== python -m {command}: {what}\n", flush=True)
        subprocess.run([sys.executable, "-m", *command.split()], check=True)
    print("\nLonger ones, to be run by hand:")
    for command, what in LONG:
        print(f"  python -m {command:45}{what}")


if __name__ == "__main__":
    main()
