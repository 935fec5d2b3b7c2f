// A client of Flight SQL in Go: plain and prepared statements, metadata, a bound parameter and a cancelled stream.
//
// Usage: go run . HOST:PORT COMMAND [ARGUMENT...]
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
)

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Printf("error\t%v\n", err)
		os.Exit(3)
	}
}

func run(ctx context.Context, address, command string, arguments []string) error {
	client, err := flightsql.NewClient(address, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer client.Close()
	switch command {
	case "query":
		info, err := client.Execute(ctx, arguments[0])
		if err != nil {
			return err
		}
		return print(ctx, client, info)
	case "bind":
		return bind(ctx, client, arguments[0], arguments[1])
	case "tables":
		info, err := client.GetTables(ctx, &flightsql.GetTablesOpts{IncludeSchema: false})
		if err != nil {
			return err
		}
		return print(ctx, client, info)
	case "info":
		info, err := client.GetSqlInfo(ctx, []flightsql.SqlInfo{flightsql.SqlInfoFlightSqlServerName})
		if err != nil {
			return err
		}
		return print(ctx, client, info)
	case "cancel":
		return cancel(ctx, client, arguments[0])
	}
	return fmt.Errorf("no command %q", command)
}

// bind executes a prepared statement with one text parameter.
func bind(ctx context.Context, client *flightsql.Client, sql, value string) error {
	statement, err := client.Prepare(ctx, sql)
	if err != nil {
		return err
	}
	defer statement.Close(ctx)
	schema := arrow.NewSchema([]arrow.Field{{Name: "$1", Type: arrow.BinaryTypes.String}}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	builder.Field(0).(*array.StringBuilder).Append(value)
	statement.SetParameters(builder.NewRecord())
	info, err := statement.Execute(ctx)
	if err != nil {
		return err
	}
	return print(ctx, client, info)
}

// cancel starts a long query, cancels it by its FlightInfo and says how long its stream took to end.
func cancel(ctx context.Context, client *flightsql.Client, sql string) error {
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
	time.Sleep(500 * time.Millisecond)
	started := time.Now()
	result, err := client.CancelFlightInfo(ctx, &flight.CancelFlightInfoRequest{Info: info})
	if err != nil {
		return err
	}
	streamError := <-ended
	fmt.Printf("cancelled\t%s\t%d\t%v\n", result.Status, time.Since(started).Milliseconds(), streamError != nil)
	return nil
}

func print(ctx context.Context, client *flightsql.Client, info *flight.FlightInfo) error {
	for _, endpoint := range info.Endpoint {
		reader, err := client.DoGet(ctx, endpoint.Ticket)
		if err != nil {
			return err
		}
		for reader.Next() {
			record := reader.Record()
			for row := 0; row < int(record.NumRows()); row++ {
				values := make([]string, record.NumCols())
				for column := range values {
					values[column] = record.Column(column).ValueStr(row)
				}
				line, _ := json.Marshal(values)
				fmt.Printf("row\t%s\n", line)
			}
		}
		if err := reader.Err(); err != nil {
			return err
		}
		reader.Release()
	}
	return nil
}
