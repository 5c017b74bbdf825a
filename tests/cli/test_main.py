"""The command list, exit codes, and what importing costs."""

import json
import re
import subprocess
import sys

import pytest

from vista3d.cli.main import COMMANDS, main, make_app


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


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "first steps:" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_told_in_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stop:
        main(["card", "-o", str(tmp_path / "file" / "card.md")])
    assert stop.value.code == 1
    assert re.fullmatch(r"error: '.*file': .+\n", capsys.readouterr().err)
    with pytest.raises(OSError, match="file"):
        main(["--debug", "card", "-o", str(tmp_path / "file" / "card.md")])


def test_an_option_has_one_letter_and_a_letter_one_meaning():
    from typer.main import get_command

    letters, names = {}, {}
    for name in COMMANDS:
        for option in get_command(make_app(name)).params:
            if option.param_type_name != "option":
                continue
            assert option.help, f"{name} {option.name}"
            (long,) = (text for text in option.opts if text.startswith("--"))
            short = next((text for text in option.opts if not text.startswith("--")), "")
            letters.setdefault(long, set()).add(short)
            names.setdefault(short, set()).add(long)
    assert {long: short for long, short in letters.items() if len(short) > 1} == {}
    assert {short: found for short, found in names.items() if short and len(found) > 1} == {
        "-c": {"--class", "--classes"}
    }


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


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def gone(name: str, arguments: list[str]) -> None:
        raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn.config")

    monkeypatch.setattr("vista3d.cli.main._run", gone)
    with pytest.raises(SystemExit) as left:
        main(["serve"])
    assert left.value.code == 1
    assert capsys.readouterr().err == (
        "error: this needs the package 'uvicorn': pip install 'vista3d[serve]'\n"
    )
