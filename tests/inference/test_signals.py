"""A signal after OpenVINO has been used: its stack must still be there."""

import subprocess
import sys

import pytest

_CHILD = """
import gc, os, signal, threading
from vista3d.inference.runtimes.openvino import OpenVINORuntime
from vista3d.network.config import NetworkConfig
from vista3d.network.vista3d import Vista3D

tiny = NetworkConfig(widths=(4, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8)
# Where the tests run in the background, children ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
held = [OpenVINORuntime(Vista3D(tiny).eval(), (32, 32, 32), "fp32")]

def forget():
    held.clear()
    gc.collect()

other = threading.Thread(target=forget)
other.start()
other.join()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="signal stacks of Linux")
def test_ctrl_c_after_openvino(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setenv("VISTA3D_HOME", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr[-2000:]
