"""The interactive documentation at /docs; its script and style are served from here, so it works without internet."""

from __future__ import annotations

from importlib.resources import files
from types import MappingProxyType

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import Response

ASSETS = MappingProxyType(
    {
        "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "swagger-ui.css": "text/css; charset=utf-8",
        "favicon.png": "image/png",
    }
)
"""The files of Swagger UI that the page needs, as the package fastapi-offline carries them."""


def install(app: FastAPI) -> None:
    """Adds /docs and its assets."""
    root = app.state.settings.root_path

    async def page() -> Response:
        return get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title="Sagitta",
            swagger_js_url=f"{root}/docs/assets/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/assets/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/assets/favicon.png",
        )

    async def asset(name: str) -> Response:
        if name not in ASSETS:
            return Response(status_code=404)
        data = files("fastapi_offline").joinpath("static", name).read_bytes()
        return Response(data, media_type=ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})

    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/docs/assets/{name}", asset, include_in_schema=False)
