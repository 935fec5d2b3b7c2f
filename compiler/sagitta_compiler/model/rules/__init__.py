"""Rules over a resolved model: they only report."""

from __future__ import annotations

from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.rules.expressions import check_expressions
from sagitta_compiler.model.scope import Scope


def check_model(model: ResolvedModel, scope: Scope) -> None:
    """Reports what is wrong or risky in a model as a whole."""
    check_expressions(model, scope)


__all__ = ["check_model"]
