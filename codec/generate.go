package codec

// buf compiles the schema (buf.yaml, buf.gen.yaml); it runs protoc-gen-go as a tool of
// this module.
//
//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.59.0 generate
