/// What a model file says of the program that wrote it and of the tensors that program started from.
public struct Exporter: Sendable {
    /// A tensor of the exported program.
    public struct Source: Sendable, Hashable {
        /// "PARAMETER", "BUFFER", "CONSTANT_TENSOR", ...
        public var kind: String
        /// Its name in the program, such as `encoder.layers.0.norm1.weight`.
        public var target: String

        public init(kind: String, target: String) {
            self.kind = kind
            self.target = target
        }
    }

    /// `producer_name` of the model.
    public var producer: String
    /// The exported program's tensors by the placeholder that its nodes call them, such as `p_norm1_weight`. Empty where
    /// the exporter writes none.
    public var sources: [String: Source]
    /// Whether ONNX Runtime has saved the file since: it imports operator sets of its own, whether they are used or not,
    /// and keeps the producer's name.
    public var isOptimized: Bool
    private let kinds: [String: String]

    public init(producer: String = "", sources: [String: Source] = [:], isOptimized: Bool = false) {
        self.producer = producer
        self.sources = sources
        self.isOptimized = isOptimized
        kinds = Dictionary(sources.values.map { ($0.target, $0.kind) }, uniquingKeysWith: { first, _ in first })
    }

    /// What the exported program had under that name; nil if nothing.
    public func kind(ofTarget target: String) -> String? { kinds[target] }
}

extension Exporter {
    static let signatureKey = "pkg.torch.export.ExportedProgram.graph_signature"

    /// Reads the graph signature of `torch.export`, in either of its two spellings:
    ///
    ///     p_fc_weight: PARAMETER target='fc.weight'
    ///     InputSpec(kind=<InputKind.PARAMETER: 2>, arg=TensorArgument(name='p_fc_weight'), target='fc.weight', ...)
    ///
    /// What is not understood is left out.
    static func sources(signature: String) -> [String: Source] {
        var sources: [String: Source] = [:]
        for line in signature.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":"), let target = quoted(after: "target=", in: line[colon...]) else {
                continue
            }
            let name = line[..<colon].trimming
            let kind = line[line.index(after: colon)...].trimming.prefix { !$0.isWhitespace }
            if !name.contains(where: \.isWhitespace), !kind.isEmpty, !name.contains("(") {
                sources[String(name)] = Source(kind: String(kind), target: target)
            }
        }
        var rest = signature[...]
        while let start = rest.range(of: "InputSpec(kind=<InputKind.") {
            rest = rest[start.upperBound...]
            let end = rest.range(of: "InputSpec(")?.lowerBound ?? rest.endIndex
            let entry = rest[..<end]
            if let name = quoted(after: "name=", in: entry), let target = quoted(after: "target=", in: entry) {
                sources[name] = Source(kind: String(entry.prefix { $0 != ":" && $0 != ">" }), target: target)
            }
        }
        return sources
    }

    /// The texts of a Python list of strings, `['a', 'b']`.
    public static func names(list: String) -> [String] {
        var names: [String] = []
        var rest = list[...]
        while let open = rest.firstIndex(where: { $0 == "'" || $0 == "\"" }) {
            let inside = rest[rest.index(after: open)...]
            guard let close = inside.firstIndex(of: rest[open]) else { break }
            names.append(String(inside[..<close]))
            rest = inside[inside.index(after: close)...]
        }
        return names
    }

    private static func quoted(after key: String, in text: Substring) -> String? {
        guard let found = text.range(of: key) else { return nil }
        let rest = text[found.upperBound...]
        guard let quote = rest.first, quote == "'" || quote == "\"" else { return nil }
        let inside = rest.dropFirst()
        return inside.firstIndex(of: quote).map { String(inside[..<$0]) }
    }
}

extension Substring {
    fileprivate var trimming: Substring {
        var text = drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }

    fileprivate func range(of text: String) -> Range<Index>? { firstRange(of: text) }
}
