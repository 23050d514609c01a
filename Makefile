.PHONY: proto

# The generated C is committed; run this after editing the schema (needs protobuf-c-compiler).
proto:
	protoc-c --proto_path=proto --c_out=Sources/COnnxProto proto/onnx.proto
	mv Sources/COnnxProto/onnx.pb-c.h Sources/COnnxProto/include/onnx.pb-c.h
