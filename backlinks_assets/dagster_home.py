"""The classes that `dagster.yaml` and stored instances name: a public name, kept so that users' own files go on working."""

from backlinks_assets.dagster_instance.home import (
    CommandComputeLogs,
    CommandStorage,
    ProjectArtifacts,
    ProjectComputeLogs,
    ProjectStorage,
)

__all__ = ["CommandComputeLogs", "CommandStorage", "ProjectArtifacts", "ProjectComputeLogs", "ProjectStorage"]
