"""The report in a real browser: it sorts, filters, opens samples, and runs nothing that a store smuggles in."""

from __future__ import annotations

import attrs
import pytest
from report_records import keep_page, make_store, make_trial, page_row

import ctxbench_report
from ctxbench_report import building

HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=2'>\u2028<!--<script>\"'`${window.pwned=3}{{7*7}}"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """12 trials of two codecs: ``book`` is right in 3 of 4 clean and 0 of 4 heavy ones, ``text`` in all of 4."""
    folder = tmp_path_factory.mktemp("study")
    path = folder / "s.duckdb"
    pages = [keep_page(path, shade) for shade in (10, 20)]
    trials = [make_trial(i, i != 2, pages=(pages[0],)) for i in range(4)]
    trials += [make_trial(10 + i, False, augmentation="heavy", carrier_tokens=80, pages=(pages[1],)) for i in range(4)]
    trials += [make_trial(20 + i, codec="text", carrier_tokens=512, compression_ratio=1.0, n_pages=0, pages=()) for i in range(4)]
    make_store(path, trials)
    return ctxbench_report.report(path, folder / "report.html").path


def column(page, table, heading):
    """The texts of a column of what a table shows, without their second lines."""
    headings = page.locator(f"#{table} thead th").all_inner_texts()
    at = [text.strip() for text in headings].index(heading) + 1
    return [text.split("\n")[0] for text in page.locator(f"#{table} tbody tr td:nth-child({at})").all_inner_texts()]


def shown(page, table, heading, expected):
    """Whether a column comes to show these texts: the table is drawn anew after the event that asks for it."""
    for _ in range(200):
        if column(page, table, heading) == expected:
            return True
        page.wait_for_timeout(50)
    return False


def test_cells_sort_by_mouse_and_by_keyboard(study, visit):
    """A click on a heading, and Enter on it, order the rows by the number and not by its text."""
    page = visit(study)
    assert shown(page, "cells-table", "codec", ["text", "book", "book"]), column(page, "cells-table", "codec")
    tokens = page.locator("#cells-table thead th", has_text="tokens")
    tokens.click()
    assert shown(page, "cells-table", "tokens", ["64", "80", "512"]), column(page, "cells-table", "tokens")
    page.locator("#cells-table thead th", has_text="accuracy").locator("[tabindex='0'], [role=button]").first.focus()
    page.keyboard.press("Enter")
    assert shown(page, "cells-table", "accuracy", ["0 %", "75 %", "100 %"]), column(page, "cells-table", "accuracy")
    page.keyboard.press("Enter")
    assert shown(page, "cells-table", "accuracy", ["100 %", "75 %", "0 %"]), column(page, "cells-table", "accuracy")


def test_cells_and_samples_filter(study, visit):
    """A choice above a table, and its search; both together narrow it."""
    page = visit(study)
    page.select_option("#cells-controls select[data-column=augmentation]", "heavy")
    assert shown(page, "cells-table", "tokens", ["80"]), column(page, "cells-table", "tokens")
    page.select_option("#cells-controls select[data-column=augmentation]", "")
    page.locator("#cells-table_wrapper input[type=search], .dt-search input").first.fill("text")
    page.wait_for_function("document.querySelectorAll('#cells-table tbody tr').length === 1")
    assert shown(page, "cells-table", "codec", ["text"]), column(page, "cells-table", "codec")
    page.select_option("#samples-controls select[data-column=outcome]", "confabulated")
    page.select_option("#samples-controls select[data-column=augmentation]", "clean")
    assert shown(page, "samples-table", "sample", ["2"]), column(page, "samples-table", "sample")


def test_a_sample_opens_with_its_page_its_difference_and_its_verdict(study, visit):
    """By keyboard alone: Enter opens, arrows go on, Escape closes. The image has its pixels, also where the answer is wrong."""
    page = visit(study)
    page.select_option("#samples-controls select[data-column=augmentation]", "heavy")
    page.locator("#samples-table tbody button").first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    assert dialog.locator("h2").inner_text() == "channel, needle, 512, book, heavy: sample 10"
    assert page.locator("#difference").inner_html() == "7<del>3</del><ins>2</ins>19"
    text = dialog.inner_text()
    for part in ("confabulated", "What is number 10?", "80 for the context, 64 of them visual, 100 in the whole prompt, 4 in the answer"):
        assert part in text
    assert "recovered it with a character error rate of 0.25; its text answers the question right" in text
    assert "1 of 4 expected characters are missing (struck out), 1 are in the answer alone" in text
    page.wait_for_function("document.querySelector('dialog img').naturalWidth === 224")
    page.keyboard.press("ArrowRight")
    assert dialog.locator("h2").inner_text().endswith("heavy: sample 11")
    page.keyboard.press("ArrowLeft")
    assert dialog.locator("h2").inner_text().endswith("heavy: sample 10")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == "Open"


def test_images_that_are_not_inside_come_from_the_folder_beside_the_store(study, visit, tmp_path, monkeypatch):
    """With nothing embedded the same image is read from where the store keeps it; the report may lie in another folder."""
    monkeypatch.setattr(building, "KINDS", {})
    made = ctxbench_report.report(study.with_name("s.duckdb"), tmp_path / "else where" / "report.html", embed_mb=0)
    page = visit(made.path)
    page.locator("#samples-table tbody button").nth(4).click()
    assert page.locator("dialog img").get_attribute("src").startswith("../")
    page.wait_for_function("document.querySelector('dialog img').naturalWidth === 224")


def test_hostile_text_is_shown_and_never_runs(visit, tmp_path):
    """Names, questions, answers, errors, configs and paths that try to be markup, script or another file stay text."""
    path = tmp_path / "h.duckdb"
    names = {"model": f"m{HOSTILE}", "task": f"k{HOSTILE}", "codec": f"c{HOSTILE}", "augmentation": f"a{HOSTILE}"}
    texts = {"question": f"q{HOSTILE}", "expected": f"e{HOSTILE}", "prediction": f"p{HOSTILE}", "prompt": f"P{HOSTILE}"}
    more = {"channel_error": HOSTILE, "token_flag": HOSTILE, "token_source": HOSTILE, "primary_score": HOSTILE, "finish_reason": HOSTILE}
    pages = (page_row("../../../x.png", f"../../{HOSTILE}"), page_row("javascript:window.pwned=4", "javascript:window.pwned=5"))
    pages = (pages[0], attrs.evolve(pages[1], page=1))
    trials = [make_trial(i, i > 0, **names, **texts, **more, sample_metadata={HOSTILE: HOSTILE}, pages=pages) for i in range(2)]
    error = {"status": "error", "outcome": None, "error_stage": "read", "error_type": HOSTILE, "error_message": HOSTILE}
    trials.append(make_trial(5, **{**names, "codec": "fine"}, **error))
    make_store(path, trials, name=HOSTILE, command=HOSTILE, platform=HOSTILE, config={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE})
    made = ctxbench_report.report(path, tmp_path / "report.html", title=f"title {HOSTILE}")
    page = visit(made.path)
    shown = HOSTILE.replace("\u2028", "")
    for number in range(3):
        page.locator("#samples-table tbody button").nth(number).click()
        assert "window.pwned=1" in page.locator("dialog[open]").inner_text()
        page.keyboard.press("Escape")
    page.locator("#cells-table thead th", has_text="codec").click()
    assert f"title {shown}" in page.locator("h1").inner_text().replace("\u2028", "")
    assert page.evaluate("window.pwned") is None
    assert page.locator("img[src='x']").count() == 0
    scripts = page.locator("script").count()
    assert scripts == 5  # four of ours and the data


def test_a_script_that_got_in_would_not_run(study, visit, tmp_path):
    """The policy in the file's head is a second wall: an inline script and an event handler are refused."""
    text = study.read_text("utf-8")
    planted = "<script>window.pwned=1</script><p id=late onclick='window.pwned=2'>x</p>"
    bad = tmp_path / "bad.html"
    bad.write_text(text.replace("</main>", planted + "</main>"), "utf-8")
    page = visit(bad)
    page.locator("#late").click()
    assert page.evaluate("window.pwned") is None
    assert len(visit.told) == 2
    assert all("Content Security Policy" in line for line in visit.told)
    visit.told.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_both_schemes(study, visit, scheme):
    """At least 4.5 : 1 (WCAG 2.2, 1.4.3) for what is written on the page and in the tables."""
    page = visit(study, color_scheme=scheme)
    contrast = """selector => {
        const light = (color) => {
            const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
                .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ink = light(getComputedStyle(document.querySelector(selector)).color);
        const ground = light(getComputedStyle(document.body).backgroundColor);
        return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    }"""
    for selector in ("h1", ".soft", "nav a", "#cells-table td", "#cells-table th", ".bounds", ".controls label", ".dt-info"):
        assert page.evaluate(contrast, selector) >= 4.5, selector


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_but_tables_is_wider_than_the_screen(study, visit, width):
    """A phone scrolls down and never sideways, also in the inspector."""
    page = visit(study, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#samples-table tbody button").first.click()
    assert page.evaluate("document.querySelector('dialog').scrollWidth") <= width


def test_all_rows_are_printed(visit, tmp_path, monkeypatch):
    """The table on the screen has pages of 25 rows; paper has no next page to click."""
    monkeypatch.setattr(building, "KINDS", {})
    trials = [make_trial(i, codec=f"codec{i:02}") for i in range(26)]
    made = ctxbench_report.report(make_store(tmp_path / "s.duckdb", trials), tmp_path / "report.html")
    page = visit(made.path)
    assert page.locator("#cells-table tbody tr").count() == 25
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#cells-table tbody tr").count() == 26
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#cells-table tbody tr").count() == 25


def test_without_scripts_the_results_are_still_there(study, browser):
    """The first table, the plots and the runs are plain HTML."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(study.resolve().as_uri())
    text = page.locator("main").inner_text()
    assert "Scripts are off" in text
    assert "75 %" in text
    assert "ctxbench run study.yaml" in text
    context.close()
