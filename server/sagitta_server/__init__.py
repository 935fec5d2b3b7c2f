"""Sagitta's server: the engine behind Flight SQL, gRPC and, through the gateway, REST."""

from importlib.metadata import version

__version__ = version("sagitta")
