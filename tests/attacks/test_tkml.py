"""TkML: both losses on logits by hand, their steps on an affine model, and self-paced weights for the targeted one."""

import pytest
import torch

from flipbook.attacks.tkml import targeted_loss, tkml, untargeted_loss
from flipbook.goals import LabelVector, TopKEquals, TopKExcludes
from tests.affine import mid_grey, random_affine
from tests.attacks.cases import images_and_goal
from tests.attacks.test_masw import Seen

Z = torch.tensor([[3.0, 1.0, 0.0, -2.0], [0.0, 5.0, 4.0, 1.0]])


def test_losses_by_hand():
    """First image, k = 2: 3 - (0 - 2) / 2, and 1 - (-2) for target 3 plus 3 - 1 for label 0. The second is there."""
    own = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 1]])
    assert untargeted_loss(TopKExcludes(own, 2), Z).tolist() == [3 + 1, 1 - 0.5]
    target = torch.tensor([[0, 1, 0, 1], [0, 1, 1, 0]])
    assert targeted_loss(TopKEquals(target, 2, present=own), Z).tolist() == [3 + 2, 0]


def test_untargeted_steps_on_an_affine_model():
    """The largest own label falls, the C - k smallest rise by their mean; the path may change its labels on the way."""
    model = random_affine()
    x, goal = images_and_goal(model, "excluded")
    seen = Seen(model)
    tkml(seen, x, goal, learning_rate=0.01, max_iterations=1)
    z, rows = model(x), [0, 1, 3, 4, 5]
    combination = torch.zeros_like(z).scatter(1, z.topk(4, dim=1, largest=False).indices, -0.25)
    combination = combination.scatter_add(1, z.argmax(dim=1, keepdim=True), torch.ones(6, 1).double())
    δ = -0.01 * combination @ model.W
    torch.testing.assert_close((seen.images[-1] - x[rows]).flatten(1), δ[rows], rtol=0, atol=1e-12)


def test_a_success_is_kept_at_its_smallest_when_images_stay():
    model = random_affine()
    x, goal = images_and_goal(model, "excluded")
    first, on = (
        tkml(model, x, goal, learning_rate=0.02, max_iterations=60, stop_on_success=stop_on_success)
        for stop_on_success in (True, False)
    )
    assert first.reached.all()
    torch.testing.assert_close(on.images, first.images, rtol=0, atol=1e-12)
    assert (on.backwards[[0, 1, 3, 4, 5]] == 60).all()


def test_weights_change_the_targeted_path_and_no_weights_are_the_loss():
    model = random_affine()
    x, goal = images_and_goal(model, "ranked")
    last = {}
    for weights in ("none", "spw", "fixed"):
        seen = Seen(model)
        result = tkml(seen, x, goal, weights=weights, learning_rate=0.02, max_iterations=6, trace=("loss", "hinges"))
        last[weights] = seen.images[-1]
        before = torch.stack([model(image[:1])[0] for image in seen.images[3:4]])
        assert float(result.trace["hinges"][0, 0]) == pytest.approx(float(targeted_loss(goal[:1], before)))
        if weights == "none":
            torch.testing.assert_close(result.trace["loss"], result.trace["hinges"], equal_nan=True)
    assert not torch.allclose(last["none"], last["spw"], rtol=0, atol=1e-6)


def test_refusals():
    model, x = random_affine(), mid_grey(1)
    own = torch.tensor([[1, 0, 0, 0, 0, 0]])
    with pytest.raises(ValueError, match="weights is 'spw': the untargeted loss is no sum of hinges") as caught:
        tkml(model, x, TopKExcludes(own, 2), weights="spw")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="tkml works on TopKExcludes and TopKEquals, not on LabelVector"):
        tkml(model, x, LabelVector(own))
