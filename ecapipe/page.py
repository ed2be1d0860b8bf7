"""What all pages of ecapipe share: one look, and a frame that lets nothing in but itself.

One stylesheet for the board, the pages after a redirect, the reports and the emulator: light and dark, on a phone, a
desk and paper.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final

LOOK: Final = """
:root { color-scheme: light dark; --ink: #1d2733; --dim: #56626f; --line: #d9dfe5; --ground: #f4f6f8; --card: #fff;
  --accent: #0b5cab; --on-accent: #fff; --good: #1a7f45; --on-good: #fff; --bad: #c42b2b; --warn: #7a5b00;
  --track: #e3e8ed; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --dim: #9aa7b3; --line: #333e48; --ground: #12171c;
  --card: #1a2128; --accent: #6db3ff; --on-accent: #08213c; --good: #5ccb8a; --on-good: #0b2416; --bad: #ff8a82;
  --warn: #e3b54f; --track: #2a343d; } }
@media print { :root { color-scheme: light; --ink: #000; --dim: #444; --line: #999; --ground: #fff; --card: #fff;
  --accent: #000; --good: #000; --bad: #000; --warn: #000; --track: #fff; font-size: 9pt; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; letter-spacing: -.01em; }
h2 { margin: 2.25rem 0 .75rem; font-size: 1.2rem; }
h3 { margin: 0; font-size: 1rem; }
p, ul { margin: .35rem 0; }
ul { padding-left: 1.2rem; }
a { color: var(--accent); }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
summary { cursor: pointer; font-weight: 600; }
button, .button { display: inline-block; padding: .5rem 1.1rem; border: 1px solid var(--accent);
  border-radius: .4rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600;
  text-decoration: none; cursor: pointer; }
button:hover, .button:hover { filter: brightness(1.08); text-decoration: underline; }
button:disabled { border-color: var(--line); background: var(--track); color: var(--dim); cursor: not-allowed;
  filter: none; text-decoration: none; }
.quiet { border-color: transparent; background: transparent; color: var(--accent); font-weight: 400; }
textarea, input { padding: .5rem .7rem; font: inherit; color: inherit; border: 1px solid var(--dim);
  border-radius: .4rem; background: var(--ground); }
:focus-visible { outline: .2rem solid var(--accent); outline-offset: .15rem; }
footer { margin-top: 2rem; color: var(--dim); font-size: .85rem; }
.dim { color: var(--dim); }
.word { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.card { width: min(30rem, 100% - 2rem); margin: 12vh auto 2rem; padding: 2rem; border: 1px solid var(--line);
  border-radius: .75rem; border-top: .35rem solid var(--accent); background: var(--card); }
.card.good { border-top-color: var(--good); } .card.bad { border-top-color: var(--bad); }
.card h1 { margin-bottom: .75rem; font-size: 1.5rem; }
.card.good h1::before { content: "✔ "; color: var(--good); }
.card.bad h1::before { content: "✘ "; color: var(--bad); }
@media (max-width: 44rem) { main { padding: 1.25rem .9rem 2rem; } h1 { font-size: 1.5rem; }
  .card { margin-top: 1rem; padding: 1.25rem; } }
@media (forced-colors: active) { button, .button { border-color: ButtonText; } }
"""

# In the page itself, because its policy lets it load nothing.
_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' "
    "height='16' rx='4' fill='%230b5cab'/%3E%3Cpath d='m4 8.5 2.8 2.8L12.2 5' fill='none' stroke='%23fff' "
    "stroke-width='2'/%3E%3C/svg%3E"
)


def html(title: str, body: str, style: str = "", *, head: str = "") -> str:
    """A whole page. `title` is text; `body`, `head` and `style`, which comes after `LOOK`, are put in as they are."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<link rel="icon" href="{_ICON}">
{head}
<style>{LOOK}{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def policy(style: str = "", **more: str | None) -> str:
    """The Content-Security-Policy of such a page: its own style, by hash; `more` adds directives, such as
    ``form_action``, and None takes one out.

    Nobody frames it: a page of somebody else could have its buttons clicked unawares.
    """
    directives = {
        "default-src": "'none'",
        "style-src": digest(LOOK + style),
        "img-src": "data:",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'none'",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items() if value)


def digest(text: str) -> str:
    """A style or script as a Content-Security-Policy names it (CSP 3, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def card(title: str, text: str, verdict: str = "") -> str:
    """A page that says one thing: `text` has a sentence on its first line, and a next step on each of the others.

    `verdict`: ``good``, ``bad`` or neither.
    """
    sentence, *steps = text.splitlines() or [""]
    items = "".join(f"<li>{escape(step)}</li>" for step in steps)
    if items:
        items = f"<ul>{items}</ul>"
    body = f'<main class="card {verdict}"><h1>{escape(title)}</h1><p>{escape(sentence)}</p>{items}'
    return html(f"{title} - ecapipe", f"{body}<footer>ecapipe, on this machine only.</footer></main>")
