package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/godwit-im/godwit/tools/client"
)

// A program that sends one message and prints what arrives meanwhile.
func Example() {
	c, err := client.New(client.Options{
		URLs:      []string{"ws://127.0.0.1:8080"},
		Token:     client.StaticToken("eyJ..."),
		OnMessage: func(m client.Message) { fmt.Printf("%s: %s\n", m.From, m.Body) },
		OnGone:    func(client.Gone) { fmt.Println("some messages are gone") },
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			log.Print(err)
		}
	})

	ack, err := c.Send(ctx, client.Outgoing{To: []string{"bob"}, Body: []byte("hello")})
	var unknown *client.UnknownError
	switch {
	case err == nil:
		fmt.Printf("stored at %v\n", ack.Time)
	case errors.As(err, &unknown):
		fmt.Printf("nobody knows; to try again, use the id %s\n", unknown.ID)
	default:
		fmt.Println(err)
	}

	stop()
	running.Wait()
	fmt.Printf("to go on from here next time: %s\n", c.Cursor())
}
