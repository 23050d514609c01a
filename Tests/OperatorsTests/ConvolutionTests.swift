import Operators
import TensorGraph
import TestSupport
import Testing

@Suite struct ConvolutionTests {
    struct Sizes: Sendable {
        var x: [Int]
        var w: [Int]
        var geometry: ConvolutionGeometry
    }

    static let all: [Sizes] = [
        Sizes(
            x: [2, 2, 5, 6], w: [3, 2, 2, 3],
            geometry: ConvolutionGeometry(
                groups: 1, strides: [2, 1], dilations: [1, 2], padsBegin: [1, 0], padsEnd: [0, 2])),
        Sizes(
            x: [2, 4, 5], w: [6, 2, 3],
            geometry: ConvolutionGeometry(groups: 2, strides: [2], dilations: [1], padsBegin: [2], padsEnd: [0])),
        Sizes(
            x: [1, 1, 3, 4, 3], w: [2, 1, 2, 2, 1],
            geometry: ConvolutionGeometry(
                groups: 1, strides: [1, 2, 1], dilations: [1, 1, 1], padsBegin: [0, 1, 0], padsEnd: [1, 0, 0])),
    ]

    @Test(arguments: all)
    func forward(_ sizes: Sizes) throws {
        var numbers = Numbers(seed: 11)
        let (x, w) = (numbers.floats(sizes.x), numbers.floats(sizes.w))
        let y = try run(Convolution(sizes.geometry), [x, w])[0]
        #expect(agree(y.doubles, Self.naive(x, w, sizes, y.type.shape)))
    }

    @Test(arguments: all, [0, 1])
    func gradient(_ sizes: Sizes, index: Int) throws {
        var numbers = Numbers(seed: 12)
        try checkGradient(
            Convolution(sizes.geometry), [numbers.floats(sizes.x), numbers.floats(sizes.w)], index: index, step: 0.5)
    }

    /// The definition (ONNX `Conv`): every output element from every kernel element, in double precision.
    private static func naive(_ x: Constant, _ w: Constant, _ sizes: Sizes, _ shape: [Int]) -> [Double] {
        let (xs, ws, geometry) = (x.doubles, w.doubles, sizes.geometry)
        let perGroup = shape[1] / geometry.groups
        return (0..<shape.elementCount).map { index in
            let position = zip(shape, shape.rowMajorStrides).map { index / $1 % $0 }
            return (0..<Array(sizes.w.dropFirst()).elementCount).reduce(0) { sum, tap in
                let kernel = Array(sizes.w.dropFirst())
                let place = zip(kernel, kernel.rowMajorStrides).map { tap / $1 % $0 }
                var at = [position[0], position[1] / perGroup * kernel[0] + place[0]]
                for axis in 0..<sizes.x.count - 2 {
                    let coordinate =
                        position[axis + 2] * geometry.strides[axis] + place[axis + 1] * geometry.dilations[axis]
                        - geometry.padsBegin[axis]
                    guard 0..<sizes.x[axis + 2] ~= coordinate else { return sum }
                    at.append(coordinate)
                }
                let offset = zip(at, sizes.x.rowMajorStrides).reduce(0) { $0 + $1.0 * $1.1 }
                return sum + xs[offset] * ws[position[1] * kernel.elementCount + tap]
            }
        }
    }

    @Test func batchRule() throws {
        let convolution = Convolution(Self.all[0].geometry)
        let frames = BatchFactor(axis: 0, outer: 2)
        #expect(
            try outputFactor(convolution, [[4, 2, 5, 6], [3, 2, 2, 3]], [frames, nil], batch: 2) == .success(frames))
        #expect(throws: BatchMixing.self) {
            try outputFactor(convolution, [[4, 2, 5, 6], [3, 2, 2, 3]], [BatchFactor(axis: 1), nil], batch: 2).get()
        }
    }

    @Test(arguments: [1, 11, 22])
    func bias(opset: Int) throws {
        let x = Constant([1, 2, 3, 4] as [Float], shape: [1, 1, 4])
        let w = Constant([1, 1, -1, 2] as [Float], shape: [2, 1, 2])
        let y = try runOperator(
            "Conv", opset: opset, [x, w, Constant([10, 20] as [Float])], attributes: ["pads": .ints([1, 0])])[0]
        #expect(y.floatValues == [11, 13, 15, 17, 22, 23, 24, 25])
    }

    /// An even kernel needs one pad: SAME_UPPER puts it at the end, SAME_LOWER at the beginning.
    @Test func automaticPads() throws {
        let x = Constant([1, 2, 3, 4] as [Float], shape: [1, 1, 4])
        let w = Constant([1, 1] as [Float], shape: [1, 1, 2])
        let modes: [(String, [Float])] = [
            ("SAME_UPPER", [3, 5, 7, 4]), ("SAME_LOWER", [1, 3, 5, 7]), ("VALID", [3, 5, 7]), ("NOTSET", [3, 5, 7]),
        ]
        for (mode, expected) in modes {
            let y = try runOperator("Conv", opset: 11, [x, w], attributes: ["auto_pad": .string(mode)])[0]
            #expect(y.floatValues == expected, "\(mode)")
        }
        #expect(throws: GraphError.self) {
            try runOperator("Conv", opset: 11, [x, w], attributes: ["kernel_shape": .ints([3])])
        }
        for name in ["dilations", "strides", "pads"] {
            let error = #expect(throws: GraphError.self) {
                try runOperator(
                    "Conv", opset: 11, [x, w], attributes: [name: .ints([.max, .max].suffix(name == "pads" ? 2 : 1))])
            }
            #expect(error?.message.contains("is larger than") == true)
        }
    }
}

@Suite struct PoolingTests {
    static let geometry = PoolingGeometry(
        kernel: [2, 3], strides: [2, 1], dilations: [1, 2], padsBegin: [1, 0], padsEnd: [0, 2], outSpatial: [3, 3])

    @Test func gradients() throws {
        var numbers = Numbers(seed: 13)
        let x = numbers.floats([2, 2, 5, 5])
        for countsPads in [false, true] {
            try checkGradient(AveragePooling(Self.geometry, countsPads: countsPads), [x], step: 0.5)
        }
        // Distinct entries, so that a small step does not change which one is the greatest.
        let distinct = Constant((0..<100).map { Float($0 * 37 % 100) * 0.125 }, shape: [2, 2, 5, 5])
        try checkGradient(MaxPooling(Self.geometry), [distinct], step: 0.03125, tolerance: 1e-4)
    }

    @Test func batchRule() throws {
        for axis in 0..<4 {
            let factor = BatchFactor(axis: axis)
            for operation in [MaxPooling(Self.geometry), AveragePooling(Self.geometry, countsPads: true)]
                as [any Operation]
            {
                let result = try outputFactor(operation, [[5, 5, 5, 5]], [factor], batch: 5)
                if axis < 2 {
                    #expect(result == .success(factor))
                } else {
                    #expect(throws: BatchMixing.self) { try result.get() }
                }
            }
        }
    }

    private let ramp = Constant((1...5).map(Float.init), shape: [1, 1, 5])

    /// kernel 2, stride 2 over five entries: the third window exists only with ceil_mode and holds one entry.
    @Test func ceilMode() throws {
        let attributes: [String: AttributeValue] = ["kernel_shape": .ints([2]), "strides": .ints([2])]
        let floor = try runOperator("MaxPool", opset: 12, [ramp], attributes: attributes)[0]
        #expect(floor.floatValues == [2, 4])
        let ceil = attributes.merging(["ceil_mode": .int(1)]) { $1 }
        #expect(try runOperator("MaxPool", opset: 10, [ramp], attributes: ceil)[0].floatValues == [2, 4, 5])
        #expect(try runOperator("AveragePool", opset: 19, [ramp], attributes: ceil)[0].floatValues == [1.5, 3.5, 5])
        // A last window that would begin behind the input is dropped: kernel 2, stride 3, one pad at each end.
        let outside: [String: AttributeValue] = [
            "kernel_shape": .ints([2]), "strides": .ints([3]), "pads": .ints([1, 1]), "ceil_mode": .int(1),
        ]
        #expect(try runOperator("MaxPool", opset: 12, [ramp], attributes: outside)[0].floatValues == [1, 4])
    }

    @Test func countIncludePad() throws {
        let attributes: [String: AttributeValue] = ["kernel_shape": .ints([3]), "pads": .ints([1, 1])]
        #expect(
            try runOperator("AveragePool", opset: 7, [ramp], attributes: attributes)[0].floatValues
                == [1.5, 2, 3, 4, 4.5])
        let counted = attributes.merging(["count_include_pad": .int(1)]) { $1 }
        #expect(
            try runOperator("AveragePool", opset: 11, [ramp], attributes: counted)[0].floatValues == [1, 2, 3, 4, 3])
    }

    @Test func indices() throws {
        let x = Constant([1, 2, 6, 5, 4, 3, 0, 9, 0, 0, 0, 7] as [Float], shape: [1, 2, 2, 3])
        let attributes: [String: AttributeValue] = ["kernel_shape": .ints([2, 2])]
        let rows = try runOperator("MaxPool", opset: 12, [x], attributes: attributes, outputs: 2)
        #expect(rows[0].floatValues == [5, 6, 9, 9])
        #expect(rows[1].int64Values == [3, 2, 7, 7])
        let columns = try runOperator(
            "MaxPool", opset: 12, [x], attributes: attributes.merging(["storage_order": .int(1)]) { $1 }, outputs: 2)
        // Entry (row 1, column 0) is 1 in column-major order, (0, 2) is 4, (0, 1) of the second plane 6 + 2.
        #expect(columns[1].int64Values == [1, 4, 8, 8])
    }

    @Test func global() throws {
        let x = Constant([1, 2, 3, 6, -1, -2, -3, -4] as [Float], shape: [1, 2, 2, 2])
        let mean = try runOperator("GlobalAveragePool", opset: 1, [x])[0]
        #expect(mean.type.shape == [1, 2, 1, 1] && mean.floatValues == [3, -2.5])
        let greatest = try runOperator("GlobalMaxPool", opset: 22, [x])[0]
        #expect(greatest.type.shape == [1, 2, 1, 1] && greatest.floatValues == [6, -1])
    }
}
