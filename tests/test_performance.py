import json
import re
from pathlib import Path

import pytest

from tutorial_pkg.performance import write_performance
from tutorial_pkg.performance.attacks import COLORS, NEAREST, attack_table, pareto_figure
from tutorial_pkg.performance.costs import scaling_figure

REPOSITORY = Path(__file__).parents[1]
ROW = {
    "name": "ours: default",
    "goal": "targeted",
    "num_images": 1000,
    "success": 1.0,
    "ratio_mean": 1.0004,
    "ratio_median": 1.0001,
    "ratio_max": 1.02,
    "images_per_second": 612.3,
    "forward_passes": 12.4,
    "backward_passes": 40.0,
}
PEER = {**ROW, "name": "DDN", "success": 0.98, "ratio_mean": 1.02, "images_per_second": 700.0}


WHERE = {
    "machine": {"processor": "a processor", "accelerator": None},
    "threads": 1,
    "seconds": "processor",
    "versions": {"torch": "2", "foolbox": None},
}


@pytest.fixture
def results(tmp_path):
    benchmark = {
        **WHERE,
        "model": "fc100-100-10",
        "data": "mnist",
        "num_images": 1000,
        "rows": [ROW, PEER, {**ROW, "goal": "untargeted"}],
    }
    folder = tmp_path / "results" / "benchmark"
    folder.mkdir(parents=True)
    (folder / "fc100.json").write_text(json.dumps(benchmark))
    return tmp_path / "results"


def test_every_benchmark_becomes_a_table_and_two_figures(results, tmp_path):
    write_performance(tmp_path / "out", results)
    names = {path.name for path in (tmp_path / "out" / "performance").iterdir()}
    assert names == {"fc100-targeted.md", "fc100-untargeted.md"}
    table = (tmp_path / "out" / "performance" / "fc100-targeted.md").read_text()
    assert (
        "| DDN | 1,000 | 98.0 | 1.0200 | 1.0001 | 1.020 | 12\N{NO-BREAK SPACE}+\N{NO-BREAK SPACE}40 | 700.0 |" in table
    )
    assert "a processor, 1 thread" in table
    assert "foolbox" not in table
    assert "**The attacks, targeted.**" in table
    assert "less than 0.001 % above it is drawn at 0.001 %" in table
    ids = re.findall(r'id="(provenance-[^"]+)"', "".join(p.read_text() for p in (tmp_path / "out").rglob("*.md")))
    assert len(ids) == len(set(ids)) == 4


def test_failures_are_named_in_the_figure():
    labels = pareto_figure([ROW, PEER]).axes[0].get_legend_handles_labels()[1]
    assert labels == ["ours: default", "DDN (98 %)"]


def test_attacks_on_few_images_are_marked_in_the_figure():
    slow = {**ROW, "name": "Foolbox C&W", "num_images": 3}
    labels = pareto_figure([ROW, slow, {**slow, "success": 0.5}]).axes[0].get_legend_handles_labels()[1]
    assert labels == ["ours: default", "Foolbox C&W (3 images)", "Foolbox C&W (50 %, 3 images)"]


def test_a_package_has_the_same_colour_in_every_figure():
    names = ["Foolbox DDN", "SciPy L-BFGS-B", "adv-lib DDN"]
    figures = [pareto_figure([{**ROW, "name": name} for name in order]) for order in (names, names[::-1])]
    colors = [{line.get_label(): line.get_color() for line in figure.axes[0].lines} for figure in figures]
    assert colors[0] == colors[1]
    assert len(set(colors[0].values())) == 3


@pytest.mark.parametrize("path", sorted((REPOSITORY / "results" / "benchmark").glob("*.json")), ids=lambda p: p.stem)
def test_every_package_that_is_drawn_has_a_colour(path):
    names = [row["name"] for row in json.loads(path.read_text()).get("rows", ())]
    assert path.stem.startswith("ablation") or {name.split()[0].rstrip(":") for name in names} <= set(COLORS)


def test_a_package_has_a_colour_and_its_attacks_a_marker_each():
    peers = [{**PEER, "name": f"adv-lib attack {i}"} for i in range(10)]
    ours, *lines = pareto_figure([ROW, *peers]).axes[0].lines
    assert ours.get_markerfacecolor() == ours.get_color()
    assert {line.get_markerfacecolor() for line in lines} == {"none"}
    assert len({line.get_color() for line in lines}) == 1
    assert len({line.get_marker() for line in lines}) == 10


def test_an_attack_at_the_optimum_stays_in_the_figure():
    axis = pareto_figure([{**ROW, "ratio_mean": 1.0}]).axes[0]
    assert axis.lines[0].get_xdata()[0] == NEAREST


def test_table_has_a_line_a_row():
    assert attack_table([ROW, PEER]).count("\n") == 3


def test_scaling_has_a_panel_for_each_quantity(results, tmp_path):
    points = [
        {"varied": name, "value": value, "images_per_second": 100.0, "passes_per_image": 9.0, "floor_share": 0.05}
        for name, values in (("batch size", (1, 16)), ("classes", (10, 100)))
        for value in values
    ]
    scaling = {**WHERE, "points": points, "num_images": 8}
    (results / "benchmark" / "scaling.json").write_text(json.dumps(scaling))
    write_performance(tmp_path / "out", results)
    text = (tmp_path / "out" / "performance" / "scaling.md").read_text()
    assert "| classes | 100 | 100 | 9 | 5 |" in text
    assert text.count("<svg") == 1
    assert len(scaling_figure(points).axes) == 2


def test_pools_have_a_row_for_each_layer_and_source(results, tmp_path):
    rows = [
        {"layer": layer, "source": source, "examples_per_second": 1234.5}
        for layer in ("input", "hidden1")
        for source in ("minimum_distortion", "linearised")
    ]
    pools = {**WHERE, "num_examples": 8, "clean_images_per_second": 9876.0, "refreshes": rows}
    (results / "benchmark" / "pools.json").write_text(json.dumps(pools))
    write_performance(tmp_path / "out", results)
    text = (tmp_path / "out" / "performance" / "pools.md").read_text()
    assert text.count("| 1,234 |") == 4
    assert "minimum distortion" in text
    assert "9,876 clean images a second" in text


def test_frame_bounds_have_a_row_for_each_layer_and_one_for_all(results, tmp_path):
    layer = {"layer": "conv1", "seconds": 0.5, "plain_seconds": 4.0, "error": 1e-16}
    totals = {name: {"seconds": s, "cpu_seconds": s, "peak_memory_mb": 1024} for name, s in (("ours", 1), ("plain", 9))}
    content = {**WHERE, "layers": [layer, {**layer, "error": 3e-15}], "totals": totals}
    (results / "benchmark" / "spectral-cpu.json").write_text(json.dumps(content))
    write_performance(tmp_path / "out", results)
    text = (tmp_path / "out" / "performance" / "spectral-cpu.md").read_text()
    assert "| conv1 | 0.50 | 4.00 | 8.0 | 1e-16 |" in text
    assert "| all | 1.00 | 9.00 | 9.0 | 3e-15 |" in text


def test_frame_bounds_that_do_not_differ_differ_by_zero(results, tmp_path):
    layer = {"layer": "conv1", "seconds": 0.5, "plain_seconds": 4.0, "error": 0.0}
    totals = {name: {"seconds": 1, "cpu_seconds": 1, "peak_memory_mb": 1024} for name in ("ours", "plain")}
    (results / "benchmark" / "spectral-cpu.json").write_text(json.dumps({**WHERE, "layers": [layer], "totals": totals}))
    write_performance(tmp_path / "out", results)
    assert "| 8.0 | 0 |" in (tmp_path / "out" / "performance" / "spectral-cpu.md").read_text()


def test_networks_of_a_kind_share_a_row(results, tmp_path):
    row = {"network": "sigmoid", "num_classes": 100, "num_images": 40, "success": 1.0, "nearest_share": 1.0}
    row |= {"ratio_mean": 1.0, "ratio_max": 1.0, "passes": 80.0, "passes_of_all": 900.0}
    orders = [{**row, "seed": i, "ratio_max": 1 + i / 10, "seconds": 1.0, "seconds_of_all": 10.0 * i} for i in (1, 3)]
    (results / "benchmark" / "classes-cpu.json").write_text(json.dumps({**WHERE, "orders": orders}))
    write_performance(tmp_path / "out", results)
    table = (tmp_path / "out" / "performance" / "classes-cpu.md").read_text()
    assert table.count("| sigmoid |") == 1
    assert "| sigmoid | 100 | 2 × 40 | 100.0 | 100 | 1.0000 | 1.300 | 80 | 900 | 20 |" in table


def test_an_accelerator_is_named_instead_of_the_processor(results, tmp_path):
    machine = {"machine": {"processor": "a processor", "accelerator": "a GPU"}, "seconds": "elapsed"}
    content = {**WHERE, **machine, "model": "fc", "data": "mnist", "num_images": 60_000, "seconds_taken": 8.0}
    content |= {"peak_memory_above_mb": 512, "success": 1.0, "rms_distortion": 0.0612}
    (results / "benchmark" / "training-set-cuda.json").write_text(json.dumps(content))
    write_performance(tmp_path / "out", results)
    text = (tmp_path / "out" / "performance" / "training-set-cuda.md").read_text()
    assert "| 60,000 | 8.0 | 7,500 | 0.50 | 100.00 | 0.0612 |" in text
    assert "a GPU · elapsed seconds" in text


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "results" / "benchmark").glob("*-mnist-*.json")), ids=lambda p: p.stem
)
def test_which_peers_are_both_as_near_and_as_fast_is_as_the_page_says(path):
    rows = json.loads(path.read_text())["rows"]
    defaults = {"targeted": "ours: boundary walk (default)", "untargeted": "ours: nearest class"}
    for goal, name in defaults.items():
        (ours,) = [row for row in rows if row["goal"] == goal and row["name"] == name]
        peers = [row for row in rows if row["goal"] == goal and not row["name"].startswith("ours")]
        assert ours["success"] == 1
        assert len(peers) > 5
        as_good = [
            peer["name"]
            for peer in peers
            if peer["success"] == 1
            and peer["ratio_mean"] <= ours["ratio_mean"]
            and peer["images_per_second"] >= ours["images_per_second"]
        ]
        assert as_good == []
