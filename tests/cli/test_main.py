"""The command list, exit codes, and what importing costs."""

import json
import subprocess
import sys

import pytest

from vista3d.cli.main import COMMANDS, main


def _run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vista3d", *args], capture_output=True, text=True, check=False
    )


def test_help_lists_every_command_without_importing_them():
    code = (
        "import sys\nfrom vista3d.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'typer', 'numpy', 'nibabel', 'pydicom', 'SimpleITK', 'openvino'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    assert "130 cancelled" in done.stdout


def test_import_is_light():
    code = (
        "import sys, vista3d\n"
        "heavy = {'torch', 'numpy', 'nibabel', 'pydicom', 'SimpleITK', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert vista3d.load and 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_command(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["segmnt"])
    assert stop.value.code == 2
    assert "did you mean 'segment'?" in capsys.readouterr().err


def test_unknown_class_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["classes", "livr"])
    assert stop.value.code == 2
    assert "did you mean liver" in capsys.readouterr().err


def test_classes(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["classes", "kidney", "--json"])
    assert stop.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert {s["name"] for s in found} >= {"left kidney", "right kidney"}
    with pytest.raises(SystemExit) as stop:
        main(["classes", "--group", "ribs"])
    assert stop.value.code == 0
    assert "right rib 12" in capsys.readouterr().out


def test_every_command_has_help():
    for name in COMMANDS:
        done = _run(name, "--help")
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout
