"""The nnU-Net cell of `few_shot`; runs in nnU-Net's own environment, which lacks vista3d.

nnU-Net as it is: its fingerprint, plan, trainer, augmentation, loss and sliding window. Two
changes, since the defaults are 1000 epochs of 250 iterations on a GPU: the plan is made for 2 GB,
and training ends with the time. The learning rate follows nnU-Net's polynomial over the time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main(note: str) -> None:
    job = json.loads(Path(note).read_text())
    run, raw = Path(job["run"]), Path(job["raw"])
    folders = {"raw": raw.parent, "preprocessed": run / "preprocessed", "results": run / "results"}
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(folder)
    os.environ.update(nnUNet_compile="f", nnUNet_n_proc_DA="1")

    import nibabel as nib
    import numpy as np
    import torch
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprint_dataset,
        plan_experiment_dataset,
        preprocess_dataset,
    )
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.run.run_training import get_trainer_from_args
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    extract_fingerprint_dataset(900, num_processes=1)
    plan_experiment_dataset(900, gpu_memory_target_in_gb=2)
    prepared = folders["preprocessed"] / raw.name
    plans = json.loads((prepared / "nnUNetPlans.json").read_text())
    preprocess_dataset(900, configurations=("3d_fullres",), num_processes=(1,))
    about = json.loads((raw / "dataset.json").read_text())

    trainer = get_trainer_from_args(raw.name, "3d_fullres", "all", device=torch.device("cpu"))
    trainer.on_train_start()
    clock = time.process_time if job["clock"] == "cpu" else time.time
    began, seconds, steps = clock(), 60 * job["minutes"], 0
    trainer.network.train()
    while (spent := (clock() - began) / seconds) < 1:
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - spent) ** 0.9
        trainer.train_step(next(trainer.dataloader_train))
        steps += 1
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()

    predictor = nnUNetPredictor(device=torch.device("cpu"), use_mirroring=False, verbose=False)
    manager = PlansManager(plans)
    predictor.manual_initialization(
        trainer.network, manager, manager.get_configuration("3d_fullres"),
        [trainer.network.state_dict()], about, "nnUNetTrainer", None,
    )  # fmt: skip
    reader = manager.image_reader_writer_class()
    (run / "found").mkdir(exist_ok=True)
    for name, path in job["test"].items():
        image, properties = reader.read_images([path])
        found = predictor.predict_single_npy_array(image, properties, None, None, False)
        # Its reader gives axes reversed (SimpleITK).
        labels = np.transpose(found).astype(np.uint8)
        saved = nib.Nifti1Image(labels, nib.load(path).affine)
        nib.save(saved, run / "found" / f"{name}.nii.gz")
    chosen = plans["configurations"]["3d_fullres"]
    facts = {
        "steps": steps, "spacing": chosen["spacing"], "patch": chosen["patch_size"],
        "batch": chosen["batch_size"],
    }  # fmt: skip
    (run / "about.json").write_text(json.dumps(facts))
    trainer.on_train_end()


if __name__ == "__main__":
    main(sys.argv[1])
