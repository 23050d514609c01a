import Foundation
import ONNXFormat
import Testing

/// The fixtures are what Google's protobuf wrote: fields in order of their numbers, unknown ones last. libprotobuf-c
/// keeps to the same order, so a model that loses nothing comes back byte for byte.
@Suite struct RoundTripTests {
    @Test(arguments: ["everything.onnx", "dtypes.onnx"])
    func bytesComeBack(_ name: String) throws {
        let original = try Fixture.bytes(name)
        let model = try ONNXModel(path: Fixture.path(name))
        #expect(try model.serialized() == original)
        try Fixture.withCopy(of: nil) { folder in
            try model.save(to: "\(folder)/copy.onnx")
            #expect(try Fixture.read("\(folder)/copy.onnx") == original)
            #expect(try Fixture.files(in: folder) == ["copy.onnx"])
        }
    }

    @Test func oneExternalFile() throws {
        try Fixture.withCopy(of: "external-one") { folder in
            try ONNXModel(path: "\(folder)/model.onnx").save(to: "\(folder)/private.onnx")
            #expect(
                try Fixture.files(in: folder) == ["model.onnx", "model.onnx.data", "private.onnx", "private.onnx.data"])
            #expect(
                try Fixture.read("\(folder)/private.onnx.data") == (try Fixture.bytes("external-one/model.onnx.data")))
            // The same model with a name of another length in its place.
            let saved = try ONNXModel(path: "\(folder)/private.onnx")
            for name in ["a", "b", "c"] {
                let original = try ONNXModel(path: "\(folder)/model.onnx").graph.initializer(name)!
                #expect(try saved.graph.initializer(name)!.bytes() == original.bytes())
            }
            // Writing it back under the first name is the identity.
            try Fixture.withCopy(of: nil) { other in
                try saved.save(to: "\(other)/model.onnx")
                #expect(
                    try Fixture.read("\(other)/model.onnx") == (try Fixture.bytes("external-one/model.onnx")))
            }
        }
    }

    @Test func manyExternalFiles() throws {
        try Fixture.withCopy(of: "external-many") { folder in
            try ONNXModel(path: "\(folder)/model.onnx").save(to: "\(folder)/out.onnx")
            #expect(
                try Fixture.files(in: folder) == [
                    "model.onnx", "out.onnx", "out.onnx.weights_a", "out.onnx.weights_b", "out.onnx.weights_c",
                    "weights",
                ])
            for name in ["a", "b", "c"] {
                let original = try Fixture.bytes("external-many/weights/\(name)")
                #expect(try Fixture.read("\(folder)/out.onnx.weights_\(name)") == original)
                #expect(try ONNXModel(path: "\(folder)/out.onnx").graph.initializer(name)!.bytes() == original)
            }
        }
    }
}
