"""The HTML page of a report on runs, and what every page is made of: one file, nothing outside of it."""

from __future__ import annotations

import base64
import html
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.journals.metrics import describe_sessions
from analysis.journals.runs import Run, labels, unlike
from analysis.report.run_tables import (
    bracket_rows,
    in_words,
    rung_rows,
    target_rows,
    time_rows,
    top_rows,
    warm_rows,
)
from asha_core.runtime.units import counted, format_duration

CSS = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #1c1e21; margin: 0;
       background: #f5f6f8; }
main { max-width: 1060px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 17px; margin: 30px 0 10px; }
.sub { color: #606770; margin: 0 0 18px; }
.card { background: #fff; border: 1px solid #e2e4e8; border-radius: 8px; padding: 16px 18px; }
.numbers { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.numbers div { background: #fff; border: 1px solid #e2e4e8; border-radius: 8px; padding: 10px 16px; }
.numbers b { display: block; font-size: 21px; } .numbers span { color: #606770; font-size: 13px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 14px; }
.grid figure { margin: 0; background: #fff; border: 1px solid #e2e4e8; border-radius: 8px; padding: 8px; }
img { width: 100%; height: auto; display: block; }
figcaption { color: #606770; font-size: 13px; padding: 4px 6px 2px; }
table { border-collapse: collapse; background: #fff; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: right; border-bottom: 1px solid #eceef1; white-space: nowrap; }
th { color: #606770; font-weight: 600; } .scroll { overflow-x: auto; }
th.l, td.l { text-align: left; } tr.rule td { border-top: 2px solid #cfd3d9; }
footer { color: #606770; font-size: 13px; margin-top: 34px; }
code { background: #eceef1; padding: 1px 5px; border-radius: 4px; }
"""


def html_page(
    runs: Sequence[Run], summaries: Sequence[dict[str, Any]], images: Sequence[tuple[Path, str]]
) -> str:
    """The whole page.

    Args:
        images: of each figure the PNG file, and what it shows in words.
    """
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} searches"
    body = [f"<h1>{html.escape(title)}</h1>"]
    warning = unlike(runs)
    if warning is not None:
        body.append(f'<div class="card"><b>Note:</b> {html.escape(warning)}.</div>')
    for label, run, summary in zip(labels(runs), runs, summaries, strict=True):
        if len(runs) > 1:
            body.append(f"<h2>{html.escape(label)}</h2>")
        body += _run_head(run, summary)
    body.append('<h2>Figures</h2><div class="grid">')
    body += [image(path, words) for path, words in images]
    body.append("</div>")
    for label, run, summary in zip(labels(runs), runs, summaries, strict=True):
        if len(runs) > 1:
            body.append(f"<h2>{html.escape(label)}</h2>")
        body += _run_tables(run, summary)
    versions = runs[0].manifest["versions"]
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    folders = " ".join(str(run.directory) for run in runs)
    body.append(
        f"<footer>Made from the journals by <code>asha-report {html.escape(folders)}</code>. "
        f"{html.escape(shown)}.</footer>"
    )
    return document(title, "".join(body))


def document(title: str, body: str, css: str = "") -> str:
    """A page that stands alone.

    Args:
        body: HTML. css: rules beside those that every page has.
    """
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title><style>{CSS}{css}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _run_head(run: Run, summary: dict[str, Any]) -> list[str]:
    manifest = run.manifest
    devices = ", ".join(sorted({*manifest["hardware"]["gpus"]})) or f"{counted(run.slots, 'CPU worker')}"
    rungs = "/".join(map(str, run.levels))
    numbers = [
        ("-" if summary["best"] is None else f"{summary['best']:.4f}", f"best {run.metric}"),
        *([] if summary["test"] is None else [(f"{summary['test']['value']:.4f}", "the same on test data")]),
        (str(summary["trials"]), "configurations"),
        (str(summary["units"]), f"{run.unit}s trained"),
        (format_duration(run.end), "wall-clock"),
        (f"{summary['gpu_hours']:.3g}", "GPU-hours" if run.on_gpu else "worker-hours"),
    ]
    if summary["auc"] is not None:
        numbers.append((f"{summary['auc']:.4f}", "mean best-so-far over the run (AUC)"))
    cells = "".join(f"<div><b>{html.escape(n)}</b><span>{html.escape(w)}</span></div>" for n, w in numbers)
    about = [f"rungs {rungs} {run.unit}s", f"on {devices}"]
    limit = manifest["budget"]["seconds"]
    if limit is not None:
        about.append(f"budget {format_duration(limit)}")
    if len(run.sessions) > 1:
        about.append(f"{describe_sessions(run)} (the time in between is not counted)")
    if "created" in manifest:
        about.append(f"begun {manifest['created'][:16].replace('T', ' ')} UTC")
    if manifest.get("commit"):
        about.append(f"commit {manifest['commit'][:10]}")
    return [
        f'<p class="sub">{html.escape(", ".join(about))}</p>',
        f'<div class="card">{html.escape(in_words(run, summary))}</div>',
        f'<div class="numbers">{cells}</div>',
    ]


def _run_tables(run: Run, summary: dict[str, Any]) -> list[str]:
    parts = []
    header, rows = target_rows(run, summary)
    if rows:
        note = "" if summary["targets_named"] else " (90, 95 and 99% of the best value)"
        parts += [f"<h2>Time to target{note}</h2>", html_table(header, rows)]
    parts += ["<h2>Best configurations</h2>", html_table(*top_rows(run, summary, 10))]
    if summary["warm_start"] is not None:
        warm = summary["warm_start"]
        why = "; ".join(warm["skipped_because"])
        skipped = f", {warm['skipped']} of them with a note ({why})" if warm["skipped"] else ""
        because = "; ".join(warm["fallback_because"])
        skipped += f"; finite differences because of: {because}" if because else ""
        parts += [
            "<h2>Warm start</h2>",
            f"<p>{warm['trials']} configurations{html.escape(skipped)}; median "
            f"{warm['median_seconds']:.3f} s each. "
            "Gradients are nats of held-out loss per search coordinate.</p>",
            html_table(*warm_rows(run, warm)),
        ]
    parts += ["<h2>Rungs</h2>", html_table(*rung_rows(run, summary))]
    header, rows = bracket_rows(run, summary)
    if rows:
        parts += ["<h2>Brackets</h2>", html_table(header, rows)]
    parts += ["<h2>Where the time went</h2>", html_table(*time_rows(summary))]
    return parts


def html_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    rules: Collection[int] = (),
    classes: Mapping[tuple[int, int], str] | None = None,
) -> str:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        left: columns of words, from the first. rules: rows above which a line is drawn.
        classes: CSS classes by (row, column).
    """
    head = "".join(
        f"<th{_words(column < left)}>{html.escape(cell)}</th>" for column, cell in enumerate(header)
    )
    body = []
    for number, row in enumerate(rows):
        cells = [
            f"<td{_words(column < left, (classes or {}).get((number, column), ''))}>{html.escape(cell)}</td>"
            for column, cell in enumerate(row)
        ]
        rule = ' class="rule"' if number and number in rules else ""
        body.append(f"<tr{rule}>{''.join(cells)}</tr>")
    inside = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="scroll"><table>{inside}</table></div>'


def _words(left: bool, more: str = "") -> str:
    names = " ".join(filter(None, ["l" if left else "", more]))
    return f' class="{names}"' if names else ""


def image(path: Path, words: str, caption: str = "") -> str:
    """A PNG file as a part of the page.

    Args:
        words: what it shows, for those who cannot see it. caption: what is to be said below it.
    """
    data = base64.b64encode(path.read_bytes()).decode()
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{html.escape(words)}" src="data:image/png;base64,{data}">{below}</figure>'
