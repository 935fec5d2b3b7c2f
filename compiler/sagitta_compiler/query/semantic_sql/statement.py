"""What a translated statement is: the values that this package returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.types import AbstractType
from sagitta_compiler.query.query import Query


@dataclass(frozen=True, slots=True)
class Parameter:
    """A placeholder of the statement, in the order of the values; `type` is None where nothing tells it."""

    name: str
    type: AbstractType | None
    label: str | None = None
    """The column that it is compared with."""


@dataclass(frozen=True)
class Core:
    """One question to a model inside a statement.

    `model` is the model asked, with the computed columns that the statement itself defines.
    """

    alias: str
    schema: str
    model: ResolvedModel
    query: Query
    outputs: tuple[str, ...]
    """The labels of the result in their order."""
    extended: bool = False
    """Whether `model` differs from the stored one, so that a plan must not be cached under that one's key."""


@dataclass(frozen=True)
class SemanticStatement:
    """Questions to models, and ordinary SQL around their answers.

    `outer` reads from the tables `core.alias`; it is None when the answer of the only core is the result.
    The tree is a template: copy it before use.
    """

    cores: tuple[Core, ...]
    outputs: tuple[str, ...]
    outer: exp.Query | None = None
    parameters: tuple[Parameter, ...] = ()
    sources: tuple[tuple[str, str] | None, ...] = ()
    """With `outer`: for each output the core and the label that it repeats as it is, or None."""
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def query(self) -> Query | None:
        """The Query when that is all there is."""
        return self.cores[0].query if self.outer is None else None


@dataclass(frozen=True)
class CatalogStatement:
    """A probe or a look into the catalog, answered without a warehouse.

    `tree` is SQL over `relations`: catalog relations by the name under which the tree reads them.
    """

    tree: exp.Query = field(compare=False)
    relations: tuple[tuple[str, str], ...]
    """Pairs of the table's name in the tree and the relation: `information_schema.tables`, `<schema>.<view>`, ..."""
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """SET, BEGIN, COMMIT and the like: accepted without effect on data.

    `use_schema` and `settings` are what a session should remember.
    """

    command: str
    use_schema: str | None = None
    settings: tuple[tuple[str, str], ...] = ()


Translation = SemanticStatement | CatalogStatement | Acknowledgement
