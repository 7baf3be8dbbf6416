"""The benchmarks at a size of seconds, here and on another device: each leaves a record that the page can show."""

import importlib
import sys

import measuring
import peers
import pytest

from tests.accelerator import NAME, accelerator
from tutorial_pkg.performance import write_performance

SMALL = {
    "benchmark": {"STEPS": 30},
    "benchmark_scaling": {"BATCH_SIZES": (2,), "SIDES": (14,), "CLASSES": (10,)},
    "benchmark_pools": {"EPOCHS": 1, "LAYERS": ("hidden2",)},
    "benchmark_classes": {"SEEDS": (1,), "SIDE": 8},
}


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """Run a benchmark; return the fragments that its records give."""

    def run(name, *arguments, device="cpu"):
        module = importlib.import_module(name)
        monkeypatch.setattr(measuring, "device", str)
        monkeypatch.setattr(measuring, "prepare", lambda options: None)  # threads and denormals stay as they are
        for constant, value in SMALL[name].items():
            monkeypatch.setattr(module, constant, value)
        results = tmp_path / "results"
        where = ["--results", str(results / "benchmark"), "--device", device]
        monkeypatch.setattr(sys, "argv", [name, *arguments, *where])
        module.main()
        write_performance(tmp_path / "out", results)
        return {path.name: path.read_text() for path in (tmp_path / "out" / "performance").iterdir()}

    return run


def test_attacks_side_by_side(benchmark, monkeypatch):
    monkeypatch.setattr(peers, "foolbox_attacks", lambda: iter(()))
    monkeypatch.setattr(peers, "torchattacks_attacks", lambda: iter(()))
    found = benchmark("benchmark", "--data", "digits", "--n", "3")
    assert set(found) == {"fc100-100-10-digits-cpu-targeted.md", "fc100-100-10-digits-cpu-untargeted.md"}
    assert "| ours: boundary walk (default) | 3 | 100.0 | 1.0" in found["fc100-100-10-digits-cpu-targeted.md"]
    assert "| SciPy L-BFGS-B, one image at a time | 1 |" in found["fc100-100-10-digits-cpu-targeted.md"]


def test_one_part_left_out_at_a_time_on_a_curved_network(benchmark):
    found = benchmark("benchmark", "--data", "digits", "--n", "3", "--ablation", "--curved")
    assert "random weights" in found["ablation-curved-cpu-targeted.md"]
    assert found["ablation-curved-cpu-targeted.md"].count("\n| ") == 10  # a header, nine variants


def test_one_part_left_out_at_a_time_among_kinks(benchmark):
    found = benchmark("benchmark", "--data", "digits", "--n", "2", "--ablation", "--model", "conv")
    assert found["ablation-kinks-cpu-targeted.md"].count("\n| ") == 10  # a header, nine variants
    assert "| no target given up | 2 |" in found["ablation-kinks-cpu-untargeted.md"]


def test_classes_are_compared_with_trying_all(benchmark):
    table = benchmark("benchmark_classes", "--n", "1")["classes-cpu.md"]
    assert "| sigmoid, 2 × 100 | 1,000 | 1 × 1 | 100.0 |" in table


@pytest.mark.parametrize("device", ["cpu", NAME])
@pytest.mark.parametrize(
    ("name", "arguments", "fragment"),
    [
        ("benchmark", ["--data", "digits", "--n", "3", "--training-set"], "training-set"),
        ("benchmark_scaling", ["--n", "2"], "scaling"),
        ("benchmark_pools", ["--n", "4"], "pools"),
    ],
)
def test_on_another_device(benchmark, device, name, arguments, fragment):
    with accelerator(float64=True):
        assert f"{fragment}-{device}.md" in benchmark(name, *arguments, device=device)


def test_a_device_that_is_not_here_is_named(capsys):
    with pytest.raises(SystemExit):
        measuring.parser("a benchmark").parse_args(["--device", "gpu"])
    assert "no device 'gpu' here; available: cpu" in capsys.readouterr().err
