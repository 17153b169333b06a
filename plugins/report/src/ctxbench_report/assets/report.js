// What a report does in a browser. Text of the store reaches the page as text nodes alone, never as HTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const text = DataTable.render.text();
  const SHORTEST_SIDE = 240;
  const DIFF_MS = 1500;

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  /** An element with properties and children; strings become text. */
  function el(name, properties = {}, ...children) {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  const none = (value) => value === null || value === undefined;
  const digits = (value) => none(value) ? "–" : Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3)).toString();
  const amount = (value) => (!none(value) && value > 0 && value < 0.001 ? value.toExponential(1) : digits(value));
  const percent = (value) => (none(value) ? "–" : `${Math.round(100 * value)} %`);
  const whole = (value) => (none(value) ? "–" : value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 }));
  const decimals = (value) => (none(value) ? "–" : value.toFixed(2));

  // How a column shows its value. A value with bounds is a list of three, shows its bounds in a second line and sorts by the first.
  const bounded = (show, bound) => (v) => (v ? [show(v[0]), none(v[1]) ? "" : `${bound(v[1])}–${bound(v[2])}`] : ["–", ""]);
  const kinds = {
    choice: {},
    text: { className: "wide minor" },
    count: { className: "dt-right", show: whole },
    tokens: { className: "dt-right", show: whole },
    amount: { className: "dt-right minor", two: bounded(amount, amount) },
    share: { className: "dt-right", two: bounded(percent, (x) => Math.round(100 * x)) },
    value: { className: "dt-right minor", two: bounded(decimals, decimals) },
  };

  function column([name, title, kind], place) {
    const { show, two, className } = kinds[kind];
    const numeric = show || two;
    const sortable = (value) => { const first = two && value ? value[0] : value; return none(first) ? -1 : first; };
    return {
      name, title, className, data: place, type: numeric ? "num" : "string",
      render: (value, use) => {
        if ((numeric || typeof value === "number") && (use === "sort" || use === "type")) return sortable(value);
        if (two) return use === "display" ? "" : two(value).join(" ");
        return show ? show(value) : text.display(none(value) ? "" : String(value));
      },
      createdCell: (td, value) => {
        td.dataset.label = title;
        if (two) { const [first, second] = two(value); td.replaceChildren(first, el("span", { className: "bounds" }, second)); }
      },
    };
  }

  /** A choice above a table for each of some columns, from the values that are in it. */
  function controls(id, table, columns, extra = []) {
    const box = document.getElementById(id);
    for (const name of columns) {
      const settings = table.column(`${name}:name`);
      const values = [...new Set(settings.data().toArray())].sort((a, b) => (typeof a === "number" ? a - b : String(a) < String(b) ? -1 : 1));
      if (values.length < 2) continue;
      const select = el("select", {}, el("option", { value: "" }, "all"), ...values.map((v) => el("option", { value: String(v) }, String(v))));
      select.dataset.column = name;
      select.addEventListener("change", () => {
        const wanted = select.value;
        settings.search.fixed("choice", wanted === "" ? null : (shown, row) => String(row[settings.index()] ?? row.value?.(name)) === wanted).draw();
      });
      box.append(el("label", {}, settings.title(), select));
    }
    box.append(...extra);
  }

  const language = { search: "Search ", lengthMenu: "_MENU_ a page", emptyTable: "Nothing to show", zeroRecords: "Nothing passes the filters" };
  const shared = { language, deferRender: true, autoWidth: false, lengthMenu: [10, 25, 50, 100, { label: "all", value: -1 }], pageLength: 25 };

  // ---- cells
  const cellColumns = data.cells.columns.map(column);
  const cellPlace = Object.fromEntries(data.cells.columns.map(([name], place) => [name, place]));
  for (const name of ["errors", "cost_usd", "remark"]) cellColumns[cellPlace[name]].visible = data.cells.rows.some((row) => row[cellPlace[name]]);
  const cells = new DataTable("#cells-table", { ...shared, data: data.cells.rows, columns: cellColumns, order: [] });
  controls("cells-controls", cells, ["model", "task", "bucket", "codec", "augmentation"]);

  // ---- samples: each row is the sample's place in data.samples.rows, and what the table shows of it
  const place = Object.fromEntries(data.samples.columns.map((name, i) => [name, i]));
  const of = (sample, name) => data.samples.rows[sample][place[name]];
  const textOf = (sample, name) => { const i = of(sample, name); return i === null ? null : data.texts[i]; };
  const cellOf = (sample, name) => data.cells.rows[of(sample, "cell")][cellPlace[name]];
  const clip = (value, length) => (value.length > length ? `${value.slice(0, length)}…` : value);
  const labels = ["model", "task", "bucket", "codec", "augmentation"];
  const headings = Object.fromEntries(data.cells.columns.map(([name, title]) => [name, title]));
  const rows = data.samples.rows.map((_, i) => [
    i, of(i, "outcome") ?? of(i, "status"), ...labels.map((name) => cellOf(i, name)), of(i, "sample_index"),
    clip(textOf(i, "expected") ?? "", 60), clip(textOf(i, "prediction") ?? textOf(i, "error_message") ?? "", 60),
  ]);
  const sampleColumns = [
    { title: "", data: 0, orderable: false, searchable: false, render: () => "", createdCell: (td, value) => td.replaceChildren(el("button", { type: "button", className: "open", onclick: () => open(value) }, "Open")) },
    ...[["outcome", "outcome", "choice"], ...labels.map((name) => [name, headings[name], "choice"]), ["sample_index", "sample", "count"]].map((c, i) => column(c, i + 1)),
    ...[["expected", "expected"], ["prediction", "answer"]].map(([name, title], i) => ({ name, title, data: 8 + i, className: "wide minor", render: (value, use) => (use === "display" ? text.display(value) : value), createdCell: (td) => { td.dataset.label = title; } })),
  ];
  const samples = new DataTable("#samples-table", { ...shared, pageLength: 10, data: rows, columns: sampleColumns, order: [] });
  controls("samples-controls", samples, ["outcome", ...labels]);

  // ---- inspector
  const dialog = document.getElementById("inspector");
  const body = document.getElementById("inspector-body");
  let shownAt = -1;
  const order = () => samples.rows({ search: "applied", order: "applied" }).data().toArray().map((row) => row[0]);

  function facts(pairs) {
    const list = el("dl", { className: "facts" });
    for (const [name, value] of pairs) {
      if (value === null || value === undefined || value === "") continue;
      list.append(el("dt", {}, name), el("dd", {}, value));
    }
    return list;
  }

  function block(value) {
    const pre = el("pre", { tabIndex: 0 }, value ?? "");
    pre.dir = "auto";
    return pre;
  }

  /** The answer with what the expected text has and it lacks struck out, and what it has on top underlined. */
  function difference(expected, prediction) {
    const options = { timeout: DIFF_MS };
    const parts = Diff.diffChars(expected, prediction, options) ?? Diff.diffWordsWithSpace(expected, prediction, options);
    if (!parts) return el("p", { className: "soft" }, "Too different to be compared in reasonable time.");
    const pre = block("");
    pre.id = "difference";
    let missing = 0, added = 0;
    for (const part of parts) {
      const visible = part.added || part.removed ? part.value.replaceAll("\n", "↵\n").replaceAll("\t", "⇥\t") : part.value;
      if (part.removed) missing += [...part.value].length;
      if (part.added) added += [...part.value].length;
      pre.append(part.removed ? el("del", {}, visible) : part.added ? el("ins", {}, visible) : visible);
    }
    const told = missing + added === 0 ? "The answer is the expected text, character by character." : `${missing} of ${[...expected].length} expected characters are missing (struck out), ${added} are in the answer alone (underlined).`;
    return el("div", {}, el("p", { className: "soft" }, told), pre);
  }

  function pages(sample) {
    const list = of(sample, "pages");
    if (!list.length) return el("p", { className: "soft" }, "No page: the carrier is text.");
    return el("div", { className: "pages" }, ...list.map(([sha256, path, width, height, tokens], i) => {
      const caption = el("figcaption", {}, `page ${i + 1}, ${width} x ${height} px as sent, ${tokens} visual tokens`);
      const source = data.images[sha256] ?? (path ? data.folder + path : null);
      if (!source) return el("figure", {}, el("p", { className: "soft" }, "The image was not kept."), caption);
      const scale = Math.max(1, Math.min(4, Math.floor(SHORTEST_SIDE / Math.min(width, height))));
      const image = el("img", { alt: `Page ${i + 1} as the model got it`, width: width * scale, height: height * scale });
      image.addEventListener("error", () => image.replaceWith(el("p", { className: "soft" }, `The image is not at ${data.folder}${path}; keep the folder beside this file.`)));
      image.src = source;
      return el("figure", {}, image, caption);
    }));
  }

  function verdict(sample) {
    const [exact, right, rate] = ["channel_ok", "channel_correct", "channel_cer"].map((name) => of(sample, name));
    if (exact === null) return textOf(sample, "channel_error") ?? "not asked";
    const read = exact ? "recovered the context exactly" : `recovered it with a character error rate of ${digits(rate)}`;
    const answer = right === null ? "" : right ? "; its text answers the question right" : "; its text does not answer the question right";
    const error = textOf(sample, "channel_error");
    return `The codec's decoder ${read}${answer}${error ? ` (${error})` : ""}.`;
  }

  const seconds = (sample) => ["encode", "augment", "channel", "read", "prefill", "generate", "score"]
    .filter((name) => of(sample, `${name}_seconds`) !== null).map((name) => `${name} ${amount(of(sample, `${name}_seconds`))} s`).join(", ");

  function tokens(sample) {
    const parts = [["carrier_tokens", "for the context"], ["carrier_visual_tokens", "of them visual"], ["prompt_tokens", "in the whole prompt"], ["completion_tokens", "in the answer"]];
    return parts.filter(([name]) => of(sample, name) !== null).map(([name, what]) => `${of(sample, name).toLocaleString("en")} ${what}`).join(", ");
  }

  function open(sample) {
    const right = of(sample, "outcome") === "correct";
    const outcome = of(sample, "outcome") ?? of(sample, "status");
    document.getElementById("inspector-title").textContent = `${labels.map((name) => cellOf(sample, name)).join(", ")}: sample ${of(sample, "sample_index")}`;
    const expected = textOf(sample, "expected"), prediction = textOf(sample, "prediction");
    const error = of(sample, "error_type") && `in stage ${of(sample, "error_stage")}: ${of(sample, "error_type")}: ${textOf(sample, "error_message") ?? ""}`;
    body.replaceChildren(
      facts([
        ["outcome", el("span", { className: right ? "good" : "bad" }, outcome)],
        ["error", error],
        [of(sample, "primary_score") ?? "score", of(sample, "score") === null ? null : digits(of(sample, "score"))],
        ["tokens", tokens(sample)],
        ["ratio", of(sample, "compression_ratio") === null ? null : `${digits(of(sample, "compression_ratio"))} (${of(sample, "reference_tokens")} reference tokens)`],
        ["counted by", [of(sample, "token_source"), of(sample, "token_flag")].filter(Boolean).join("; flagged: ")],
        ["time", seconds(sample)],
        ["channel", verdict(sample)],
        ["ended by", of(sample, "finish_reason")],
        ["about it", of(sample, "metadata") === "{}" ? null : el("code", {}, of(sample, "metadata"))],
        ["trial", el("code", {}, of(sample, "trial_id"))],
      ]),
      el("h3", {}, "Page"), pages(sample),
      el("h3", {}, "Question"), block(textOf(sample, "question")),
      expected !== null && prediction !== null ? el("h3", {}, "Answer against what was expected") : null,
      expected !== null && prediction !== null ? difference(expected, prediction) : null,
      el("div", { className: "pair" }, el("div", {}, el("h3", {}, "Expected"), block(expected)), el("div", {}, el("h3", {}, "Answer"), block(prediction))),
      textOf(sample, "prompt") === null ? null : el("details", {}, el("summary", {}, "Prompt as sent"), block(textOf(sample, "prompt"))),
    );
    const shown = order();
    shownAt = shown.indexOf(sample);
    document.getElementById("previous").disabled = shownAt <= 0;
    document.getElementById("next").disabled = shownAt < 0 || shownAt >= shown.length - 1;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  function step(by) {
    const shown = order();
    if (shownAt >= 0 && shown[shownAt + by] !== undefined) open(shown[shownAt + by]);
  }

  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  document.getElementById("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });

  // Print all rows that pass the filters, up to a number that somebody might read.
  let before = null;
  addEventListener("beforeprint", () => { before = cells.page.len(); cells.page.len(500).draw(); });
  addEventListener("afterprint", () => { if (before !== null) cells.page.len(before).draw(); });
})();
