"""The C++ headers without Python: each compiles alone, and all run clean under the sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEADERS = sorted((ROOT / "csrc").glob("*.h"))
# As CMakeLists.txt builds them, and stricter.
FLAGS = [
    "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread",
    "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", f"-I{ROOT / 'csrc'}",
]  # fmt: skip
SANITIZE = [
    "-O1",
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-D_GLIBCXX_ASSERTIONS",
]


def run(*command: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # leaks need ptrace
    environment.pop("LD_PRELOAD", None)
    return subprocess.run(
        list(map(str, command)), input=stdin, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def compiler() -> str:
    names = [os.environ.get("CXX"), "g++", "clang++", "c++"]
    found = next((name for name in names if name and shutil.which(name)), None)
    if found is None:
        pytest.skip("no C++ compiler here; install g++ or set CXX")
    return found


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)
def test_header_compiles_alone(compiler, header):
    source = f'#include "{header.name}"\n'
    result = run(compiler, *FLAGS, "-fsyntax-only", "-x", "c++", "-", stdin=source)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", ["avx2 where there is one", "plain"])
def test_kernels_run_clean_under_the_sanitizers(compiler, path, tmp_path):
    probe = run(
        compiler, *SANITIZE, "-x", "c++", "-", "-o", tmp_path / "probe", stdin="int main() {}"
    )
    if probe.returncode != 0:
        pytest.skip(f"{compiler} has no sanitizer runtime: {probe.stderr.strip()[-200:]}")
    plain = ["-DPYREC_NO_AVX2"] if path == "plain" else []
    source = ROOT / "tests" / "native" / "kernels.cpp"
    built = run(compiler, *FLAGS, *SANITIZE, *plain, source, "-o", tmp_path / "kernels")
    assert built.returncode == 0, built.stderr
    ran = run(tmp_path / "kernels")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout == "all kernels passed\n"
