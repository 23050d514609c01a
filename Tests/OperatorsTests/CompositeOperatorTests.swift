import Glibc
import ONNXFormat
import TensorGraph
import TestSupport
import Testing

@testable import Operators

/// Operators that are composed of operations with rules of their own: that the composition is differentiated and
/// batched as a whole. Values are compared with onnxruntime's by the node tests.
@Suite struct CompositeOperatorTests {
    private static func floats(_ shape: Int..., seed: UInt64, scale: Double = 1) -> Constant {
        var numbers = Numbers(seed: seed)
        return numbers.floats(shape, scale: scale)
    }

    private static func ints(_ shape: [Int], _ values: Int64...) -> Constant { Constant(values, shape: shape) }

    // MARK: Einsum

    private static func einsum(_ equation: String, _ inputs: Constant...) -> OperatorCase {
        OperatorCase(
            name: equation, operatorType: "Einsum", opset: 12, inputs: inputs,
            attributes: ["equation": .string(equation)])
    }

    static let sums: [OperatorCase] = [
        einsum("bij, jk -> bik", floats(2, 3, 4, seed: 1), floats(4, 2, seed: 2)),
        einsum("bhid,bhjd->bhij", floats(2, 2, 3, 4, seed: 1), floats(2, 2, 2, 4, seed: 2)),
        einsum("bij,bkj->bki", floats(2, 3, 4, seed: 1), floats(2, 2, 4, seed: 2)),
        einsum("b...i,ij->b...j", floats(2, 3, 2, 4, seed: 1), floats(4, 2, seed: 2)),
        einsum("bii->bi", floats(2, 3, 3, seed: 1)), einsum("bij->b", floats(2, 3, 4, seed: 1)),
        einsum("bi,bj->bij", floats(2, 3, seed: 1), floats(2, 4, seed: 2)),
        einsum("bi,ij,bj->b", floats(2, 3, seed: 1), floats(3, 4, seed: 2), floats(2, 4, seed: 3)),
        einsum("bi,bi", floats(2, 3, seed: 1), floats(2, 3, seed: 2)),
        einsum("bihw,oi->bohw", floats(2, 3, 2, 2, seed: 1), floats(4, 3, seed: 2)),
    ]

    @Test(arguments: sums)
    func einsumGradients(_ example: OperatorCase) throws { try example.checkGradients(seed: 4) }

    /// By the definition: a sum over all labels, in double precision.
    @Test(arguments: sums.filter { !$0.name.contains("...") })
    func einsumDefinition(_ example: OperatorCase) throws {
        let equation = example.name.filter { $0 != " " }
        let sides = equation.split(separator: ">").map { $0.filter { $0 != "-" } }
        let operands = sides[0].split(separator: ",").map(Array.init)
        let letters = operands.flatMap { $0 }
        let output =
            sides.count > 1 ? Array(sides[1]) : Set(letters).filter { l in letters.count { $0 == l } == 1 }.sorted()
        var sizes: [Character: Int] = [:]
        for (operand, input) in zip(operands, example.inputs) {
            for (letter, size) in zip(operand, input!.type.shape) { sizes[letter] = size }
        }
        let all = output + Set(letters).subtracting(output).sorted()
        let values = example.inputs.map { $0!.doubles }
        var expected = [Double](repeating: 0, count: output.map { sizes[$0]! }.elementCount)
        let shape = all.map { sizes[$0]! }
        for index in 0..<shape.elementCount {
            var place: [Character: Int] = [:]
            for (letter, stride) in zip(all, shape.rowMajorStrides) { place[letter] = index / stride % sizes[letter]! }
            func offset(_ labels: [Character]) -> Int { labels.reduce(0) { $0 * sizes[$1]! + place[$1]! } }
            expected[offset(output)] += zip(operands, values).reduce(1) { $0 * $1.1[offset($1.0)] }
        }
        let result = try runOperator("Einsum", opset: 12, example.inputs, attributes: example.attributes)[0]
        #expect(result.type.shape == output.map { sizes[$0]! })
        #expect(relativeError(result.doubles, expected) < 1e-6)
    }

    @Test func einsumOverTheBatch() throws {
        try Self.sums[0].checkSamplesStayApart(Self.sums[0].batched(0), batchSize: 2)
        try Self.sums[1].checkSamplesStayApart(Self.sums[1].batched(0, 1), batchSize: 2)
        try Self.sums[7].checkSamplesStayApart(Self.sums[7].batched(0, 2), batchSize: 2)
        let crossing = Self.einsum("bi,ci->bc", Self.floats(3, 2, seed: 1), Self.floats(3, 2, seed: 2))
        try crossing.checkSamplesMeet(crossing.batched(0, 1), batchSize: 3)
        let summed = Self.einsum("bi->i", Self.floats(3, 2, seed: 1))
        try summed.checkSamplesMeet(summed.batched(0), batchSize: 3)
    }

    @Test(arguments: ["ij", "ij,jk->il", "i.j->ij", "ij->ii", "ij>ji", "...ij->ij..."])
    func malformedEquations(_ equation: String) {
        let inputs = equation.contains(",") ? [Self.floats(2, 2, seed: 1), Self.floats(3, 2, seed: 1)] : []
        #expect(throws: GraphError.self) {
            try runOperator("Einsum", opset: 12, inputs, attributes: ["equation": .string(equation)])
        }
    }

    // MARK: Losses

    static let losses: [OperatorCase] = {
        let classes = ints([2, 3], 1, -1, 0, 2, 1, 1)
        let weights = Constant([0.5, 2, 1] as [Float])
        return ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"].flatMap { type in
            ["none", "sum", "mean"].map { reduction in
                OperatorCase(
                    name: "\(type), \(reduction)", operatorType: type, opset: 13,
                    inputs: [floats(2, 3, 3, seed: 1), classes, weights],
                    attributes: ["reduction": .string(reduction), "ignore_index": .int(-1)], constants: [2])
            }
        }
    }()

    @Test(arguments: losses)
    func lossGradients(_ example: OperatorCase) throws { try example.checkGradients(seed: 4) }

    @Test(arguments: losses)
    func lossesOfSamples(_ example: OperatorCase) throws {
        if example.name.hasSuffix("none") {
            try example.checkSamplesStayApart(example.batched(0, 1), batchSize: 2)
        } else {
            try example.checkSamplesMeet(example.batched(0, 1), batchSize: 2)
        }
    }

    // MARK: Others

    static let others: [OperatorCase] = {
        let x = floats(2, 3, 4, seed: 1)
        let spectrum = floats(2, 5, 2, seed: 2)
        func one(
            _ type: String, _ opset: Int, _ inputs: [Constant?], _ attributes: [String: AttributeValue] = [:],
            constants: Set<Int> = []
        ) -> OperatorCase {
            OperatorCase(
                name: "\(type) \(attributes)", operatorType: type, opset: opset, inputs: inputs, attributes: attributes,
                constants: constants)
        }
        return [
            one("CumProd", 26, [x, ints([], 1)], constants: [1]),
            one("CumProd", 26, [x, ints([], -1)], ["exclusive": .int(1), "reverse": .int(1)], constants: [1]),
            one("CenterCropPad", 18, [x, ints([2], 5, 3)], ["axes": .ints([1, 2])], constants: [1]),
            one("ReverseSequence", 10, [x, ints([2], 2, 3)], ["batch_axis": .int(0), "time_axis": .int(1)]),
            one("TensorScatter", 24, [x, floats(2, 2, 4, seed: 2), ints([2], 2, 0)], ["mode": .string("circular")]),
            one("LpPool", 18, [x], ["kernel_shape": .ints([2]), "strides": .ints([2]), "pads": .ints([1, 0])]),
            one("LpPool", 18, [x], ["kernel_shape": .ints([3]), "p": .int(3), "ceil_mode": .int(1)]),
            one("GlobalLpPool", 2, [x]), one("GlobalLpPool", 2, [x], ["p": .int(1)]),
            one(
                "MaxUnpool", 9,
                [
                    x,
                    ints(
                        [2, 3, 4], 0, 2, 5, 7, 8, 11, 12, 15, 17, 18, 20, 23, 24, 26, 28, 30, 33, 35,
                        36, 39, 40, 43, 45, 46),
                ], ["kernel_shape": .ints([2]), "strides": .ints([2])]),
            one("DFT", 20, [floats(2, 5, 1, seed: 3), nil, ints([], 1)], ["onesided": .int(1)], constants: [2]),
            one("DFT", 20, [spectrum, ints([], 4), ints([], 1)], ["inverse": .int(1)], constants: [1, 2]),
            one("DFT", 20, [spectrum, nil, ints([], 1)], ["inverse": .int(1), "onesided": .int(1)], constants: [2]),
            one(
                "STFT", 17, [floats(2, 9, 1, seed: 3), ints([], 2), floats(4, seed: 4)],
                constants: [1, 2]),
            one("DequantizeLinear", 13, [ints([2, 3], 1, -2, 3, 4, 0, 9), floats(3, seed: 5), ints([3], 1, 0, 2)]),
        ]
    }()

    @Test(arguments: others)
    func gradients(_ example: OperatorCase) throws { try example.checkGradients(seed: 4) }

    @Test(arguments: others)
    func samplesStayApart(_ example: OperatorCase) throws {
        let batch = example.inputs.enumerated().map { index, input in
            input.flatMap {
                $0.type.shape.first == 2 && !example.constants.contains(index) ? BatchFactor(axis: 0) : nil
            }
        }
        try example.checkSamplesStayApart(batch, batchSize: 2)
    }

    /// The same operators along the axis on which the samples lie.
    @Test(
        arguments: others.filter {
            ["CumProd", "CenterCropPad", "LpPool", "GlobalLpPool", "DFT", "STFT"].contains($0.operatorType)
        })
    func samplesMeet(_ example: OperatorCase) throws {
        let axis =
            example.operatorType == "CumProd" && example.name.contains("reverse")
            ? 2
            : ["CumProd", "CenterCropPad", "DFT", "STFT"].contains(example.operatorType) ? 1 : 2
        var batch = example.inputs.map { _ in nil as BatchFactor? }
        batch[0] = BatchFactor(axis: axis)
        try example.checkSamplesMeet(batch, batchSize: example.inputs[0]!.type.shape[axis])
    }

    /// By the definition in double precision, also where the window is wider than all channels.
    @Test(arguments: [1, 2, 3, 4, 7, 8, 1 << 62])
    func localResponses(size: Int) throws {
        let shape = [2, 3, 4]
        let x = Self.floats(2, 3, 4, seed: 1)
        let alpha = size > 8 ? 1e19 : 0.5
        let example = OperatorCase(
            name: "", operatorType: "LRN", opset: 13, inputs: [x],
            attributes: [
                "size": .int(size), "alpha": .float(Float(alpha)), "bias": .float(2), "beta": .float(0.75),
            ])
        let values = x.doubles
        var expected = values
        for index in values.indices {
            let channel = index / shape[2] % shape[1]
            let window = max(0, channel - (size - 1) / 2)...min(shape[1] - 1, channel + size / 2)
            let squares = window.reduce(0) { $0 + pow(values[index + ($1 - channel) * shape[2]], 2) }
            expected[index] *= pow(2 + alpha / Double(size) * squares, -0.75)
        }
        let result = try runOperator("LRN", opset: 13, example.inputs, attributes: example.attributes)[0]
        #expect(relativeError(result.doubles, expected) < 1e-6)
        try example.checkSamplesStayApart(example.batched(0), batchSize: 2)
    }

    @Test func hardmax() throws {
        let x = Constant([1, 3, 3, 2, 0, -1] as [Float], shape: [2, 3])
        #expect(try runOperator("Hardmax", opset: 13, [x])[0].floatValues == [0, 1, 0, 1, 0, 0])
        #expect(
            try runOperator("Hardmax", opset: 11, [x], attributes: ["axis": .int(0)])[0].floatValues == [
                0, 1, 0, 0, 0, 0,
            ])
        let example = OperatorCase(
            name: "", operatorType: "Hardmax", opset: 13, inputs: [x], attributes: ["axis": .int(0)])
        try example.checkSamplesMeet(example.batched(0), batchSize: 2)
    }

    // MARK: Results whose size depends on the data

    @Test func selections() throws {
        let x = Constant([3, 0, -1, 0, 2, 3] as [Float], shape: [2, 3])
        #expect(try runOperator("NonZero", opset: 13, [x], constants: [0])[0].int64Values == [0, 0, 1, 1, 0, 2, 1, 2])
        let condition = Constant([false, true, true])
        let columns = try runOperator(
            "Compress", opset: 11, [x, condition], attributes: ["axis": .int(1)], constants: [1])
        #expect(columns[0].floatValues == [0, -1, 2, 3])
        let unique = try runOperator("Unique", opset: 11, [x], outputs: 4, constants: [0])
        #expect(unique[0].floatValues == [-1, 0, 2, 3])
        #expect(unique[1].int64Values == [2, 1, 4, 0])
        #expect(unique[2].int64Values == [3, 1, 0, 1, 2, 3])
        #expect(unique[3].int64Values == [1, 2, 1, 2])
        let unsorted = try runOperator("Unique", opset: 11, [x], attributes: ["sorted": .int(0)], constants: [0])
        #expect(unsorted[0].floatValues == [3, 0, -1, 2])
        for (type, inputs) in [("NonZero", [x]), ("Compress", [x, condition]), ("Unique", [x])] {
            let error = #expect(throws: GraphError.self) { try runOperator(type, opset: 13, inputs) }
            #expect(error?.kind == .unsupported && error?.message.contains("size of its result") == true)
        }
    }

    @Test func compressionOfTrainedRows() throws {
        let example = OperatorCase(
            name: "", operatorType: "Compress", opset: 11,
            inputs: [Self.floats(3, 2, seed: 1), Constant([true, false, true])], attributes: ["axis": .int(0)],
            constants: [1])
        try example.checkGradients(seed: 2)
        try example.checkSamplesMeet(example.batched(0), batchSize: 3)
    }

    // MARK: Quantisation

    /// Halves go to the even neighbour, what is too large to the end of the range.
    @Test func quantisation() throws {
        let x = Constant([0.5, 1.5, -1, 1000, .infinity] as [Float])
        let scale = Constant([1] as [Float], shape: [])
        #expect(try runOperator("QuantizeLinear", opset: 13, [x, scale])[0].int64Values == [0, 2, 0, 255, 255])
        let narrow = try runOperator(
            "QuantizeLinear", opset: 21, [x, scale],
            attributes: ["output_dtype": .int(Int(ONNXElementType.int8.rawValue))])
        #expect(narrow[0].int64Values == [0, 2, -1, 127, 127])
    }

    /// A parameter in front of a rounding would silently stay as it is.
    @Test func quantisationOfParametersIsRefused() throws {
        let plugin = try #require(
            OperatorRegistry.standard.plugin(domain: "", operatorType: "QuantizeLinear", version: 13))
        var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
        let inputs = [builder.addParameter("w", TensorType(.float32, [2])), builder.scalar(0.5)]
        let node = ImportedNode(
            name: "q", operatorType: "QuantizeLinear", opsetVersion: 13, inputs: ["w", "s"], outputs: ["y"])
        var expansion = Expansion(node: node, inputs: inputs, builder: builder, referenceOutputShapes: [])
        let error = #expect(throws: GraphError.self) { try plugin.expand(&expansion) }
        #expect(error?.kind == .unsupported && error?.message.contains("rounding has no gradient") == true)
    }

    @Test func integerProducts() throws {
        var numbers = Numbers(seed: 6)
        let (a, b) = (numbers.integers([2, 3, 40], below: 256), numbers.integers([40, 5], below: 256))
        let product = try runOperator(
            "MatMulInteger", opset: 10, [a, b, Self.ints([], 3), Self.ints([], 100)])[0]
        let expected = (0..<30).map { index -> Int64 in
            let (row, column) = (index / 5, index % 5)
            return (0..<40).reduce(0) {
                $0 + (a.int64Values[row * 40 + $1] - 3) * (b.int64Values[$1 * 5 + column] - 100)
            }
        }
        #expect(product.int64Values == expected)
        let example = OperatorCase(name: "", operatorType: "MatMulInteger", opset: 10, inputs: [a, b])
        try example.checkSamplesStayApart(example.batched(0), batchSize: 2)
        try example.checkSamplesMeet([BatchFactor(axis: 2), nil], batchSize: 40)
    }

    @Test func bits() throws {
        let x = Self.ints([4], 16, -16, 1, 3)
        let left = try runOperator(
            "BitShift", opset: 11, [x, Self.ints([], 2)], attributes: ["direction": .string("LEFT")])
        #expect(left[0].int64Values == [64, -64, 4, 12])
        #expect(try runOperator("BitwiseNot", opset: 18, [x])[0].int64Values == [-17, 15, -2, -4])
        let bits = try runOperator(
            "BitCast", opset: 26, [Constant([1, -2] as [Float])],
            attributes: ["to": .int(Int(ONNXElementType.int32.rawValue))])
        #expect(bits[0].int64Values == [0x3F80_0000, -0x4000_0000])
    }
}
