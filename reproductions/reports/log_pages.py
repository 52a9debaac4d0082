"""What the committed records say of each planned experiment, for its page in `log/`.

Outcomes are shown when all planned runs are there; before, a page has the number of runs only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reproductions.experiments.planned import EXPERIMENTS, Experiment
from reproductions.results.evidence import committed
from reproductions.statistics.bootstrap import interval_over_both, right_images
from reproductions.statistics.verdicts import Comparison, Values, Verdict, judge_all, together
from reproductions.statistics.wording import INTERVAL, NOT_RUN, points
from reproductions.tables.base import Row
from reproductions.tables.claims import JUDGED, PRIMARY
from reproductions.tables.formats import markdown_table, spread

LOG = Path(__file__).parents[2] / "log"


def log_page(name: str) -> Path:
    return LOG / f"{EXPERIMENTS[name].planned}-{name}.md"


def page_title(name: str) -> str:
    """The title of an experiment's page."""
    return log_page(name).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def planned_values(experiment: Experiment, metric: str) -> Values:
    """A metric of the planned seeds of each row, percent."""
    evidence = committed(experiment.scale)
    rows = experiment.rows(evidence.base)
    values = {}
    for name, recipe in rows.items():
        runs = evidence.values(Row(recipe), metric)
        values[name] = {seed: runs[seed] for seed in runs if seed in experiment.seeds_for(name)}
    return values


def verdicts(name: str, metric: str = PRIMARY) -> list[Verdict]:
    """Verdicts on an experiment's comparisons by a metric, the primary one first."""
    experiment = EXPERIMENTS[name]
    seeds = [experiment.planned_seeds(comparison) for comparison in experiment.comparisons]
    return judge_all(experiment.comparisons, planned_values(experiment, metric), seeds)


def over_both(experiment: Experiment, place: int) -> str:
    """Interval of a comparison over seeds and images; "" where runs did not keep their images."""
    evidence, comparison = committed(experiment.scale), experiment.comparisons[place]
    recipes, rows = experiment.rows(evidence.base), []
    for name in comparison.weights:
        runs = evidence.records_for(Row(recipes[name])).items()
        images = {seed: right_images(record, PRIMARY) for seed, record in runs}
        rows.append({seed: right for seed, right in images.items() if right is not None})
    seeds = experiment.planned_seeds(comparison)
    several = together(place, len(experiment.comparisons))
    interval = interval_over_both(rows, list(comparison.weights.values()), seeds, several)
    return "" if interval is None else "[{:+.2f}, {:+.2f}]".format(*interval)


def so_far(n: int, planned: int) -> str:
    """How many runs there are."""
    return f"{n} of {planned} runs" if n else NOT_RUN


def cell(values: Mapping[int, float], planned: int) -> str:
    """Mean, spread and number of the planned runs."""
    return spread(values.values()) if len(values) == planned else so_far(len(values), planned)


def met(comparison: Comparison, verdict: Verdict) -> str:
    """Whether the mean lies in the predicted interval."""
    _, low, high = comparison.predicted
    return "as predicted" if low <= verdict.mean <= high else "missed"


def comparison_line(
    rank: str, comparison: Comparison, verdict: Verdict, by_knn: Verdict
) -> dict[str, str]:
    """A comparison with what was predicted and what came out, also by kNN."""
    predicted, low, high = comparison.predicted
    ended = verdict.n == verdict.planned
    measured = f"{points(verdict)} n={verdict.n}" if ended else so_far(verdict.n, verdict.planned)
    return {
        "rank": rank,
        "comparison": comparison.statement,
        "predicted": f"{predicted:+.1f} [{low:+.1f}, {high:+.1f}]",
        f"measured, {INTERVAL}": measured,
        "verdict": f"**{verdict.status}**",
        "prediction": met(comparison, verdict) if ended else "–",
        "by kNN": f"{points(by_knn)}, {by_knn.status}" if ended else "–",
    }


def comparisons(name: str) -> str:
    """Comparisons of an experiment, as Markdown; "" where it has none."""
    experiment = EXPERIMENTS[name]
    if not experiment.comparisons:
        return ""
    ranks = ["primary", *(["secondary"] * (len(experiment.comparisons) - 1))]
    judged = (verdicts(name, metric) for metric in JUDGED)
    lines = list(map(comparison_line, ranks, experiment.comparisons, *judged))
    intervals = [over_both(experiment, place) for place in range(len(lines))]
    if any(intervals):
        for line, interval in zip(lines, intervals, strict=True):
            line["over seeds and images"] = interval
    return markdown_table(list(lines[0]), [list(line.values()) for line in lines])


def section(name: str) -> str:
    """Rows and comparisons of an experiment, as Markdown."""
    experiment = EXPERIMENTS[name]
    linear, knn = (planned_values(experiment, metric) for metric in JUDGED)
    planned = {row: len(experiment.seeds_for(row)) for row in linear}
    rows = [[row, cell(linear[row], n), cell(knn[row], n)] for row, n in planned.items()]
    cells = markdown_table(["row", "linear probe, %", "kNN, %"], rows)
    return "\n\n".join(filter(None, (cells, comparisons(name))))


def has_ended(name: str) -> bool:
    """Whether the primary comparison of an experiment has its planned runs."""
    primary = verdicts(name)[0]
    return primary.n == primary.planned


def state(name: str) -> str:
    """Of an experiment, in a few words: the primary verdict, or how much has been run."""
    experiment = EXPERIMENTS[name]
    planned = len(experiment.jobs(committed(experiment.scale).base))
    done = sum(map(len, planned_values(experiment, PRIMARY).values()))
    runs = so_far(done, planned) if done < planned else ""
    if not experiment.comparisons or not has_ended(name):
        return runs or "chosen"
    primary, verdict = experiment.comparisons[0], verdicts(name)[0]
    prediction = met(primary, verdict).replace("missed", "prediction missed")
    return ", ".join(filter(None, (verdict.status, prediction, runs)))


def index() -> str:
    """Every page of the log with its state, the latest first; earlier pages state it themselves."""
    experiments = {log_page(name): name for name in EXPERIMENTS}
    lines = []
    for page in sorted(LOG.glob("20*.md"), reverse=True):
        title, _, status, *_ = page.read_text(encoding="utf-8").splitlines()
        if page in experiments:
            status = state(experiments[page])
        link = f"[{title.removeprefix('# ')}]({page.name})"
        lines.append([page.name[:10], link, status.removeprefix("Status: ")])
    return markdown_table(["date", "experiment", "state"], lines)
