"""Semi-additive measures: one point in time per entity is chosen (or its points are summed up) before adding entities."""

from __future__ import annotations

from sagitta_compiler.plan.frames import Frame
from sagitta_compiler.plan.legs import Coordinates
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.query.bound import BoundDimension, LeafValue


def semi_additive_frame(
    planner: Planner, where: Coordinates, leaf: LeafValue, dims: tuple[BoundDimension, ...]
) -> Frame:
    """The frame of one semi-additive measure at its grain."""
    raise NotImplementedError
