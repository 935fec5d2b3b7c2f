// A Go client of the semantic services, built on stubs generated from the published contract.
//
// It walks through what a client of this kind does, and prints what it saw as one JSON document:
//
//	grpcgo ADDRESS MODEL_FILE DIMENSION MEASURE
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	semantic "sagitta.example/grpcgo/gen/sagitta/semantic/v1"
)

// Seen is what the client saw.
type Seen struct {
	SQL         string     `json:"sql"`
	Columns     []string   `json:"columns"`
	Types       []string   `json:"types"`
	Rows        [][]string `json:"rows"`
	RowCount    int64      `json:"row_count"`
	ErrorCode   string     `json:"error_code"`
	ErrorReason string     `json:"error_reason"`
	Diagnostics []string   `json:"diagnostics"`
	Closed      string     `json:"closed"`
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: grpcgo ADDRESS MODEL_FILE DIMENSION MEASURE")
		os.Exit(2)
	}
	seen, err := walk(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		os.Exit(1)
	}
}

func walk(address, modelFile, dimension, measure string) (*Seen, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer connection.Close()

	sessions := semantic.NewSessionServiceClient(connection)
	created, err := sessions.CreateSession(ctx, &semantic.CreateSessionRequest{Metadata: map[string]string{"client": "go"}})
	if err != nil {
		return nil, err
	}
	session := created.GetSession().GetSessionId()

	yaml, err := os.ReadFile(modelFile)
	if err != nil {
		return nil, err
	}
	loaded, err := semantic.NewModelServiceClient(connection).LoadModel(ctx, &semantic.LoadModelRequest{
		SessionId: session,
		Source:    &semantic.ModelSource{Text: &semantic.ModelSource_ModelYaml{ModelYaml: string(yaml)}},
	})
	if err != nil {
		return nil, err
	}
	model := loaded.GetCounts().GetModelId()

	seen := &Seen{}
	queries := semantic.NewQueryServiceClient(connection)
	question := &semantic.Query{
		Select: &semantic.Select{
			Dimensions: []*semantic.DimensionItem{{Name: dimension}},
			Measures:   []*semantic.MeasureItem{{Name: measure}},
		},
		OrderBy: []*semantic.OrderBy{{Field: dimension, Direction: semantic.Direction_DIRECTION_ASC}},
	}
	compiled, err := queries.CompileQuery(ctx, &semantic.CompileQueryRequest{
		SessionId: session, ModelId: model, Dialect: "duckdb",
		Question: &semantic.CompileQueryRequest_Query{Query: question},
	})
	if err != nil {
		return nil, err
	}
	seen.SQL = compiled.GetSql()

	if err := execute(ctx, queries, session, model, question, seen); err != nil {
		return nil, err
	}
	describeFailure(ctx, queries, session, model, seen)
	if _, err := sessions.CloseSession(ctx, &semantic.CloseSessionRequest{SessionId: session}); err != nil {
		return nil, err
	}
	_, err = sessions.GetSession(ctx, &semantic.GetSessionRequest{SessionId: session})
	seen.Closed = status.Code(err).String()
	return seen, nil
}

// execute reads the pieces of the Arrow stream as they come.
func execute(ctx context.Context, queries semantic.QueryServiceClient, session, model string, question *semantic.Query, seen *Seen) error {
	stream, err := queries.ExecuteQuery(ctx, &semantic.ExecuteQueryRequest{
		SessionId: session, ModelId: model, Question: &semantic.ExecuteQueryRequest_Query{Query: question},
	})
	if err != nil {
		return err
	}
	var pieces bytes.Buffer
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		pieces.Write(response.GetArrowIpc())
		if summary := response.GetSummary(); summary != nil {
			seen.RowCount = summary.GetRowCount()
		}
	}
	reader, err := ipc.NewReader(&pieces)
	if err != nil {
		return err
	}
	defer reader.Release()
	for _, field := range reader.Schema().Fields() {
		seen.Columns = append(seen.Columns, field.Name)
		seen.Types = append(seen.Types, field.Type.String())
	}
	for reader.Next() {
		batch := reader.RecordBatch()
		for row := range int(batch.NumRows()) {
			cells := make([]string, batch.NumCols())
			for column := range cells {
				cells[column] = batch.Column(column).ValueStr(row)
			}
			seen.Rows = append(seen.Rows, cells)
		}
	}
	return reader.Err()
}

// describeFailure asks for a measure that does not exist, and keeps what the status says.
func describeFailure(ctx context.Context, queries semantic.QueryServiceClient, session, model string, seen *Seen) {
	_, err := queries.CompileQuery(ctx, &semantic.CompileQueryRequest{
		SessionId: session, ModelId: model,
		Question: &semantic.CompileQueryRequest_Query{Query: &semantic.Query{
			Select: &semantic.Select{Measures: []*semantic.MeasureItem{{Name: "No Such Measure"}}},
		}},
	})
	seen.ErrorCode = status.Code(err).String()
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			seen.ErrorReason = detail.GetReason()
		case *semantic.Diagnostics:
			for _, diagnostic := range detail.GetDiagnostics() {
				seen.Diagnostics = append(seen.Diagnostics, diagnostic.GetCode())
			}
		}
	}
}
