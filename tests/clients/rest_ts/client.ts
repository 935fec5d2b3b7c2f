// A client of the REST API whose types are generated from the server's own OpenAPI document: every name below is checked
// by the compiler, so that this file builds only as long as the document says what it uses.
//
//   client BASE MODEL_FILE DIMENSION MEASURE

import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./gen/sagitta.js";

type Schemas = components["schemas"];

const [base, modelFile, dimension, measure] = process.argv.slice(2) as [string, string, string, string];
const api = createClient<paths>({ baseUrl: base });

/** The answer, or the failure as an exception that holds the stable code. */
function answered<T>(reply: { data?: T; error?: Schemas["ErrorBody"] }): T {
  if (reply.data === undefined) {
    throw new Error(reply.error?.code ?? "nothing");
  }
  return reply.data;
}

const session: Schemas["Session"] = answered(await api.POST("/v1/sessions", { body: { metadata: { user: "ts" } } }));
const session_id = session.session_id;
const loaded: Schemas["LoadedModel"] = answered(
  await api.POST("/v1/sessions/{session_id}/models", {
    params: { path: { session_id } },
    body: { model_yaml: readFileSync(modelFile, "utf-8"), dedup: true },
  }),
);
const model_id = loaded.model_id;

const query: Schemas["QueryObject"] = {
  select: { dimensions: [dimension], measures: [{ measure, as: "Total" }] },
  order_by: [{ field: dimension, direction: "asc" }],
  limit: 10,
};
const compiled: Schemas["CompiledQuery"] = answered(
  await api.POST("/v1/sessions/{session_id}/query/sql", { params: { path: { session_id } }, body: { model_id, query } }),
);
const result: Schemas["QueryResult"] | string = answered(
  await api.POST("/v1/sessions/{session_id}/query/execute", {
    params: { path: { session_id }, query: { format_values: true, locale: "de" } },
    body: { model_id, query },
  }),
);
if (typeof result === "string") {
  throw new Error("without a format in the request the answer is JSON");
}
const plan: Schemas["PlanQueryResponse"] = answered(
  await api.POST("/v1/sessions/{session_id}/query/plan", {
    params: { path: { session_id } },
    body: { model_id, query, include_database_explain: true },
  }),
);
const batch: Schemas["BatchResults"] = answered(
  await api.POST("/v1/oneshot/batch", {
    body: {
      session_id,
      model_id,
      execute: true,
      dedup: true,
      fail_fast: false,
      persist_model: false,
      queries: [{ id: "all", query }, { query: { select: { measures: ["Nothing"] } } }],
    },
  }),
);
const settings: Schemas["Settings"] = answered(await api.GET("/v1/settings", { params: { query: { session_id } } }));
const wrong = await api.POST("/v1/sessions/{session_id}/query/sql", {
  params: { path: { session_id } },
  body: { model_id, query: { select: { measures: ["Nothing"] } } },
});
const detail = wrong.error?.detail;
const issues = typeof detail === "object" && !Array.isArray(detail) ? (detail.errors ?? []) : [];

await api.DELETE("/v1/sessions/{session_id}", { params: { path: { session_id } } });
const closed = await api.GET("/v1/sessions/{session_id}", { params: { path: { session_id } } });

console.log(
  JSON.stringify({
    health: loaded.health.status,
    planner: compiled.explain.planner,
    columns: result.columns.map((column) => [column.name, column.type]),
    rows: result.rows,
    truncated: result.truncated,
    explained: plan.database_explain?.dialect,
    batch: batch.results.map((one) => [one.id, one.status, one.row_count ?? null, one.error?.code ?? null]),
    dialect: settings.dialect.effective,
    status: wrong.response.status,
    code: wrong.error?.code,
    hint: issues[0]?.path,
    closed: closed.error?.code,
  }),
);
