import ONNXFormat
import Operators

/// Finds out which of the exported program's tensors stands behind each place where a tensor of the file is read.
///
/// Exporters merge tensors of equal value, and no flag tells a merged tensor from one that the program shares. Evidence
/// from the strongest to the weakest:
///
/// 1. Dynamo writes the program's own call beside each node, `pkg.torch.onnx.fx_node`, which names the parameters it
///    read before tensors were merged.
/// 2. TorchScript (`producer_name` is "pytorch") hands a merged tensor on through an `Identity` that bears the name of the tensor it stands for, and
///    lets places that share a tensor read it directly.
/// 3. Otherwise the same module shares with itself, as a layer or tower that is called repeatedly does, and different
///    modules do not; but a table of rows that is also read elsewhere is an embedding tied to others or to a head.
/// 4. Without modules, tensors filled with one number are unrelated, and others are shared.
struct TensorOrigins {
    enum Origin: Hashable {
        /// A tensor of the exported program, or several that were folded into one, by name, and which of the nodes made
        /// of the same call reads it.
        case source([String], part: Int)
        /// Whatever the module reads there; tensors filled with one number are told apart by operator and input, too.
        case module(String, role: String)
        case place(TensorUse)
        /// The tensor of the file itself.
        case itself
    }

    let index: GraphIndex
    let scopes: ModuleScopes
    /// Nodes by the call of the program that they were made of.
    private let calls: [String: [Int]]
    private let hasIntactIdentities: Bool

    static let callKey = "pkg.torch.onnx.fx_node"

    init(_ index: GraphIndex) {
        self.index = index
        scopes = ModuleScopes(index.graph)
        var calls: [String: [Int]] = [:]
        for (position, node) in index.graph.nodes.enumerated() {
            if let call = Self.call(of: node) { calls[call, default: []].append(position) }
        }
        self.calls = calls
        // TorchScript folds a weight once per use, so that two places read one folded weight through an Identity or not
        // at all; tools that remove Identities leave them reading it directly.
        hasIntactIdentities =
            index.graph.exporter.producer == "pytorch"
            && calls.isEmpty
            && index.graph.initializers.allSatisfy { tensor in
                let direct = index.uses(of: tensor.name).filter { index.node($0).operatorType != "Identity" }
                return direct.count < 2 || !tensor.name.hasPrefix("onnx::") || !tensor.dataType.isTrainable
            }
    }

    /// The origin of the tensor at each of its sites.
    /// - Parameter fill: the number that the tensor is filled with, or nil; asked for only if it matters.
    func origins(
        of tensor: ImportedGraph.Initializer, at sites: [TensorSite], fill: () throws -> Float?
    ) rethrows -> [Origin] {
        let stated = sites.map { calledSource(tensor, $0) ?? identitySource(tensor, $0) }
        if stated.allSatisfy({ $0 != nil }) { return stated.map { $0! } }
        let isFilled = try fill() != nil
        let modules = sites.map { scopes[$0.use.node] }
        let isTable = sites.contains { site in
            let node = index.node(site.use)
            return node.operatorType == "Gather" && site.use.input == 0 && !index.isFreeOfData(node)
        }
        let hasModules = modules.allSatisfy { $0 != nil } && stated.allSatisfy { $0 == nil }
        return sites.indices.map { position in
            if let stated = stated[position] { return stated }
            let use = sites[position].use
            if isFilled {
                // The whole program runs once: two places in it are not repeated calls.
                guard let module = modules[position], !module.isEmpty else { return .place(use) }
                return .module(module, role: "\(index.node(use).operatorType) \(use.input)")
            }
            guard hasModules, !isTable, let module = modules[position] else { return .itself }
            return .module(module, role: "")
        }
    }

    // MARK: Dynamo

    private static func call(of node: ImportedNode) -> String? {
        node.metadata[callKey] ?? node.fileNode?.metadata[callKey]
    }

    private func calledSource(_ tensor: ImportedGraph.Initializer, _ site: TensorSite) -> Origin? {
        let node = index.node(site.use)
        guard let call = Self.call(of: node) else { return nil }
        let names = Self.arguments(of: call)
        let mentioned = names.compactMap { index.graph.exporter.sources[$0]?.target }
        if mentioned.isEmpty { return names.contains(tensor.name) ? .source([tensor.name], part: 0) : nil }
        // One call reads a parameter once: of several nodes of a kind that read the tensor each stands for another one.
        let peers = calls[call]!.filter { position in
            let peer = index.graph.nodes[position]
            return peer.operatorType == node.operatorType && peer.inputs.contains(site.name)
        }
        let part = peers.firstIndex(of: site.use.node)!
        if let sources = sources(of: tensor, site.use, node, mentioned, calls[call]!) {
            return .source(sources, part: part)
        }
        return .module(mentioned.joined(separator: " "), role: "\(node.operatorType) \(site.use.input) \(part)")
    }

    /// Which of the tensors that a call mentions are read at one input of one of the nodes made of it.
    private func sources(
        of tensor: ImportedGraph.Initializer, _ use: TensorUse, _ node: ImportedNode, _ mentioned: [String],
        _ call: [Int]
    ) -> [String]? {
        // Where operator and call list the same tensors, they do so in the same order.
        if GraphIndex.normalizations.contains(node.operatorType), mentioned.count == node.inputs.count - 1,
            use.input >= 1
        {
            return [mentioned[use.input - 1]]
        }
        let own = Self.names(of: tensor)
        let mentionedOwn = mentioned.filter(own.contains)
        if !mentionedOwn.isEmpty, node.inputs.filter({ $0 == node.inputs[use.input] }).count == 1 {
            return mentionedOwn.sorted()
        }
        var others: Set<String> = []
        for position in call {
            for input in index.graph.nodes[position].inputs where input != tensor.name {
                if let other = index.initializers[input] { others.formUnion(Self.names(of: other)) }
            }
        }
        let left = mentioned.filter { !others.contains($0) }
        if left.count == 1 { return left }
        let leaves = Set(own.map(TensorName.leaf))
        let alike = left.filter { leaves.contains(TensorName.leaf($0)) }
        return alike.count == 1 ? alike : nil
    }

    private static func names(of tensor: ImportedGraph.Initializer) -> Set<String> {
        Set([tensor.name] + tensor.foldedFrom)
    }

    /// The names after `%` among the arguments of a call, without repetitions:
    /// `%linear : [num_users=1] = call_function[target=...](args = (%x, %p_fc_weight, %p_fc_bias), kwargs = {})`.
    private static func arguments(of call: String) -> [String] {
        guard let start = call.firstRange(of: "args = ") else { return [] }
        var names: [String] = []
        for piece in call[start.upperBound...].split(separator: "%", omittingEmptySubsequences: false).dropFirst() {
            let name = String(piece.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    // MARK: TorchScript

    private func identitySource(_ tensor: ImportedGraph.Initializer, _ site: TensorSite) -> Origin? {
        guard index.graph.exporter.producer == "pytorch", !TensorName.isMadeUp(site.name) else { return nil }
        if site.path.count > 1 { return .source([site.name], part: 0) }
        return hasIntactIdentities ? .source([tensor.name], part: 0) : nil
    }
}
