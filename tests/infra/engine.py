"""A stack in Pulumi's real engine, with a program, a state and a configuration of its own.

For what the mocks cannot show of our dynamic providers; AWS's plugin cannot be had where this is developed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 120


@dataclass
class Stack:
    """Stack `x` in `folder`."""

    folder: Path
    env: dict[str, str]

    def run(self, *arguments: str) -> tuple[int, str]:
        """Status of a pulumi command, and what it said."""
        done = subprocess.run(
            ["pulumi", *arguments, "--stack", "x"],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        print(f"$ pulumi {' '.join(arguments)}\n{done.stdout}")
        return done.returncode, done.stdout

    def pulumi(self, *arguments: str) -> str:
        """Output of a pulumi command that must succeed."""
        code, said = self.run(*arguments)
        assert code == 0, said
        return said

    def up(self) -> str:
        return self.pulumi("up", "--yes", "--skip-preview")

    def destroy_after_refusal(self, why: str) -> None:
        """Destroy machines, be refused at the contents for that reason, and go on with `forceDestroy`."""
        code, said = self.run("destroy", "--yes", "--skip-preview")
        assert code != 0
        assert why in said
        assert "Traceback" not in said
        left = self.pulumi("stack", "--show-urns")
        assert "::contents" in left
        assert "::machine" not in left
        self.pulumi("config", "set", "forceDestroy", "true")
        self.pulumi("destroy", "--yes", "--skip-preview")

    @property
    def file(self) -> str:
        """The stack's configuration, as it lies there."""
        return (self.folder / "Pulumi.x.yaml").read_text()


def environment(folder: Path) -> dict[str, str]:
    """Environment of pulumi commands: state in `folder`, no plug-in downloads."""
    whole = {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": "only for this test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    whole.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
    return whole


def stack(folder: Path, program: str, config: str, **env: str) -> Stack:
    """A new one; `config` is the text of its file, `env` what its programs and providers see besides."""
    assert shutil.which("pulumi"), "pulumi is not on PATH. Run `make setup`, then `. ./activate`."
    (folder / "state").mkdir()
    (folder / "infra").mkdir()
    (folder / "infra" / "__main__.py").write_text(program)
    (folder / "Pulumi.yaml").write_text("name: caffe-spark\nmain: infra/\nruntime:\n  name: python\n")
    (folder / "Pulumi.x.yaml").write_text(config)
    made = Stack(folder, {**environment(folder), **env})
    made.pulumi("stack", "init")
    return made
