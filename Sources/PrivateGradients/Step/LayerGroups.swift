import Kernels
import Operators
import TensorGraph

/// Tells which targets form a layer: a weight with its bias, a normalisation's scale with its offset.
struct LayerGroups {
    /// Indices of targets, group by group, both in forward order of their first use.
    let groups: [[Int]]

    init(_ targets: [ParameterTarget], in graph: Graph) {
        var groupOfOutput: [ValueID: Int] = [:]
        var result: [[Int]] = []
        for target in targets.inForwardOrder {
            let outputs = targets[target].outputs
            // Parts of one parameter have one group, so that every parameter has one; so have those of one weight.
            let layer =
                result.firstIndex { $0.contains { Self.shareParameter(targets[$0], targets[target]) } }
                ?? outputs.lazy.compactMap { groupOfOutput[$0] }.first
                ?? outputs.lazy.compactMap { Self.layerOutput(before: $0, in: graph) }
                .compactMap { groupOfOutput[$0] }.first
            let group = layer ?? result.count
            if layer == nil { result.append([]) }
            result[group].append(target)
            for output in targets[target].outputs { groupOfOutput[output] = group }
        }
        groups = result
    }

    private static func shareParameter(_ left: ParameterTarget, _ right: ParameterTarget) -> Bool {
        !Set(left.parameters).isDisjoint(with: right.parameters)
    }

    /// The output of the weight to which the parameter added at `output` is the bias; nil if it is none.
    private static func layerOutput(before output: ValueID, in graph: Graph) -> ValueID? {
        guard let node = graph.producer(of: output), let binary = node.operation as? Binary, binary.function == .add
        else { return nil }
        for input in node.inputs where graph[input].batch != .free {
            var value = input
            while let producer = graph.producer(of: value) {
                switch producer.operation {
                case is View, is Transposition:
                    value = producer.inputs[0]
                    continue
                case is MatrixProduct, is Convolution: return value
                case let binary as Binary where binary.function == .mul: return value
                default: break
                }
                break
            }
        }
        return nil
    }
}

extension [ParameterTarget] {
    /// Indices in the order of first use in the forward pass.
    var inForwardOrder: [Int] { indices.sorted { self[$0].outputs.min()! < self[$1].outputs.min()! } }
}
