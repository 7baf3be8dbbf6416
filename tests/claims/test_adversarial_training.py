"""The verdicts on adversarial training follow the numbers."""

import pytest

from tests.shared import make_record
from tutorial_pkg.claims import CLAIMS, judge

BY_ID = {claim.id: claim for claim in CLAIMS}
SPREAD = (-0.02, -0.01, 0.0, 0.01, 0.02)


def pool(layer="input", stretch=1.0, source="linearised", trains_below=False):
    return {"layer": layer, "stretch": stretch, "source": source, "trains_below": trains_below}


def records(way, error, *pools, epochs=40):
    recipe = {"epochs": epochs, "pools": list(pools)}
    return [
        make_record(config={"way": way, "recipe": recipe, "seed": seed}, values={"test_error": (error + change) / 100})
        for seed, change in enumerate(SPREAD)
    ]


def ablation(hidden1=1.8, hidden2=1.9, layers=1.3, images=1.3):
    return [
        *records("input", images, pool(stretch=1.5)),
        *records("hidden 1", hidden1, pool("hidden1", 0.2)),
        *records("hidden 2", hidden2, pool("hidden2", 0.2)),
        *records("all", layers, pool(), pool("hidden1"), pool("hidden2")),
        *records("noise", 1.8, pool(source="noise")),
    ]


@pytest.mark.parametrize(
    ("images", "layers", "status"),
    [
        (1.1, 1.1, "holds"),
        (1.3, 1.19, "holds in part"),  # the mean of five seeds; its interval reaches beyond 1.2
        (1.1, 1.3, "holds in part"),
        (1.3, 1.3, "does not hold"),
        (1.21, 1.3, "does not hold"),  # but for the best of five seeds
    ],
)
def test_a1_asks_for_pools_of_every_layer(images, layers, status):
    found = {
        "adversarial_training": records("input", images, pool(), epochs=300),
        "adversarial_ablation": ablation(layers=layers),
    }
    verdict = judge(BY_ID["A1"], found)
    assert verdict.status == status
    assert f"pools of images only {images:.2f} % after 300 epochs" in verdict.here
    assert f"pools for every layer {layers:.2f} % after 40 epochs" in verdict.here


def test_a1_takes_the_longest_run_once():
    found = {"adversarial_training": records("input", 1.1, pool()), "adversarial_ablation": ablation(images=1.1)}
    assert judge(BY_ID["A1"], found).numbers.count("5 seeds") == 2


def search(hidden1=2.9, hidden2=2.4):
    tried = [
        (1.9, pool()),
        (2.1, pool(stretch=0.5)),
        (hidden1, pool("hidden1")),
        (hidden2, pool("hidden2")),
        (1.0, pool("hidden2", trains_below=True)),
        (1.0, pool(source="noise")),
    ]
    return [
        make_record(config={"recipe": {"pools": [made]}, "seed": 0}, values={"held_out_error": error / 100})
        for error, made in tried
    ]


@pytest.mark.parametrize(
    ("own_distance", "same_distance", "status"),
    [
        ((1.0, 1.0), (1.5, 1.5), "holds"),
        ((1.295, 1.295), (1.5, 1.5), "holds in part"),  # within the seeds' spread of the input's 1.3
        ((1.0, 1.9), (2.9, 2.4), "holds in part"),
        ((1.8, 1.9), (2.9, 1.8), "holds in part"),
        ((1.8, 1.9), (2.9, 2.4), "does not hold"),
    ],
)
def test_a3_compares_at_the_same_distance_too(own_distance, same_distance, status):
    found = {"adversarial_ablation": ablation(*own_distance), "adversarial_search": search(*same_distance)}
    verdict = judge(BY_ID["A3"], found)
    assert verdict.status == status
    assert "input 1.5, hidden 1 0.2, hidden 2 0.2" in verdict.numbers
    assert f"input 1.90 %, hidden 1 {same_distance[0]:.2f} %" in verdict.numbers


@pytest.mark.parametrize(
    ("layers", "status"), [(1.2, "holds"), (1.295, "holds in part"), (1.305, "does not hold"), (1.4, "does not hold")]
)
def test_a5_asks_for_a_difference_to_pools_of_images_only(layers, status):
    found = {"adversarial_training": records("weight decay", 1.6), "adversarial_ablation": ablation(layers=layers)}
    assert judge(BY_ID["A5"], found).status == status
