"""Your own text through ctxbench: what it costs as text and as pages, a small run, SQL, plots.

``marimo edit notebooks/start.py`` opens it in a browser (``pip install marimo``); ``python notebooks/start.py`` runs it from top to bottom.
It needs no GPU and no network, and writes ``start.duckdb``, ``start-text.txt`` and ``start-report.html`` into the working directory.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="ctxbench: your own text")


@app.cell
def _():
    import marimo as mo

    mo.md(
        """
        # Your own text, as text and as pages

        A vision-language model pays for an image by its size, not by what is on it. This notebook asks, for a text of yours: how many
        tokens does it cost in each *codec*, and does it survive? Change the text below, and everything after it follows.
        """
    )
    return (mo,)


@app.cell
def _(mo):
    example = "\n".join(
        f"Item {number}: pump {chr(64 + number)}-{number * 7919 % 1000:03d} was checked at {6 + number}:{number * 13 % 60:02d}, pressure "
        f"{number * 37 % 90 / 10 + 1:.1f} bar, valve {'open' if number % 3 else 'closed'}, next check in {number % 4 + 2} weeks."
        for number in range(1, 25)
    )
    text = mo.ui.text_area(value=example, label="Text", rows=10, full_width=True)
    text
    return (text,)


@app.cell
def _(mo):
    mo.md(
        """## 1. What does it cost?\n\nBefore any model is asked: tokens of the text, and of the pages of each codec, by Qwen2-VL's rule."""
    )


@app.cell
def _(mo, text):
    import ctxbench
    from ctxbench import tokens

    codecs = {"text": {}, "render": {"font_size": 12}, "small print": {"font_size": 7}, "codebook": {}}
    registry = ctxbench.load_plugins()
    reference = tokens.count_text(text.value)
    costs, pages = [], []
    for label, options in codecs.items():
        carrier = registry.codec("render" if label == "small print" else label, **options).encode(text.value)
        cost = sum(tokens.image_tokens(*page.size).tokens for page in carrier.pages)
        cost += tokens.count_text(carrier.text) if carrier.text else 0
        costs.append({"codec": label, "pages": len(carrier.pages), "tokens": cost, "ratio": round(reference / cost, 2)})
        pages += [(label, page) for page in carrier.pages[:1]]
    mo.ui.table(costs, selection=None)
    return costs, ctxbench, pages


@app.cell
def _(mo, pages):
    mo.hstack([mo.vstack([mo.md(f"**{label}**, {page.width} x {page.height} px"), mo.image(page, width=240)]) for label, page in pages])


@app.cell
def _(mo):
    mo.md(
        """
        ## 2. Does it survive?

        A small run: every piece of the text, in every codec, clean and damaged as by a bad photograph, is to be written down word for word.
        `channel` is no neural model: it reads with each codec's own decoder, and so says what the pixels hold. Put a model of yours in its
        place: `hf:Qwen/Qwen2-VL-2B-Instruct`, or `openai:...`. What is stored already is not run again.
        """
    )


@app.cell
def _(ctxbench, text):
    from pathlib import Path

    from ctxbench.config import make_config

    Path("start-text.txt").write_text(text.value, "utf-8")
    config = make_config(
        {
            "name": "start",
            "samples": 6,
            "models": ["channel"],
            "tasks": [{"name": "transcribe", "path": "start-text.txt"}],
            "codecs": ["text", "render", {"name": "render", "label": "small print", "font_size": 7}, "codebook"],
            "augmentations": ["clean", "heavy"],
            "buckets": [128],
            "store": "start.duckdb",
        }
    )
    store = ctxbench.run(config)
    return (store,)


@app.cell
def _(mo):
    mo.md("""## 3. Ask in SQL\n\nThe store is one DuckDB file. `summary` has a row for each cell; its intervals are 95 % intervals.""")


@app.cell
def _(mo, store):
    survived = store.df(
        """SELECT codec, augmentation, n, round(accuracy, 2) AS exact, round(accuracy_low, 2) AS low, round(accuracy_high, 2) AS high,
            round(carrier_tokens) AS tokens, round(compression_ratio, 2) AS ratio, round(channel_cer, 3) AS character_errors
        FROM summary ORDER BY augmentation, ratio"""
    )
    mo.ui.table(survived, selection=None)
    return (survived,)


@app.cell
def _(mo, store):
    one_codec = store.query(
        "SELECT outcome, count(*) FROM results WHERE codec = $codec GROUP BY ALL ORDER BY ALL", {"codec": "small print"}
    )
    mo.md("How the trials of *small print* ended: " + ", ".join(f"{outcome} {count}" for outcome, count in one_codec.rows))


@app.cell
def _(mo):
    mo.md(
        """
        ## 4. Draw it, and hand it on

        A figure is matplotlib's; the report is one HTML file with all plots and every sample to look at.
        """
    )


@app.cell
def _(store):
    import ctxbench_report

    figure = ctxbench_report.figure(store, "cost-accuracy")
    figure
    return ctxbench_report, figure


@app.cell
def _(ctxbench_report, store):
    lost = ctxbench_report.figure(store, "attribution")
    lost


@app.cell
def _(ctxbench_report, mo, store):
    report = ctxbench_report.report(store, "start-report.html")
    mo.md(f"`{report.path}`: {report.trials} trials in {report.cells} cells, {report.plots} plots. Open it in a browser.")
    return (report,)


if __name__ == "__main__":
    app.run()
