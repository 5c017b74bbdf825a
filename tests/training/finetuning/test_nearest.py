import torch

from tests.training.conftest import LEFT_KIDNEY, LIVER, SPLEEN
from tests.training.recipes import TINY
from vista3d.network.vista3d import Vista3D
from vista3d.training.data.prepared import Prepared
from vista3d.training.finetuning.nearest import ROWS, nearest_class, with_row


class Answers(torch.nn.Module):
    """A network whose feature is the density, and whose classes look for dense, any and thin."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def auto_features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, torch.ones_like(x)], 1)

    def class_table(self, ids: torch.Tensor) -> torch.Tensor:
        # Far below 0 everywhere, and still highest where it is dense.
        rows = {LEFT_KIDNEY: (1.0, -50.0), LIVER: (0.0, 3.0), SPLEEN: (-1.0, 0.0)}
        return torch.tensor([rows[int(i)] for i in ids])


def test_the_class_that_is_told_apart_best(torso: Prepared):
    known = [SPLEEN, LEFT_KIDNEY, LIVER]
    assert nearest_class(Answers(), LIVER, known, [torso], 32) == LEFT_KIDNEY  # type: ignore[arg-type]


def test_nothing_to_start_from(torso: Prepared):
    assert nearest_class(Answers(), 400, [LIVER], [torso], 32) is None  # type: ignore[arg-type]
    assert nearest_class(Answers(), LIVER, [], [torso], 32) is None  # type: ignore[arg-type]


def test_a_row_is_copied_and_the_rest_kept():
    before = Vista3D(TINY).state_dict()
    after = with_row(before, 346, 3)
    assert torch.equal(after[ROWS][346], before[ROWS][3])
    assert not torch.equal(after[ROWS][346], before[ROWS][346])
    others = torch.arange(len(before[ROWS])) != 346
    assert torch.equal(after[ROWS][others], before[ROWS][others])
