"""The HTML file: a template, the libraries beside it, and data that no browser takes for anything but data."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

SCRIPTS = ("jquery.slim.min.js", "datatables.min.js", "diff.min.js", "report.js")
STYLES = ("datatables.min.css", "report.css")
LICENCES = ("jquery.LICENSE.txt", "datatables.LICENSE.txt", "diff.LICENSE.txt")


@cache
def asset(name: str) -> str:
    """The text of a file in ``assets``."""
    return files("ctxbench_report").joinpath("assets", name).read_text("utf-8")


def script_json(value: Any) -> str:
    """JSON for the inside of a ``script`` element: no text in it can end the element or begin a comment.

    The characters with a meaning to an HTML parser, and the two line ends that JavaScript knows and JSON does not, are written as escapes,
    which JSON reads back as the same characters.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "replace").decode("utf-8")


def content_security_policy() -> str:
    """Only the scripts of this file run, and nothing is loaded but images inside it, beside it or below it.

    Plots are images, whose own scripts no browser runs.
    """
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(asset(name).encode()).digest()).decode()}'" for name in SCRIPTS)
    rules = ("default-src 'none'", f"script-src {hashes}", "style-src 'unsafe-inline'", "img-src data: 'self' file:")
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


def render(context: Mapping[str, Any], data: Any) -> str:
    """The whole file. ``context`` is what the template asks for, every text in it escaped; ``data`` is what the scripts read."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ctxbench_report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "tokens": tokens, "ratio": ratio, "grouped": "{:,}".format}
    return environment.get_template("report.html.j2").render(
        context,
        csp=content_security_policy(),
        scripts=[Markup(asset(name)) for name in SCRIPTS],
        styles=[Markup(asset(name)) for name in STYLES],
        licences=[asset(name) for name in LICENCES],
        data=Markup(script_json(data)),
    )


def percent(value: float | None) -> str:
    """``75 %``, or a dash."""
    return "–" if value is None else f"{100 * value:.0f} %"


def tokens(value: float | None) -> str:
    """A mean of counts: whole from 10 on, with one decimal below; or a dash."""
    return "–" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def ratio(value: float | None) -> str:
    """Two decimals, or a dash."""
    return "–" if value is None else f"{value:.2f}"
