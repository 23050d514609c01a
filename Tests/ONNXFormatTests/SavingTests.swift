import Foundation
import Testing

@testable import ONNXFormat

@Suite struct SavingTests {
    struct Rounding: Decodable {
        let float32: [UInt32]
        let float16: [UInt16]
        let bfloat16: [UInt16]
        let float64: [UInt64]
    }

    /// numpy's and ml_dtypes' rounding: ties, subnormals, overflow. Raw data stay raw, typed fields typed.
    @Test(arguments: ["raw", "typed"])
    func valuesAreRoundedIntoTheirOwnType(_ encoding: String) throws {
        let model = try ONNXModel(path: Fixture.path("dtypes.onnx"))
        let rounding = try Fixture.json("rounding.json", as: Rounding.self)
        for start in stride(from: 0, through: rounding.float32.count - 6, by: 2) {
            let range = start..<start + 6
            let values = rounding.float32[range].map { Float(bitPattern: $0) }
            let edits = ONNXEdits(
                values: Dictionary(
                    uniqueKeysWithValues: ["FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE"].map {
                        ("\(encoding)_\($0)", values)
                    }))
            let bytes = try model.serialized(applying: edits)
            let saved = try ONNXModel(serialized: bytes).graph
            func raw(_ name: String) throws -> [UInt8] { try saved.initializer("\(encoding)_\(name)")!.bytes() }
            #expect(try raw("FLOAT") == littleEndian(rounding.float32[range]))
            #expect(try raw("FLOAT16") == littleEndian(rounding.float16[range]))
            #expect(try raw("BFLOAT16") == littleEndian(rounding.bfloat16[range]))
            #expect(try raw("DOUBLE") == littleEndian(rounding.float64[range]))
            for tensor in model.graph.initializers where edits.values[tensor.name] == nil {
                guard tensor.elementType != .string else { continue }
                #expect(try saved.initializer(tensor.name)!.bytes() == tensor.bytes(), "\(tensor.name)")
            }
            // The encoding is kept: raw data keep the file's length, as every byte is at its old place.
            if encoding == "raw" { #expect(bytes.count == (try Fixture.bytes("dtypes.onnx").count)) }
            // Writing the old values over the new ones gives the file back.
            let old = try edits.values.keys.map { ($0, try model.graph.initializer($0)!.floats()) }
            let back = try ONNXModel(serialized: bytes).serialized(
                applying: ONNXEdits(values: Dictionary(uniqueKeysWithValues: old)))
            #expect(try withoutDoubles(back) == withoutDoubles(Fixture.bytes("dtypes.onnx")))
        }
    }

    /// float64 values do not survive float32; put a constant in their place.
    private func withoutDoubles(_ bytes: [UInt8]) throws -> [UInt8] {
        let zeros = [Float](repeating: 0, count: 6)
        return try ONNXModel(serialized: bytes).serialized(
            applying: ONNXEdits(values: ["raw_DOUBLE": zeros, "typed_DOUBLE": zeros]))
    }

    private func littleEndian<Bits: FixedWidthInteger>(_ values: ArraySlice<Bits>) -> [UInt8] {
        values.flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    }

    @Test func notANumberStaysOne() throws {
        let model = try ONNXModel(path: Fixture.path("dtypes.onnx"))
        let values = [Float](repeating: Float(bitPattern: 0x7F80_0001), count: 6)
        let saved = try ONNXModel(
            serialized: model.serialized(applying: ONNXEdits(values: ["raw_BFLOAT16": values, "raw_FLOAT16": values])))
        for name in ["raw_BFLOAT16", "raw_FLOAT16"] {
            #expect(try saved.graph.initializer(name)!.floats().allSatisfy(\.isNaN))
        }
    }

    @Test func additionsRewiringsConstantsAndMetadata() throws {
        let model = try ONNXModel(path: Fixture.path("editable.onnx"))
        let edits = ONNXEdits(
            values: ["k": [7, 8]],
            additions: [
                .init(name: "w.second", like: "w", values: [3, 4]), .init(name: "k2", like: "k", values: [9, 9]),
            ],
            rewirings: [.init(node: 2, input: 1, name: "w.second")],
            metadata: [.init(key: "old", value: "new"), .init(key: "privacy", value: "epsilon 3")])
        let saved = try ONNXModel(serialized: model.serialized(applying: edits))
        #expect(saved.graph.initializers.map(\.name) == ["w", "w.second", "k2"])
        #expect(try saved.graph.initializer("w")!.floats() == [1, 2])
        #expect(try saved.graph.initializer("w.second")!.floats() == [3, 4])
        #expect(try saved.graph.initializer("k2")!.floats() == [9, 9])
        #expect(saved.graph.nodes.map(\.inputs) == [[], ["x", "w"], ["m", "w.second"], ["n", "k"]])
        // IR version 3: an initializer is a graph input as well.
        #expect(saved.graph.inputs.map(\.name) == ["x", "w", "w.second"])
        guard case .tensor(let constant)? = saved.graph.nodes[0].attribute(named: "value")?.value else {
            Issue.record("no constant")
            return
        }
        #expect(try constant.floats() == [7, 8])
        #expect(saved.metadata.map(\.key) == ["old", "keep", "privacy"])
        #expect(saved.metadata.map(\.value) == ["new", "2", "epsilon 3"])
        // The model that was edited is what it was.
        #expect(try model.serialized() == (try Fixture.bytes("editable.onnx")))
    }

    @Test(arguments: [
        ONNXEdits(values: ["nothing": [1]]), ONNXEdits(values: ["w": [1]]),
        ONNXEdits(additions: [.init(name: "w", like: "w", values: [1, 2])]),
        ONNXEdits(additions: [.init(name: "m", like: "w", values: [1, 2])]),
        ONNXEdits(additions: [.init(name: "z", like: "x", values: [1, 2])]),
        ONNXEdits(rewirings: [.init(node: 9, input: 0, name: "w")]),
        ONNXEdits(rewirings: [.init(node: 1, input: 3, name: "w")]),
        ONNXEdits(rewirings: [.init(node: 1, input: 1, name: "nothing")]),
    ])
    func impossibleEdits(_ edits: ONNXEdits) throws {
        let model = try ONNXModel(path: Fixture.path("editable.onnx"))
        #expect { try model.serialized(applying: edits) } throws: { ($0 as? ONNXFormatError)?.kind == .invalidEdit }
    }

    /// A node gets the input behind its last one, from a tensor that the file does not have yet.
    @Test func nodesGetInputs() throws {
        let model = try ONNXModel(path: Fixture.path("editable.onnx"))
        var edits = ONNXEdits(rewirings: [.init(node: 1, input: 2, name: "new")])
        edits.insertions.tensors = [.init(name: "new", type: .float32, shape: [2], values: [5, 6])]
        let saved = try ONNXModel(serialized: model.serialized(applying: edits)).graph
        #expect(saved.nodes[1].inputs == ["x", "w", "new"])
        #expect(try saved.initializer("new")!.floats() == [5, 6])
    }

    @Test func externalTensorsAreReplacedInPlace() throws {
        try Fixture.withCopy(of: "external-one") { folder in
            let model = try ONNXModel(path: "\(folder)/model.onnx")
            let a: [Float] = [1, -2, 3, -4, 5, -6]
            let b: [Float] = [0.5, 1, 2, 4, 8]
            try model.save(
                to: "\(folder)/private.onnx",
                applying: ONNXEdits(values: ["a": a, "b": b], additions: [.init(name: "a2", like: "a", values: a)]))
            let saved = try ONNXModel(path: "\(folder)/private.onnx").graph
            #expect(try saved.initializer("a")!.floats() == a)
            #expect(try saved.initializer("b")!.floats() == b)
            #expect(try saved.initializer("a2")!.floats() == a)
            #expect(try saved.initializer("c")!.int64s() == [0, 1, 2, 3])
            let before = try Fixture.bytes("external-one/model.onnx.data")
            let after = try Fixture.read("\(folder)/private.onnx.data")
            #expect(try Fixture.read("\(folder)/model.onnx.data") == before)
            #expect(try Fixture.read("\(folder)/model.onnx") == (try Fixture.bytes("external-one/model.onnx")))
            for index in before.indices where !(16..<40).contains(index) && !(48..<58).contains(index) {
                #expect(after[index] == before[index])
            }
            #expect(after.count == (before.count + 63) / 64 * 64 + 24)
        }
    }

    /// Two tensors that share their bytes: only the replaced one may change.
    @Test func sharedExternalBytesAreSeparated() throws {
        try Fixture.withCopy(of: nil) { folder in
            let one = WireMessage.externalModel([("location", "data"), ("checksum", "0")])
            // The same initializer again, under another name.
            var tensor = Array(one[4...])
            let name = try #require(tensor.firstIndex(of: UInt8(ascii: "w")))
            let first = tensor
            tensor[name] = UInt8(ascii: "v")
            try Fixture.write(
                WireMessage.field(7, WireMessage.field(5, first) + WireMessage.field(5, tensor)),
                to: "\(folder)/model.onnx")
            try Fixture.write([0, 0, 128, 63, 0, 0, 0, 64], to: "\(folder)/data")
            let model = try ONNXModel(path: "\(folder)/model.onnx")
            try model.save(to: "\(folder)/out.onnx", applying: ONNXEdits(values: ["w": [5, 6]]))
            let saved = try ONNXModel(path: "\(folder)/out.onnx").graph
            #expect(try saved.initializer("w")!.floats() == [5, 6])
            #expect(try saved.initializer("v")!.floats() == [1, 2])
            #expect(try Fixture.files(in: folder) == ["data", "model.onnx", "out.onnx", "out.onnx.data"])
            // A checksum of the old bytes must not stand beside new ones.
            let text = String(decoding: try Fixture.read("\(folder)/out.onnx"), as: UTF8.self)
            #expect(text.components(separatedBy: "checksum").count == 2)
        }
    }

    @Test func inputsAndFailuresLeaveTheirFilesAlone() throws {
        try Fixture.withCopy(of: "external-one") { folder in
            let model = try ONNXModel(path: "\(folder)/model.onnx")
            try FileManager.default.linkItem(atPath: "\(folder)/model.onnx", toPath: "\(folder)/same.onnx")
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/link.onnx", withDestinationPath: "model.onnx.data")
            try FileManager.default.createDirectory(atPath: "\(folder)/busy.onnx", withIntermediateDirectories: true)
            try FileManager.default.createDirectory(
                atPath: "\(folder)/half.onnx.data", withIntermediateDirectories: true)
            let before = try Fixture.files(in: folder)
            for target in [
                "model.onnx", "model.onnx.data", "same.onnx", "link.onnx", "busy.onnx", "half.onnx", "absent/out.onnx",
                "",
                String(repeating: "n", count: 300),
            ] {
                #expect(throws: ONNXFormatError.self, "\(target)") { try model.save(to: "\(folder)/\(target)") }
                #expect(try Fixture.files(in: folder) == before)
            }
            #expect(try Fixture.read("\(folder)/model.onnx") == (try Fixture.bytes("external-one/model.onnx")))
        }
    }

    @Test func anUnfinishedFileIsRemoved() throws {
        try Fixture.withCopy(of: nil) { folder in
            try Fixture.write([1], to: "\(folder)/out.onnx")
            do {
                let output = try OutputFile(path: "\(folder)/out.onnx")
                try output.append([UInt8](repeating: 2, count: 3 << 20))
                try output.write([5], at: 1)
                #expect(try Fixture.files(in: folder).count == 2)
            }
            #expect(try Fixture.files(in: folder) == ["out.onnx"])
            #expect(try Fixture.read("\(folder)/out.onnx") == [1])
        }
    }
}
