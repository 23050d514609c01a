import ONNXFormat
import Operators

/// Finds out which of the exported program's tensors stands behind each place where a tensor of the file is read.
///
/// Exporters merge tensors of equal value, and no flag tells a merged tensor from one that the program shares. Evidence
/// from the strongest to the weakest:
///
/// 1. Dynamo writes the program's own call beside each node, which names the parameters it read before tensors were
///    merged; see `ProgramCalls`.
/// 2. TorchScript (`producer_name` is "pytorch") hands a merged tensor on through an `Identity` that bears the name of
///    the tensor it stands for, and lets places that share a tensor read it directly.
/// 3. Otherwise the same module shares with itself, as a layer or tower that is called repeatedly does, and different
///    modules do not; but a table of rows that is also read elsewhere is an embedding tied to others or to a head.
/// 4. Without modules, tensors filled with one number are unrelated, and others are shared.
struct TensorOrigins {
    enum Origin: Hashable {
        /// A tensor of the exported program, or several that were folded into one, by name, and which of the nodes made
        /// of the same call reads it.
        case source([String], part: Int)
        /// A number that the exporter filled in.
        case constant
        /// Whatever the module, or the call of the program, reads there in that role.
        case module(String, role: String)
        case place(TensorUse)
        /// The tensor of the file itself.
        case itself
    }

    let scopes: ModuleScopes
    private let index: GraphIndex
    let calls: ProgramCalls
    private let hasIntactIdentities: Bool

    init(_ index: GraphIndex) {
        self.index = index
        scopes = ModuleScopes(index.graph)
        calls = ProgramCalls(index)
        // TorchScript folds a weight once per use, so that a second place reads a folded weight through an Identity;
        // tools that remove Identities leave it reading the weight directly. ONNX Runtime's optimiser removes them, too.
        hasIntactIdentities =
            index.graph.exporter.producer == "pytorch" && calls.isEmpty
            && !index.graph.exporter.isOptimized
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
        let stated = try sharedByCalls(
            sites.map { calls.origin(of: tensor, at: $0) ?? identityOrigin(tensor, $0) }, sites, fill: fill)
        if stated.allSatisfy({ $0 != nil }) { return stated.map { $0! } }
        let isFilled = try fill() != nil
        let isTable = sites.contains { site in
            let node = index.node(site.use)
            return node.operatorType == "Gather" && site.use.input == 0 && !index.isFreeOfData(node)
        }
        let hasModules = sites.allSatisfy { scopes[$0.use.node] != nil } && stated.allSatisfy { $0 == nil }
        return sites.indices.map { position in
            if let stated = stated[position] { return stated }
            let use = sites[position].use
            if isFilled { return filledOrigin(use, among: sites.map(\.use)) }
            guard hasModules, !isTable, let module = scopes[use.node] else { return .itself }
            return .module(module, role: "")
        }
    }

    /// What a module computes from its parameters each time that it is called, as a parametrised weight, is one tensor
    /// under several names: `div`, `div_1`. Only numbers that anything may be filled with are equal by chance.
    private func sharedByCalls(_ origins: [Origin?], _ sites: [TensorSite], fill: () throws -> Float?) rethrows
        -> [Origin?]
    {
        struct Result: Hashable {
            var module: String
            var stem: Substring
            var part: Int
        }
        var known: [Result: Origin] = [:]
        var shared = origins
        for (position, site) in sites.enumerated() {
            guard case .source(let names, let part) = origins[position], names.count == 1,
                calls.isComputed(names[0]), let module = scopes[site.use.node], !module.isEmpty
            else { continue }
            let key = Result(module: module, stem: TensorName.withoutNumber(names[0]), part: part)
            if let first = known[key] { shared[position] = first } else { known[key] = origins[position] }
        }
        return try shared != origins && fill() == nil ? shared : origins
    }

    /// The origin of a tensor that is filled with one number.
    private func filledOrigin(_ use: TensorUse, among uses: [TensorUse]) -> Origin {
        // The whole program runs once: two places in it are not repeated calls.
        guard let module = scopes[use.node], !module.isEmpty else { return .place(use) }
        let type = index.node(use).operatorType
        var role = "\(type) \(use.input)"
        if let call = scopes.call(use.node) {
            // Nor are two nodes of one call of a module.
            let peers = uses.filter {
                index.node($0).operatorType == type && $0.input == use.input && scopes.call($0.node) == call
            }
            role += " \(peers.firstIndex(of: use)!)"
        }
        return .module(module, role: role)
    }

    private func identityOrigin(_ tensor: ImportedGraph.Initializer, _ site: TensorSite) -> Origin? {
        guard index.graph.exporter.producer == "pytorch", calls.isEmpty, !TensorName.isMadeUp(site.name) else {
            return nil
        }
        if site.path.count > 1 { return .source([site.name], part: 0) }
        return hasIntactIdentities ? .source([tensor.name], part: 0) : nil
    }
}
