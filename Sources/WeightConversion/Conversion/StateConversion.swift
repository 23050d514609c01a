import ONNXFormat
public import Operators
import TensorGraph
public import Training

/// A trained graph's weights under the names, shapes and types of the program that it was exported from.
public struct StateConversion {
    public let report: ConversionReport
    private let states: [StateTensor]
    private let graphs: [GraphTensor]
    private let choices: [[Candidate]]
    /// Whether training changed each tensor of the graph.
    private let isChanged: [Bool]
    /// What gives the values that the graph does not; nil if it gives all.
    private let reference: WeightFile?
    private let releaseMemory: () -> Void

    /// Finds the state_dict's tensors in the graph.
    ///
    /// - Parameters:
    ///   - trained: the graph whose weights are wanted. Low-rank adapters that it has and the original has not are merged
    ///     into the weights that they stand beside.
    ///   - original: the graph as it was exported, before training.
    ///   - reference: the state_dict that `original` was exported from.
    ///   - releaseMemory: called after each tensor, to let go of mapped files.
    /// - Throws: `ConversionError` if the three do not belong together; `DataError` or `ONNXFormatError` for a tensor
    ///   that cannot be decoded.
    public init(
        trained: ImportedGraph, original: ImportedGraph, reference: WeightFile,
        releaseMemory: @escaping () -> Void = {}
    ) throws {
        let known = Set(original.initializers.map(\.name))
        let adapted = try KeptAdapters(in: trained) { $0.contains(LowRankAdapters.mark) && !known.contains($0) }
        let graphs = try GraphTensors(original: original, current: adapted.graph).tensors
        let states = try StateTensor.all(in: reference, graphs)
        let search = try CandidateSearch(states, in: reference, graphs, releaseMemory: releaseMemory)
        if search.candidates.isEmpty, let tensor = graphs.first(where: { $0.count > 1 }) {
            throw ConversionError.otherReference(tensor.name)
        }
        let resolution = try Resolution(
            of: .state, counts: states.map(\.count), filled: search.filledStates, search.candidates
        ) { candidate in
            let values = try graphs[candidate.graph].current.load().floatValues
            return candidate.copies.map { $0.graph.gathered(from: values) }
        }
        let isChanged = try graphs.map { tensor in
            defer { releaseMemory() }
            let trained = try tensor.current.load()
            releaseMemory()
            return try !trained.isIdentical(to: tensor.original.load())
        }
        var choices = resolution.choices.map { (choice) -> [Candidate] in
            if case .candidates(let candidates) = choice { candidates } else { [] }
        }
        // All names of one tensor have what one of them has.
        let families = Dictionary(grouping: states.indices) { reference.firstName(of: states[$0].name) }
        for family in families.values where family.count > 1 {
            guard let known = family.first(where: { !choices[$0].isEmpty }) else { continue }
            for state in family where choices[state].isEmpty { choices[state] = choices[known] }
        }
        let trained = TrainedValues(states, graphs)
        let taken = Set(choices.joined().map(\.graph))
        var torn = try trained.torn(choices, isChanged, in: reference)
        for state in torn.keys { choices[state] = [] }
        // Trained tensors that nobody takes, though their elements were known: the program has fewer of them.
        var disputed: Set<Int> = []
        for case .ambiguous(let candidates) in resolution.choices { disputed.formUnion(candidates.map(\.graph)) }
        var surplus: Set<Int> = []
        for (graph, candidates) in Dictionary(grouping: search.candidates, by: \.graph)
        where isChanged[graph] && !taken.contains(graph) && !disputed.contains(graph) {
            if try !candidates.contains(where: { try trained.agree($0, with: choices[$0.state]) }) {
                surplus.insert(graph)
            }
        }
        for graph in surplus.sorted() {
            let tensor = graphs[graph]
            let isMissed = states.indices.contains {
                choices[$0].isEmpty && states[$0].type.isFloatingPoint && tensor.modules.contains(states[$0].module)
            }
            let names = tensor.programNames.union([tensor.original.name])
            guard !isMissed, let state = states.firstIndex(where: { names.contains($0.programName) }),
                let other = choices[state].first
            else { continue }
            torn[state] = "'\(graphs[other.graph].name)' and '\(tensor.name)' of the graph"
            choices[state] = []
            surplus.remove(graph)
        }
        var open = states.indices.filter { choices[$0].isEmpty && states[$0].type.isFloatingPoint && torn[$0] == nil }
        let merged = try MergedModules(
            states, open: open,
            owners: { graph in states.indices.filter { choices[$0].contains { $0.graph == graph } } },
            graphs, in: reference)
        for (state, twin) in merged.twins { choices[state] = choices[twin] }
        open.removeAll { merged.twins[$0] != nil }
        // A tensor that several were computed into is none of them, though it may have had the same values.
        let explained = Set(search.candidates.map(\.graph))
        let spoiled = graphs.indices.filter { position in
            guard explained.contains(position), isChanged[position] else { return false }
            let owners = states.indices.filter { choices[$0].contains { $0.graph == position } }
            return open.contains { state in
                graphs[position].foldedFrom.contains(states[state].programName)
                    || (graphs[position].isComputed
                        && owners.contains { states[$0].isParametrized(with: states[state]) })
            }
        }
        for state in states.indices where choices[state].contains(where: { spoiled.contains($0.graph) }) {
            choices[state] = []
            open.append(state)
        }
        let unexplained = graphs.indices.filter { position in
            isChanged[position]
                && (!explained.contains(position) || spoiled.contains(position) || surplus.contains(position))
        }
        let weak = states.indices.filter { state in
            search.filledStates.contains(state) && choices[state].contains { $0.evidence < .module(0) }
        }
        let destruction = try Destruction(
            states, open: open, weak: weak, unexplained: unexplained.map { graphs[$0] }, in: reference,
            original.exporter)
        for state in destruction.folded { choices[state] = [] }
        var stale: [Int: String] = [:]
        for finding in try StaleConstants.findings(in: original) {
            for state in states.indices
            where choices[state].contains(where: {
                graphs[$0.graph].original.name == finding.source && isChanged[$0.graph]
            }) {
                stale[state] = destruction.reason(of: finding)
                choices[state] = []
            }
        }
        var report = ConversionReport()
        for (state, tensor) in states.enumerated() {
            if !choices[state].isEmpty {
                report.mapped.append(.init(choices[state], tensor, graphs))
            } else if let reason = stale[state] {
                report.missing.append(.init(name: tensor.name, reason: reason))
            } else if let parts = torn[state] {
                let reason = "one tensor of the program that was trained as two, \(parts); train with --no-untie"
                report.missing.append(.init(name: tensor.name, reason: reason))
            } else if let others = merged.ambiguous[state],
                others.contains(where: { choices[$0].contains { isChanged[$0.graph] } })
            {
                let names = others.map { "'\(states[$0].name)'" }.joined(separator: ", ")
                let reason = "may be merged with \(names); export with optimize=False"
                report.missing.append(.init(name: tensor.name, reason: reason))
            } else if let reason = destruction.reasons[state] {
                report.missing.append(.init(name: tensor.name, reason: reason))
            } else if case .ambiguous(let candidates) = resolution.choices[state],
                candidates.contains(where: { isChanged[$0.graph] })
            {
                let names = candidates.map { "'\(graphs[$0.graph].name)'" }.joined(separator: ", ")
                let reason = "ambiguous: may be \(names), of tensors that were equal before training"
                report.missing.append(.init(name: tensor.name, reason: reason))
            } else {
                let reason = tensor.type.isFloatingPoint ? "not in the graph" : "\(tensor.type.rawValue) does not train"
                report.kept.append(.init(name: tensor.name, reason: reason))
            }
        }
        for name in destruction.orphans {
            report.missing.append(.init(name: name, reason: "trained, but belongs to no tensor of the reference"))
        }
        self.report = report
        self.states = states
        self.graphs = graphs
        self.choices = choices
        self.isChanged = isChanged
        self.reference = reference
        self.releaseMemory = releaseMemory
    }

    /// Takes names and layouts from the graph alone; see `RecoveredNames`. Low-rank adapters that training kept are merged
    /// into the weights that they stand beside.
    ///
    /// - Throws: `ONNXFormatError` for a tensor that cannot be decoded.
    public init(trained: ImportedGraph, releaseMemory: @escaping () -> Void = {}) throws {
        let trained = try KeptAdapters(in: trained) { $0.contains(LowRankAdapters.mark) }.graph
        let graphs = try GraphTensors(original: trained, current: trained).tensors
        let recovered = RecoveredNames(graphs, trained.exporter)
        let parameters = Set(try ParameterDiscovery.findings(in: trained).filter(\.isParameter).map(\.name))
        var report = ConversionReport()
        var choices: [[Candidate]] = []
        states = recovered.tensors.enumerated().map { state, tensor in
            let found = graphs[tensor.graph]
            let candidate = Candidate(state: state, graph: tensor.graph, copies: [tensor.copy], evidence: .named)
            let entry = StateTensor(
                name: tensor.name, programName: tensor.name, type: found.storedType, shape: tensor.shape)
            choices.append([candidate])
            report.mapped.append(.init([candidate], entry, graphs))
            return entry
        }
        for (graph, reason) in recovered.unnamed where parameters.contains(graphs[graph].name) {
            report.missing.append(.init(name: graphs[graph].name, reason: reason))
        }
        self.report = report
        self.graphs = graphs
        self.choices = choices
        isChanged = graphs.map { _ in true }
        reference = nil
        self.releaseMemory = releaseMemory
    }

    /// Writes every tensor, .safetensors or .npz; one that is missing with the reference's values.
    /// - Throws: `DataError` if the file cannot be written; nothing is then left at its name.
    public func write(to path: String) throws {
        if path.lowercased().hasSuffix(".npz"), let tensor = states.first(where: { $0.type == .bfloat16 }) {
            throw DataError(
                .unsupported, "cannot hold '\(tensor.name)': NumPy has no bfloat16; write a .safetensors file",
                at: .init(file: path))
        }
        var writer = try ArrayFileWriter(
            path: path, arrays: states.map { .init(name: $0.name, type: $0.type, shape: $0.shape) })
        for state in states.indices {
            try withBytes(state) { try writer.append(bytes: $0) }
            releaseMemory()
        }
        try writer.finish()
    }

    /// Hands a tensor's elements to `body`, little-endian and row-major in its own type; those of one that is missing are
    /// the reference's.
    /// - Throws: `DataError` or `ONNXFormatError` for a tensor that cannot be decoded, and what `body` throws.
    /// - Precondition: `report` lists the name.
    public func withBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        try withBytes(states.firstIndex { $0.name == name }!, body)
    }

    private func withBytes<Result>(_ state: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        let tensor = states[state]
        let array = try reference?.array(tensor.name)
        defer { array?.discardPages() }
        let changed = choices[state].filter { isChanged[$0.graph] }
        if changed.isEmpty, let array { return try array.withUnsafeBytes(body) }
        var values = array?.floats() ?? [Float](repeating: 0, count: tensor.count)
        array?.discardPages()
        for candidate in changed {
            let trained = try graphs[candidate.graph].current.load().floatValues
            releaseMemory()
            for copy in candidate.copies {
                copy.state.scatter(copy.graph.gathered(from: trained), into: &values)
            }
        }
        switch tensor.type {
        case .float64: return try values.map(Double.init).withUnsafeBytes(body)
        case .float16: return try values.map { Float16($0).bitPattern }.withUnsafeBytes(body)
        case .bfloat16: return try values.map(\.bfloat16BitPattern).withUnsafeBytes(body)
        default: return try values.withUnsafeBytes(body)
        }
    }
}
