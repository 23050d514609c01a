import Execution
import TensorGraph

extension Plan {
    /// Writes all inputs, runs, and returns all outputs.
    func run(_ inputs: [String: Constant]) -> [String: Constant] {
        for (name, value) in inputs {
            inputMemory(name)?.copyMemory(from: UnsafeRawBufferPointer(rebasing: value.bytes[..<value.type.byteCount]))
        }
        run()
        return Dictionary(uniqueKeysWithValues: graph.outputs.map { ($0.name, output($0.name)!) })
    }
}

extension ParameterMemory {
    convenience init(_ values: [String: Constant]) {
        self.init(values.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) })
    }
}
