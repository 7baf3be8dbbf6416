"""What the benchmarks measured, for the Performance page: `results/benchmark/*.json` to figures and tables."""

from __future__ import annotations

import json
from pathlib import Path

from tutorial_pkg.figures import write_if_changed
from tutorial_pkg.performance.attacks import comparison
from tutorial_pkg.performance.costs import RENDERERS

__all__ = ["write_performance"]


def write_performance(root: Path, results: Path) -> None:
    """Render every benchmark record there is below `docs/_generated/performance/`.

    Args:
        root: the folder of generated fragments.
        results: the folder of the records, with a folder `benchmark`.
    """
    folder = root / "performance"
    for path in sorted((results / "benchmark").glob("*.json")):
        benchmark = json.loads(path.read_text(encoding="utf-8"))
        for key, render in RENDERERS.items():
            if key in benchmark:
                write_if_changed(folder / f"{path.stem}.md", render(path.stem, benchmark))
        for goal in ("targeted", "untargeted"):
            rows = [row for row in benchmark.get("rows", ()) if row["goal"] == goal]
            if rows:
                drawn = not path.stem.startswith("ablation")
                name = f"{path.stem}-{goal}"
                write_if_changed(folder / f"{name}.md", comparison(name, benchmark, rows, goal, drawn=drawn))
