import ArgumentParser
import DPONNX

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Shows a model's graph, its parameters and the privacy statement it carries.",
        discussion: """
            Epsilon is recomputed from the stated mechanism; a statement that contradicts itself is reported.

            Example: dponnx inspect private.onnx
            """)

    @Argument(help: "The ONNX model.", completion: .file(extensions: ["onnx"]))
    var model: String

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        try reportingFailures {
            let loaded = try LoadedModel(path: model, completes: false, untie: false, retie: false)
            let statement = try loaded.privacyStatement()
            if json { try printJSON(Report(loaded, statement)) } else { printText(Report(loaded, statement)) }
        }
    }

    private struct Report: Encodable {
        struct Port: Encodable {
            var name, type: String
            var shape: [String]?
        }
        struct Parameter: Encodable {
            var name, type: String
            var shape: [Int]
        }
        struct Privacy: Encodable {
            var isPrivate: Bool
            var epsilon: Double?
            var recomputedEpsilon: Double
            var isConsistent: Bool
            var delta: Double
            /// All entries, by their keys without the prefix.
            var statement: [String: String]
        }
        var irVersion: Int
        var producer: String
        var opsets: [String: Int]
        var inputs, outputs: [Port]
        var operators: [String: Int]
        var initializers: [Parameter]
        var parameterCount: Int
        var privacy: Privacy?
        var metadata: [String: String]

        init(_ model: LoadedModel, _ statement: PrivacyStatement?) {
            let file = model.file
            irVersion = file.irVersion
            producer = [file.producerName, file.producerVersion].filter { !$0.isEmpty }.joined(separator: " ")
            opsets = Dictionary(
                file.opsetImports.map { ($0.domain.isEmpty ? "ai.onnx" : $0.domain, $0.version) }, uniquingKeysWith: max
            )
            inputs = model.graph.inputs.map { Port(name: $0.name, type: "\($0.dataType)", shape: $0.sizeNames) }
            outputs = model.graph.outputs.map { Port(name: $0.name, type: "\($0.dataType)", shape: $0.sizeNames) }
            operators = Dictionary(model.graph.nodes.map { ($0.operatorType, 1) }, uniquingKeysWith: +)
            initializers = model.graph.initializers.map {
                Parameter(name: $0.name, type: "\($0.dataType)", shape: $0.shape)
            }
            parameterCount = model.graph.initializers.filter { $0.dataType.storage == .float32 }
                .reduce(0) { $0 + $1.shape.elementCount }
            let prefix = PrivacyStatement.keyPrefix
            let entries = file.metadata.filter { $0.key.hasPrefix(prefix) }
            metadata = Dictionary(
                file.metadata.filter { !$0.key.hasPrefix(prefix) }.map { ($0.key, $0.value) },
                uniquingKeysWith: { first, _ in first })
            privacy = statement.map { statement in
                let recomputed = statement.recomputedBound.epsilon
                let stated = statement.bound.epsilon
                return Privacy(
                    isPrivate: statement.isPrivate, epsilon: statement.isPrivate ? stated : nil,
                    recomputedEpsilon: recomputed,
                    isConsistent: recomputed == stated || abs(recomputed - stated) <= 1e-3 * abs(stated),
                    delta: statement.bound.delta,
                    statement: Dictionary(
                        entries.map { (String($0.key.dropFirst(prefix.count)), $0.value) },
                        uniquingKeysWith: { first, _ in first }))
            }
        }
    }

    private func printText(_ report: Report) {
        print("IR version \(report.irVersion), \(oneLine(report.producer))")
        for (domain, version) in report.opsets.sorted(by: { $0.key < $1.key }) {
            print("opset \(oneLine(domain)) \(version)")
        }
        for port in report.inputs { print(oneLine("input  \(port.name): \(port.type) \(Self.text(port.shape))")) }
        for port in report.outputs { print(oneLine("output \(port.name): \(port.type) \(Self.text(port.shape))")) }
        var operators = Table(header: ["operator", "count"])
        for (name, count) in report.operators.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            operators.add(name, "\(count)")
        }
        print("\n" + operators.text + "\n")
        var initializers = Table(header: ["initializer", "type", "shape"])
        for row in report.initializers {
            initializers.add(
                row.name, row.type, row.shape.isEmpty ? "scalar" : row.shape.map(String.init).joined(separator: "x"))
        }
        print(initializers.text)
        print("\(report.parameterCount) numbers in float initializers\n")
        for (key, value) in report.metadata.sorted(by: { $0.key < $1.key }) {
            print(oneLine("metadata \(key): \(value)"))
        }
        guard let privacy = report.privacy else {
            print("no privacy statement")
            return
        }
        print(
            privacy.isPrivate
                ? "private: epsilon \(fixed(privacy.epsilon!, 4)) at delta \(privacy.delta)" : "NOT PRIVATE")
        for (key, value) in privacy.statement.sorted(by: { $0.key < $1.key }) { print(oneLine("  \(key): \(value)")) }
        if !privacy.isConsistent {
            print(
                "the stated mechanism costs epsilon \(fixed(privacy.recomputedEpsilon, 4)), not what is stated: trust neither"
            )
        }
    }

    private static func text(_ shape: [String]?) -> String {
        shape.map { "[" + $0.joined(separator: ", ") + "]" } ?? "of any shape"
    }
}

extension ImportedGraph.Port {
    /// The dimensions as numbers and symbols; `?` where nothing is known.
    fileprivate var sizeNames: [String]? {
        dimensions?.map { dimension in
            switch dimension {
            case .fixed(let size): "\(size)"
            case .symbol(let name): name
            case .unknown: "?"
            }
        }
    }
}
