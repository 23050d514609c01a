import Operators
import TensorGraph

/// The calls of the exported program that dynamo writes beside the nodes it made of them:
///
///     %linear : [num_users=1] = call_function[target=torch.ops.aten.linear.default](args = (%x, %p_fc_weight, %p_fc_bias), kwargs = {})
///
/// They name what was read before equal tensors were merged.
struct ProgramCalls {
    private let index: GraphIndex
    /// Nodes by the text of the call that they were made of.
    private let nodes: [String: [Int]]
    /// What the calls name their results.
    private let results: Set<String>

    static let key = "pkg.torch.onnx.fx_node"

    init(_ index: GraphIndex) {
        self.index = index
        var nodes: [String: [Int]] = [:]
        for (position, node) in index.graph.nodes.enumerated() {
            if let call = Self.call(of: node) { nodes[call, default: []].append(position) }
        }
        self.nodes = nodes
        results = Set(nodes.keys.map { String(Self.result(of: $0).dropFirst()) })
    }

    var isEmpty: Bool { nodes.isEmpty }

    /// What the call behind a site read there; nil if the node has no call or it does not tell.
    func origin(of tensor: ImportedGraph.Initializer, at site: TensorSite) -> TensorOrigins.Origin? {
        let node = index.node(site.use)
        guard let call = Self.call(of: node) else { return nil }
        let names = Self.arguments(of: call)
        // A copy that the program itself makes.
        if site.path.count > 1, names.contains(site.name) {
            let copy = index.node(site.path[site.path.count - 2])
            return origin(of: tensor, at: TensorSite(path: site.path.dropLast(), name: copy.inputs[0]))
        }
        // One call reads a parameter once, or each of its parts once, as a recurrent layer cuts out its gates: of several
        // nodes that read the same of the tensor each stands for another one.
        let peers = nodes[call]!.filter { position in
            let peer = index.graph.nodes[position]
            return peer.operatorType == node.operatorType && peer.inputs.contains(site.name) && cutAlike(peer, node)
        }
        let part = peers.firstIndex(of: site.use.node)!
        let parameters = names.compactMap { index.graph.exporter.sources[$0]?.target }
        if Self.isCall(call, of: node), parameters.count == node.inputs.count - 1, site.use.input >= 1 {
            return .source([parameters[site.use.input - 1]], part: part)
        }
        // A normalisation that is written out multiplies by its weight and adds its bias, which may both start from zero;
        // another one that it is made of reads ones and zeros.
        let norms = ["group_norm.", "layer_norm.", "instance_norm.", "batch_norm."]
        if norms.contains(where: call.contains), !Self.isCall(call, of: node), tensor.shape.reduce(1, *) > 1 {
            if GraphIndex.normalizations.contains(node.operatorType) { return .constant }
            if parameters.count == 2, let place = ["Mul", "Add"].firstIndex(of: node.operatorType) {
                return .source([parameters[place]], part: 0)
            }
        }
        let own = Self.names(of: tensor)
        let others = others(in: call, besides: tensor)
        let mentioned = parameters.filter(own.contains)
        if !mentioned.isEmpty, node.inputs.filter({ $0 == site.name }).count == 1 {
            let rest = parameters.filter { !own.contains($0) && !others.contains($0) }
            // Of two readers the second has what is left, such as the second layer's biases.
            if part == 1, peers.count == 2, rest.count == mentioned.count { return .source(rest.sorted(), part: 0) }
            return .source(mentioned.sorted(), part: part)
        }
        // Arguments that were computed from parameters only and have been folded.
        let folded = names.filter { index.graph.exporter.sources[$0] == nil && !index.dependsOnData($0) }
        if folded.contains(tensor.name) { return .source([tensor.name], part: part) }
        let left = parameters.filter { !others.contains($0) }
        // What the call's other tensors are called in the file need not be what the program calls them.
        let renamed = otherTensors(in: call, besides: tensor).filter { Self.names(of: $0).isDisjoint(with: parameters) }
        if folded.count == 1, left.count == renamed.count, isComputed(tensor.name) {
            return .source(folded, part: part)
        }
        switch (left.count, folded.count) {
        case (0, 0): return .constant
        case (1, 0): return .source(left, part: part)
        case (0, 1): return .source(folded, part: part)
        default: break
        }
        let leaves = Set(own.map(TensorName.leaf))
        let alike = left.filter { leaves.contains(TensorName.leaf($0)) }
        if alike.count == 1 { return .source(alike, part: part) }
        guard !left.isEmpty, folded.isEmpty else { return nil }
        return .module(left.joined(separator: " "), role: "\(node.operatorType) \(site.use.input) \(part)")
    }

    /// The tensor of the program that the call behind a node took as the bias of a layer; nil if it took none.
    func bias(of node: ImportedNode) -> String? {
        guard let call = Self.call(of: node) else { return nil }
        let place =
            if call.contains("aten.linear.") || call.contains("aten.conv") { 2 } else if call.contains("aten.addmm.") {
                0
            } else { -1 }
        let arguments = Self.positionalArguments(of: call)
        guard arguments.indices.contains(place), arguments[place].first == "%" else { return nil }
        return index.graph.exporter.sources[String(arguments[place].dropFirst())]?.target
    }

    /// A call that looks up rows of a table.
    struct Lookup {
        /// The row that gets no gradient.
        var paddingRow: Int?
    }

    /// The lookup that a node was made of; nil if there is no call, or it does something else.
    func lookup(of node: ImportedNode) -> Lookup? {
        guard let call = Self.call(of: node), call.contains("aten.embedding.") else { return nil }
        let arguments = Self.positionalArguments(of: call)
        let row = arguments.count > 2 ? Int(arguments[2]) : nil
        return Lookup(paddingRow: row.flatMap { $0 < 0 ? nil : $0 })
    }

    /// Whether the program computed what bears the name, rather than held it; false where nobody says what it holds.
    func isComputed(_ name: String) -> Bool {
        let exporter = index.graph.exporter
        return !exporter.sources.isEmpty && exporter.sources[name] == nil && exporter.kind(ofTarget: name) == nil
    }

    /// Whether two nodes, if they cut something out of a tensor, cut out the same.
    private func cutAlike(_ one: ImportedNode, _ other: ImportedNode) -> Bool {
        guard one.operatorType == "Slice", one.inputs.count == other.inputs.count else { return true }
        return zip(one.inputs, other.inputs).dropFirst().allSatisfy { a, b in
            if a == b { return true }
            guard let first = index.constant(a), let second = index.constant(b) else { return false }
            return first.isIdentical(to: second)
        }
    }

    /// Whether the exporter merged equal calls into the one behind a node: more calls read its result than the program
    /// had read it, or one reads it in more places.
    func isMerged(_ node: ImportedNode) -> Bool {
        guard let call = Self.call(of: node), let users = Self.users(of: call) else { return false }
        var readers: Set<String> = []
        for output in nodes[call]!.flatMap({ index.graph.nodes[$0].outputs }) where !output.isEmpty {
            for reader in index.uses(of: output).map({ index.node($0) }) {
                guard let other = Self.call(of: reader), other != call else { continue }
                readers.insert(other)
                let places = reader.inputs.count { $0 == output }
                if places > 1, places > Self.mentions(of: Self.result(of: call), in: other) { return true }
            }
        }
        return readers.count > users
    }

    /// Places that read the result of a node in place of other calls' results, of which the exporter left this one, with the
    /// names of those; nil if it cannot be told which place reads what.
    func merged(into node: ImportedNode) -> [(result: String, use: TensorUse)]? {
        guard let call = Self.call(of: node) else { return nil }
        let result = String(Self.result(of: call).dropFirst())
        let stem = TensorName.withoutNumber(result)
        var found: [(result: String, use: TensorUse)] = []
        for output in node.outputs {
            let readers = Dictionary(grouping: index.uses(of: output), by: \.node)
            for (reader, uses) in readers.sorted(by: { $0.key < $1.key }) {
                guard let other = Self.call(of: index.graph.nodes[reader]), other != call else { continue }
                let names = Self.mentioned(in: other).filter { name in
                    name == result || TensorName.withoutNumber(name) == stem && !results.contains(name)
                }
                if names.allSatisfy({ $0 == result }) { continue }
                guard names.count == uses.count else { return nil }
                found += zip(names, uses.sorted { $0.input < $1.input }).filter { $0.0 != result }
                    .map { (result: $0.0, use: $0.1) }
            }
        }
        return found
    }

    /// The other nodes that were made of the same call.
    func nodes(besides node: ImportedNode) -> [ImportedNode] {
        guard let call = Self.call(of: node) else { return [] }
        return nodes[call]!.map { index.graph.nodes[$0] }.filter { $0.outputs != node.outputs }
    }

    /// The text of the call behind a node with another name for its result and for the program's tensors.
    func renamed(_ node: ImportedNode, result: String, tensors: [String: String]) -> String? {
        guard var call = Self.call(of: node) else { return nil }
        call = "%" + result + call.dropFirst(Self.result(of: call).count)
        for (old, new) in tensors {
            let placeholders = [old, new].map { name in
                index.graph.exporter.sources.first { $0.value.target == name }?.key
            }
            guard let before = placeholders[0], let after = placeholders[1] else { return nil }
            let pieces = call.split(separator: "%" + before, omittingEmptySubsequences: false)
            // What follows a name may belong to a longer one.
            call =
                String(pieces[0])
                + pieces.dropFirst().map { piece in
                    let isLonger = piece.first.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false
                    return "%" + (isLonger ? before : after) + piece
                }.joined()
        }
        return call
    }

    /// The tensors of the program that its calls read, whatever became of them in the graph.
    static func tensors(in graph: ImportedGraph) -> Set<String> {
        var names: Set<String> = []
        for node in graph.nodes {
            for name in call(of: node).map(arguments) ?? [] {
                if let source = graph.exporter.sources[name] { names.insert(source.target) }
            }
        }
        return names
    }

    /// Names of the tensors that the other inputs of the nodes made of a call stand for.
    private func others(in call: String, besides tensor: ImportedGraph.Initializer) -> Set<String> {
        otherTensors(in: call, besides: tensor).reduce(into: []) { $0.formUnion(Self.names(of: $1)) }
    }

    private func otherTensors(in call: String, besides tensor: ImportedGraph.Initializer) -> [ImportedGraph.Initializer]
    {
        let inputs = Set(nodes[call]!.flatMap { index.graph.nodes[$0].inputs }).subtracting([tensor.name])
        return inputs.compactMap { index.initializers[$0] }
    }

    private static func names(of tensor: ImportedGraph.Initializer) -> Set<String> {
        Set([tensor.name] + tensor.foldedFrom)
    }

    /// The call that a node was made of; nil where a rewriting has since put several calls into one node.
    private static func call(of node: ImportedNode) -> String? {
        let metadata = node.metadata[key] == nil ? node.fileNode?.metadata ?? [:] : node.metadata
        guard metadata["pkg.onnxscript.rewriter.rule_name"]?.contains("Fuse") != true else { return nil }
        return metadata[key]
    }

    /// How many calls read a call's result, as `[num_users=2]` says.
    private static func users(of call: String) -> Int? {
        guard let start = call.firstRange(of: "[num_users=") else { return nil }
        return Int(call[start.upperBound...].prefix { $0.isNumber })
    }

    /// The name that a call gives to its result, with its sign.
    private static func result(of call: String) -> Substring { call.prefix { !$0.isWhitespace } }

    /// How often a call's arguments name a result.
    private static func mentions(of result: Substring, in call: String) -> Int {
        guard let start = call.firstRange(of: "args = ") else { return 0 }
        return call[start.upperBound...].ranges(of: result).count { range in
            !(call[range.upperBound...].first.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false)
        }
    }

    /// Whether a normalisation does what the call does, so that both list the same tensors in the same order.
    private static func isCall(_ call: String, of node: ImportedNode) -> Bool {
        let names = [
            "LayerNormalization": "layer_norm", "BatchNormalization": "batch_norm",
            "InstanceNormalization": "instance_norm", "GroupNormalization": "group_norm",
            "RMSNormalization": "rms_norm",
        ]
        return names[node.operatorType].map(call.contains) ?? false
    }

    /// The texts of a call's positional arguments.
    private static func positionalArguments(of call: String) -> [String] {
        guard let start = call.firstRange(of: "args = (") else { return [] }
        var arguments = [""]
        var depth = 0
        for character in call[start.upperBound...] {
            switch character {
            case "(", "[", "{": depth += 1
            case ")", "]", "}": depth -= 1
            default: break
            }
            if depth < 0 { break }
            if character == ",", depth == 0 {
                arguments.append("")
            } else if !character.isWhitespace {
                arguments[arguments.count - 1].append(character)
            }
        }
        return arguments
    }

    /// The names after `%` among the arguments of a call, without repetitions.
    private static func arguments(of call: String) -> [String] {
        var names: [String] = []
        for name in mentioned(in: call) where !names.contains(name) { names.append(name) }
        return names
    }

    /// The names after `%` among the arguments of a call, as often as they stand there.
    private static func mentioned(in call: String) -> [String] {
        guard let start = call.firstRange(of: "args = ") else { return [] }
        return call[start.upperBound...].split(separator: "%", omittingEmptySubsequences: false).dropFirst()
            .map { piece in String(piece.prefix { $0.isLetter || $0.isNumber || $0 == "_" }) }
    }
}
