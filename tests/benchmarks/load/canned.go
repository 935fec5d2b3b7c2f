package main

import (
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc"
)

// serveCanned is an engine that costs next to nothing: every call is answered with the same message, a question for
// health with an empty one. It prints its address and serves until it is killed.
func serveCanned(answer []byte) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handle := func(_ any, stream grpc.ServerStream) error {
		var asked []byte
		if err := stream.RecvMsg(&asked); err != nil {
			return err
		}
		method, _ := grpc.MethodFromServerStream(stream)
		if strings.HasSuffix(method, "/GetHealth") {
			return stream.SendMsg(&[]byte{})
		}
		return stream.SendMsg(&answer)
	}
	fmt.Println(listener.Addr())
	return grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(handle)).Serve(listener)
}
