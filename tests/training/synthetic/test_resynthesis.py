import numpy as np
import torch

from vista3d import anatomy
from vista3d.training.synthetic.body import add_body
from vista3d.training.synthetic.resynthesis import perturb_structures, synthesise
from vista3d.training.synthetic.tissues import INTERIOR, SKIN, SUBCUTANEOUS


def test_tissues_have_plausible_hounsfield_units():
    tissue = torch.zeros(24, 24, 24, dtype=torch.int64)
    tissue[:, :8] = anatomy.resolve(["left lung lower lobe"])[0]
    tissue[:, 8:16] = anatomy.resolve(["liver"])[0]
    tissue[:, 16:] = SUBCUTANEOUS
    medians = []
    for seed in range(5):
        hu = synthesise(tissue, np.random.default_rng(seed), 4.0)
        assert torch.isfinite(hu).all()
        medians.append([float(hu[:, k : k + 8].median()) for k in (0, 8, 16)])
    lung, liver, fat = np.array(medians).T
    assert (lung < -500).all()
    assert ((liver > 0) & (liver < 200)).all()
    assert ((fat > -160) & (fat < -50)).all()
    assert np.ptp(liver) > 5  # patients differ


def test_bone_has_a_denser_shell():
    tissue = torch.full((24, 24, 24), SUBCUTANEOUS)
    tissue[4:20, 4:20, 4:20] = anatomy.resolve(["sacrum"])[0]
    hu = torch.stack([synthesise(tissue, np.random.default_rng(s), 4.0) for s in range(8)]).mean(0)
    assert hu[4, 6:18, 6:18].mean() > hu[9:15, 9:15, 9:15].mean() + 20


def test_body_encloses_the_structures():
    labels = np.zeros((60, 60, 12), np.int16)
    labels[20:25, 25:35] = 1
    labels[35:40, 25:35] = 3
    filled = add_body(labels, spacing=3.0)
    assert (filled[labels > 0] == labels[labels > 0]).all()
    assert filled[30, 30, 6] == INTERIOR  # the gap between the two is inside the body
    assert {SUBCUTANEOUS, SKIN} <= set(np.unique(filled).tolist())
    assert filled[0, 0, 6] == 0


def test_perturbation_moves_structures_but_not_the_unlabelled():
    labels = torch.zeros(4, 4, 4, dtype=torch.int64)
    labels[:2] = 1
    hu = torch.zeros(4, 4, 4)
    moved = perturb_structures(hu, labels, np.random.default_rng(3))
    assert (moved[2:] == 0).all()
    assert moved[:2].unique().numel() == 1
    assert moved[0, 0, 0] != 0
