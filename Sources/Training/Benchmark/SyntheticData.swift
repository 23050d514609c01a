import Kernels
import Operators
import TensorGraph

/// Data made from nothing but a model's inputs, to time a model without data of one's own.
///
/// Floats are standard normal. Integers that a table is looked up by lie inside the table; all others, and booleans,
/// are 1: what masks mostly hold. Targets are classes or numbers of the shape that the loss wants. The same model and
/// sizes give the same data.
public enum SyntheticData {
    /// - Parameter count: number of samples.
    /// - Throws: `GraphError` if the output that the loss reads cannot carry it, or what specialising the model throws.
    public static func make(for model: TrainableModel, loss: LossSpecification, count: Int) throws -> DataSet {
        let specialized = try model.specialized(batchSize: model.sizes.batchSize(wished: 2))
        let graph = specialized.builder.graph
        let generator = SeededRandomGenerator(seed: 0)
        var arrays: [NamedArray] = []
        for (name, value) in graph.inputs {
            let sample = model.sizes.sampleShapes[name]!
            let total = count * sample.elementCount
            switch graph.type(of: value).elementType {
            case .float32, .float64:
                arrays.append(NamedArray(name: name, shape: [count] + sample, values: normals(total, generator)))
            case .int64:
                let size = smallestTable(indexedBy: value, in: graph)
                let values = (0..<total).map { _ in size.map { Int64(generator.next() % UInt64($0)) } ?? 1 }
                arrays.append(NamedArray(name: name, shape: [count] + sample, values: values))
            case .bool:
                let values = [UInt8](repeating: 1, count: total)
                arrays.append(NamedArray(name: name, shape: [count] + sample, values: values))
            }
        }
        guard let target = try targets(specialized, loss, count, generator) else {
            return try DataSet(arrays: arrays)
        }
        return try DataSet(arrays: arrays + [target], targetKey: target.name)
    }

    private static func normals(_ count: Int, _ generator: SeededRandomGenerator) -> [Float] {
        var values = [Float](repeating: 0, count: count)
        values.withUnsafeMutableBufferPointer { generator.releaseOnGrid($0, step: 0x1p-20, deviation: 1) }
        return values
    }

    private static func targets(
        _ model: SpecializedModel, _ loss: LossSpecification, _ count: Int, _ generator: SeededRandomGenerator
    ) throws(GraphError) -> NamedArray? {
        guard loss.targetType != nil else { return nil }
        let name = "labels"
        let (shape, classes) = try loss.targetShape(for: model)
        let total = count * shape.elementCount
        switch loss.kind {
        case .crossEntropy:
            let values = (0..<total).map { _ in Int64(generator.next() % UInt64(max(classes, 1))) }
            return NamedArray(name: name, shape: [count] + shape, values: values)
        case .binaryCrossEntropy:
            let values = (0..<total).map { _ in Float(generator.next() & 1) }
            return NamedArray(name: name, shape: [count] + shape, values: values)
        default:
            return NamedArray(name: name, shape: [count] + shape, values: normals(total, generator))
        }
    }

    /// Size of the smallest axis that entries of `input` are used as indices of; nil if they index nothing.
    private static func smallestTable(indexedBy input: ValueID, in graph: Graph) -> Int? {
        var carriers: Set<ValueID> = [input]
        var smallest: Int?
        for node in graph.nodes {
            if let gathering = node.operation as? Gathering, carriers.contains(node.inputs[1]) {
                let size = graph.type(of: node.inputs[0]).shape[gathering.axis]
                smallest = min(smallest ?? size, size)
            } else if let hot = node.operation as? OneHotEncoding, carriers.contains(node.inputs[0]) {
                smallest = min(smallest ?? hot.depth, hot.depth)
            } else if node.inputs.contains(where: carriers.contains), Self.keepsEntries(node.operation) {
                carriers.formUnion(node.outputs)
            }
        }
        return smallest
    }

    private static func keepsEntries(_ operation: any Operation) -> Bool {
        operation is any ElementMove || operation is Convert || operation is IndexWrapping
    }
}

extension LossSpecification {
    /// Shape of one sample's targets, and the number of classes where the loss has some: those on axis 1 of
    /// [B, C, ...] for images, on the last axis for vectors and sequences.
    fileprivate func targetShape(for model: SpecializedModel) throws(GraphError) -> (shape: [Int], classes: Int) {
        guard let output = model.outputs.first(where: { logits == nil || $0.name == logits }) else {
            throw .invalid("the model has no output that a loss can read")
        }
        guard case .factor(let factor) = model.builder.graph[output.value].batch else {
            // Says why.
            _ = try append(to: model, targetShape: [])
            return ([], 0)
        }
        var shape = model.builder.shape(of: output.value)
        shape.remove(at: factor.axis)
        guard kind == .crossEntropy, !shape.isEmpty else { return (shape, 0) }
        if var axis = classAxis {
            if axis < 0 { axis += shape.count + 1 }
            guard axis != factor.axis, 0...shape.count ~= axis else {
                throw .invalid("the output of shape \(model.builder.shape(of: output.value)) has no class axis \(axis)")
            }
            let classes = shape.remove(at: axis > factor.axis ? axis - 1 : axis)
            return (shape, classes)
        }
        let classes = shape.remove(at: shape.count >= 3 ? 0 : shape.count - 1)
        return (shape, classes)
    }
}
