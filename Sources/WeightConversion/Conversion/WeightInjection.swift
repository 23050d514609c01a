public import ONNXFormat
public import Operators
import TensorGraph
public import Training

/// Weights of a state_dict on their way into a graph that was exported from the program they belong to.
public struct WeightInjection {
    public let report: ConversionReport
    private let repaired: RepairedGraph
    private let weights: WeightFile
    private let states: [StateTensor]
    private let graphs: [GraphTensor]
    private let choices: [[Candidate]]

    /// Finds the places of the weights in the graph.
    ///
    /// - Parameters:
    ///   - graph: the graph, in which tensors that the exporter merged because they were equal are taken apart, and heads
    ///     are not tied to the embeddings that they are copies of.
    ///   - original: the same graph as the file has it.
    ///   - weights: the new values, under the names and shapes of `reference`.
    ///   - reference: the state_dict that the graph was exported from.
    /// - Throws: `ConversionError` if they do not belong together; `DataError` or `ONNXFormatError` for a tensor that
    ///   cannot be decoded.
    public init(
        _ graph: RepairedGraph, original: ImportedGraph, weights: WeightFile, reference: WeightFile
    ) throws {
        let graphs = try GraphTensors(original: original, current: graph.graph).tensors
        let states = try StateTensor.all(in: reference, graphs)
        for state in states where state.type.isFloatingPoint {
            let shape = try weights.array(state.name).shape
            guard shape == state.shape else { throw ConversionError.otherShape(state.name, shape, state.shape) }
        }
        let search = try CandidateSearch(states, in: reference, graphs)
        if search.candidates.isEmpty, let tensor = graphs.first(where: { $0.count > 1 }) {
            throw ConversionError.otherReference(tensor.name)
        }
        let resolution = try Resolution(
            of: .graph, counts: graphs.map(\.count), filled: search.filledGraphs, search.candidates
        ) { candidate in
            let values = try weights.array(states[candidate.state].name).floats()
            return candidate.copies.map { $0.state.gathered(from: values) }
        }
        var report = ConversionReport()
        var tensorsOf: [Int: [Candidate]] = [:]
        var unexplained: [GraphTensor] = []
        let parameters = Set(
            try ParameterDiscovery.findings(in: graph.graph).filter(\.isParameter).map(\.name))
        for (position, tensor) in graphs.enumerated() {
            switch resolution.choices[position] {
            case .candidates(let candidates):
                for candidate in candidates { tensorsOf[candidate.state, default: []].append(candidate) }
            case .ambiguous(let candidates):
                let names = candidates.map { "'\(states[$0.state].name)'" }.joined(separator: ", ")
                report.missing.append(
                    .init(name: tensor.name, reason: "ambiguous: may be \(names), which the reference has equal"))
            case .none:
                if parameters.contains(tensor.name) { unexplained.append(tensor) }
            }
        }
        let open = states.indices.filter { tensorsOf[$0] == nil && states[$0].type.isFloatingPoint }
        let destruction = try Destruction(
            states, open: open, unexplained: unexplained, in: reference, original.exporter)
        let reads = original.programReads
        func differs(_ state: StateTensor) throws -> Bool {
            try weights.array(state.name).floats() != reference.array(state.name).floats()
        }
        for (position, state) in states.enumerated() {
            if let candidates = tensorsOf[position] {
                report.mapped.append(.init(candidates, state, graphs))
            } else if let reason = destruction.reasons[position] {
                report.missing.append(.init(name: state.name, reason: reason))
            } else if !state.type.isFloatingPoint {
                report.kept.append(.init(name: state.name, reason: "\(state.type.rawValue) tensors do not train"))
            } else if reads.contains(state.programName), try differs(state) {
                let reason = "left out by the exporter because its values changed nothing; export with optimize=False"
                report.missing.append(.init(name: state.name, reason: reason))
            } else {
                report.kept.append(.init(name: state.name, reason: "not in the graph"))
            }
        }
        self.report = report
        self.repaired = graph
        self.weights = weights
        self.states = states
        self.graphs = graphs
        choices = resolution.choices.map { if case .candidates(let candidates) = $0 { candidates } else { [] } }
    }

    /// What the weights change in the file. A privacy statement that the file carries is taken out: it is of the weights
    /// that are replaced.
    /// - Throws: `DataError` or `ONNXFormatError` for a tensor that cannot be decoded.
    public func edits(of file: ONNXModel) throws -> ONNXEdits {
        var values: [String: [Float]] = [:]
        for (position, tensor) in graphs.enumerated() where !choices[position].isEmpty {
            var elements = try tensor.current.load().floatValues
            for candidate in choices[position] {
                let new = try weights.array(states[candidate.state].name).floats()
                for copy in candidate.copies { copy.graph.scatter(copy.state.gathered(from: new), into: &elements) }
            }
            values[tensor.name] = elements
        }
        var edits = try repaired.edits(values: values)
        edits.removedMetadata = Set(file.metadata.map(\.key).filter { $0.hasPrefix("dponnx.") })
        return edits
    }
}
