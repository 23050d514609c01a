import COnnxProto
import Testing

@testable import ONNXFormat

/// Large tensors of a mapped file are read where they are mapped.
@Suite struct BorrowedDataTests {
    /// Three initializers of 1 MiB, two of the same size whose contents differ, and a small one.
    private let contents: [[UInt8]] =
        [3, 5, 7].map { factor in (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 * factor) } }
        + [[1, 2, 3, 4]]

    private func model() -> [UInt8] {
        var graph: [UInt8] = []
        for (index, bytes) in contents.enumerated() {
            // data_type uint8, one dimension, raw_data before the name.
            let tensor =
                WireMessage.field(1, WireMessage.varint(bytes.count)) + [16, 2] + WireMessage.field(9, bytes)
                + WireMessage.field(8, Array("t\(index)".utf8))
            graph += WireMessage.field(5, tensor)
        }
        return [8, 8] + WireMessage.field(7, graph) + WireMessage.field(8, [16, 17])
    }

    @Test func largeTensorsStayInTheFile() throws {
        try Fixture.withCopy(of: nil) { folder in
            let path = "\(folder)/model.onnx"
            try Fixture.write(model(), to: path)
            let mapping = try FileMapping.open(path)
            let tree = try ProtoTree(mapping, file: path, borrowLimit: 0)
            let graph = tree.root.pointee.graph.pointee
            let start = UnsafeRawPointer(mapping.bytes.baseAddress!)
            for (index, tensor) in messages(graph.initializer, graph.n_initializer).enumerated() {
                let data = tensor.pointee.raw_data
                #expect(UnsafeRawBufferPointer(start: data.data, count: data.len).elementsEqual(contents[index]))
                let address = UnsafeRawPointer(data.data!)
                #expect((address >= start && address < start + mapping.bytes.count) == (data.len >= 1 << 20))
            }
        }
    }

    @Test func smallFilesAreCopied() throws {
        try Fixture.withCopy(of: nil) { folder in
            let path = "\(folder)/model.onnx"
            try Fixture.write(model(), to: path)
            let model = try ONNXModel(path: path)
            try Fixture.write([], to: path)
            #expect(try model.graph.initializers.map { try $0.bytes() } == contents)
        }
    }
}
