// A client of Flight SQL in Go, by arrow-go, as Grafana's data source is: plain statements, the default limit of 4 MiB a
// message; and prepared statements, metadata, cancel and login.
//
//	flight_go HOST:PORT COMMAND [ARGUMENT...]
//
// Prints a line for each fact: a topic, a tab, and JSON. FLIGHT_USER and FLIGHT_PASSWORD log in.
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

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		say("error", status.Convert(err).Message())
		os.Exit(3)
	}
}

func run(ctx context.Context, address, command string, arguments []string) error {
	client, err := flightsql.NewClient(address, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer client.Close()
	if user := os.Getenv("FLIGHT_USER"); user != "" {
		if ctx, err = client.Client.AuthenticateBasicToken(ctx, user, os.Getenv("FLIGHT_PASSWORD")); err != nil {
			return err
		}
	}
	switch command {
	case "query":
		return query(ctx, client, arguments[0])
	case "bind":
		return bind(ctx, client, arguments[0], arguments[1])
	case "tables":
		return printed(ctx, client)(client.GetTables(ctx, &flightsql.GetTablesOpts{IncludeSchema: false}))
	case "keys":
		table := flightsql.TableRef{DBSchema: &arguments[0], Table: arguments[1]}
		return printed(ctx, client)(client.GetPrimaryKeys(ctx, table))
	case "info":
		return printed(ctx, client)(client.GetSqlInfo(ctx, []flightsql.SqlInfo{}))
	case "cancel":
		return cancelled(ctx, client, arguments[0])
	}
	return fmt.Errorf("no command %q", command)
}

// query fetches a result twice by one ticket: a retry must give the same rows.
func query(ctx context.Context, client *flightsql.Client, sql string) error {
	info, err := client.Execute(ctx, sql)
	if err != nil {
		return err
	}
	say("endpoints", len(info.GetEndpoint()))
	rows, err := print(ctx, client, info, true)
	if err != nil {
		return err
	}
	again, err := print(ctx, client, info, false)
	say("again", again == rows)
	return err
}

// bind executes a prepared statement with one text parameter.
func bind(ctx context.Context, client *flightsql.Client, sql, value string) error {
	statement, err := client.Prepare(ctx, sql)
	if err != nil {
		return err
	}
	defer statement.Close(ctx)
	types := []string{}
	for _, field := range statement.ParameterSchema().Fields() {
		types = append(types, field.Type.String())
	}
	say("parameters", types)
	schema := arrow.NewSchema([]arrow.Field{{Name: "$1", Type: arrow.BinaryTypes.String}}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	builder.Field(0).(*array.StringBuilder).Append(value)
	statement.SetParameters(builder.NewRecordBatch())
	return printed(ctx, client)(statement.Execute(ctx))
}

// cancelled starts a long query, cancels it by its FlightInfo once a line comes in, and says how long its stream took to end.
func cancelled(ctx context.Context, client *flightsql.Client, sql string) error {
	info, err := client.Execute(ctx, sql)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		reader, err := client.DoGet(ctx, info.Endpoint[0].Ticket)
		if err == nil {
			for reader.Next() {
			}
			err = reader.Err()
			reader.Release()
		}
		ended <- err
	}()
	fmt.Scanln()
	started := time.Now()
	result, err := client.CancelFlightInfo(ctx, &flight.CancelFlightInfoRequest{Info: info})
	if err != nil {
		return err
	}
	failed := <-ended != nil
	say("cancelled", []any{result.Status.String(), time.Since(started).Milliseconds(), failed})
	return nil
}

// printed returns a function that prints a result unless asking for it failed.
func printed(ctx context.Context, client *flightsql.Client) func(*flight.FlightInfo, error) error {
	return func(info *flight.FlightInfo, err error) error {
		if err != nil {
			return err
		}
		_, err = print(ctx, client, info, true)
		return err
	}
}

// print prints the columns and rows of a result, or reads them only; it returns how many rows there are.
func print(ctx context.Context, client *flightsql.Client, info *flight.FlightInfo, aloud bool) (int64, error) {
	var rows int64
	for _, endpoint := range info.GetEndpoint() {
		reader, err := client.DoGet(ctx, endpoint.GetTicket())
		if err != nil {
			return 0, err
		}
		if aloud {
			describe(info, reader.Schema())
		}
		for reader.Next() {
			batch := reader.RecordBatch()
			rows += batch.NumRows()
			for row := 0; aloud && row < int(batch.NumRows()); row++ {
				cells := make([]string, batch.NumCols())
				for column := range cells {
					if cells[column] = "NULL"; batch.Column(column).IsValid(row) {
						cells[column] = batch.Column(column).ValueStr(row)
					}
				}
				say("row", cells)
			}
		}
		err = reader.Err()
		reader.Release()
		if err != nil {
			return 0, err
		}
	}
	return rows, nil
}

func describe(info *flight.FlightInfo, streamed *arrow.Schema) {
	columns := [][]string{}
	for _, field := range streamed.Fields() {
		columns = append(columns, []string{field.Name, field.Type.String()})
	}
	say("columns", columns)
	told, err := flight.DeserializeSchema(info.GetSchema(), memory.DefaultAllocator)
	say("same_schema", err == nil && told.Equal(streamed))
}

func say(topic string, fact any) {
	text, err := json.Marshal(fact)
	if err != nil {
		text = []byte(fmt.Sprintf("%q", err.Error()))
	}
	fmt.Printf("%s\t%s\n", topic, text)
}
