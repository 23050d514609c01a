import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

/// A small model with its data, from which private steps of any batch size are made.
struct PrivateModel: Sendable, CustomTestStringConvertible {
    struct Input: Sendable {
        enum Kind: Sendable {
            case floats
            case integers(Range<Int>)
            /// Class numbers, about a third of them ignored.
            case targets(classes: Int)
        }

        var name: String
        var kind: Kind
        /// Shape for `batch` samples.
        var shape: @Sendable (_ batch: Int) -> [Int]
        var factor = BatchFactor(axis: 0)
    }

    var name: String
    var inputs: [Input]
    var parameters: [(name: String, shape: [Int])]
    /// The groups of the layer-wise style.
    var layers: [[String]]
    /// Emits the forward pass and returns the losses [B]; all inputs and parameters are given by name.
    var build: @Sendable (inout GraphBuilder, [String: ValueID]) throws(GraphError) -> ValueID

    static let all = feedforward + sequences + attentions + arithmetic + recurrences + operators

    var testDescription: String { name }

    /// The forward graph with its losses.
    func forward(batch: Int) throws(GraphError) -> (builder: GraphBuilder, loss: ValueID) {
        var builder = GraphBuilder(batchSize: batch, evaluator: ConstantFolding.evaluator)
        var values: [String: ValueID] = [:]
        for input in inputs {
            let elementType: ElementType = if case .floats = input.kind { .float32 } else { .int64 }
            values[input.name] = builder.addInput(
                input.name, TensorType(elementType, input.shape(batch)), batch: input.factor)
        }
        for (name, shape) in parameters { values[name] = builder.addParameter(name, TensorType(.float32, shape)) }
        let loss = try build(&builder, values)
        return (builder, loss)
    }

    func data(batch: Int, seed: UInt64) -> [String: Constant] {
        var numbers = Numbers(seed: seed)
        var result: [String: Constant] = [:]
        for input in inputs {
            let shape = input.shape(batch)
            switch input.kind {
            case .floats: result[input.name] = numbers.floats(shape)
            case .integers(let range):
                let values = (0..<shape.elementCount).map { _ in
                    Int64(range.lowerBound + numbers.integer(below: range.count))
                }
                result[input.name] = Constant(values, shape: shape)
            case .targets(let classes):
                let values = (0..<shape.elementCount).map { _ in
                    numbers.integer(below: 3) == 0 ? -100 : Int64(numbers.integer(below: classes))
                }
                result[input.name] = Constant(values, shape: shape)
            }
        }
        return result
    }

    func initialValues(seed: UInt64) -> [String: Constant] {
        var numbers = Numbers(seed: seed)
        var result: [String: Constant] = [:]
        for (name, shape) in parameters { result[name] = numbers.floats(shape, scale: 0.8) }
        return result
    }

    /// The data of one sample.
    func sample(_ sample: Int, of data: [String: Constant]) -> [String: Constant] {
        var result: [String: Constant] = [:]
        for input in inputs { result[input.name] = data[input.name]!.sample(sample, of: input.factor) }
        return result
    }
}

extension PrivateModel.Input {
    static func floats(
        _ name: String, factor: BatchFactor = BatchFactor(axis: 0), _ shape: @escaping @Sendable (Int) -> [Int]
    ) -> Self {
        Self(name: name, kind: .floats, shape: shape, factor: factor)
    }

    static func integers(_ name: String, in range: Range<Int>, _ shape: @escaping @Sendable (Int) -> [Int]) -> Self {
        Self(name: name, kind: .integers(range), shape: shape)
    }

    /// One class number per sample.
    static func labels(classes: Int) -> Self { integers("y", in: 0..<classes) { [$0, 1] } }
}

extension GraphBuilder {
    mutating func linear(_ x: ValueID, _ weight: ValueID?, _ bias: ValueID?) throws(GraphError) -> ValueID {
        try add(try matmul(x, weight!), bias!)
    }

    /// Cross-entropy of logits [B, classes] and labels [B, 1].
    mutating func classLoss(_ logits: ValueID, _ labels: ValueID?) throws(GraphError) -> ValueID {
        let shape = shape(of: logits)
        return try emit(SampleCrossEntropy(), try view(logits, [shape[0], 1, shape[1]]), labels!)
    }

    /// The mean squared difference over the axes `axes`.
    mutating func squaredLoss(_ prediction: ValueID, _ target: ValueID?, axes: [Int]) throws(GraphError) -> ValueID {
        let square = try unary(.square, try subtract(prediction, target!))
        return try emit(Reduction(.mean, axes: axes, keepsAxes: false), square)
    }

    mutating func layerNorm(
        _ x: ValueID, axis: Int, _ scale: ValueID?, _ bias: ValueID?
    ) throws(GraphError) -> ValueID {
        let normalized = try emitAll(RowNormalization(axis: axis, isCentered: true, epsilon: 1e-5), [x])[0]
        return try add(try multiply(normalized, scale!), bias!)
    }

    mutating func mean(_ value: ValueID, axes: [Int]) throws(GraphError) -> ValueID {
        try emit(Reduction(.mean, axes: axes, keepsAxes: false), value)
    }
}
