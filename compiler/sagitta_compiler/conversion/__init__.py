"""Conversion between OBML and OSI."""

from sagitta_compiler.conversion.from_osi import osi_to_obml
from sagitta_compiler.conversion.result import Conversion, ConversionError, InvalidYamlError, Validation
from sagitta_compiler.conversion.standalone import standalone
from sagitta_compiler.conversion.to_osi import obml_to_osi

__all__ = [
    "Conversion",
    "ConversionError",
    "InvalidYamlError",
    "Validation",
    "obml_to_osi",
    "osi_to_obml",
    "standalone",
]
