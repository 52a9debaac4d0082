"""What the committed records say of each planned experiment, for its page in `log/`.

They are looked at once: before the planned number of runs a page says only how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reproductions.experiments.planned import EXPERIMENTS, Experiment
from reproductions.results.evidence import committed
from reproductions.statistics.bootstrap import interval_over_both, right_images
from reproductions.statistics.verdicts import Comparison, Values, Verdict, judge_all
from reproductions.statistics.wording import INTERVAL, NOT_RUN, points
from reproductions.tables.base import Row
from reproductions.tables.formats import markdown_table, spread

LOG = Path(__file__).parents[2] / "log"


def log_page(name: str) -> Path:
    """The page of an experiment."""
    return LOG / f"{EXPERIMENTS[name].planned}-{name}.md"


def title_of(name: str) -> str:
    """The title of an experiment's page."""
    return log_page(name).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def values_of(made: Experiment, metric: str) -> Values:
    """A metric of the planned seeds of each row, percent."""
    found = committed(made.scale)
    rows = made.rows(found.base)
    values = {}
    for name, recipe in rows.items():
        runs = found.values(Row(recipe), metric)
        seeds = made.seeds_of.get(name, made.seeds)
        values[name] = {seed: value for seed, value in runs.items() if seed in seeds}
    return values


def verdicts(name: str, metric: str = "linear") -> list[Verdict]:
    """Verdicts on an experiment's comparisons, the primary one first."""
    made = EXPERIMENTS[name]
    seeds = [made.planned_seeds(each) for each in made.comparisons]
    return judge_all(made.comparisons, values_of(made, metric), seeds)


def over_both(made: Experiment, comparison: Comparison) -> str:
    """Interval of a comparison over seeds and images; "" where runs did not keep their images."""
    found = committed(made.scale)
    recipes, rows = made.rows(found.base), []
    if not comparison.weights.keys() <= recipes.keys():  # a row waits for its learning rate
        return ""
    for name in comparison.weights:
        runs = found.of(Row(recipes[name])).items()
        kept = {seed: right_images(record, "linear") for seed, record in runs}
        rows.append({seed: right for seed, right in kept.items() if right is not None})
    seeds = made.planned_seeds(comparison)
    ends = interval_over_both(rows, list(comparison.weights.values()), seeds)
    return "" if ends is None else "[{:+.2f}, {:+.2f}]".format(*ends)


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


def comparison_line(rank: str, comparison: Comparison, verdict: Verdict) -> list[str]:
    """A comparison with what was predicted and what came out."""
    predicted, low, high = comparison.predicted
    ended = verdict.n == verdict.planned
    return [
        rank,
        comparison.statement,
        f"{predicted:+.1f} [{low:+.1f}, {high:+.1f}]",
        f"{points(verdict)} n={verdict.n}" if ended else so_far(verdict.n, verdict.planned),
        f"**{verdict.status}**",
        met(comparison, verdict) if ended else "–",
    ]


def comparisons(name: str) -> str:
    """Comparisons of an experiment, as Markdown; "" where it has none."""
    made = EXPERIMENTS[name]
    if not made.comparisons:
        return ""
    header = ["rank", "comparison", "predicted", f"measured, {INTERVAL}", "verdict", "prediction"]
    ranks = ["primary", *(["secondary"] * (len(made.comparisons) - 1))]
    lines = list(map(comparison_line, ranks, made.comparisons, verdicts(name)))
    images = [over_both(made, comparison) for comparison in made.comparisons]
    if any(images):
        header.append("over seeds and images")
        lines = [[*line, ends] for line, ends in zip(lines, images, strict=True)]
    return markdown_table(header, lines)


def section(name: str) -> str:
    """Rows and comparisons of an experiment, as Markdown."""
    made = EXPERIMENTS[name]
    linear, knn = (values_of(made, metric) for metric in ("linear", "knn"))
    planned = {row: len(made.seeds_of.get(row, made.seeds)) for row in linear}
    rows = [[row, cell(linear[row], n), cell(knn[row], n)] for row, n in planned.items()]
    cells = markdown_table(["row", "linear probe, %", "kNN, %"], rows) if rows else ""
    parts = filter(None, (cells, comparisons(name)))
    return "\n\n".join(parts) or "Not run: its learning rates are not chosen yet."


def has_ended(name: str) -> bool:
    """Whether the primary comparison of an experiment has its planned runs."""
    primary = verdicts(name)[0]
    return primary.n == primary.planned


def state(name: str) -> str:
    """Of an experiment, in a few words: the primary verdict, or how much has been run."""
    made = EXPERIMENTS[name]
    jobs = made.jobs(committed(made.scale).base)
    done = sum(map(len, values_of(made, "linear").values()))
    if done < len(jobs) or not jobs:
        return f"{done} of {len(jobs)} runs" if jobs else "waits for its learning rates"
    if not made.comparisons:
        return "chosen"
    primary, verdict = made.comparisons[0], verdicts(name)[0]
    return f"{verdict.status}, {met(primary, verdict)}"


def index() -> str:
    """Every page of the log with its state, the latest first; earlier pages state it themselves."""
    planned = {log_page(name): name for name in EXPERIMENTS}
    lines = []
    for page in sorted(LOG.glob("20*.md"), reverse=True):
        title, _, status, *_ = page.read_text(encoding="utf-8").splitlines()
        known = state(planned[page]) if page in planned else status.removeprefix("Status: ")
        lines.append([page.name[:10], f"[{title.removeprefix('# ')}]({page.name})", known])
    return markdown_table(["date", "experiment", "state"], lines)
