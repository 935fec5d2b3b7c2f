// Command load makes the same call again and again, from so many clients with a connection each, and prints how long
// every call took. It costs the machine a few microseconds per call, so that the server has the processors.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight/gen/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// call makes one request and reads the whole answer.
type call func(context.Context) error

// raw passes messages through as bytes: what is measured is the server, not this program's protobuf.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

func (raw) Name() string { return "proto" }

func main() {
	surface := flag.String("surface", "", "get, http, unary, stream, info or flight; canned answers every call with the standard input")
	address := flag.String("address", "", "host:port")
	path := flag.String("path", "", "the path or the full name of the method")
	clients := flag.Int("clients", 1, "connections in a closed loop")
	seconds := flag.Float64("seconds", 2, "how long")
	flag.Parse()
	body, err := io.ReadAll(os.Stdin)
	switch {
	case err != nil:
	case *surface == "canned":
		err = serveCanned(body)
	default:
		err = run(*surface, *address, *path, body, *clients, time.Duration(*seconds*float64(time.Second)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(surface, address, path string, body []byte, clients int, duration time.Duration) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	calls := make([]call, clients)
	for number := range calls {
		made, err := open(surface, address, path, body)
		if err != nil {
			return err
		}
		if err := made(ctx); err != nil { // the first call of a connection is not measured
			return err
		}
		calls[number] = made
	}
	var group sync.WaitGroup
	latencies, failures := make([][]time.Duration, clients), make([]error, clients)
	started := time.Now()
	for number, made := range calls {
		group.Go(func() { latencies[number], failures[number] = loop(ctx, made, started.Add(duration)) })
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	return report(slices.Concat(latencies...), time.Since(started))
}

func loop(ctx context.Context, made call, end time.Time) ([]time.Duration, error) {
	var latencies []time.Duration
	for {
		started := time.Now()
		if !started.Before(end) {
			return latencies, nil
		}
		if err := made(ctx); err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(started))
	}
}

func report(latencies []time.Duration, elapsed time.Duration) error {
	slices.Sort(latencies)
	at := func(part float64) float64 {
		return float64(latencies[int(part*float64(len(latencies)-1))].Microseconds()) / 1000
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"calls": float64(len(latencies)),
		"rate":  float64(len(latencies)) / elapsed.Seconds(),
		"p50":   at(0.5),
		"p99":   at(0.99),
	})
}

func open(surface, address, path string, body []byte) (call, error) {
	switch surface {
	case "get":
		return openHTTP(http.MethodGet, address, path, body)
	case "http":
		return openHTTP(http.MethodPost, address, path, body)
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if surface != "flight" && surface != "info" {
		options = append(options, grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	}
	connection, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, err
	}
	switch surface {
	case "unary":
		return func(ctx context.Context) error {
			var answer []byte
			return connection.Invoke(ctx, path, &body, &answer)
		}, nil
	case "stream":
		return func(ctx context.Context) error { return stream(ctx, connection, path, body) }, nil
	case "info":
		client := flight.NewFlightServiceClient(connection)
		return func(ctx context.Context) error {
			_, err := client.GetFlightInfo(ctx, descriptor(body))
			return err
		}, nil
	case "flight":
		client := flight.NewFlightServiceClient(connection)
		return func(ctx context.Context) error { return query(ctx, client, body) }, nil
	}
	return nil, fmt.Errorf("no such surface: %q", surface)
}

func openHTTP(method, address, path string, body []byte) (call, error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	var request bytes.Buffer
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n", method, path, address)
	fmt.Fprintf(&request, "Content-Length: %d\r\n\r\n%s", len(body), body)
	reader := bufio.NewReader(connection)
	return func(context.Context) error {
		if _, err := connection.Write(request.Bytes()); err != nil {
			return err
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", answer.Status, text)
		}
		return err
	}, nil
}

func stream(ctx context.Context, connection *grpc.ClientConn, path string, body []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return err
	}
	if err := answers.SendMsg(&body); err != nil {
		return err
	}
	if err := answers.CloseSend(); err != nil {
		return err
	}
	for {
		var answer []byte
		if err := answers.RecvMsg(&answer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func descriptor(command []byte) *flight.FlightDescriptor {
	return &flight.FlightDescriptor{Type: flight.FlightDescriptor_CMD, Cmd: command}
}

// query asks as every Flight SQL client does: for the endpoints of a statement, then for the rows of each.
func query(ctx context.Context, client flight.FlightServiceClient, command []byte) error {
	info, err := client.GetFlightInfo(ctx, descriptor(command))
	if err != nil {
		return err
	}
	for _, endpoint := range info.Endpoint {
		rows, err := client.DoGet(ctx, endpoint.Ticket)
		if err != nil {
			return err
		}
		for {
			if _, err := rows.Recv(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}
