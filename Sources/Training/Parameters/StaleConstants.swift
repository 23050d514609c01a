import Foundation
public import Operators
import TensorGraph

/// Constants that the exporter computed from a parameter which the model also reads by itself, such as 1 - p beside p.
/// Training changes the parameter and not what was computed from it, so that the model is another program's afterwards.
public struct StaleConstants {
    public struct Finding: Sendable {
        /// The parameter.
        public var source: String
        /// What was computed from it, as an equation.
        public var equation: String
    }

    private struct Formula: Sendable {
        var description: @Sendable (String) -> String
        var value: @Sendable (Double) -> Double
    }

    private static let formulas = [
        Formula(description: { "1 - \($0)" }, value: { 1 - $0 }),
        Formula(description: { "1 + \($0)" }, value: { 1 + $0 }),
        Formula(description: { "-\($0)" }, value: { -$0 }),
        Formula(description: { "1 / \($0)" }, value: { 1 / $0 }),
        Formula(description: { "\($0) * \($0)" }, value: { $0 * $0 }),
        Formula(description: { "exp(\($0))" }, value: { exp($0) }),
        Formula(description: { "-exp(\($0))" }, value: { -exp($0) }),
    ]
    /// What is computed on export and kept beside its source are vectors.
    private static let largest = 1 << 16

    /// One line for the user that names what does not follow the parameters; nil if there is nothing.
    static func note(on graph: ImportedGraph) throws -> String? {
        let found = try findings(in: graph).map(\.equation)
        guard !found.isEmpty else { return nil }
        let rest = found.count > 3 ? " and \(found.count - 3) more" : ""
        return
            "computed on export, and not again when the parameter trains: \(found.prefix(3).joined(separator: ", "))\(rest)"
            + "; export without constant folding (do_constant_folding=False or optimize=False)"
    }

    /// - Throws: `ONNXFormatError` for a tensor that cannot be decoded.
    public static func findings(in graph: ImportedGraph) throws -> [Finding] {
        let vectors = graph.initializers.filter { tensor in
            tensor.isTrainable && tensor.shape.reduce(1, *) <= largest
        }
        let computed = try Dictionary(
            grouping: vectors.filter { TensorName.isMadeUp($0.name) || !$0.foldedFrom.isEmpty }
                .map { (name: $0.name, values: try $0.load().floatValues) }, by: \.values.count)
        guard !computed.isEmpty else { return [] }
        let discovery = ParameterDiscovery(GraphIndex(graph))
        var found: [Finding] = []
        for tensor in vectors where !TensorName.isMadeUp(tensor.name) && tensor.foldedFrom.isEmpty {
            guard let candidates = computed[tensor.shape.reduce(1, *)] else { continue }
            let values = try tensor.load().floatValues
            guard isTelling(values) else { continue }
            let stale = candidates.compactMap { candidate in
                formulas.first { follows(candidate.values, $0, values) }.map {
                    Finding(
                        source: tensor.name, equation: "'\(candidate.name)' = \($0.description("'\(tensor.name)'"))")
                }
            }
            let uses = discovery.index.uses(of: tensor.name)
            if !stale.isEmpty, try discovery.finding(tensor, uses: uses).isParameter { found += stale }
        }
        return found
    }

    /// Whether equal numbers can be no coincidence: several that differ, or one that programs do not write down.
    private static func isTelling(_ values: [Float]) -> Bool {
        guard values.count > 1 else { return values.first.map { ![0, 0.5, 1, 2].contains(abs($0)) } ?? false }
        return values.contains { $0 != values[0] }
    }

    private static func follows(_ values: [Float], _ formula: Formula, _ source: [Float]) -> Bool {
        zip(values, source).allSatisfy { value, source in
            let expected = formula.value(Double(source))
            return abs(Double(value) - expected) <= 1e-6 * max(1e-3, abs(expected))
        }
    }
}
