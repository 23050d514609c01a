import ONNXFormat
public import Operators
import TensorGraph
public import Training

/// A trained graph's weights under the names, shapes and types of the program that it was exported from.
public struct StateConversion {
    public let report: ConversionReport
    private let states: [StateTensor]
    private let reference: WeightFile
    private let graphs: [GraphTensor]
    private let choices: [[Candidate]]

    /// Finds the state_dict's tensors in the graph.
    ///
    /// - Parameters:
    ///   - trained: the graph whose weights are wanted.
    ///   - original: the graph as it was exported, before training.
    ///   - reference: the state_dict that `original` was exported from.
    /// - Throws: `ConversionError` if the three do not belong together; `DataError` or `ONNXFormatError` for a tensor
    ///   that cannot be decoded.
    public init(trained: ImportedGraph, original: ImportedGraph, reference: WeightFile) throws {
        let graphs = try GraphTensors(original: original, current: trained).tensors
        let states = try StateTensor.all(in: reference, graphs)
        let search = try CandidateSearch(states, in: reference, graphs)
        if search.candidates.isEmpty, let tensor = graphs.first(where: { $0.count > 1 }) {
            throw ConversionError.otherReference(tensor.name)
        }
        let resolution = try Resolution(
            of: .state, counts: states.map(\.count), filled: search.filledStates, search.candidates
        ) { candidate in
            let values = try graphs[candidate.graph].current.load().floatValues
            return candidate.copies.map { $0.graph.gathered(from: values) }
        }
        var report = ConversionReport()
        var open: [Int] = []
        for (state, tensor) in states.enumerated() {
            switch resolution.choices[state] {
            case .candidates(let candidates):
                report.mapped.append(.init(candidates, tensor, graphs))
            case .ambiguous(let candidates):
                let names = candidates.map { "'\(graphs[$0.graph].name)'" }.joined(separator: ", ")
                report.missing.append(
                    .init(
                        name: tensor.name,
                        reason: "ambiguous: may be \(names), of tensors that were equal before training"))
            case .none where !tensor.type.isFloatingPoint:
                report.kept.append(.init(name: tensor.name, reason: "\(tensor.type.rawValue) tensors do not train"))
            case .none: open.append(state)
            }
        }
        let explained = Set(search.candidates.map(\.graph))
        let unexplained = try graphs.enumerated().filter { position, tensor in
            try !explained.contains(position) && tensor.isChanged()
        }.map(\.element)
        let destruction = try Destruction(
            states, open: open, unexplained: unexplained, in: reference, original.exporter)
        for state in open {
            if let reason = destruction.reasons[state] {
                report.missing.append(.init(name: states[state].name, reason: reason))
            } else {
                report.kept.append(.init(name: states[state].name, reason: "not in the graph"))
            }
        }
        self.report = report
        self.states = states
        self.reference = reference
        self.graphs = graphs
        choices = resolution.choices.map { if case .candidates(let candidates) = $0 { candidates } else { [] } }
    }

    /// Writes every tensor of the reference, .safetensors or .npz; one that is missing with the reference's values.
    /// - Throws: `DataError` if the file cannot be written; nothing is then left at its name.
    public func write(to path: String) throws {
        var writer = try ArrayFileWriter(
            path: path, arrays: states.map { .init(name: $0.name, type: $0.type, shape: $0.shape) })
        for (state, tensor) in states.enumerated() {
            let array = try reference.array(tensor.name)
            let changed = try choices[state].filter { try graphs[$0.graph].isChanged() }
            if changed.isEmpty {
                try array.withUnsafeBytes { try writer.append(bytes: $0) }
                continue
            }
            var values = array.floats()
            for candidate in changed {
                let trained = try graphs[candidate.graph].current.load().floatValues
                for copy in candidate.copies {
                    copy.state.scatter(copy.graph.gathered(from: trained), into: &values)
                }
            }
            try append(values, as: tensor.type, to: &writer)
        }
        try writer.finish()
    }

    private func append(_ values: [Float], as type: StoredType, to writer: inout ArrayFileWriter) throws {
        switch type {
        case .float64: try writer.append(values.map(Double.init))
        case .float16: try values.map { Float16($0).bitPattern }.withUnsafeBytes { try writer.append(bytes: $0) }
        case .bfloat16: try values.map(\.bfloat16BitPattern).withUnsafeBytes { try writer.append(bytes: $0) }
        default: try writer.append(values)
        }
    }
}

extension GraphTensor {
    /// Whether training changed the tensor.
    func isChanged() throws -> Bool { try !current.load().isIdentical(to: original.load()) }
}
