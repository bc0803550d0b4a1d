"""Swing up a cart-pole with an exported controller: PyTorch and MuJoCo, and nothing of adaptive-mbrl.

Usage: adaptive-mbrl export --checkpoint cartpole --out cartpole.pt2
       python examples/exported/swing_up.py cartpole.pt2

After half of the time the motor is wired backwards. The program that was loaded notices from its own transitions, and balances
the pole again.
"""

import json
import os
import sys

os.environ.setdefault("MUJOCO_GL", "disable")  # nothing is drawn

import mujoco
import torch
from dm_control.suite import cartpole

STEPS = 300


def main(path: str) -> None:
    """Load the program, and control the cart-pole with it."""
    files = {"controller.json": ""}
    program = torch.export.load(path, extra_files=files).module()
    contract = json.loads(files["controller.json"])
    shapes = {entry["name"]: entry["shape"] for entry in contract["inputs"]}
    period = contract["control_period"]

    model = mujoco.MjModel.from_xml_string(*cartpole.get_model_and_assets())
    data = mujoco.MjData(model)
    data.joint("hinge_1").qpos[0] = torch.pi
    generator = torch.Generator().manual_seed(0)
    sent, upright = torch.zeros(shapes["sent"]), []
    for step in range(STEPS):
        slider, hinge = data.joint("slider"), data.joint("hinge_1")
        # in the order of contract["obs"]: positions, then velocities
        obs = torch.tensor([[slider.qpos[0], hinge.qpos[0], slider.qvel[0], hinge.qvel[0]]], dtype=torch.float32)
        noise = torch.randn(shapes["noise"], generator=generator)
        goal, connected, reset = torch.zeros(shapes["goal"]), torch.tensor([True]), torch.tensor(step == 0)
        actions, _, adapted_error, *_ = program(obs, goal, sent, connected, reset, noise)
        sent = actions[:, 0]

        sign = 1.0 if step < STEPS // 2 else -1.0
        data.ctrl[:] = sign * sent[0].numpy()
        mujoco.mj_step(model, data, nstep=round(period / model.opt.timestep))
        upright.append(float(torch.cos(torch.tensor(data.joint("hinge_1").qpos[0]))))
        if step % 25 == 24:
            state = "motor reversed" if sign < 0 else "as in training"
            print(f"{(step + 1) * period:5.1f} s  {state:14}  upright {upright[-1]:+.2f}  error {adapted_error.item():.2f}")
    for name, part in (("before", upright[STEPS // 4 : STEPS // 2]), ("after", upright[3 * STEPS // 4 :])):
        print(f"{name}: upright {sum(part) / len(part):+.2f}")


if __name__ == "__main__":
    main(sys.argv[1])
