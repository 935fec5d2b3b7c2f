// A TypeScript client of the semantic services, built on stubs generated from the published contract.
//
// It walks through what a client of this kind does, and prints what it saw as one JSON document:
//
//     node build/client.js ADDRESS MODEL_FILE DIMENSION MEASURE
import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { tableFromIPC } from "apache-arrow";
import { ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { DiagnosticsSchema } from "./gen/sagitta/semantic/v1/diagnostic_pb.js";
import { ModelService } from "./gen/sagitta/semantic/v1/model_service_pb.js";
import { Direction, QuerySchema, type Query } from "./gen/sagitta/semantic/v1/query_pb.js";
import { QueryService } from "./gen/sagitta/semantic/v1/query_service_pb.js";
import { SessionService } from "./gen/sagitta/semantic/v1/session_service_pb.js";

const [address, modelFile, dimension, measure] = process.argv.slice(2);
if (address === undefined || modelFile === undefined || dimension === undefined || measure === undefined) {
  console.error("usage: client.js ADDRESS MODEL_FILE DIMENSION MEASURE");
  process.exit(2);
}

const transport = createGrpcTransport({ baseUrl: `http://${address}`, defaultTimeoutMs: 60_000 });
const sessions = createClient(SessionService, transport);
const models = createClient(ModelService, transport);
const queries = createClient(QueryService, transport);

/** Runs a query and returns its Arrow table and the rows that the server counted. */
async function execute(sessionId: string, modelId: string, query: Query) {
  const pieces: Uint8Array[] = [];
  let rowCount = 0n;
  for await (const response of queries.executeQuery({ sessionId, modelId, question: { case: "query", value: query } })) {
    pieces.push(response.arrowIpc);
    rowCount = response.summary?.rowCount ?? rowCount;
  }
  return { table: tableFromIPC(Buffer.concat(pieces)), rowCount };
}

/** Calls something that must fail, and returns the error. */
async function failure(call: () => Promise<unknown>): Promise<ConnectError> {
  try {
    await call();
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the call should have failed");
}

const { session } = await sessions.createSession({ metadata: { client: "typescript" } });
const sessionId = session!.sessionId;
const loaded = await models.loadModel({
  sessionId,
  source: { text: { case: "modelYaml", value: readFileSync(modelFile, "utf8") } },
});
const modelId = loaded.counts!.modelId;

const query = create(QuerySchema, {
  select: { dimensions: [{ name: dimension }], measures: [{ name: measure }] },
  orderBy: [{ field: dimension, direction: Direction.ASC }],
});
const compiled = await queries.compileQuery({
  sessionId,
  modelId,
  dialect: "duckdb",
  question: { case: "query", value: query },
});
const { table, rowCount } = await execute(sessionId, modelId, query);
const unknown = await failure(() =>
  queries.compileQuery({
    sessionId,
    modelId,
    question: { case: "query", value: create(QuerySchema, { select: { measures: [{ name: "No Such Measure" }] } }) },
  }),
);
await sessions.closeSession({ sessionId });
const closed = await failure(() => sessions.getSession({ sessionId }));

console.log(
  JSON.stringify({
    sql: compiled.sql,
    columns: table.schema.fields.map((field) => field.name),
    types: table.schema.fields.map((field) => String(field.type)),
    rows: table.toArray().map((row) => table.schema.fields.map((field) => String(row[field.name]))),
    row_count: Number(rowCount),
    error_code: Code[unknown.code],
    error_reason: unknown.findDetails(ErrorInfoSchema)[0]?.reason ?? "",
    diagnostics: unknown.findDetails(DiagnosticsSchema)[0]?.diagnostics.map((diagnostic) => diagnostic.code) ?? [],
    closed: Code[closed.code],
  }),
);
