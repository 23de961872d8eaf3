import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code for language, code in BLOCKS if language == "sh" and "pyrec import" in code]


def run(command, folder, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # No models: what the README shows works without them, and quickly.
    env = {**os.environ, "PATH": path, "PYREC_MODELS": str(tmp_path / "models")}
    env["PYREC_DB"] = str(tmp_path / "pyrec.db")
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("code", PYTHON)
def test_the_python_example_runs_as_it_stands(code, tmp_path):
    out = run([sys.executable, "-c", code], tmp_path, tmp_path)
    assert "Trail Running Shoes" in out


@pytest.mark.parametrize("code", SHELL)
def test_the_commands_run_as_they_stand(code, tmp_path):
    out = run(["bash", "-ec", code], ROOT, tmp_path)
    assert "Running" in out
    assert "运动鞋" in out


def test_there_are_examples():
    assert PYTHON
    assert SHELL
