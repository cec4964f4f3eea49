"""Files of job specifications: YAML with the files that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bootstrap import strict_yaml
from bootstrap.errors import ConfigError
from jobs.spec import JobSpec, fault_of
from jobs.submission import names as names_of_files


def read_spec(path: Path) -> JobSpec:
    """Read a specification; paths in the file are relative to the file.

    Raises:
        ConfigError: the file is missing, is not YAML, has a key twice, unknown keys or impossible values,
            or names missing files.
    """
    try:
        document = strict_yaml.load(path.read_text())
    except OSError as error:
        raise ConfigError(str(path), f"it cannot be read ({error.strerror})", "Fix the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"it is not valid YAML: {error}", "Fix the file.") from error
    except yaml.YAMLError as error:
        raise ConfigError(str(path), strict_yaml.reason(error), "Fix the file.") from error
    if not isinstance(document, dict):
        raise ConfigError(str(path), "it holds no keys", "See jobs/specs/mnist.yaml.")
    return _resolved(path, _valid(path, document))


def _valid(path: Path, document: dict[str, Any]) -> JobSpec:
    try:
        return JobSpec.model_validate(document)
    except ValidationError as error:
        raise ConfigError(str(path), fault_of(error), "Fix the file.") from error


def _resolved(path: Path, spec: JobSpec) -> JobSpec:
    """Return a specification with absolute paths, whose files exist and can travel with a job."""
    folder = path.resolve().parent
    resolved = spec.model_copy(
        update={
            "solver": folder / spec.solver,
            "net": folder / spec.net,
            "files": tuple(folder / file for file in spec.files),
            "script": folder / spec.script if spec.script else None,
        }
    )
    decided = [name for name in ("train", "test") if spec.script and name in spec.model_fields_set]
    if decided:
        fix = "Remove the key, or script."
        raise ConfigError(str(path), f"{decided[0]}: a script decides itself what it does", fix)
    scripts = (resolved.script,) if resolved.script else ()
    for file in (resolved.solver, resolved.net, *resolved.files, *scripts):
        if not file.is_file():
            raise ConfigError(str(path), f"it refers to {file}, which does not exist", "Fix the path.")
    _check_names(path, resolved)
    return resolved


def _check_names(path: Path, spec: JobSpec) -> None:
    """Refuse files that cannot travel with a job by their names."""
    names = [file.name for file in spec.shipped]
    if len(set(names)) < len(names):
        raise ConfigError(str(path), f"two files have the same name: {', '.join(names)}", "Rename one.")
    # Spark stores these under the last part of their URIs, among the files of the job.
    uris = (spec.model or f"{spec.name}.model", spec.snapshot, *spec.weights.split(","))
    stored = {uri.rpartition("/")[2] for uri in uris if uri}
    for name in names:
        why = names_of_files.fault(name)
        if name in stored or name.removesuffix(".h5") in stored:
            why = "a model or snapshot of the job has that name too"
        if why:
            raise ConfigError(str(path), f"it ships the file {name!r}: {why}", "Rename it.")
