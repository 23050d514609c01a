public import Execution
import ONNXFormat
public import Operators
public import TensorGraph

/// A model with the choice of what trains, ready to be specialised to any batch size.
public struct TrainableModel: Sendable {
    public let graph: ImportedGraph
    /// Initializers that train, in the order of the file.
    public let trainable: [String]
    public let sizes: InputSizes
    private let specializer: Specializer

    /// - Throws: `GraphError` if a name to be trained is no float initializer of the model.
    public init(
        _ graph: ImportedGraph, registry: OperatorRegistry, trainable: [String], sizes: InputSizes,
        dropout: DropoutMode = .off
    ) throws(GraphError) {
        for name in trainable {
            guard let initializer = graph.initializers.first(where: { $0.name == name }),
                initializer.isTrainable
            else { throw GraphError(.invalid, "is no float initializer of the model", at: "parameter '\(name)'") }
        }
        self.graph = graph
        self.trainable = trainable
        self.sizes = sizes
        specializer = Specializer(graph, registry: registry, trainable: Set(trainable), dropout: dropout)
    }

    /// The forward graph for `batchSize` samples, its samples followed through every node.
    /// - Throws: `GraphError` naming the node, or what decoding an initializer throws.
    public func specialized(batchSize: Int) throws -> SpecializedModel {
        try specializer.specialize(
            sizes.sizes(batchSize: batchSize), reference: sizes.referenceSizes(for: batchSize))
    }

    /// Memory for the trainable parameters, with their initial values.
    /// - Throws: `ONNXFormatError` if one cannot be decoded.
    public func makeParameters() throws -> ParameterMemory {
        let tensors = Dictionary(uniqueKeysWithValues: graph.initializers.map { ($0.name, $0) })
        return try ParameterMemory(graph.initializers.map(\.name).filter(Set(trainable).contains)) {
            try tensors[$0]!.load()
        }
    }
}
