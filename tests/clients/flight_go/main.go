// A Go client of Flight SQL, as Grafana's data source is: plain statements, the default limit of 4 MiB a message, exactly
// one endpoint, headers for the token. It prints what it saw as one JSON document:
//
//	flightgo ADDRESS SQL PREPARED_SQL PARAMETER
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Seen is what the client saw.
type Seen struct {
	Endpoints   int        `json:"endpoints"`
	SchemaEqual bool       `json:"schema_equal"`
	Columns     []string   `json:"columns"`
	Rows        [][]string `json:"rows"`
	Again       int        `json:"again"`
	Prepared    [][]string `json:"prepared"`
	Tables      []string   `json:"tables"`
	SQLInfo     int        `json:"sql_info"`
	Error       string     `json:"error"`
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: flightgo ADDRESS SQL PREPARED_SQL PARAMETER")
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

func walk(address, sql, preparedSQL, parameter string) (*Seen, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client, err := flightsql.NewClient(address, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	seen := &Seen{}
	if err := statement(ctx, client, sql, seen); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	if err := prepared(ctx, client, preparedSQL, parameter, seen); err != nil {
		return nil, fmt.Errorf("prepared: %w", err)
	}
	if err := metadata(ctx, client, seen); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	_, err = client.Execute(ctx, `SELECT "No Such Label" FROM "model"`)
	seen.Error = status.Convert(err).Message()
	return seen, nil
}

// statement fetches a result twice by one ticket: a retry must give the same rows.
func statement(ctx context.Context, client *flightsql.Client, sql string, seen *Seen) error {
	info, err := client.Execute(ctx, sql)
	if err != nil {
		return err
	}
	seen.Endpoints = len(info.GetEndpoint())
	told, err := flight.DeserializeSchema(info.GetSchema(), memory.DefaultAllocator)
	if err != nil {
		return err
	}
	schema, rows, err := fetch(ctx, client, info)
	if err != nil {
		return err
	}
	seen.SchemaEqual = told.Equal(schema)
	for _, field := range schema.Fields() {
		seen.Columns = append(seen.Columns, field.Name)
	}
	seen.Rows = rows
	_, again, err := fetch(ctx, client, info)
	seen.Again = len(again)
	return err
}

func prepared(ctx context.Context, client *flightsql.Client, sql, parameter string, seen *Seen) error {
	handle, err := client.Prepare(ctx, sql)
	if err != nil {
		return err
	}
	defer handle.Close(ctx)
	schema := arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.BinaryTypes.String}}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	builder.Field(0).(*array.StringBuilder).Append(parameter)
	handle.SetParameters(builder.NewRecordBatch())
	info, err := handle.Execute(ctx)
	if err != nil {
		return err
	}
	_, seen.Prepared, err = fetch(ctx, client, info)
	return err
}

func metadata(ctx context.Context, client *flightsql.Client, seen *Seen) error {
	tables, err := client.GetTables(ctx, &flightsql.GetTablesOpts{TableTypes: []string{"TABLE"}})
	if err != nil {
		return err
	}
	_, rows, err := fetch(ctx, client, tables)
	if err != nil {
		return err
	}
	for _, row := range rows {
		seen.Tables = append(seen.Tables, row[2])
	}
	infos, err := client.GetSqlInfo(ctx, []flightsql.SqlInfo{})
	if err != nil {
		return err
	}
	_, rows, err = fetch(ctx, client, infos)
	seen.SQLInfo = len(rows)
	return err
}

func fetch(ctx context.Context, client *flightsql.Client, info *flight.FlightInfo) (*arrow.Schema, [][]string, error) {
	var rows [][]string
	var schema *arrow.Schema
	for _, endpoint := range info.GetEndpoint() {
		reader, err := client.DoGet(ctx, endpoint.GetTicket())
		if err != nil {
			return nil, nil, err
		}
		schema = reader.Schema()
		for reader.Next() {
			batch := reader.RecordBatch()
			for row := range int(batch.NumRows()) {
				cells := make([]string, batch.NumCols())
				for column := range cells {
					cells[column] = batch.Column(column).ValueStr(row)
				}
				rows = append(rows, cells)
			}
		}
		err = reader.Err()
		reader.Release()
		if err != nil {
			return nil, nil, err
		}
	}
	return schema, rows, nil
}
