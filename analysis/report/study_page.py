"""The HTML page of a study: one file, nothing outside of it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.comparison import Comparison, Group
from analysis.comparison.criteria import CRITERIA
from analysis.report.run_page import document, html_table, image
from analysis.report.study_contents import verdict_cell
from analysis.report.study_figures import Drawing
from analysis.report.study_numbers import measure_name, scale
from analysis.report.study_tables import Table
from analysis.report.words import in_words
from analysis.study.problems import KINDS, UNUSED, Problem

_CSS = """
main { max-width: 1200px; } h2 { font-size: 20px; margin: 40px 0 10px; }
h3 { font-size: 16px; margin: 26px 0 8px; } p, li, summary { overflow-wrap: anywhere; }
.card { margin: 0 0 12px; } .card ul { margin: 6px 0 2px; padding-left: 20px; }
.card li { margin: 4px 0; } .card p { margin: 0 0 6px; }
.card.nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 20px; }
a { color: #0b5cad; } .note { color: #606770; font-size: 13px; margin: 6px 0 0; max-width: 110ch; }
.grid { align-items: start; grid-auto-flow: dense; margin: 16px 0; }
figure.row { grid-column: 1 / -1; overflow-x: auto; } figure.row img { min-width: 640px; }
table { font-size: 14px; } th, td { padding: 4px 10px; } th { white-space: normal; vertical-align: bottom; }
td.holds { background: #dff1e3; } td.fails { background: #f9dedc; } td.open { background: #eef0f3; }
.verdicts th, td.verdict { white-space: normal; min-width: 100px; text-align: left; }
.verdicts th { min-width: 0; } td.why, .source td { white-space: normal; } td.verdict b { display: block; }
td.verdict span { font-size: 13px; color: #3c4043; } tr.group th { text-align: left; color: #1c1e21;
  background: #f5f6f8; white-space: normal; }
details { margin: 10px 0; } summary { cursor: pointer; font-weight: 600; }
figure.wide { margin: 0; background: #fff; border: 1px solid #e2e4e8; border-radius: 8px; padding: 8px;
  max-width: 900px; }
@media (max-width: 600px) { main { padding: 16px 10px 40px; } h1 { font-size: 20px; } }
"""
_CLASS = {"holds": "holds", "fails": "fails", "not enough data": "open"}
_SIGN = {"holds": "\N{CHECK MARK}", "fails": "\N{MULTIPLICATION X}", "not enough data": "?"}
_FOLDED = ("phases-", "counts-", "shifts-")  # tables that few readers need
_MANY = 15  # entries of a list; more are folded


@dataclass(frozen=True, slots=True)
class Section:
    """What a page shows of one group. figures, diagnostics: drawings with their PNG files."""

    group: Group
    slug: str
    tables: Sequence[Table]
    figures: Sequence[tuple[Drawing, Path]]
    diagnostics: Sequence[tuple[Drawing, Path]]
    not_drawn: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of the study in the page's list. link: its own report, relative to the page, or ""."""

    id: str
    group: str
    arm: str
    seed: int
    ended: str
    best: str
    link: str = ""


def study_page(
    comparison: Comparison,
    sections: Sequence[Section],
    effects: tuple[Drawing, Path] | None,
    runs: Sequence[RunRow],
    *,
    commands: Sequence[str],
    state: str = "",
) -> str:
    """The whole page.

    Args:
        effects: the forest plot of all groups.
        commands: that made the runs and this report.
        state: what is to be said of a study that is not complete.
    """
    links = [("summary", "Summary"), ("verdicts", "Verdicts")]
    links += [("effects", "Effects")] if effects else []
    links += [(section.slug, section.group.name) for section in sections]
    links += [("left-out", "What was left out"), ("provenance", "Where it came from")]
    items = "".join(f'<li><a href="#{anchor}">{html.escape(text)}</a></li>' for anchor, text in links)
    arms = {arm.name for group in comparison.groups for arm in group.arms}
    seeds = {seed for group in comparison.groups for seed in group.seeds}
    about = (
        f"{_counted(len(comparison.groups), 'tuple')} of task and scheduler, {_counted(len(arms), 'arm')}, "
    )
    about += f"{_counted(len(seeds), 'seed')}, {comparison.used} of {_counted(comparison.planned, 'run')}; "
    about += f"compared by {measure_name(comparison, comparison.measure)}"
    body = [
        f"<h1>{html.escape(comparison.name)}</h1>",
        f'<p class="sub">{html.escape(about)}</p>',
        f'<div class="card"><b>Not complete:</b> {html.escape(state)}</div>' if state else "",
        f'<nav class="card nav" aria-label="Contents"><ul>{items}</ul></nav>',
        *_summary(comparison),
        *_verdicts(comparison),
    ]
    if effects is not None:
        drawing, path = effects
        shown = image(path, drawing.words, drawing.caption).replace("<figure>", '<figure class="wide">', 1)
        body.append(f'<h2 id="effects">Effects on the time to target</h2>{shown}')
    for section in sections:
        body += _section(comparison, section)
    body += _problems(comparison.problems)
    body += _provenance(comparison, runs, commands)
    return document(comparison.name, "".join(body), _CSS)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _summary(comparison: Comparison) -> list[str]:
    """The words; those on single groups are folded, and single runs have a section of their own."""
    first, *rest = in_words(replace(comparison, problems=()))
    starts = {group.name: f"{group.name}: " for group in comparison.groups if len(comparison.groups) > 1}
    general = [words for words in rest if not words.startswith(tuple(starts.values()))]
    parts = ['<h2 id="summary">Summary</h2>', f'<div class="card"><p>{html.escape(first)}</p>']
    parts.append(_list(_joined(general)))
    for name, start in starts.items():
        own = _joined(words.removeprefix(start) for words in rest if words.startswith(start))
        if own:
            folded = _list([_capital(words) for words in own])
            parts.append(f"<details><summary>{html.escape(name)}, arm by arm</summary>{folded}</details>")
    if comparison.problems:
        out = sum(each.kind in UNUSED for each in comparison.problems)
        more = len(comparison.problems) - out
        told = [f"{_counted(out, 'run')} left out"] if out else []
        told += [f"{_counted(more, 'remark')} on the runs"] if more else []
        parts.append(f'<p><a href="#left-out">{html.escape(" and ".join(told).capitalize())}</a></p>')
    return [*parts, "</div>"]


def _joined(sentences: Iterable[str]) -> list[str]:
    """Sentences that go on with the one before stand with it."""
    found: list[str] = []
    for words in sentences:
        if found and words.startswith("Its "):
            found[-1] += f" {words}"
        else:
            found.append(words)
    return found


def _list(entries: Sequence[str]) -> str:
    """A list; folded from a certain length on."""
    if not entries:
        return ""
    items = [f"<li>{html.escape(entry)}</li>" for entry in entries]
    if len(items) <= _MANY:
        return f"<ul>{''.join(items)}</ul>"
    more = "".join(items[_MANY:])
    folded = f"<details><summary>{len(items) - _MANY} more</summary><ul>{more}</ul></details>"
    return f"<ul>{''.join(items[:_MANY])}</ul>{folded}"


def _verdicts(comparison: Comparison) -> list[str]:
    """Every criterion on every arm of every group, in colour and in words."""
    verdicts = comparison.criteria.verdicts
    parts = ['<h2 id="verdicts">Verdicts</h2>']
    if not verdicts:
        return [*parts, "<p>No arm is compared with a baseline, so no criterion can be judged.</p>"]
    criteria = list(dict.fromkeys(each.criterion for each in verdicts))
    rows = []
    for group in comparison.groups:
        if group.against:
            name = html.escape(group.name)
            rows.append(
                f'<tr class="group"><th colspan="{1 + len(criteria)}" scope="colgroup">{name}</th></tr>'
            )
        for other in group.against:
            found = {each.criterion: each for each in comparison.criteria.of(group.name, other.arm)}
            cells = [f'<td class="l">{html.escape(other.arm)}</td>']
            for name in criteria:
                word, shown = verdict_cell(found[name])
                cells.append(
                    f'<td class="verdict {_CLASS[word]}" title="{html.escape(found[name].sentence)}">'
                    f"<b>{_SIGN[word]} {word}</b><span>{html.escape(shown)}</span></td>"
                )
            rows.append(f"<tr>{''.join(cells)}</tr>")
    titles = ["arm", *(CRITERIA[name].title for name in criteria)]
    head = "".join(f'<th class="l">{html.escape(title)}</th>' for title in titles)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    parts.append(f'<div class="scroll verdicts">{table}</div>')
    parts.append(
        '<p class="note">Each cell has the estimate and its 95% interval: a ratio to the baseline, per cent '
        "that the warm starts add, or a difference of scores. A criterion holds or fails only if the "
        "interval lies on one side; time also needs p &lt; .05 after Holm's correction.</p>"
    )
    overall = [
        (each.arm, f"{_SIGN[each.verdict]} {each.verdict}", each.sentence)
        for each in comparison.criteria.overall
    ]
    classes = {(row, 1): _CLASS[each.verdict] for row, each in enumerate(comparison.criteria.overall)}
    classes |= {(row, 2): "why" for row in range(len(overall))}
    parts.append(f"<h3>Over all tuples</h3>{html_table(('arm', 'verdict', 'why'), overall, 3, (), classes)}")
    told = [
        f"{each.group}, {each.arm}, {each.criterion}: {each.verdict}. {_capital(each.sentence)}"
        for each in verdicts
    ]
    items = "".join(f"<li>{html.escape(words)}</li>" for words in told)
    parts.append(f"<details><summary>Each verdict in a sentence</summary><ul>{items}</ul></details>")
    return parts


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _section(comparison: Comparison, section: Section) -> list[str]:
    group = section.group
    measure = comparison.measure
    unit = scale(comparison, group, measure)
    fixed, later = (", ".join(f"{each:g}" for each in some) for some in (group.targets, group.later))
    about = [f"{group.metric} ({'larger' if group.mode == 'max' else 'smaller'} is better)"]
    told = [f"targets {fixed} (fixed before the runs; the last is the primary one)"] if fixed else []
    told += [f"targets {later} (chosen after the runs)"] if later else []
    about += told or ["no targets"]
    about.append(_counted(len(group.seeds), "seed"))
    if group.primary is not None:
        horizon = group.horizon(measure, group.primary)
        about.append(f"compared up to {unit(horizon.value)} {unit.unit} ({horizon.words})")
    main, rest = section.tables[:1], section.tables[1:]
    parts = [
        f'<h2 id="{section.slug}">{html.escape(group.name)}</h2>',
        f'<p class="sub">{html.escape("; ".join(about))}</p>',
        *(_table(table) for table in main),
        _grid(section.figures),
        *(_table(table) for table in rest if not table.name.startswith(_FOLDED)),
    ]
    folded = [table for table in rest if table.name.startswith(_FOLDED)]
    if folded:
        titles = "; ".join(table.title.removesuffix(f", {group.name}") for table in folded)
        inside = "".join(_table(table) for table in folded)
        parts.append(f"<details><summary>{html.escape(titles)}</summary>{inside}</details>")
    if section.diagnostics:
        parts += ["<h3>What the warm starts did</h3>", _grid(section.diagnostics)]
    if section.not_drawn:
        arms = html.escape(", ".join(section.not_drawn))
        parts.append(f'<p class="note">Not drawn, and in the tables alone: {arms}.</p>')
    return parts


def _table(table: Table) -> str:
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in table.notes)
    shown = html_table(table.header, table.rows, table.left, table.rules)
    return f"<h3>{html.escape(table.title)}</h3>{shown}{notes}"


def _grid(figures: Sequence[tuple[Drawing, Path]]) -> str:
    shown = []
    for drawing, path in figures:
        figure = image(path, drawing.words, drawing.caption)
        shown.append(figure.replace("<figure>", '<figure class="row">', 1) if drawing.wide else figure)
    return f'<div class="grid">{"".join(shown)}</div>'


def _problems(problems: Sequence[Problem]) -> list[str]:
    parts = ['<h2 id="left-out">What was left out, and what else is to be known</h2>']
    if not problems:
        return [*parts, "<p>Nothing was left out: every planned run was used.</p>"]
    kinds: dict[str, list[Problem]] = {}
    for each in problems:
        kinds.setdefault(each.kind, []).append(each)
    for kind in sorted(kinds, key=lambda kind: kind not in UNUSED):
        how = "left out" if kind in UNUSED else "used"
        title = f"{_capital(kind)} ({len(kinds[kind])}, {how}): {KINDS.get(kind, '')}"
        parts.append(f"<h3>{html.escape(title)}</h3>{_list([str(each) for each in kinds[kind]])}")
    return parts


def _provenance(comparison: Comparison, runs: Sequence[RunRow], commands: Sequence[str]) -> list[str]:
    rows = []
    for source in comparison.sources:
        versions = ", ".join(f"{name} {version}" for name, version in source.versions.items())
        hardware = _hardware(source.hardware)
        when = f"{source.first[:16]} to {source.last[:16]}".replace("T", " ")
        journals = ", ".join(map(str, source.journals))
        rows.append((str(len(source.runs)), (source.commit or "-")[:12], versions, hardware, when, journals))
    header = ("runs", "commit", "versions", "hardware", "begun (UTC)", "journal schema")
    parts = ['<h2 id="provenance">Where it came from</h2>']
    parts.append(f'<div class="source">{html_table(header, rows, len(header))}</div>')
    made = "".join(f"<li><code>{html.escape(command)}</code></li>" for command in commands)
    parts.append(f"<p>To make it again:</p><ol>{made}</ol>")
    listed = [
        "<tr>"
        f'<td class="l">{_linked(run)}</td><td class="l">{html.escape(run.group)}</td>'
        f'<td class="l">{html.escape(run.arm)}</td><td>{run.seed}</td>'
        f'<td class="l">{html.escape(run.ended)}</td><td>{html.escape(run.best)}</td></tr>'
        for run in runs
    ]
    head = '<th class="l">journal</th><th class="l">tuple</th><th class="l">arm</th><th>seed</th>'
    head += '<th class="l">ended</th><th>best</th>'
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(listed)}</tbody></table>"
    parts.append(
        f"<details><summary>The {_counted(len(runs), 'journal')} that were read</summary>"
        f'<div class="scroll">{table}</div></details>'
    )
    return parts


def _linked(run: RunRow) -> str:
    name = html.escape(run.id)
    return f'<a href="{html.escape(run.link)}">{name}</a>' if run.link else name


def _hardware(hardware: Mapping[str, object]) -> str:
    gpus, devices = hardware.get("gpus"), hardware.get("devices")
    names = sorted({str(gpu) for gpu in gpus}) if isinstance(gpus, list) and gpus else []
    workers = len(devices) if isinstance(devices, list) else 0
    parts = [f"{len(gpus)} x {', '.join(names)}" if names and isinstance(gpus, list) else "no GPU"]
    parts += [f"{_counted(workers, 'worker')}"] if workers else []
    parts += [
        _counted(int(str(hardware[key])), "core") if key == "cores" else str(hardware[key])
        for key in ("cores", "machine", "system")
        if key in hardware
    ]
    return ", ".join(parts)
