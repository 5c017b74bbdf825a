import numpy as np
import torch

from vista3d import anatomy
from vista3d.training.synthetic.body import add_body
from vista3d.training.synthetic.resynthesis import aerate, perturb_structures, synthesise
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


def test_lobes_are_not_told_apart_by_density_but_other_organs_are():
    lobes = anatomy.resolve(["left lung upper lobe", "left lung lower lobe"])
    organs = anatomy.resolve(["spleen", "bladder"])
    labels = torch.tensor([*lobes, *organs]).reshape(1, 2, 2)
    moved = [
        perturb_structures(torch.zeros(1, 2, 2), labels, np.random.default_rng(s))
        for s in range(200)
    ]
    (upper, lower), (spleen, bladder) = torch.stack(moved).squeeze(1).permute(1, 2, 0)
    assert torch.corrcoef(torch.stack([upper, lower]))[0, 1] > 0.8
    assert torch.corrcoef(torch.stack([spleen, bladder]))[0, 1].abs() < 0.3


def test_gas_in_the_bowel_is_darker_than_lungs():
    tissue = torch.full((32, 32, 32), anatomy.resolve(["colon"])[0])
    darkest = [float(synthesise(tissue, np.random.default_rng(s), 3.0).min()) for s in range(20)]
    assert min(darkest) < -930
    # What is neither gas nor contrast agent is not near the density of lungs.
    hu = synthesise(tissue, np.random.default_rng(1), 3.0)
    assert ((hu > -900) & (hu < -700)).float().mean() < 0.02


def test_lungs_hold_more_air_here_and_less_there_and_vessels_stay():
    tissue = torch.full((40, 40, 40), anatomy.resolve(["right lung lower lobe"])[0])
    tissue[:, :, :10] = anatomy.resolve(["heart"])[0]
    hu = torch.full((40, 40, 40), -830.0)
    hu[:, :, :10] = 40
    hu[20, 20, 20:] = 30  # a vessel
    moved = aerate(hu, tissue, np.random.default_rng(0), 3.0)
    assert (moved[:, :, :10] == 40).all()
    assert (moved[20, 20, 20:] == 30).all()
    lung = moved[tissue == tissue[0, 0, 39]]
    assert lung.min() >= -985
    assert lung[lung < -600].std() > 5
    # Smooth: neighbours differ by much less than distant places.
    assert (moved[1:, 0, 30] - moved[:-1, 0, 30]).abs().max() < lung[lung < -600].std()
