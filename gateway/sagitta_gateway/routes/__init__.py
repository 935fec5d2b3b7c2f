"""The routes: a file per proto service, each route a translation of a body into a message and back."""
