import Operators
import TensorGraph
import TestSupport
import Testing

/// Interpolating operators: gradients are central differences in double precision, values are compared with
/// onnxruntime's by the node tests.
@Suite struct ResamplingTests {
    private static func floats(_ shape: Int..., seed: UInt64, scale: Double = 1) -> Constant {
        var numbers = Numbers(seed: seed)
        return numbers.floats(shape, scale: scale)
    }

    private static func ints(_ values: Int64...) -> Constant { Constant(values) }

    // MARK: Resize

    private static func resize(
        _ name: String, _ x: Constant, roi: [Float] = [], scales: [Float] = [], sizes: [Int64] = [],
        _ attributes: [String: AttributeValue]
    ) -> OperatorCase {
        OperatorCase(
            name: name, operatorType: "Resize", opset: 19,
            inputs: [x, Constant(roi), Constant(scales), sizes.isEmpty ? nil : Constant(sizes)],
            attributes: attributes, constants: [1, 2, 3])
    }

    static let resizes: [OperatorCase] = {
        let x = floats(2, 2, 4, 5, seed: 1)
        return [
            resize("linear, enlarged", x, scales: [1, 1, 2, 1.6], ["mode": .string("linear")]),
            resize(
                "linear, antialiased", x, sizes: [2, 2, 2, 3], ["mode": .string("linear"), "antialias": .int(1)]),
            resize(
                "cubic, without what lies outside", x, scales: [1, 1, 1.5, 0.6],
                ["mode": .string("cubic"), "exclude_outside": .int(1), "cubic_coeff_a": .float(-0.5)]),
            resize(
                "cubic, corners aligned", x, sizes: [7, 3],
                [
                    "mode": .string("cubic"), "axes": .ints([2, 3]),
                    "coordinate_transformation_mode": .string("align_corners"),
                ]),
            resize("nearest", x, sizes: [2, 2, 6, 3], ["mode": .string("nearest"), "nearest_mode": .string("ceil")]),
            resize(
                "cropped", x, roi: [0.2, -0.2, 0.9, 1.2], sizes: [3, 6],
                [
                    "mode": .string("linear"), "axes": .ints([2, 3]), "extrapolation_value": .float(4),
                    "coordinate_transformation_mode": .string("tf_crop_and_resize"),
                ]),
            OperatorCase(
                name: "upsampled", operatorType: "Upsample", opset: 9,
                inputs: [x, Constant([1, 1, 2, 3] as [Float])], attributes: ["mode": .string("linear")],
                constants: [1]),
        ]
    }()

    // MARK: Sampling at computed places

    static let samplings: [OperatorCase] = {
        let x = floats(2, 2, 4, 5, seed: 2)
        // Some points lie outside of the image.
        let grid = floats(2, 3, 2, 2, seed: 3, scale: 1.3)
        func sampled(_ mode: String, _ padding: String, aligned: Int = 0) -> OperatorCase {
            OperatorCase(
                name: "\(mode), \(padding), \(aligned)", operatorType: "GridSample", opset: 20, inputs: [x, grid],
                attributes: [
                    "mode": .string(mode), "padding_mode": .string(padding), "align_corners": .int(aligned),
                ])
        }
        let regions = Constant([0.3, 0.4, 3.2, 2.9, 1.1, 0.2, 4.6, 3.3] as [Float], shape: [2, 4])
        func pooled(_ mode: String, ratio: Int) -> OperatorCase {
            OperatorCase(
                name: "regions, \(mode), \(ratio)", operatorType: "RoiAlign", opset: 16,
                inputs: [x, regions, ints(0, 1)],
                attributes: [
                    "mode": .string(mode), "sampling_ratio": .int(ratio), "output_height": .int(2),
                    "output_width": .int(3),
                ], constants: [1, 2])
        }
        return [
            sampled("linear", "zeros"), sampled("linear", "border", aligned: 1), sampled("linear", "reflection"),
            sampled("linear", "reflection", aligned: 1), sampled("cubic", "zeros"), sampled("cubic", "border"),
            sampled("cubic", "reflection", aligned: 1), sampled("cubic", "reflection"),
            OperatorCase(
                name: "volume", operatorType: "GridSample", opset: 20,
                inputs: [floats(1, 2, 3, 2, 4, seed: 4), floats(1, 2, 1, 2, 3, seed: 5, scale: 0.9)]),
            OperatorCase(
                name: "affine grid", operatorType: "AffineGrid", opset: 20,
                inputs: [floats(2, 2, 3, seed: 6), ints(2, 1, 3, 2)], constants: [1]),
            OperatorCase(
                name: "affine grid of a volume", operatorType: "AffineGrid", opset: 20,
                inputs: [floats(2, 3, 4, seed: 6), ints(2, 1, 2, 3, 2)], attributes: ["align_corners": .int(1)],
                constants: [1]),
            pooled("avg", ratio: 2), pooled("avg", ratio: 0), pooled("max", ratio: 2),
            OperatorCase(
                name: "deformable convolution", operatorType: "DeformConv", opset: 19,
                inputs: [
                    floats(2, 4, 4, 3, seed: 7), floats(2, 2, 2, 2, seed: 8), floats(2, 16, 3, 2, seed: 9, scale: 0.7),
                    floats(2, seed: 10), floats(2, 8, 3, 2, seed: 11),
                ], attributes: ["group": .int(2), "offset_group": .int(2)]),
        ]
    }()

    @Test(arguments: resizes + samplings)
    func gradients(_ example: OperatorCase) throws { try example.checkGradients(seed: 12, tolerance: 1e-4) }

    /// Where positions are rounded no gradient reaches the grid.
    @Test func nearestEntriesOfAGrid() throws {
        let x = Self.floats(1, 1, 3, 3, seed: 1)
        let grid = Constant([-1, -1, 0.2, 0.1, 1, 1] as [Float], shape: [1, 1, 3, 2])
        let attributes: [String: AttributeValue] = ["mode": .string("nearest"), "align_corners": .int(1)]
        let y = try runOperator("GridSample", opset: 20, [x, grid], attributes: attributes)[0]
        #expect(y.floatValues == [0, 4, 8].map { x.floatValues[$0] })
        let constant = OperatorCase(
            name: "", operatorType: "GridSample", opset: 20, inputs: [x, grid], attributes: attributes, constants: [1])
        try constant.checkGradients(seed: 1)
    }

    // MARK: The batch

    @Test(arguments: resizes)
    func resizedSamplesStayApart(_ example: OperatorCase) throws {
        // Sizes and scales of the batch axis would be those of one sample.
        guard case .ints? = example.attributes["axes"] else { return }
        try example.checkSamplesStayApart(example.batched(0), batchSize: 2)
    }

    @Test func sampledSamplesStayApart() throws {
        for example in Self.samplings where example.operatorType == "GridSample" && example.name != "volume" {
            try example.checkSamplesStayApart(example.batched(0, 1), batchSize: 2)
        }
        try Self.samplings.last!.checkSamplesStayApart(
            [0, nil, 0, nil, 0].map { $0.map { BatchFactor(axis: $0) } }, batchSize: 2)
    }

    /// The second region reads the second image, so with one region per image the samples stay apart; if both read the
    /// first, or the regions are of samples, they do not.
    @Test func regionsOfSamples() throws {
        var example = Self.samplings.first { $0.operatorType == "RoiAlign" }!
        let twice = Constant([0.3, 0.4, 3.2, 2.9, 0.3, 0.4, 3.2, 2.9] as [Float], shape: [2, 4])
        example.inputs[1] = twice
        let batch = example.batched(0)
        let whole = try example.expand(batchSize: 2, batch: batch, evaluator: ConstantFolding.evaluator)
        #expect(whole.builder.graph[whole.outputs[0]].batch == .factor(BatchFactor(axis: 0)))
        example.inputs[2] = Self.ints(0, 0)
        try example.checkSamplesMeet(batch, batchSize: 2)
        example.constants = [2]
        example.inputs[2] = Self.ints(1, 0)
        try example.checkSamplesMeet(example.batched(0, 1), batchSize: 2)
        // Region b is read from image b.
        example.inputs[2] = Self.ints(0, 1)
        let inputs = ["0": example.inputs[0]!, "1": twice]
        var own = try example.expand(
            batchSize: 2, batch: example.batched(0, 1), evaluator: ConstantFolding.evaluator)
        #expect(own.builder.graph[own.outputs[0]].batch == .factor(BatchFactor(axis: 0)))
        own.builder.addOutput("y", own.outputs[0])
        var plain = try example.expand(evaluator: ConstantFolding.evaluator)
        plain.builder.addOutput("y", plain.outputs[0])
        let expected = evaluate(plain.builder.finish(), inputs: inputs)["y"]!
        #expect(evaluate(own.builder.finish(), inputs: inputs)["y"]!.floatValues == expected.floatValues)
    }

    @Test func interpolationOverTheBatchMixesSamples() throws {
        let enlarged = Self.resize(
            "", Self.floats(1, 2, 4, 5, seed: 1), scales: [1, 1, 2, 1], ["mode": .string("linear")])
        try enlarged.checkSamplesMeet([BatchFactor(axis: 2), nil, nil, nil], batchSize: 4)
        let nearest = Self.resize("", Self.floats(1, 2, 4, 5, seed: 1), scales: [1, 1, 1.5, 1], [:])
        try nearest.checkSamplesMeet([BatchFactor(axis: 2), nil, nil, nil], batchSize: 4)
        let grid = Self.floats(1, 3, 2, 2, seed: 3)
        let sampled = OperatorCase(
            name: "", operatorType: "GridSample", opset: 20, inputs: [Self.floats(1, 2, 4, 5, seed: 2), grid])
        try sampled.checkSamplesMeet([BatchFactor(axis: 2), nil], batchSize: 4)
    }

    // MARK: Refusals

    @Test func regionsOfUnknownSizeNeedARatio() {
        let example = Self.samplings.first { $0.operatorType == "RoiAlign" }!
        let error = #expect(throws: GraphError.self) {
            try runOperator("RoiAlign", opset: 16, example.inputs, constants: [2])
        }
        #expect(error?.kind == .unsupported && error?.message.contains("sampling_ratio") == true)
    }

    @Test func axesThatCannotBeListedAreRefused() {
        let x = Self.floats(1, 1, 1, 2, seed: 1)
        let sizes = Constant([1, 1, 1, 1 << 28] as [Int64])
        let error = #expect(throws: GraphError.self) {
            try runOperator("Resize", opset: 13, [x, nil, nil, sizes], constants: [1, 2, 3])
        }
        #expect(error?.message.contains("axis 3 would have 268435456 entries") == true)
    }

    @Test func resizeWithoutSizesIsInvalid() {
        let x = Self.floats(1, 1, 2, 2, seed: 1)
        let calls: [([Constant?], [String: AttributeValue])] = [
            ([x], [:]), ([x, nil, Constant([1, 1, 2] as [Float])], [:]),
            ([x, nil, Constant([1, 1, 2, 0] as [Float])], [:]),
            ([x, nil, Constant([1, 1, 2, 2] as [Float])], ["mode": .string("area")]),
            ([x, nil, Constant([1, 1, 2, 2] as [Float])], ["coordinate_transformation_mode": .string("centre")]),
        ]
        for (inputs, attributes) in calls {
            let error = #expect(throws: GraphError.self) {
                try runOperator("Resize", opset: 13, inputs, attributes: attributes, constants: [1, 2, 3])
            }
            #expect(error?.kind == .invalid)
        }
    }
}
