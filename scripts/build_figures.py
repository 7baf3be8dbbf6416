#!/usr/bin/env python3
"""Compute what is missing or stale of every table and figure, then render all of them for the site.

python scripts/build_figures.py                        # quick: bundled digits, under two minutes
python scripts/build_figures.py --profile laptop       # real MNIST
python scripts/build_figures.py --profile paper --device cuda --only table1 table2
python scripts/build_figures.py --status --profile laptop
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from tutorial_pkg.claims import CLAIMS, write_ledger
from tutorial_pkg.durations import write_durations
from tutorial_pkg.experiments import EXPERIMENTS, PROFILES, Context, Experiment, run_cell
from tutorial_pkg.experiments.cell_records import cell_states, cell_status, complete_records, planned_cells
from tutorial_pkg.figures import Renderer, write_values
from tutorial_pkg.freshness import read_confirmations
from tutorial_pkg.performance import write_performance
from tutorial_pkg.records import Record, RecordError, write_record

ROOT = Path(__file__).resolve().parent.parent

Cell = tuple[Experiment, str, Any]
"""Its experiment, its name and its configuration."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    args = parse_arguments(arguments)
    torch.set_flush_denormal(True)  # weights of black pixels shrink below 1e-38, where some processors crawl
    experiments = select(args.only)
    if args.list:
        for experiment in experiments:
            print(f"{experiment.name:24} §{experiment.section:5} {experiment.title}")
        return 0
    try:
        if args.status:
            return print_status(experiments, args)
        if args.check:
            return check(experiments, args)
        everything = args.render_only or compute(experiments, args)
        if not args.compute_only:
            render(args.results, args.output)
    except (RecordError, OSError) as error:
        print(f"build_figures: {error}", file=sys.stderr)
        return 1
    return 0 if everything else 1


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="size of the runs (default: quick)")
    parser.add_argument("--only", nargs="+", metavar="EXPERIMENT", help="these experiments and no others")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="auto: cuda, else cpu")
    parser.add_argument("--seed", type=int, help="first seed, instead of the profile's")
    parser.add_argument("--shard", type=shard, default=(1, 1), metavar="I/N", help="every N-th cell, from the I-th")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets (default: $TUTORIAL_DATA or data)")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="folder of the records")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "_generated", help="folder of the fragments")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "checkpoints", help="trained models")
    parser.add_argument("--list", action="store_true", help="name the experiments and stop")
    parser.add_argument("--status", action="store_true", help="say of each record whether it is fresh")
    parser.add_argument("--check", action="store_true", help="exit 1 when a record is missing or damaged")
    parser.add_argument("--fresh", action="store_true", help="with --check: also when one is stale")
    parser.add_argument("--render-only", action="store_true", help="compute nothing")
    parser.add_argument("--compute-only", action="store_true", help="render nothing, as one of several shards")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    args = parser.parse_args(arguments)
    if unknown := sorted(set(args.only or ()) - set(EXPERIMENTS)):
        parser.error(f"unknown experiment {', '.join(unknown)}; known are {', '.join(EXPERIMENTS)}")
    if args.fresh and not args.check:
        parser.error("--fresh goes with --check")
    if args.render_only and args.compute_only:
        parser.error("--render-only and --compute-only leave nothing to do; give one of them")
    if args.check and args.status:
        parser.error("--check and --status are two questions; give one of them")
    args.device = resolve_device(args.device, parser)
    return args


def shard(text: str) -> tuple[int, int]:
    """Parse "i/n" with 1 ≤ i ≤ n."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected I/N with 1 ≤ I ≤ N, such as 2/8, got {text!r}")
    return int(index), int(count)


def resolve_device(name: str, parser: argparse.ArgumentParser) -> str:
    """Choose a device, or refuse one that this machine does not have."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        # Apple's GPUs have to be asked for: nothing here has been run on one.
        return "cuda" if available["cuda"] else "cpu"
    if not available[name]:
        here = ", ".join(device for device, found in available.items() if found)
        parser.error(f"device {name} is not available here; available: {here}")
    return name


def select(names: list[str] | None) -> list[Experiment]:
    """Return the named experiments, in the registry's order; all of them without names."""
    return [experiment for name, experiment in EXPERIMENTS.items() if names is None or name in names]


def compute(experiments: list[Experiment], args: argparse.Namespace) -> bool:
    """Run the cells that are missing or stale, and write each record as soon as it is there.

    Returns:
        Whether none was left out because its data, its weights or the memory for it are not there.
    """
    context = Context(args.device, args.data_root, args.cache, progress=not args.quiet)
    index, count = args.shard
    planned = [
        (experiment, cell, config)
        for experiment in experiments
        for cell, config in planned_cells(experiment, args.profile, args.seed).items()
    ][index - 1 :: count]
    every = with_data(planned, context)
    left_out = len(planned) - len(every)
    todo = outdated(every, context, args)
    done = len(every) - len(todo)
    print(f"{args.profile}: {done} of {len(every)} cells are fresh or confirmed, {len(todo)} to compute")
    if left_out:
        print(f"{left_out} more cannot be computed without their data")
    with tqdm(todo, unit="cell", disable=args.quiet) as bar:
        for experiment, cell, config in bar:
            bar.set_description(f"{experiment.name} {cell}")
            try:
                record = run_cell(experiment, args.profile, cell, config, context)
            except (MemoryError, torch.OutOfMemoryError, FileNotFoundError) as error:
                tqdm.write(f"{experiment.name} {cell} is left out: {error}", file=sys.stderr)
                left_out += 1
                continue
            except Exception as error:
                error.add_note(f"in {experiment.name} {cell} of the {args.profile} profile")
                raise
            write_record(args.results, record)
    return left_out == 0


def with_data(cells: Sequence[Cell], context: Context) -> list[Cell]:
    """Return the cells whose data are here, and say which are not."""
    absent = []
    for name in dict.fromkeys(config.dataset for _, _, config in cells):
        try:
            context.data(name)
        except FileNotFoundError as error:
            print(f"cells of {name} are left out: {error}", file=sys.stderr)
            absent.append(name)
    return [(experiment, cell, config) for experiment, cell, config in cells if config.dataset not in absent]


def outdated(cells: Sequence[Cell], context: Context, args: argparse.Namespace) -> list[Cell]:
    """Return the cells that have no fresh record."""
    confirmations = read_confirmations(args.results)
    todo = []
    for experiment, cell, config in cells:
        checksum = context.data(config.dataset).checksum
        try:
            state, _ = cell_status(experiment, args.profile, cell, config, args.results, confirmations, checksum)
        except RecordError as error:
            print(f"{error} It is computed again now.", file=sys.stderr)
            state = "missing"
        if state not in ("fresh", "confirmed"):
            todo.append((experiment, cell, config))
    return todo


def render(results: Path, output: Path) -> None:
    """Render every experiment from the best profile that has all its records."""
    values: dict[str, str] = {}
    shown: dict[str, list[Record]] = {}
    runs: dict[str, dict[str, list[Record]]] = {}
    confirmations = read_confirmations(results)
    for experiment in EXPERIMENTS.values():
        complete = list(complete_records(experiment, results, confirmations))
        runs[experiment.name] = {records[0].profile: records for records, _, _ in complete}
        for records, stale, confirmed_in in complete:
            renderer = Renderer(output, experiment.name, records, stale=stale, confirmed_in=confirmed_in)
            try:
                experiment.render(records, renderer)
            except KeyError as error:
                if not stale:
                    raise
                print(f"{experiment.name}: the {records[0].profile} records are too old to show (no {error})")
                continue
            values.update(renderer.values)
            shown[experiment.name] = records
            remove_others(output / experiment.name, renderer.written)
            break
        else:
            remove_others(output / experiment.name, set())
            print(f"{experiment.name}: no complete set of records, nothing to show")
    values.update(write_durations(output, runs, PROFILES))
    write_values(output, values)
    write_ledger(output, CLAIMS, shown)
    write_performance(output, results)


def remove_others(folder: Path, written: set[Path]) -> None:
    """Remove fragments of an earlier run that this one has not written, or pages would go on showing them."""
    for path in folder.glob("[!.]*.md"):  # not another process's temporary files
        if path not in written:
            path.unlink(missing_ok=True)


def print_status(experiments: list[Experiment], args: argparse.Namespace) -> int:
    """Print a line for each cell."""
    for name, cell, state in cell_states(experiments, args.profile, args.seed, args.results):
        print(f"{args.profile:7} {name:24} {cell:32} {state}")
    return 0


def check(experiments: list[Experiment], args: argparse.Namespace) -> int:
    """List what is not in order; return 1 for missing or damaged records, with --fresh for stale ones too."""
    failed = False
    for name, cell, state in cell_states(experiments, args.profile, args.seed, args.results):
        if state not in ("fresh", "confirmed"):
            print(f"{args.profile} {name} {cell}: {state}")
            failed |= state != "stale" or args.fresh
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
