#!/usr/bin/env python3
"""Confirm records whose code has changed since: run the old and the new code, small, and compare the numbers.

A record names the code that computed it, and any change of that code makes the record stale, even one that changes no
number. This script takes the experiments whose code differs between COMMIT and the working tree and runs them twice
on this machine, with either code. Where the numbers agree it says so in results/confirmed.json, and records of the
old code are then "confirmed" instead of stale; where they do not, it lists what differs and exits with 1.

python scripts/confirm_records.py v0.1.0                                  # quick: minutes
python scripts/confirm_records.py 0f742d9 --profile laptop --only table1
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from tutorial_pkg.data import data_root
from tutorial_pkg.freshness import Confirmation, read_confirmations, write_confirmations
from tutorial_pkg.records import RecordError, read_record

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-3  # relative
FLOOR = 1e-9  # absolute: rounding about zero is no difference
MEASURED = frozenset({"seconds", "memory", "peak_memory_mb"})  # values that no two runs share
MAX_SHOWN = 20
FINGERPRINTS = """import json; from tutorial_pkg import experiments as e
print(json.dumps([e.__file__, {name: experiment.fingerprint for name, experiment in e.EXPERIMENTS.items()}]))"""


class Side(NamedTuple):
    """One of the two codes: where it is, its experiments' fingerprints, and where its records go."""

    tree: Path
    fingerprints: Mapping[str, str]
    results: Path


class Gap(NamedTuple):
    """A place where two results are not equal, with what stands there and the relative difference."""

    path: str
    old: str
    new: str
    size: float


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    args = parse_arguments(arguments)
    try:
        read_confirmations(args.results)  # that it is damaged should be known before hours of work
        with TemporaryDirectory(prefix="confirm-") as name, worktree(args.commit, Path(name, "tree").resolve()) as tree:
            old = Side(tree, fingerprints(tree), tree.parent / "old")
            return confirm_all(old, Side(ROOT, fingerprints(ROOT), tree.parent / "new"), args)
    except (RecordError, RuntimeError, OSError) as error:
        print(f"confirm_records: {error}", file=sys.stderr)
        return 1


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line; folders become absolute, because the old code runs in another one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("commit", metavar="COMMIT", help="whose code the records were computed with")
    parser.add_argument("--profile", choices=("quick", "laptop"), default="quick", help="size of the runs")
    parser.add_argument("--only", nargs="+", metavar="EXPERIMENT", help="these experiments and no others")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets (default: $TUTORIAL_DATA or data)")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="folder of confirmed.json")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "checkpoints", help="trained models")
    args = parser.parse_args(arguments)
    args.data_root = data_root(args.data_root).resolve()
    args.results, args.cache = args.results.resolve(), args.cache.resolve()
    return args


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out into a folder, and remove it in the end."""
    git("worktree", "add", "--detach", str(folder), commit)
    try:
        yield folder
    finally:
        git("worktree", "remove", "--force", str(folder))


def git(*arguments: str) -> None:
    """Run git in this repository, or raise what it says."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")


def python(tree: Path, *arguments: str) -> str:
    """Run Python with the package of a tree in place of the installed one; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run([sys.executable, *arguments], cwd=tree, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"python {arguments[0]} failed in {tree}; its messages are above")
    return done.stdout


def fingerprints(tree: Path) -> dict[str, str]:
    """Return the fingerprint of each experiment of a tree."""
    imported, found = json.loads(python(tree, "-c", FINGERPRINTS))
    if not Path(imported).resolve().is_relative_to(tree):
        raise RuntimeError(f"Python imports {imported} and not the package in {tree}")
    return found


def confirm_all(old: Side, new: Side, args: argparse.Namespace) -> int:
    """Compare each experiment whose code differs; return 1 when one of them does not give the same numbers."""
    if unknown := sorted(set(args.only or ()) - set(new.fingerprints)):
        raise RuntimeError(f"unknown experiment {', '.join(unknown)}; known are {', '.join(new.fingerprints)}")
    failed = False
    for name in args.only or new.fingerprints:
        if name not in old.fingerprints:
            print(f"{name}: not at {args.commit}, skipped")
        elif old.fingerprints[name] == new.fingerprints[name]:
            print(f"{name}: its code is that of {args.commit}")
        else:
            try:
                failed |= not confirm(name, old, new, args)
            except (RuntimeError, RecordError) as error:
                print(f"{name}: NOT compared: {error}", flush=True)
                failed = True
    return int(failed)


def confirm(name: str, old: Side, new: Side, args: argparse.Namespace) -> bool:
    """Run an experiment on both sides, note or list what comes of it, and say whether the numbers agree."""
    pair = (name, old.fingerprints[name], new.fingerprints[name])
    print(f"{name}: code {pair[1][:8]} → {pair[2][:8]}, running both", flush=True)
    before, after = (computed(name, side, args) for side in (old, new))
    found = list(gaps(before, after))
    apart = [gap for gap in found if gap.size > TOLERANCE]
    # Read again, since another run may have written; what was confirmed and now differs is taken out.
    confirmations = [c for c in read_confirmations(args.results) if (c.experiment, c.before, c.after) != pair]
    if not apart:
        largest = max((gap.size for gap in found), default=0.0)
        confirmations.append(Confirmation(*pair, args.profile, len(after), largest))
        print(f"{name}: confirmed, cells: {len(after)}, largest relative difference: {largest:.1g}", flush=True)
    else:
        print(f"{name}: NOT confirmed, it differs in {len(apart)} places, old → new:")
        print("\n".join(f"  {name} {gap.path}: {gap.old} → {gap.new}" for gap in apart[:MAX_SHOWN]), flush=True)
    write_confirmations(args.results, confirmations)
    return not apart


def computed(name: str, side: Side, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Run an experiment with the code of one side; return for each cell what another run should give again."""
    what = ["--compute-only", "--quiet", "--device", "cpu", "--profile", args.profile, "--only", name]
    where = ["--results", str(side.results), "--cache", str(args.cache), "--data-root", str(args.data_root)]
    python(side.tree, str(side.tree / "scripts" / "build_figures.py"), *what, *where)
    records = [read_record(path) for path in sorted((side.results / args.profile / name).glob("*.json"))]
    if {record.fingerprint for record in records} != {side.fingerprints[name]}:
        raise RuntimeError(
            f"{side.tree} gave no records, or some of another code: {[record.fingerprint[:8] for record in records]} "
            f"instead of {side.fingerprints[name][:8]}. Were files edited during the run?"
        )
    return {r.cell: {"config": r.config, "data": r.data, "values": r.values, "arrays": r.arrays} for r in records}


def gaps(old: Any, new: Any, path: str = "") -> Iterator[Gap]:
    """Yield where two results are not equal; what was measured, time and memory, is left out."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (key for key in {**old, **new} if key not in MEASURED):
            yield from gaps(old.get(key, "(absent)"), new.get(key, "(absent)"), f"{path} {key}".strip())
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from gaps(one, other, f"{path}[{i}]")
    elif isinstance(old, list | Mapping) or isinstance(new, list | Mapping):
        yield Gap(path, shown(old), shown(new), math.inf)
    else:
        one, other = np.asarray(old), np.asarray(new)
        sizes = distances(one, other) if one.shape == other.shape else np.array(math.inf)
        if sizes.shape and sizes.any():
            worst = np.unravel_index(np.argmax(sizes), sizes.shape)
            place = f"{path}[{', '.join(str(int(i)) for i in worst)}]"
            yield Gap(place, shown(one[worst].item()), shown(other[worst].item()), float(sizes[worst]))
        elif sizes.any():
            yield Gap(path, shown(old), shown(new), float(sizes))


def distances(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return how far entries are apart: of floats relative to the largest, of all else 0 if equal, otherwise inf."""
    kinds = {old.dtype.kind, new.dtype.kind}
    if kinds <= {"f", "i"} and "f" in kinds:
        return relative(old.astype(float), new.astype(float))
    if old.dtype == new.dtype == np.uint8 and old.ndim >= 2:  # images: the last bit is rounding
        return np.where(abs(old.astype(int) - new) <= 1, 0.0, math.inf)
    return np.where((old == new) & (len(kinds) == 1), 0.0, math.inf)


def relative(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return |old − new| over the largest finite |entry| of both: 0 below the floor, inf where one is not finite."""
    entries = np.concatenate([old.ravel(), new.ravel()])
    scale = abs(entries[np.isfinite(entries)]).max(initial=FLOOR)
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num(abs(old - new), nan=math.inf, posinf=math.inf)
    same = (old == new) | (np.isnan(old) & np.isnan(new)) | (apart <= FLOOR)
    return np.where(same, 0.0, apart / scale)


def shown(value: Any) -> str:
    """Return a value in a few characters."""
    text = f"{type(value).__name__} of {len(value)}" if isinstance(value, list | Mapping | np.ndarray) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a kill, too, should leave no worktree behind
    sys.exit(main())
