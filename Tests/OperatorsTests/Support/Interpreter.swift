import Kernels
import Operators
import TensorGraph

/// Runs a graph node by node, every output in memory of its own. Inputs and parameters that nothing reads need not be
/// given.
func evaluate(_ graph: Graph, inputs: [String: Constant], parameters: [String: Constant] = [:], threads: Int = 2)
    -> [String: Constant]
{
    let pool = ThreadPool(threads: threads)
    var values: [ValueID: Constant] = [:]
    for (index, value) in graph.values.enumerated() {
        if let constant = value.constant { values[ValueID(index: index)] = constant }
    }
    let readers = graph.readers
    for (name, value) in graph.inputs where readers[value.index] > 0 {
        values[value] = checked(inputs[name], graph.type(of: value), name)
    }
    for (name, value) in graph.parameters where readers[value.index] > 0 {
        values[value] = checked(parameters[name], graph.type(of: value), name)
    }
    for node in graph.nodes {
        let operands = node.inputs.map { values[$0]! }
        let types = node.outputs.map(graph.type(of:))
        guard let operation = node.operation as? any ExecutableOperation else {
            preconditionFailure("\(node.operation) cannot be computed")
        }
        let kernel = operation.kernel(inputs: operands.map(\.type), outputs: types, threads: threads)
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: max(kernel.scratchBytes, 64), alignment: 64)
        defer { scratch.deallocate() }
        let results: [Constant]
        if let viewed = operation.viewedInput {
            results = [Constant(viewing: operands[viewed], as: types[0])]
        } else {
            results = Constant.make(types) { outputs in
                kernel.run(
                    KernelArguments(
                        inputs: operands.map { $0.bytes.baseAddress! }, outputs: outputs, scratch: scratch, pool: pool))
            }
        }
        for (output, result) in zip(node.outputs, results) { values[output] = result }
    }
    return Dictionary(uniqueKeysWithValues: graph.outputs.map { ($0.name, values[$0.value]!) })
}

private func checked(_ constant: Constant?, _ type: TensorType, _ name: String) -> Constant {
    guard let constant, constant.type == type else {
        preconditionFailure("'\(name)' is \(constant.map { "\($0.type)" } ?? "missing"), not \(type)")
    }
    return constant
}
