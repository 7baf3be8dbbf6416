#!/usr/bin/env python3
"""Write Table 1 and one panel of Figure 7 into the README, from the committed records.

python scripts/update_readme.py           # rewrite README.md and docs/assets/readme-figure7.svg
python scripts/update_readme.py --check   # exit 1 when they say something else than the records
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import matplotlib

from tutorial_pkg import paper
from tutorial_pkg.experiments import EXPERIMENTS, PROFILES
from tutorial_pkg.experiments.figure7 import pairs_figure
from tutorial_pkg.figures import STYLE, markdown_table, mean_sd
from tutorial_pkg.records import Record, read_record, record_path

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "docs" / "assets" / "readme-figure7.svg"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 when something would change")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    args = parser.parse_args(arguments)
    readme = ROOT / "README.md"
    wanted = {
        readme: with_table(readme.read_text(encoding="utf-8"), table1(committed("table1", args.results))),
        FIGURE: figure7(committed("figure7", args.results)),
    }
    outdated = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in outdated:
        print(f"{path.relative_to(ROOT)} {'is outdated' if args.check else 'rewritten'}")
        if not args.check:
            path.write_text(wanted[path], encoding="utf-8")
    return int(args.check and bool(outdated))


def committed(name: str, results: Path) -> list[Record]:
    """Return an experiment's records of the largest profile that is complete; quick ones are not committed."""
    experiment = EXPERIMENTS[name]
    for profile in reversed(PROFILES[1:]):
        paths = [record_path(results, profile, name, cell) for cell in experiment.cells(experiment.configs[profile])]
        if all(path.exists() for path in paths):
            return [read_record(path) for path in paths]
    raise SystemExit(f"update_readme: {name} has no complete records; run scripts/build_figures.py --profile laptop")


def table1(records: Sequence[Record]) -> str:
    """Return Table 1 with the paper's numbers beside ours."""
    rows = []
    for name in dict.fromkeys(record.config["name"] for record in records):
        values = [record.values for record in records if record.config["name"] == name]
        train, test, distortion = paper.TABLE1[name]
        rows.append(
            [
                name,
                f"{mean_sd([v['train_error'] for v in values], 2, 100)} ({train:g})",
                f"{mean_sd([v['test_error'] for v in values], 2, 100)} ({test:g})",
                f"{mean_sd([v['distortion_penalty_rms'] for v in values], 3)} ({distortion:g})",
                mean_sd([v["distortion_random_target_rms"] for v in values], 3),
                mean_sd([v["distortion_nearest_mean"] for v in values], 3),
            ]
        )
    header = ["model", "train (paper)", "test (paper)", "distortion (paper)", "minimum", "nearest class"]
    first = records[0]
    return f"{markdown_table(header, rows)}\n\nProfile `{first.profile}`, {first.data['name']}."


def with_table(readme: str, table: str) -> str:
    """Return the README with the table between its markers."""
    text, count = re.subn(
        r"(<!-- table1 -->\n).*?(<!-- /table1 -->)", lambda m: f"{m[1]}\n{table}\n\n{m[2]}", readme, flags=re.DOTALL
    )
    if count != 1:
        raise SystemExit("update_readme: README.md has lost its markers <!-- table1 --> … <!-- /table1 -->")
    return text


def figure7(records: Sequence[Record]) -> str:
    """Return the first panel as an SVG file on white, for viewers without the site's style sheet."""
    buffer = StringIO()
    with matplotlib.rc_context(STYLE):
        pairs_figure(records[0]).savefig(buffer, format="svg", facecolor="white", metadata={"Date": None})
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
