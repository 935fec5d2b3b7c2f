"""Models that the administrator serves from files: protected, watched, replaced at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sagitta_server.config import ModelSettings, Settings
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.models import CompiledModels, ModelSource, ModelStore, SessionStore
from sagitta_server.models.curated import CuratedModelError, CuratedModels
from sagitta_server.state import open_database

MODEL = "version: 1.0\ndataObjects: {T: {code: t, columns: {A: {code: a, abstractType: int}}}}\n"


def write(path: Path, text: str) -> None:
    path.write_text(text)


def curated(*files: Path) -> CuratedModels:
    settings = ModelSettings(files=tuple(str(file) for file in files), watch_interval_seconds=0)
    models = CuratedModels(settings, CompiledModels(8))
    models.start()
    return models


def test_the_name_is_the_models_own_or_the_files_stem(tmp_path: Path) -> None:
    write(tmp_path / "Sales Model.obml.yaml", MODEL)
    write(tmp_path / "b.yaml", f"name: finance\n{MODEL}")
    assert set(curated(tmp_path / "Sales Model.obml.yaml", tmp_path / "b.yaml").models) == {"sales_model", "finance"}


@pytest.mark.parametrize(
    ("text", "told"),
    [("a: [", "YAML_PARSE_ERROR"), (f"name: default\n{MODEL}", "default"), (None, "no such file")],
)
def test_a_file_that_cannot_be_served_stops_the_start(tmp_path: Path, text: str | None, told: str) -> None:
    file = tmp_path / "m.yaml"
    if text is not None:
        write(file, text)
    with pytest.raises(CuratedModelError, match=told):
        curated(file)


def test_two_files_of_one_name_stop_the_start(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "m.yaml", MODEL)
    with pytest.raises(CuratedModelError, match="already"):
        curated(tmp_path / "a" / "m.yaml", tmp_path / "b" / "m.yaml")


def test_a_changed_file_replaces_the_model_and_a_broken_one_does_not(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    write(file, MODEL)
    models = curated(file)
    before = models.models["m"]
    assert models.reload_changed() == ()
    write(file, "a: [")
    assert models.reload_changed() == ()
    assert models.models["m"] is before
    write(file, MODEL.replace("A:", "Renamed:"))
    assert models.reload_changed() == ("m",)
    assert models.models["m"].loaded.model is not None
    assert list(models.models["m"].loaded.model.objects["T"].columns) == ["Renamed"]
    file.unlink()
    assert models.reload_changed() == ()
    assert "m" in models.models


def test_a_watcher_outlives_what_it_did_not_expect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "m.yaml"
    write(file, MODEL)
    looks = []
    reload_changed = CuratedModels.reload_changed

    def stumble(self: CuratedModels) -> tuple[str, ...]:
        looks.append(1)
        if len(looks) == 1:
            raise RuntimeError("unexpected")
        return reload_changed(self)

    monkeypatch.setattr(CuratedModels, "reload_changed", stumble)
    models = CuratedModels(ModelSettings(files=(str(file),), watch_interval_seconds=0.01), CompiledModels(8))
    models.start()
    try:
        write(file, MODEL.replace("T:", "Changed:"))
        deadline = time.monotonic() + 20
        while "Changed" not in models.models["m"].loaded.model.objects and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "Changed" in models.models["m"].loaded.model.objects
    finally:
        models.stop()


def test_a_changed_fragment_replaces_the_model(tmp_path: Path) -> None:
    fragment = tmp_path / "more.yaml"
    write(fragment, "dimensions: {A: {dataObject: T, column: A, resultType: int}}")
    write(tmp_path / "m.yaml", f"extends: [more.yaml]\n{MODEL}")
    models = curated(tmp_path / "m.yaml")
    write(fragment, "dimensions: {Other: {dataObject: T, column: A, resultType: int}}")
    assert models.reload_changed() == ("m",)
    assert models.models["m"].loaded.model is not None
    assert list(models.models["m"].loaded.model.dimensions) == ["Other"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ModelStore]:
    write(tmp_path / "shop.yaml", MODEL)
    settings = Settings(models=ModelSettings(files=(str(tmp_path / "shop.yaml"),), watch_interval_seconds=0))
    compiled = CompiledModels(8)
    served = CuratedModels(settings.models, compiled)
    served.start()
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}")
    yield ModelStore(settings, SessionStore(database, settings.sessions), compiled, served)
    served.stop()
    database.close()


def test_every_way_of_changing_a_served_model_is_refused(store: ModelStore) -> None:
    session_id = store.create_session({}).session_id
    model_id = store.curated.models["shop"].model_id
    for change, expected in (
        (lambda: store.load(session_id, ModelSource(MODEL)), Reason.MODELS_CURATED),
        (lambda: store.remove(session_id, model_id), Reason.MODELS_CURATED),
        (lambda: store.remove("shop", model_id), Reason.MODELS_CURATED),
        (lambda: store.close_session("shop"), Reason.SESSION_PROTECTED),
    ):
        with pytest.raises(ServiceError) as refused:
            change()
        assert refused.value.reason is expected
    assert store.resolve("shop", model_id).curated


def test_new_sessions_hold_the_only_served_model(store: ModelStore) -> None:
    session = store.create_session({})
    assert session.model_count == 1
    assert store.resolve(session.session_id).curated
    assert [item.model_count for item in store.list_sessions()] == [1]
    assert store.resolve().session_id == "shop"
    assert store.session("shop").expires_at is None
