import ONNXFormat
import Testing

/// Values and bytes as numpy has them (dtypes.json).
@Suite struct DecodingTests {
    struct Expected: Decodable {
        let type: Int32
        let bytes: [UInt8]?
        let strings: [String]?
        let floatBits: [UInt32]?
        let integers: [String]?
    }

    @Test func everyTypeFromRawDataAndTypedFields() throws {
        let graph = try ONNXModel(path: Fixture.path("dtypes.onnx")).graph
        let expected = try Fixture.json("dtypes.json", as: [String: Expected].self)
        #expect(graph.initializers.count == expected.count)
        #expect(Set(expected.values.map(\.type)) == Set(ONNXElementType.allCases.map(\.rawValue)))
        for tensor in graph.initializers {
            let want = try #require(expected[tensor.name])
            #expect(tensor.elementType.rawValue == want.type)
            #expect(tensor.dimensions == [2, 3])
            #expect(tensor.elementCount == 6)
            if let bytes = want.bytes { #expect(try tensor.bytes() == bytes, "\(tensor.name)") }
            if let strings = want.strings { #expect(try tensor.strings() == strings) }
            if let bits = want.floatBits { #expect(try tensor.floats().map(\.bitPattern) == bits, "\(tensor.name)") }
            if let integers = want.integers { try check(tensor, integers) }
        }
    }

    private func check(_ tensor: ONNXTensor, _ integers: [String]) throws {
        if tensor.elementType == .bool { #expect(try tensor.bools() == integers.map { $0 == "1" }) }
        guard integers.allSatisfy({ Int64($0) != nil }) else {
            #expect(throws: ONNXFormatError.self) { try tensor.int64s() }
            #expect(try tensor.doubles() == integers.map { Double($0)! })
            return
        }
        #expect(try tensor.int64s().map(String.init) == integers, "\(tensor.name)")
        #expect(try tensor.doubles() == integers.map { Double($0)! }, "\(tensor.name)")
    }

    @Test func wrongKindsAreRefused() throws {
        let graph = try ONNXModel(path: Fixture.path("dtypes.onnx")).graph
        func kind(_ name: String, _ read: (ONNXTensor) throws -> Void) -> ONNXFormatError.Kind? {
            do { try read(graph.initializer(name)!) } catch { return (error as? ONNXFormatError)?.kind }
            return nil
        }
        #expect(kind("raw_INT64") { _ = try $0.floats() } == .unsupportedType)
        #expect(kind("raw_FLOAT") { _ = try $0.int64s() } == .unsupportedType)
        #expect(kind("raw_FLOAT") { _ = try $0.strings() } == .unsupportedType)
        #expect(kind("raw_UINT8") { _ = try $0.bools() } == .unsupportedType)
        #expect(kind("typed_STRING") { _ = try $0.bytes() } == .unsupportedType)
    }

    @Test func externalDataReadLikeInline() throws {
        let one = try ONNXModel(path: Fixture.path("external-one/model.onnx")).graph
        let blob = try Fixture.bytes("external-one/model.onnx.data")
        let a = try #require(one.initializer("a"))
        #expect(a.isExternal)
        #expect(try a.bytes() == Array(blob[16..<40]))
        #expect(try one.initializer("c")!.int64s() == [0, 1, 2, 3])
        let many = try ONNXModel(path: Fixture.path("external-many/model.onnx")).graph
        #expect(try many.initializer("b")!.bytes() == (try Fixture.bytes("external-many/weights/b")))
    }

    @Test func everyPartIsSeen() throws {
        let model = try ONNXModel(path: Fixture.path("everything.onnx"))
        #expect(model.irVersion == 11)
        #expect(model.opsetImports.map(\.domain) == ["", "local", "custom"])
        #expect(model.opsetImports.map(\.version) == [17, 1, 3])
        #expect(model.metadata["note"] == "grün")
        #expect(model.hasTrainingInfo)
        let graph = model.graph
        #expect(graph.inputs[0].dimensions == [.symbol("batch"), .fixed(2)])
        #expect(graph.inputs[1].dimensions == [])
        #expect(graph.inputs[1].elementType == .bool)
        #expect(graph.outputs[0].dimensions == nil)
        #expect(graph.valueInfo[0].dimensions == [.symbol("batch"), .unknown])
        #expect(try graph.sparseInitializers[0].indices.int64s() == [0, 3])
        #expect(graph.nodes.map(\.opType) == ["Constant", "Scale", "If", "Odd"])
        guard case .tensor(let constant)? = graph.nodes[0].attribute(named: "value")?.value else {
            Issue.record("no constant")
            return
        }
        #expect(try constant.doubles() == [1.5, 2.5])
        guard case .graph(let branch)? = graph.nodes[2].attribute(named: "else_branch")?.value else {
            Issue.record("no branch")
            return
        }
        #expect(branch.nodes[0].inputs == ["h"])
        let odd = graph.nodes[3]
        #expect(odd.inputs == ["i", "", "w", "sparse"])
        #expect(odd.metadata["pkg.torch.onnx.name_scopes"] == "['', 'layer']")
        #expect(odd.attributes.count == 12)
        if case .int(let i)? = odd.attribute(named: "i")?.value { #expect(i == -7) } else { Issue.record("no i") }
        if case .strings(let texts)? = odd.attribute(named: "ss")?.value { #expect(texts == ["a", "b"]) }
        if case .type(let type)? = odd.attribute(named: "tp")?.value {
            #expect(type == .tensor(.float32, [.fixed(1), .symbol("n"), .unknown]))
        } else {
            Issue.record("no tp")
        }
        if case .types(let types)? = odd.attribute(named: "tps")?.value {
            #expect(
                types == [
                    .sequence(.tensor(.int64, nil)), .optional(.tensor(.float32, [])),
                    .map(key: .string, value: .tensor(.float32, [.fixed(2)])),
                ])
        } else {
            Issue.record("no tps")
        }
        let function = try #require(model.functions.first)
        #expect(function.name == "Scale" && function.domain == "local" && function.overload == "o")
        #expect(function.attributeNames == ["alpha"])
        #expect(function.attributeDefaults.map(\.name) == ["beta"])
        #expect(function.nodes[0].attributes[0].referencedName == "alpha")
    }
}
