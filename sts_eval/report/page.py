"""What every page has in common: templates, one style sheet and one script, and its defences.

A page is one file that needs nothing else. Everything in it that came from a suite, a target or a
judge is untrusted:

- HTML is made by Jinja with autoescape; data for the script lies in `application/json` blocks with
  `<`, `>`, `&` and the two line separators of JavaScript escaped; the script only ever sets text.
- A Content-Security-Policy allows exactly our style sheet and our script, by hash, no request to
  any host, and media from the page itself or from beside it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from sts_eval.report import numbers

_SCRIPTS = ("common.js", "player.js", "timeline.js", "page.js")  # later ones use earlier ones
# Characters that could end the block or a line of script, in their JSON spelling.
_JSON_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def render(
    template: str,
    context: Mapping[str, Any],
    *,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    images: bool = False,
) -> str:
    """Render a page template with the style sheets, the scripts and the policy that admits them.

    scripts, styles: further files after the common ones. images: pictures beside the page may show.
    """
    style = "".join(_asset(name) for name in ("report.css", *styles))
    script = "".join(_asset(name) for name in (*_SCRIPTS, *scripts))
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash_source(script)}",
            f"style-src {_hash_source(style)}",
            "media-src 'self' file: data:",
            *(["img-src 'self' file:"] if images else []),
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    page = _environment().get_template(template)
    # Both files are ours; the hash of the policy would refuse them were they altered.
    return page.render(context, policy=policy, style=Markup(style), script=Markup(script))


def json_block(value: Any) -> Markup:
    """JSON that cannot leave its script element. Raises ValueError for NaN and infinities."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, escaped in _JSON_ESCAPES.items():
        text = text.replace(character, escaped)
    return Markup(text)


def ticks(text: str) -> Markup:
    """Escaped text in which what stands between back-ticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # an odd tick is just a character
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def relative_link(path: str) -> str | None:
    """A percent-encoded link to a file of the run folder, or None if it points outside of it."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        return None
    # "./" keeps a first part such as "javascript:x" from being read as a scheme.
    return "./" + quote(str(pure))


@functools.cache
def _asset(name: str) -> str:
    source = _environment().loader
    assert source is not None
    return source.get_source(_environment(), name)[0]


def _hash_source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def breakable(text: str) -> Markup:
    """Text in which a line may also end behind "_" and "/": names are longer than a column."""
    return Markup(re.sub("([_/])", r"\1<wbr>", str(escape(text))))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sts_eval.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["json_block"] = json_block
    environment.filters["condition_name"] = numbers.condition_name
    environment.filters["condition"] = lambda level, name: numbers.condition(name, level)
    environment.filters["ticks"] = ticks
    environment.filters["breakable"] = breakable
    environment.globals["counted"] = numbers.counted
    return environment
