"""Rules over a resolved model: they only report."""

from __future__ import annotations

from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.rules.columns import check_columns
from sagitta_compiler.model.rules.expressions import check_expressions
from sagitta_compiler.model.rules.joins import check_joins
from sagitta_compiler.model.rules.names import check_names
from sagitta_compiler.model.rules.risks import check_risks
from sagitta_compiler.model.scope import Scope


def check_model(model: ResolvedModel, scope: Scope) -> None:
    """Reports what is wrong or risky in a model as a whole."""
    check_names(model, scope)
    check_columns(model, scope)
    check_joins(model, scope)
    check_expressions(model, scope)
    check_risks(model, scope)


__all__ = ["check_model"]
