public import ONNXFormat
public import Operators
import TensorGraph
public import Training

/// Weights of a state_dict on their way into a graph that was exported from the program they belong to.
///
/// The graph is one in which tensors that the exporter merged because they were equal are taken apart, and heads are not
/// tied to the embeddings that they are copies of.
public struct WeightInjection {
    public private(set) var report = ConversionReport()
    private let repaired: RepairedGraph
    private let weights: WeightFile
    private let states: [StateTensor]
    private let graphs: [GraphTensor]
    private var choices: [[Candidate]]
    private let releaseMemory: @Sendable () -> Void

    /// Finds the places of the weights by the values that the program had when it was exported.
    ///
    /// - Parameters:
    ///   - graph: the graph with its merged tensors taken apart.
    ///   - original: the graph as the file has it.
    ///   - weights: the new values, under the names and shapes of `reference`.
    ///   - reference: the state_dict that the graph was exported from.
    ///   - releaseMemory: called after each tensor, to let go of mapped files.
    /// - Throws: `ConversionError` if they do not belong together; `DataError` or `ONNXFormatError` for a tensor that
    ///   cannot be decoded.
    public init(
        _ graph: RepairedGraph, original: ImportedGraph, weights: WeightFile, reference: WeightFile,
        releaseMemory: @escaping @Sendable () -> Void = {}
    ) throws {
        let graphs = try GraphTensors(original: original, current: graph.graph).tensors
        let states = try StateTensor.all(in: reference, graphs)
        for state in states where state.type.isFloatingPoint {
            let shape = try weights.array(state.name).shape
            guard shape == state.shape else { throw ConversionError.otherShape(state.name, shape, state.shape) }
        }
        let search = try CandidateSearch(states, in: reference, graphs, releaseMemory: releaseMemory)
        if search.candidates.isEmpty, let tensor = graphs.first(where: { $0.count > 1 }) {
            throw ConversionError.otherReference(tensor.name)
        }
        let resolution = try Resolution(
            of: .graph, counts: graphs.map(\.count), filled: search.filledGraphs, search.candidates
        ) { candidate in
            let values = try weights.array(states[candidate.state].name).floats()
            return candidate.copies.map { $0.state.gathered(from: values) }
        }
        choices = resolution.choices.map { if case .candidates(let candidates) = $0 { candidates } else { [] } }
        (repaired, self.weights, self.states, self.graphs) = (graph, weights, states, graphs)
        self.releaseMemory = releaseMemory

        // A tensor that several were computed into is none of them, though it may have had the same values.
        let found = Set(choices.joined().map(\.state))
        let open = states.indices.filter { !found.contains($0) && states[$0].type.isFloatingPoint }
        var destroyed: [GraphTensor] = []
        let parameters = try Self.parameters(of: graph)
        for (position, tensor) in graphs.enumerated() where parameters.contains(tensor.name) {
            if case .ambiguous = resolution.choices[position] { continue }
            let owners = choices[position].map(\.state)
            let isSpoiled = open.contains { state in
                tensor.foldedFrom.contains(states[state].programName)
                    || (tensor.isComputed && owners.contains { states[$0].isParametrized(with: states[state]) })
            }
            if isSpoiled { choices[position] = [] }
            if choices[position].isEmpty { destroyed.append(tensor) }
        }
        let mapped = Set(choices.joined().map(\.state))
        let destruction = try Destruction(
            states, open: states.indices.filter { !mapped.contains($0) && states[$0].type.isFloatingPoint },
            unexplained: destroyed, in: reference, original.exporter)
        for (position, choice) in resolution.choices.enumerated() {
            guard case .ambiguous(let candidates) = choice,
                candidates.contains(where: { !destruction.folded.contains($0.state) })
            else { continue }
            let names = candidates.map { "'\(states[$0.state].name)'" }.joined(separator: ", ")
            let reason = "ambiguous: may be \(names), which the reference has equal"
            report.missing.append(.init(name: graphs[position].name, reason: reason))
        }
        let merged = try MergedModules(
            states, open: open.filter { destruction.reasons[$0] == nil }, owners: { choices[$0].map(\.state) }, graphs,
            in: reference)
        var stale: [Int: String] = [:]
        for finding in try StaleConstants.findings(in: original) {
            for position in graphs.indices where graphs[position].original.name == finding.source {
                let changed = try choices[position].map(\.state).filter {
                    try weights.array(states[$0].name).floats() != reference.array(states[$0].name).floats()
                }
                guard !changed.isEmpty else { continue }
                for state in changed { stale[state] = destruction.reason(of: finding) }
                choices[position] = []
            }
        }
        let reads = original.programReads
        try describe { state in
            if let reason = destruction.reasons[state] ?? stale[state] { return reason }
            let tensor = states[state]
            let others = merged.twins[state].map { [$0] } ?? merged.ambiguous[state] ?? []
            let other = try others.first {
                try weights.array(states[$0].name).floats() != weights.array(tensor.name).floats()
            }
            if let other {
                return "one tensor of the graph with '\(states[other].name)', whose new values differ; "
                    + "export with optimize=False"
            }
            guard tensor.type.isFloatingPoint, reads.contains(tensor.programName),
                try weights.array(tensor.name).floats() != reference.array(tensor.name).floats()
            else { return nil }
            return "left out by the exporter because its values changed nothing; export with optimize=False"
        }
    }

    /// Finds the places of the weights by names alone; see `RecoveredNames`.
    ///
    /// - Throws: `ConversionError` if no name fits; `DataError` or `ONNXFormatError` for a tensor that cannot be decoded.
    public init(
        _ graph: RepairedGraph, original: ImportedGraph, weights: WeightFile,
        releaseMemory: @escaping @Sendable () -> Void = {}
    ) throws {
        let graphs = try GraphTensors(original: original, current: graph.graph).tensors
        let recovered = RecoveredNames(graphs, original.exporter)
        let states = try StateTensor.all(in: weights, graphs, recovered.tensors.map(\.name))
        choices = graphs.map { _ in [] }
        (repaired, self.weights, self.states, self.graphs) = (graph, weights, states, graphs)
        self.releaseMemory = releaseMemory

        let positions = Dictionary(
            states.enumerated().map { ($1.programName, $0) }, uniquingKeysWith: { first, _ in first })
        var reasons = Dictionary(
            recovered.unnamed.map { ($0.graph, $0.reason) }, uniquingKeysWith: { first, _ in first })
        for tensor in recovered.tensors {
            guard let state = positions[tensor.name] else {
                reasons[tensor.graph] = "the weights have no '\(tensor.name)'"
                continue
            }
            guard states[state].shape == tensor.shape else {
                throw ConversionError.otherShape(states[state].name, states[state].shape, tensor.shape)
            }
            choices[tensor.graph].append(
                Candidate(state: state, graph: tensor.graph, copies: [tensor.copy], evidence: .named))
        }
        guard choices.contains(where: { !$0.isEmpty }) else { throw ConversionError.noName(weights.path) }
        let parameters = try Self.parameters(of: graph)
        for (position, tensor) in graphs.enumerated() {
            // Names of one tensor must go on having one value.
            if let first = choices[position].first {
                let values = try weights.array(states[first.state].name).floats()
                for other in choices[position].dropFirst()
                where try weights.array(states[other.state].name).floats() != values {
                    reasons[position] =
                        "'\(states[first.state].name)' and '\(states[other.state].name)' are one tensor in the graph"
                    choices[position] = []
                    break
                }
            }
            if choices[position].isEmpty, parameters.contains(tensor.name) {
                report.missing.append(.init(name: tensor.name, reason: reasons[position] ?? "has no name"))
            }
        }
        let reads = original.programReads
        describe { state in
            reads.contains(states[state].programName) && states[state].type.isFloatingPoint
                ? "the program reads it, but no tensor of the graph bears its name; give a --reference" : nil
        }
    }

    private static func parameters(of graph: RepairedGraph) throws -> Set<String> {
        Set(try ParameterDiscovery.findings(in: graph.graph).filter(\.isParameter).map(\.name))
    }

    /// Reports every tensor of the state_dict.
    /// - Parameter loss: why the new values of a tensor that is not in the graph matter; nil if they do not.
    private mutating func describe(loss: (Int) throws -> String?) rethrows {
        let candidates = Dictionary(grouping: choices.joined(), by: \.state)
        for (position, state) in states.enumerated() {
            if let found = candidates[position] {
                report.mapped.append(.init(found, state, graphs))
            } else if let reason = try loss(position) {
                report.missing.append(.init(name: state.name, reason: reason))
            } else {
                let reason = state.type.isFloatingPoint ? "not in the graph" : "\(state.type.rawValue) does not train"
                report.kept.append(.init(name: state.name, reason: reason))
            }
        }
    }

    /// What the weights change in the file, a tensor's values made when they are written. A privacy statement that the file carries is taken out: it is of the weights
    /// that are replaced.
    /// - Throws: `DataError` or `ONNXFormatError` for a tensor that cannot be decoded.
    public func edits(of file: ONNXModel) throws -> ONNXEdits {
        var values: [String: TensorValues] = [:]
        for (position, tensor) in graphs.enumerated() where !choices[position].isEmpty {
            let choice = choices[position]
            values[tensor.name] = TensorValues(count: tensor.count) {
                [weights, states, releaseMemory] () throws(ONNXFormatError) in
                do {
                    defer { releaseMemory() }
                    return try Self.values(of: tensor, choice, from: weights, states)
                } catch let error as ONNXFormatError {
                    throw error
                } catch {
                    // The error names the file and the tensor itself.
                    throw ONNXFormatError(.malformed, "\(error)", at: "")
                }
            }
        }
        var edits = try repaired.edits(values)
        edits.removedMetadata = Set(file.metadata.map(\.key).filter { $0.hasPrefix("dponnx.") })
        return edits
    }

    /// A tensor's elements with those that the weights have for it.
    private static func values(
        of tensor: GraphTensor, _ choice: [Candidate], from weights: WeightFile, _ states: [StateTensor]
    ) throws -> [Float] {
        var elements = try tensor.current.load().floatValues
        for candidate in choice {
            let array = try weights.array(states[candidate.state].name)
            let new = array.floats()
            for copy in candidate.copies { copy.graph.scatter(copy.state.gathered(from: new), into: &elements) }
            array.discardPages()
        }
        return elements
    }
}
