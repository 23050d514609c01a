import Operators

/// The nodes that an adapter adds beside one product: y = product + s (x A) B.
struct AdapterNodes: Sendable {
    /// The product, whose result has another name now.
    let product: ImportedNode
    /// To stand behind it; the last makes what the product made before.
    let nodes: [ImportedNode]

    init(beside node: ImportedNode, _ adapter: LowRankAdapters.Adapter, free: (String) -> String) {
        let result = node.outputs[0]
        let base = free("\(result).lora_base")
        var product = node
        product.outputs[0] = base
        self.product = product
        let place = node.name.isEmpty ? result : node.name
        func make(_ type: String, _ part: String, _ inputs: [String], _ output: String? = nil) -> ImportedNode {
            ImportedNode(
                name: "\(place)/\(part)", operatorType: type, opsetVersion: node.opsetVersion, inputs: inputs,
                outputs: [output ?? free("\(result).\(part)")], metadata: node.metadata)
        }
        let down = make("MatMul", "lora_A", [node.inputs[0], adapter.down])
        let up = make("MatMul", "lora_B", [down.outputs[0], adapter.up])
        var made = [down, up]
        if let scale = adapter.scaleName { made.append(make("Mul", "lora_scale", [up.outputs[0], scale])) }
        made.append(make("Add", "lora_sum", [base, made.last!.outputs[0]], result))
        nodes = made
    }
}
