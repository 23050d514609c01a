public import Kernels
public import ONNXFormat
public import Operators
import TensorGraph

/// Low-rank adapters (LoRA, Hu et al. 2021) beside linear layers of a model that has none: y = x W + s (x A) B, with
/// A [d, r] drawn at random and B [r, p] zero, so that training starts from the model as it is.
public struct LowRankAdapters: Sendable {
    public struct Adapter: Sendable, Hashable {
        /// The weight, [d, p], or [p, d] if `isTransposed`.
        public let weight: String
        public let isTransposed: Bool
        public let down: String
        public let up: String
        public let inputSize: Int
        public let rank: Int
        public let outputSize: Int
        let scale: Float
        /// The tensor that holds the scale; nil where that is 1.
        let scaleName: String?
        /// The products that read the weight, in the graph before adapters were added.
        let products: [LinearProduct]
    }

    /// What the names of added tensors contain, between the weight's own and a letter.
    public static let mark = ".lora_"

    /// The model with the adapters' nodes and tensors.
    public let graph: ImportedGraph
    public let adapters: [Adapter]
    private let added: [AdapterNodes]

    /// The tensors that train, in graph order.
    public var names: [String] { adapters.flatMap { [$0.down, $0.up] } }

    /// - Parameters:
    ///   - findings: what `ParameterDiscovery` finds in `model.graph`.
    ///   - generator: draws A; what it draws counts as public.
    /// - Throws: `SelectionError` if a pattern matches no weight that can have an adapter, or two match the same one.
    public init(
        _ specifications: [AdapterSpecification], in model: RepairedGraph, findings: [ParameterFinding],
        generator: any RandomGenerator
    ) throws(SelectionError) {
        let index = GraphIndex(model.graph)
        var chosen: [String: AdapterSpecification] = [:]
        for specification in specifications {
            for name in try Self.weights(specification.pattern, model, index, findings) {
                guard chosen.updateValue(specification, forKey: name) == nil else {
                    throw SelectionError("two --adapter options choose '\(name)'")
                }
            }
        }
        var names = Set(model.graph.nodes.flatMap(\.outputs) + model.graph.initializers.map(\.name))
        func free(_ wished: String) -> String {
            var name = wished
            var number = 1
            while !names.insert(name).inserted {
                number += 1
                name = "\(wished)\(number)"
            }
            return name
        }
        var graph = model.graph
        var adapters: [Adapter] = []
        for tensor in model.graph.initializers {
            guard let specification = chosen[tensor.name] else { continue }
            let products = LinearProduct.all(of: tensor, in: index)!
            let isTransposed = products[0].isTransposed
            let adapter = Adapter(
                weight: tensor.name, isTransposed: isTransposed, down: free(tensor.name + Self.mark + "A"),
                up: free(tensor.name + Self.mark + "B"), inputSize: tensor.shape[isTransposed ? 1 : 0],
                rank: specification.rank, outputSize: tensor.shape[isTransposed ? 0 : 1],
                scale: specification.scale,
                scaleName: specification.scale == 1 ? nil : free(tensor.name + Self.mark + "scale"), products: products)
            adapters.append(adapter)
            graph.initializers += Self.initializers(of: adapter, generator)
        }
        var nodes: [ImportedNode] = []
        var added: [AdapterNodes] = []
        let byNode = Dictionary(
            adapters.flatMap { adapter in adapter.products.map { ($0.node, adapter) } }, uniquingKeysWith: { $1 })
        for (position, node) in graph.nodes.enumerated() {
            guard let adapter = byNode[position] else {
                nodes.append(node)
                continue
            }
            let beside = AdapterNodes(beside: node, adapter, free: free)
            nodes.append(beside.product)
            nodes += beside.nodes
            added.append(beside)
        }
        graph.nodes = nodes
        self.added = added
        self.graph = graph
        self.adapters = adapters
    }

    private static func weights(
        _ pattern: String?, _ model: RepairedGraph, _ index: GraphIndex, _ findings: [ParameterFinding]
    ) throws(SelectionError) -> [String] {
        let parameters = Set(findings.filter { $0.isParameter && $0.role == .weight }.map(\.name))
        let able = model.graph.initializers.filter {
            parameters.contains($0.name) && LinearProduct.all(of: $0, in: index) != nil
        }.map(\.name)
        guard let pattern else {
            guard !able.isEmpty else {
                throw SelectionError("--adapter: no linear layer of the model can have one; leave the option out")
            }
            return able
        }
        let glob = GlobPattern(pattern)
        let others = model.otherNames.filter { glob.matches($0.key) }.values
        let matches = able.filter { glob.matches($0) || others.contains($0) }
        guard matches.isEmpty else { return matches }
        if let tensor = model.graph.initializers.first(where: { glob.matches($0.name) }) {
            throw SelectionError(
                "--adapter: '\(tensor.name)' is no weight that only linear layers read; check lists linear sites")
        }
        throw SelectionError("--adapter: '\(pattern)' matches no weight of a linear layer; check lists the names")
    }

    private static func initializers(
        of adapter: Adapter, _ generator: any RandomGenerator
    ) -> [ImportedGraph.Initializer] {
        // As Kaiming initialisation with a = sqrt(5), which linear layers get in PyTorch: uniform to 1 / sqrt(d).
        let bound = 1 / Float(adapter.inputSize).squareRoot()
        let down = Constant(
            (0..<adapter.inputSize * adapter.rank).map { _ in
                (Float(generator.next() >> 40) * 0x1p-23 - 1) * bound
            }, shape: [adapter.inputSize, adapter.rank])
        let up = TensorType(.float32, [adapter.rank, adapter.outputSize])
        let tensors: [ImportedGraph.Initializer] = [
            .init(name: adapter.down, dataType: .float32, shape: down.type.shape, exportedKind: "PARAMETER") { down },
            .init(name: adapter.up, dataType: .float32, shape: up.shape, exportedKind: "PARAMETER") {
                Constant(up) { _ in }
            },
        ]
        guard let name = adapter.scaleName else { return tensors }
        let scale = Constant([adapter.scale], shape: [])
        return tensors + [.init(name: name, dataType: .float32, shape: [], exportedKind: "CONSTANT") { scale }]
    }

    /// - Throws: `SelectionError` naming an adapter beside a node inside a local function of the file, which cannot be
    ///   kept as nodes of the main graph.
    public func checkCanBeKept() throws(SelectionError) {
        for nodes in added where nodes.product.fileNode?.holds(nodes.product) != true {
            throw SelectionError(
                "--keep-adapter: node '\(nodes.product.name)' is inside a function of the file; leave the option out")
        }
    }

    /// What keeps the adapters as nodes and tensors of the file when trained values are written.
    ///
    /// - Parameter values: trained values by name.
    /// - Precondition: `checkCanBeKept` passes.
    public func insertions(_ values: [String: [Float]]) -> ONNXEdits.Insertions {
        var insertions = ONNXEdits.Insertions()
        for adapter in adapters {
            let type = adapter.products[0].elementType
            func add(_ name: String, _ shape: [Int], _ values: [Float]) {
                insertions.tensors.append(.init(name: name, type: type, shape: shape, values: values))
            }
            add(adapter.down, [adapter.inputSize, adapter.rank], values[adapter.down]!)
            add(adapter.up, [adapter.rank, adapter.outputSize], values[adapter.up]!)
            if let name = adapter.scaleName { add(name, [], [adapter.scale]) }
        }
        for nodes in added {
            let file = nodes.product.fileNode!
            insertions.renamings.append(.init(node: file.position, output: 0, name: nodes.product.outputs[0]))
            for node in nodes.nodes {
                insertions.nodes.append(
                    .init(
                        after: file.position, operatorType: node.operatorType, name: node.name, inputs: node.inputs,
                        outputs: node.outputs))
            }
        }
        return insertions
    }

    /// New values of the adapted weights, W + s A B, in place of the adapters' own.
    ///
    /// - Parameter values: trained values by name; those of other tensors are handed through.
    /// - Throws: `ONNXFormatError` if a weight cannot be decoded.
    public func merged(_ values: [String: [Float]]) throws -> [String: [Float]] {
        var result = values
        for adapter in adapters {
            guard let down = result.removeValue(forKey: adapter.down),
                let up = result.removeValue(forKey: adapter.up)
            else { continue }
            var weight =
                try result[adapter.weight] ?? graph.initializers.first { $0.name == adapter.weight }!.load().floatValues
            Self.add(
                down, up, rank: adapter.rank, scale: adapter.scale, to: &weight, isTransposed: adapter.isTransposed)
            result[adapter.weight] = weight
        }
        return result
    }

    /// Adds s A B to a weight.
    ///
    /// - Parameters:
    ///   - down: A [d, rank].
    ///   - up: B [rank, p].
    ///   - weight: W [d, p], or [p, d] if `isTransposed`.
    static func add(
        _ down: [Float], _ up: [Float], rank: Int, scale: Float, to weight: inout [Float], isTransposed: Bool
    ) {
        let (inputSize, outputSize) = (down.count / rank, up.count / rank)
        for row in 0..<inputSize {
            for column in 0..<outputSize {
                var sum = 0.0
                for index in 0..<rank {
                    sum += Double(down[row * rank + index]) * Double(up[index * outputSize + column])
                }
                let place = isTransposed ? column * inputSize + row : row * outputSize + column
                weight[place] = Float(Double(weight[place]) + Double(scale) * sum)
            }
        }
    }
}
