"""Data objects that are no tables: queries of the model, unions of objects, and columns that read measures."""

from __future__ import annotations

from sagitta_compiler.model.resolved import Column, ResolvedModel
from sagitta_compiler.plan.graph import Path
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.relations import Select
from sagitta_compiler.plan.scalars import Scalar
from sagitta_compiler.plan.scope import ObjectFrames, Scope


class ObjectFramesOf(ObjectFrames):
    """The frames of a model's derived objects, each planned once."""

    def __init__(self, model: ResolvedModel) -> None:
        self._model = model
        self.planner: Planner | None = None

    def relation(self, name: str) -> Select | None:
        return None

    def computed(self, column: Column, owner: str, source: str, scope: Scope, path: Path) -> dict[str, Scalar]:
        raise NotImplementedError
