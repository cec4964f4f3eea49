"""Files of a job that are shipped to the head."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

from jobs.submission.package import trainer_zip


def test_the_zip_alone_can_be_imported_and_refuses_a_wrong_flag(tmp_path: Path) -> None:
    (tmp_path / "trainer.zip").write_bytes(trainer_zip())
    code = "import sys; sys.path[:0] = ['trainer.zip']\n"
    code += "from jobs.trainer.main import main; sys.exit(main(['-bad']))"

    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert done.stderr.startswith("caffe-spark: -bad: there is no such option.")
    assert len(done.stderr.splitlines()) == 1


def test_the_same_sources_give_the_same_bytes() -> None:
    assert trainer_zip() == trainer_zip()


def test_nothing_but_what_runs_on_nodes_is_in_it() -> None:
    names = zipfile.ZipFile(io.BytesIO(trainer_zip())).namelist()

    assert "jobs/trainer/main.py" in names
    assert "jobs/backends/on_head/yarn.py" in names
    assert "jobs/datasets/on_head/look.py" in names
    ours = (
        *(f"jobs/{package}__init__.py" for package in ("", "backends/", "datasets/")),
        *(
            f"jobs/{package}/"
            for package in ("api", "trainer", "converters", "backends/on_head", "datasets/on_head")
        ),
        "com/",
    )
    assert all(name.startswith(ours) for name in names)
