import signal
import subprocess
import sys
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from flipbook import evaluation, metrics
from flipbook.core.attack_result import AttackResult
from flipbook.evaluation import AttackConfig
from flipbook.goals import ClassTarget, Goal, LabelVector
from tests.evaluation.toy_attack import CALLS, Affine, nudge, traced


@pytest.fixture(autouse=True)
def empty_store(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path / "store"))
    CALLS.clear()
    return tmp_path / "store"


@pytest.fixture
def task():
    images = torch.rand(10, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    return Affine().eval(), images, LabelVector(torch.arange(30).view(10, 3) % 2)


def quiet(*arguments, **options):
    return evaluation.run(*arguments, progress=False, **options)


def test_rows_are_measured_from_scratch(task):
    model, images, goal = task
    rows = quiet(nudge, model, images, goal, ids=range(100, 110))
    attacked = (images + 0.1).clamp(0, 1)
    assert rows["image"].tolist() == list(range(100, 110))
    assert rows["reached"].tolist() == goal.reached(model(attacked)).tolist()
    assert rows["distance"].tolist() == goal.violations(model(attacked)).tolist()
    assert rows["distance_before"].tolist() == goal.violations(model(images)).tolist()
    assert rows["mse"].tolist() == metrics.mse(attacked, images).tolist()
    assert rows["forwards"].tolist() == [2] * 10
    assert rows["ssim"].isna().all()  # 2 x 2 pixels
    assert rows["image_sha"].nunique() == 10


def test_second_run_does_not_call_the_attack_and_gives_the_same_table(task):
    first = quiet(nudge, *task)
    assert CALLS == [10]
    assert_frame_equal(quiet(nudge, *task), first)
    assert CALLS == [10]


def test_a_default_written_out_is_the_same_run_and_a_changed_parameter_is_not(task):
    quiet(nudge, *task)
    quiet(nudge, *task, hyper={"step": 0.1})
    assert CALLS == [10]
    other = quiet(nudge, *task, hyper={"step": 0.2})
    assert CALLS == [10, 10]
    assert (other["mse"] > quiet(nudge, *task)["mse"]).all()
    assert CALLS == [10, 10]


def test_changed_weights_image_or_target_recompute_only_what_they_touch(task):
    model, images, goal = task
    quiet(nudge, model, images, goal)
    other_images, other_target = images.clone(), goal.target.clone()
    other_images[3] /= 2
    other_target[[3, 7], 0] ^= True
    quiet(nudge, model, other_images, LabelVector(other_target))
    assert CALLS == [10, 2]
    model.layer.bias += 1
    quiet(nudge, model, images, goal)
    assert CALLS == [10, 2, 10]


def test_more_images_reuse_those_done_and_the_order_does_not_matter(task):
    model, images, goal = task
    few = quiet(nudge, model, images[:4], goal[:4])
    back = torch.arange(9, -1, -1)
    rows = quiet(nudge, model, images[back], goal[back])
    assert CALLS == [4, 6]
    assert_frame_equal(rows.iloc[::-1][:4].drop(columns="image").reset_index(drop=True), few.drop(columns="image"))


def test_batch_size_changes_no_row(task, monkeypatch, tmp_path):
    tables = []
    for size in (1, 3, 10):
        monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path / str(size)))
        tables.append(quiet(nudge, *task, batch_size=size).drop(columns="seconds"))
    assert_frame_equal(tables[0], tables[1])
    assert_frame_equal(tables[0], tables[2])


FRAGILE_CALLS: list[int] = []


def fragile(model, images, goal):
    FRAGILE_CALLS.append(len(images))
    if len(FRAGILE_CALLS) == 3:
        raise RuntimeError("power cut")
    return nudge(model, images, goal)


def test_finished_batches_survive_a_failure(task):
    FRAGILE_CALLS.clear()
    with pytest.raises(RuntimeError, match="power cut"):
        quiet(fragile, *task, batch_size=2)
    assert len(quiet(fragile, *task, batch_size=2)) == 10
    assert FRAGILE_CALLS == [2, 2, 2, 2, 2, 2]  # two stored, one lost, three after it


def test_a_killed_process_resumes(task, empty_store):
    program = textwrap.dedent(
        """
        import os, signal, torch
        from flipbook import evaluation
        from flipbook.goals import LabelVector
        from tests.evaluation import toy_attack

        class Deadly(list):
            def append(self, size):
                super().append(size)
                if len(self) == 3:
                    os.kill(os.getpid(), signal.SIGKILL)

        toy_attack.CALLS = Deadly()
        images = torch.rand(10, 1, 2, 2, generator=torch.Generator().manual_seed(1))
        goal = LabelVector(torch.arange(30).view(10, 3) % 2)
        evaluation.run(toy_attack.nudge, toy_attack.Affine().eval(), images, goal, batch_size=2, progress=False)
        """
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not list(empty_store.rglob("*.tmp"))
    assert len(quiet(nudge, *task, batch_size=2)) == 10
    assert CALLS == [2, 2, 2]  # the two batches before the one that killed are stored


def test_full_gpu_memory_halves_the_batch(task):
    rows = quiet(nudge, *task, hyper={"limit": 3})
    assert CALLS == [2] * 5  # 10 and 5 refused, then 2 at a time
    assert rows["reached"].tolist() == quiet(nudge, *task)["reached"].tolist()
    with pytest.raises(MemoryError, match="nudge: one image alone does not fit"):
        quiet(nudge, *task, hyper={"limit": 0})


def boasting(model, images, goal):
    everything = torch.ones(len(images), dtype=torch.bool)
    n = everything.long()
    return AttackResult(images - 2, everything, n, n, n, n)


def test_a_wrong_claim_and_a_left_box_are_said(task):
    with pytest.warns(UserWarning, match="boasting") as caught:
        rows = quiet(boasting, *task)
    said = [str(warning.message) for warning in caught]
    assert any("are not what the attack reports" in line for line in said)
    assert "boasting: 10 of 10 images leave [0, 1]; see the column outside_box" in said
    assert not rows["reached"].all()
    assert rows["claimed"].all()


def test_pictures_are_kept_where_asked_for(task):
    model, images, goal = task
    rows = quiet(nudge, model, images, goal)
    with pytest.raises(KeyError, match=r"image 0 of nudge/.* was not kept"):
        evaluation.pictures(rows[:2])
    rows = quiet(nudge, model, images, goal, keep_images=3)
    assert CALLS == [10, 3]
    wanted = rows.iloc[[2, 0]]
    assert torch.equal(evaluation.pictures(wanted), (images[[2, 0]] + 0.1).clamp(0, 1))


def test_what_an_attack_records_is_kept_for_every_image(task):
    model, images, goal = task
    quiet(traced, model, images[:4], goal[:4], batch_size=3)
    rows = quiet(traced, model, images, goal, batch_size=3)
    levels = evaluation.traces(rows.iloc[[7, 1]], "level")
    for place, i in enumerate((7, 1)):
        torch.testing.assert_close(levels[place], images[i].mean() * torch.arange(1.0, 4.0))
    with pytest.raises(KeyError, match="no trace of 'loss'; these runs recorded level"):
        evaluation.traces(rows, "loss")
    with pytest.raises(KeyError, match="these runs recorded none"):
        evaluation.traces(quiet(nudge, *task), "level")


def test_arguments_per_image_follow_their_images(task):
    offset = torch.linspace(-0.1, 0.3, 10)
    whole = quiet(nudge, *task, per_image={"offset": offset}, batch_size=4)
    alone = quiet(nudge, task[0], task[1][8:], task[2][8:], per_image={"offset": offset[8:]})
    assert sum(CALLS) == 10  # the last two are known already
    assert whole["mse"][8:].tolist() == alone["mse"].tolist()


def test_grid_stacks_trials_and_names_the_one_that_fails(task):
    model, images, goal = task
    configs = [
        AttackConfig("A", "0.1", nudge),
        AttackConfig("B", "0.3", nudge, {"step": 0.3}, goal=LabelVector(~goal.target)),
    ]
    rows = evaluation.grid(configs, model, images, goal, progress=False)
    assert rows.groupby(["method", "parameters"], sort=False).size().to_dict() == {("A", "0.1"): 10, ("B", "0.3"): 10}
    with pytest.raises(TypeError) as caught:
        evaluation.grid([AttackConfig("C", "9", nudge, {"stepp": 1})], model, images, goal, progress=False)
    assert "C 9" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match=r"A 0\.1: no goal"):
        evaluation.grid(configs, model, images, progress=False)


def test_raw_correlations_are_recorded_beside_the_decision():
    codebook = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0]])
    goal = ClassTarget(torch.tensor([0]), codebook)
    model = Affine().eval()
    model.layer.weight.zero_()
    model.layer.bias.copy_(torch.tensor([0.0, 5.0, -1.5]))  # raw: class 0 leads; through tanh nearly even
    assert bool(quiet(nudge, model, torch.rand(1, 1, 2, 2), goal)["reached_logits"][0])


def test_invalid_input_is_one_clear_line(task):
    model, images, goal = task
    for options, line in [
        ({"goal": goal[:4]}, "goal: 4 entries, must be one for each of the 10 images"),
        ({"ids": [1, 2]}, "ids: 2 entries"),
        ({"per_image": {"offset": torch.zeros(3)}}, "offset: 3 entries"),
        ({"batch_size": 0}, "batch_size: 0, must be at least 1"),
        ({"store": False, "keep_images": 2}, "keep_images needs the store"),
    ]:
        with pytest.raises(ValueError, match=line):
            quiet(nudge, model, images, **({"goal": goal} | options))
    assert CALLS == []


def test_no_store_computes_anew_and_no_image_is_no_error(task, empty_store):
    model, images, goal = task
    for _ in range(2):
        rows = quiet(nudge, model, images, goal, store=False)
    assert CALLS == [10, 10]
    assert not empty_store.exists()
    stored = quiet(nudge, model, images, goal)
    assert_frame_equal(rows.drop(columns=["seconds", "run"]), stored.drop(columns=["seconds", "run"]))
    assert len(quiet(nudge, model, images[:0], goal[:0])) == 0


def test_the_same_image_twice_is_attacked_once(task):
    model, images, goal = task
    twice = torch.tensor([4, 4, 5])
    rows = quiet(nudge, model, images[twice], goal[twice], ids=[4, 4, 5])
    assert CALLS == [2]
    assert rows["mse"][0] == rows["mse"][1]


def test_a_damaged_part_is_named_and_its_rows_alone_are_computed_again(task, empty_store):
    rows = quiet(nudge, *task, batch_size=4)
    damaged = max(empty_store.rglob("*.parquet"), key=lambda path: path.stat().st_size)
    number = len(pd.read_parquet(damaged))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    CALLS.clear()
    with pytest.warns(UserWarning, match=f"{damaged.name} is damaged .*: set aside") as caught:
        again = quiet(nudge, *task)
    assert len(caught) == 1
    assert sum(CALLS) == number
    assert_frame_equal(again.drop(columns="seconds"), rows.drop(columns="seconds"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet(nudge, *task)
    assert sum(CALLS) == number


def test_arguments_per_image_are_part_of_what_a_row_is_found_by(task):
    for offset in (0.0, 0.2):
        rows = quiet(nudge, *task, per_image={"offset": torch.full((10,), offset)})
        expected = (task[1] + 0.1 + offset).clamp(0, 1)
        assert rows["mse"].tolist() == pytest.approx(metrics.mse(expected, task[1]).tolist())
    assert CALLS == [10, 10]


def fine(model, images, goal):
    """A step far below a grey level."""
    return nudge(model, images, goal, step=1e-3)


def test_success_at_8_bits_is_that_of_the_rounded_image():
    model = Affine().eval()
    model.layer.weight.fill_(1.0)
    images = torch.full((1, 1, 2, 2), 51 / 255)
    model.layer.bias.fill_(-float(images.sum()) - 2e-3)  # all logits turn positive between the step and its rounding
    rows = quiet(fine, model, images, LabelVector(torch.ones(1, 3)))
    assert rows["reached"].all()
    assert not rows["reached_8bit"].any()


def test_goals_that_hold_others_have_rows_of_their_own(task):
    model, images, goal = task
    both = goal & ClassTarget(torch.zeros(10, dtype=torch.long))
    rows = quiet(nudge, model, images, both, batch_size=4)
    assert rows["reached"].tolist() == both.reached(model((images + 0.1).clamp(0, 1))).tolist()
    quiet(nudge, model, images, goal & ClassTarget(torch.ones(10, dtype=torch.long)))
    quiet(nudge, model, images, both)
    assert CALLS == [4, 4, 2, 10]


def test_a_function_may_be_the_model(task):
    model, images, goal = task
    rows = quiet(nudge, lambda x: model(x), images, goal)
    assert rows["reached"].tolist() == quiet(nudge, *task)["reached"].tolist()
    model.layer.bias += 10
    assert quiet(nudge, lambda x: model(x), images, goal)["distance"].tolist() != rows["distance"].tolist()


class Nudging:
    """An attack that is an object and counts its calls."""

    def __init__(self, step):
        self.step, self.calls = step, 0

    def __call__(self, model, images, goal):
        self.calls += 1
        return nudge(model, images, goal, self.step)


def test_an_object_may_be_the_attack(task):
    attack = Nudging(0.1)
    first = quiet(attack, *task)
    quiet(attack, *task)
    assert attack.calls == 1
    attack.step = 0.2
    assert (quiet(attack, *task)["mse"] > first["mse"]).all()


@dataclass(frozen=True, eq=False)
class FirstLabel(Goal):
    """A reader's own goal: the first label present."""

    wanted: torch.Tensor

    def margins(self, logits):
        return logits[:, :1] + 0 * self.wanted[:, None]


def test_a_readers_goal_counts_with_its_code(task, monkeypatch):
    model, images, _ = task
    goal = FirstLabel(torch.zeros(10))
    rows = quiet(nudge, model, images, goal)
    quiet(nudge, model, images, goal)
    monkeypatch.setattr(FirstLabel, "margins", lambda self, logits: -logits[:, :1])
    assert quiet(nudge, model, images, goal)["reached"].tolist() == (~rows["reached"]).tolist()
    quiet(nudge, model, images, goal & goal)
    assert CALLS == [10, 10, 10]
