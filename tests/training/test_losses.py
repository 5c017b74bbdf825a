import torch
from monai.losses import DiceCELoss

from vista3d.training import losses
from vista3d.training.losses import class_losses, rows_of


def dice_ce(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Of given logits [K, V]: features that are the logits, and classes that each take one."""
    return class_losses(logits.t(), torch.eye(len(logits)), truth).prompts


def competition(logits: torch.Tensor, truth: torch.Tensor, balance: float = 0.5) -> torch.Tensor:
    return class_losses(logits.t(), torch.eye(len(logits)), truth, balance=balance).rivalry


def test_rows_of():
    labels = torch.tensor([0, 7, 3, 9])
    assert rows_of(labels, torch.tensor([3, 7])).tolist() == [0, 2, 1, 0]


def test_a_sure_and_right_answer_costs_nothing():
    truth = torch.tensor([1, 1, 0, 0])
    logits = torch.tensor([[20.0, 20.0, -20.0, -20.0]])
    assert dice_ce(logits, truth).item() < 1e-4
    assert competition(logits, truth).item() < 1e-4


def test_one_loss_per_prompt_and_worse_answers_cost_more():
    truth = torch.tensor([1, 2, 0, 0])
    logits = torch.tensor([[2.0, -2.0, -2.0, -2.0], [2.0, -2.0, 2.0, 2.0]])
    good, bad = dice_ce(logits, truth)
    assert good < bad


def test_equals_dense_binary_losses():
    """The gathered form against masks written out."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 50, generator=generator)
    truth = torch.randint(0, 4, (50,), generator=generator)
    masks = (truth[None] == torch.arange(1, 4)[:, None]).float()
    probability = logits.sigmoid()
    overlap = (probability * masks).sum(1)
    dice = 1 - (2 * overlap + 1) / (probability.square().sum(1) + masks.sum(1) + 1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, masks, reduction="none"
    ).mean(1)
    torch.testing.assert_close(dice_ce(logits, truth), dice + entropy)


def test_the_released_loss_is_monais():
    """DiceCELoss as the released training sets it (facts 3.3), one prompt at a time."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 50, generator=generator)
    truth = torch.randint(0, 3, (50,), generator=generator)  # nothing is of the third prompt
    theirs = DiceCELoss(sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)
    masks = (truth[None] == torch.arange(1, 4)[:, None]).float()
    expected = [theirs(x[None, None], m[None, None]) for x, m in zip(logits, masks, strict=True)]
    found = class_losses(logits.t(), torch.eye(3), truth, released=True).prompts
    torch.testing.assert_close(found, torch.stack(expected))


def test_dice_of_an_absent_class_has_gradient():
    """The released loss has none (facts 3.3): only the cross-entropy fights false positives."""
    logits = torch.full((1, 1000), -1.0, requires_grad=True)
    truth = torch.zeros(1000, dtype=torch.int64)
    entropy = torch.nn.functional.softplus(logits).mean()
    (from_entropy,) = torch.autograd.grad(entropy, logits)
    (from_both,) = torch.autograd.grad(dice_ce(logits, truth).sum(), logits)
    assert (from_both > from_entropy).all()


def test_competition_is_the_softmax_of_prompts_and_background():
    logits = torch.tensor([[1.0, -1.0], [0.0, -3.0]])
    truth = torch.tensor([1, 0])
    with_background = torch.cat([torch.zeros(1, 2), logits])
    expected = torch.nn.functional.cross_entropy(with_background.T, truth)
    # Both classes have one voxel here, so the weights are equal.
    torch.testing.assert_close(competition(logits, truth), expected)


def test_competition_weighs_a_small_class_up():
    truth = torch.tensor([1] + [2] * 99)
    wrong_small = torch.tensor([[-5.0] + [-5.0] * 99, [5.0] + [5.0] * 99])
    wrong_share = competition(wrong_small, truth)
    unweighted = torch.nn.functional.cross_entropy(
        torch.cat([torch.zeros(1, 100), wrong_small]).T, truth
    )
    assert wrong_share > 3 * unweighted
    torch.testing.assert_close(competition(wrong_small, truth, balance=0.0), unweighted)


def test_chunks_of_voxels_add_up(monkeypatch):
    """Values and gradients, with rivals that take part in half of the voxels only."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1000, 8, generator=generator, requires_grad=True)
    table = torch.randn(5, 8, generator=generator, requires_grad=True)
    truth = torch.randint(0, 4, (1000,), generator=generator)
    decided = torch.arange(1000) % 2 == 0
    found = []
    for chunk in (10_000, 64):
        monkeypatch.setattr(losses, "CHUNK", chunk)
        cost = class_losses(features, table, truth, rivals=2, decided=decided)
        loss = cost.prompts.square().sum() + cost.rivalry
        found.append((loss, *torch.autograd.grad(loss, (features, table))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
